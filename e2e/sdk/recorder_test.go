package sdk

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
)

// recorder is a provider of all three kinds that remembers the requests as they arrived, and does what their text says: hold-NAME answers
// only after release(NAME), large-NAME answers with more than an agent keeps, lose-NAME is executed and the answer is lost.
type recorder struct {
	server *httptest.Server

	mu   sync.Mutex
	seen []arrived
	held map[string]*gate
	n    int
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

var orders = regexp.MustCompile(`(hold|large|lose)-[0-9a-f]{16}`)

func (r *recorder) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	body, err := io.ReadAll(q.Body)
	if err != nil {
		return // the request did not come whole: nothing was asked
	}
	r.mu.Lock()
	r.seen = append(r.seen, arrived{q.Method, q.URL.RequestURI(), string(body), q.Header.Clone()})
	r.n++
	n := r.n
	r.mu.Unlock()
	padding := ""
	switch order := orders.FindString(string(body)); {
	case strings.HasPrefix(order, "hold"):
		g := r.gate(order)
		g.once.Do(func() { close(g.arrived) })
		<-g.open
	case strings.HasPrefix(order, "large"):
		padding = strings.Repeat("x", 300<<10) // an agent keeps 256 KiB
	case strings.HasPrefix(order, "lose"):
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Request-Id", fmt.Sprintf("req_recorder%08d", n))
	_, _ = fmt.Fprintf(w, shape(q.URL.Path), n, padding)
}

// shape is what a provider of the path's kind answers.
func shape(path string) string {
	switch {
	case strings.HasSuffix(path, "/Messages.json"):
		return `{"sid":"SM%032d","status":"queued","body":%q}`
	case strings.HasSuffix(path, "/chat/completions"):
		return `{"id":"chatcmpl-%08d","object":"chat.completion","created":1700000000,"model":"gpt-4o-mini",` +
			`"choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":%q}}]}`
	default:
		return `{"id":"ch_recorder%08d","object":"charge","status":"succeeded","paid":true,"description":%q}`
	}
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

// executed is how often a request arrived that names a text.
func (r *recorder) executed(name string) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, a := range r.seen {
		if strings.Contains(a.body, name) || strings.Contains(a.body, url.QueryEscape(name)) {
			n++
		}
	}
	return n
}
