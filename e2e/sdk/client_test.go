package sdk

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync"
	"testing"

	"github.com/stripe/stripe-go/v82"
)

// wire is what stripe-go sends its requests through. It counts those that really left, also the ones that net/http would send again by
// itself, and keeps the last answer as it came.
type wire struct {
	header http.Header // added to each request
	bare   bool        // takes the members away from problems that make them errors for stripe-go
	keep   bool        // keeps the headers of the requests

	mu     sync.Mutex
	sent   int
	asked  []http.Header
	status int
	answer http.Header
	body   []byte
}

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	trace := &httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.sent++
	}}
	q := r.Clone(httptrace.WithClientTrace(r.Context(), trace))
	for name, values := range w.header {
		q.Header[name] = values
	}
	if w.keep {
		w.asked = append(w.asked, q.Header.Clone())
	}
	answer, err := http.DefaultTransport.RoundTrip(q)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(answer.Body)
	_ = answer.Body.Close() // it was read to its end, or err says why not
	if err != nil {
		return nil, err
	}
	if w.bare {
		body = bytes.Replace(body, []byte(`"error":{`), []byte(`"members":{`), 1)
	}
	answer.Body, answer.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	w.mu.Lock()
	defer w.mu.Unlock()
	w.status, w.answer, w.body = answer.StatusCode, answer.Header, body
	return answer, nil
}

// requests is how many requests left since the last time.
func (w *wire) requests() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := w.sent
	w.sent = 0
	return n
}

// client is stripe-go as an application has it: with its own retries (2), telemetry on.
func client(t testing.TB, url, key string, w *wire) *stripe.Client {
	t.Helper()
	return stripe.NewClient(key, stripe.WithBackends(&stripe.Backends{API: backend(url, w)}))
}

func backend(url string, w *wire) stripe.Backend {
	return stripe.GetBackendWithConfig(stripe.APIBackend, &stripe.BackendConfig{
		URL: stripe.String(url), HTTPClient: &http.Client{Transport: w}, EnableTelemetry: stripe.Bool(true),
		LeveledLogger: &stripe.LeveledLogger{Level: stripe.LevelNull},
	})
}
