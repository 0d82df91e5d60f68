package sdk

import (
	"bytes"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// front stands between an SDK and an agent. It counts the requests that the SDK sends, also those that it sends again by itself, and keeps
// the last answer as it came. What is lost between it and the agent is lost for the SDK too.
type front struct {
	*httptest.Server
	header map[string]string                                      // put on each request; "" takes one away
	before func(n int, other func(was, is string) *http.Response) // before the n-th request goes on; other sends it with another text and key

	pad int64 // bytes put behind each body

	mu     sync.Mutex
	sent   int
	asked  http.Header
	status int
	answer http.Header
	body   []byte
}

func newFront(t testing.TB, agent string) *front {
	t.Helper()
	target, err := url.Parse(agent)
	if err != nil {
		t.Fatal(err)
	}
	f := &front{}
	proxy := &httputil.ReverseProxy{
		Rewrite:        func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:      &http.Transport{DisableCompression: true},
		FlushInterval:  -1,
		ErrorLog:       log.New(io.Discard, "", 0),
		ModifyResponse: f.keep,
		ErrorHandler:   func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	f.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { f.pass(w, r, agent, proxy) }))
	f.Config.ErrorLog = proxy.ErrorLog
	f.Start()
	t.Cleanup(f.Close)
	return f
}

func (f *front) pass(w http.ResponseWriter, r *http.Request, agent string, on http.Handler) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	for name, value := range f.header {
		if r.Header.Del(name); value != "" {
			r.Header.Set(name, value)
		}
	}
	f.mu.Lock()
	f.sent++
	n := f.sent
	f.asked = r.Header.Clone()
	f.mu.Unlock()
	if f.before != nil {
		f.before(n, func(was, is string) *http.Response { return repeat(r, agent, body, was, is) })
	}
	padding := io.LimitReader(spaces{}, f.pad)
	r.Body, r.ContentLength = io.NopCloser(io.MultiReader(bytes.NewReader(body), padding)), int64(len(body))+f.pad
	r.TransferEncoding = nil
	on.ServeHTTP(w, r)
}

// spaces are without end.
type spaces struct{}

func (spaces) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

// repeat sends a request once more, as another process of the application would, with is where the text and the key have was.
func repeat(r *http.Request, agent string, body []byte, was, is string) *http.Response {
	q, err := http.NewRequest(r.Method, agent+r.URL.RequestURI(), bytes.NewReader(bytes.ReplaceAll(body, []byte(was), []byte(is))))
	if err != nil {
		return nil
	}
	q.Header = r.Header.Clone()
	if q.Header.Get("Idempotency-Key") == was {
		q.Header.Set("Idempotency-Key", is)
	}
	answer, err := http.DefaultTransport.RoundTrip(q)
	if err != nil {
		return nil
	}
	defer answer.Body.Close()
	all, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil
	}
	answer.Body = io.NopCloser(bytes.NewReader(all))
	return answer
}

// keep remembers an answer. That of a stream is not waited for.
func (f *front) keep(answer *http.Response) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.status, f.answer, f.body = answer.StatusCode, answer.Header.Clone(), nil
	if strings.HasPrefix(answer.Header.Get("Content-Type"), "text/event-stream") {
		return nil
	}
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	f.body, answer.Body = body, io.NopCloser(bytes.NewReader(body))
	return nil
}

// requests is how many have come.
func (f *front) requests() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.sent
}

// last is the last answer.
func (f *front) last() (status int, header http.Header, body []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.status, f.answer, f.body
}
