package e2e

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"segue/web/apitest"
)

// witness holds what is asked of the API and of the processes themselves, in the whole run, against the API's document.
var witness = sync.OnceValues(func() (*apitest.Witness, error) {
	document, err := os.ReadFile("../web/openapi.json")
	if err != nil {
		return nil, err
	}
	return apitest.New(document)
})

// verdict is what the run showed of the API: whatever did not fit, and, where the whole package ran, what nobody called.
func verdict() (complaints []string) {
	w, err := witness()
	if err != nil {
		return []string{err.Error()}
	}
	complaints = w.Faults()
	operations, calls := w.Called()
	fmt.Printf("API: %d calls of %d operations answered as the document says; %d exchanges did not fit\n", calls, operations, len(complaints))
	if !wholeRun() {
		return complaints
	}
	for _, name := range w.Uncalled() {
		complaints = append(complaints, name+" is documented, and nobody called it")
	}
	return complaints
}

// wholeRun tells whether every test was to run.
func wholeRun() bool {
	for _, name := range []string{"test.run", "test.skip", "test.list"} {
		if f := flag.Lookup(name); f != nil && f.Value.String() != "" {
			return false
		}
	}
	return true
}

// seen is a transport that shows the witness each exchange about the API or about a process itself. Calls of applications pass untouched.
type seen struct{ next http.RoundTripper }

// CloseIdleConnections lets a client give up what it holds.
func (s seen) CloseIdleConnections() {
	if c, ok := s.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

func ofDocument(path string) bool {
	switch path {
	case "/openapi.json", "/livez", "/readyz", "/metrics", "/version":
		return true
	}
	return strings.HasPrefix(path, "/api/") || strings.HasPrefix(path, "/.segue/")
}

func (s seen) RoundTrip(r *http.Request) (*http.Response, error) {
	w, err := witness()
	if err != nil || !ofDocument(r.URL.Path) {
		return s.next.RoundTrip(r)
	}
	var body []byte
	if r.Body != nil {
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
		_ = r.Body.Close()
		r = r.Clone(r.Context())
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	resp, err := s.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		_ = w.Check(r, body, resp.StatusCode, resp.Header, nil) // the witness keeps its complaints
		resp.Body = &eventReader{w: w, from: resp.Body}
		return resp, nil
	}
	answer, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	resp.Body = io.NopCloser(io.MultiReader(bytes.NewReader(answer), failing{err}))
	if err == nil {
		_ = w.Check(r, body, resp.StatusCode, resp.Header, answer)
	}
	return resp, nil
}

// failing ends a body as it ended: cleanly, or cut.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	return 0, io.EOF
}

// eventReader holds each event of a stream against the document as it passes.
type eventReader struct {
	w    *apitest.Witness
	from io.ReadCloser
	line []byte
	kind string
}

func (e *eventReader) Read(p []byte) (int, error) {
	n, err := e.from.Read(p)
	for _, b := range p[:n] {
		if b != '\n' {
			e.line = append(e.line, b)
			continue
		}
		e.take(string(e.line))
		e.line = e.line[:0]
	}
	return n, err
}

func (e *eventReader) take(line string) {
	if kind, ok := strings.CutPrefix(line, "event: "); ok {
		e.kind = kind
	}
	data, ok := strings.CutPrefix(line, "data: ")
	schema := map[string]string{"happened": "Event", "reset": "Reset"}[e.kind]
	if ok && schema != "" {
		_ = e.w.Schema(schema, []byte(data))
	}
}

func (e *eventReader) Close() error { return e.from.Close() }

// watched is a client whose exchanges the witness sees.
func watched(timeout time.Duration) *http.Client {
	return &http.Client{Timeout: timeout, Transport: seen{http.DefaultTransport}}
}

// passages are the proxies between commands and the nodes they ask: what commands say is held against the document too.
var passages = struct {
	sync.Mutex
	by map[string]*httptest.Server
}{by: map[string]*httptest.Server{}}

// passage returns an address that leads to the node at addr, past the witness; addr itself while nobody listens there, so that a command
// meets what it would meet.
func passage(addr string) string {
	c, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return addr
	}
	_ = c.Close()
	passages.Lock()
	defer passages.Unlock()
	if passages.by[addr] == nil {
		target := &url.URL{Scheme: "http", Host: addr}
		passages.by[addr] = httptest.NewServer(&httputil.ReverseProxy{
			Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target); r.Out.Host = addr },
			Transport:     seen{&http.Transport{DisableKeepAlives: true, DisableCompression: true}},
			FlushInterval: -1,
			ErrorHandler:  func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }, // as a connection that breaks
		})
		passages.by[addr].Config.ErrorLog = nil
	}
	return passages.by[addr].Listener.Addr().String()
}

func closePassages() {
	passages.Lock()
	defer passages.Unlock()
	for _, s := range passages.by {
		s.CloseClientConnections()
		s.Close()
	}
}
