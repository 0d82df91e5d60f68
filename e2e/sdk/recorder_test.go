package sdk

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
)

// recorder is a provider that remembers the requests as they arrived, and does what their metadata say: hold=NAME answers only after
// release(NAME), large=yes answers with more than an agent keeps.
type recorder struct {
	server *httptest.Server

	mu      sync.Mutex
	seen    []arrived
	held    map[string]*gate
	charges int
}

type arrived struct {
	method, path, body string
	header             http.Header
}

// gate is where a request waits: arrived is closed by the first that comes, open lets all go on.
type gate struct {
	once          sync.Once
	arrived, open chan struct{}
}

func newRecorder() *recorder {
	r := &recorder{held: map[string]*gate{}}
	r.server = httptest.NewServer(r)
	return r
}

func (r *recorder) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	body, err := io.ReadAll(q.Body)
	if err != nil {
		return // the request did not come whole: nothing was asked
	}
	form, _ := url.ParseQuery(string(body)) // what cannot be read asks for nothing
	r.mu.Lock()
	r.seen = append(r.seen, arrived{q.Method, q.URL.RequestURI(), string(body), q.Header.Clone()})
	r.charges++
	n := r.charges
	r.mu.Unlock()
	if name := form.Get("metadata[hold]"); name != "" {
		g := r.gate(name)
		g.once.Do(func() { close(g.arrived) })
		<-g.open
	}
	padding := ""
	if form.Get("metadata[large]") != "" {
		padding = strings.Repeat("x", 300<<10) // an agent keeps 256 KiB
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Request-Id", fmt.Sprintf("req_recorder%08d", n))
	_, _ = fmt.Fprintf(w, `{"id":"ch_recorder%08d","object":"charge","status":"succeeded","paid":true,"description":%q}`, n, padding)
}

func (r *recorder) gate(name string) *gate {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.held[name] == nil {
		r.held[name] = &gate{arrived: make(chan struct{}), open: make(chan struct{})}
	}
	return r.held[name]
}

// release lets the requests go that are held, and those that will come.
func (r *recorder) release(name string) { close(r.gate(name).open) }

// take returns what arrived since the last time.
func (r *recorder) take() []arrived {
	r.mu.Lock()
	defer r.mu.Unlock()
	seen := r.seen
	r.seen = nil
	return seen
}
