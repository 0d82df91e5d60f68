package provider

import (
	"context"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"segue/controlplane/health"
	"segue/dataplane/ledger"
)

// TestNotSent: everything that comes before the first byte is proven not executed, and named.
func TestNotSent(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := free.Addr().String()
	free.Close()
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	strange := httptest.NewUnstartedServer(http.NotFoundHandler())
	strange.Config.ErrorLog = discard
	strange.StartTLS()
	defer strange.Close()
	mute, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	for name, x := range map[string]struct{ url, token string }{
		"refused":             {"http://" + closed, "connection_refused"},
		"no such name":        {"http://nobody.invalid", "dns_error"},
		"unknown authority":   {strange.URL, "tls_certificate_error"},
		"no TLS there":        {strings.Replace(plain.URL, "http:", "https:", 1), "tls_protocol_error"},
		"handshake hangs":     {"https://" + mute.Addr().String(), "connection_timeout"},
		"endpoint is no URL":  {"ftp://x", "proxy_configuration_error"},
		"endpoint is garbage": {"http://[", "proxy_configuration_error"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			call, to := post(x.url, "amount=100"), &taker{}
			if x.token == "connection_timeout" {
				call.PerTry = 300 * time.Millisecond
			}
			r := w.Send(t.Context(), call, to)
			if r.Outcome != ledger.NotSent || r.Kind != ledger.FromAnswer || r.Error != x.token || r.Err == nil || r.Sample.Class != health.Failure {
				if x.token != "dns_error" || r.Outcome != ledger.NotSent || !strings.HasPrefix(r.Error, "dns_") {
					t.Fatalf("%+v", r)
				}
			}
			if r.Begun || len(to.ends) != 0 {
				t.Fatal("the reply was touched")
			}
		})
	}
}

// TestUnknown: after the first byte nothing but a whole answer proves anything.
func TestUnknown(t *testing.T) {
	for name, x := range map[string]struct {
		answer string
		reset  bool
		hang   bool
		token  string
		begun  bool
	}{
		"closed":              {token: "connection_terminated"},
		"reset":               {reset: true, token: "connection_terminated"},
		"hang":                {hang: true, token: "http_response_timeout"},
		"header cut":          {answer: "HTTP/1.1 200 OK\r\nContent-Le", token: "http_protocol_error"},
		"header cut at line":  {answer: "HTTP/1.1 200 OK\r\nContent-Type: a\r\n", token: "http_response_incomplete"},
		"malformed":           {answer: "HTTP/1.1 2x0 OK\r\n\r\n", token: "http_protocol_error"},
		"not HTTP":            {answer: "220 smtp ready\r\n", token: "http_protocol_error"},
		"two lengths":         {answer: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc", token: "http_protocol_error"},
		"header too large":    {answer: "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 80<<10) + "\r\n\r\n", token: "http_response_header_section_size"},
		"switching protocols": {answer: "HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", token: "http_protocol_error"},
		"header, then hang":   {answer: "HTTP/1.1 200 OK\r\n", hang: true, token: "http_response_timeout"},
		"length cut":          {answer: "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", token: "http_response_incomplete", begun: true},
		"chunk cut":           {answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", token: "http_response_incomplete", begun: true},
		"reset in the body":   {answer: "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", reset: true, token: "http_response_incomplete", begun: true},
		"no framing":          {answer: "HTTP/1.1 200 OK\r\n\r\nabc", token: "http_response_incomplete", begun: true},
		"error body cut":      {answer: "HTTP/1.1 402 No\r\nContent-Length: 90\r\n\r\n{\"error\":", token: "http_response_incomplete"},
		"error chunk cut":     {answer: "HTTP/1.1 402 No\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", token: "http_response_incomplete"},
		"error, no framing":   {answer: "HTTP/1.1 402 No\r\n\r\n{}", token: "http_response_incomplete"},
		"body goes silent":    {answer: "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", hang: true, token: "http_response_timeout", begun: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			over := make(chan struct{})
			s := newRaw(t, func(c *net.TCPConn, _ *http.Request, _ []byte, _ int64) bool {
				say(c, x.answer)
				if x.hang {
					<-over
				}
				if x.reset {
					c.SetLinger(0)
				}
				return false
			})
			t.Cleanup(func() { close(over) })
			w := newWorld(t, func(c *Config) { c.Idle = 200 * time.Millisecond })
			call, to := post(s.url, "amount=100"), &taker{}
			call.PerTry = 200 * time.Millisecond
			if !x.hang {
				call.PerTry = 5 * time.Second
			}
			r := w.Send(t.Context(), call, to)
			if r.Outcome != ledger.Unknown || r.Kind != ledger.FromTimeout || r.Sample.Class != health.Failure || r.Err == nil {
				t.Fatalf("%+v", r)
			}
			reset := x.reset && r.Error == "connection_terminated" // a reset may overtake what was said before it
			if r.Error != x.token && !reset || r.Begun != x.begun && !reset {
				t.Fatalf("%+v", r)
			}
			if r.Begun != to.cut() {
				t.Fatalf("begun %t, ends %v", r.Begun, to.ends)
			}
			if s.executed.Load() != 1 {
				t.Fatalf("executed %d times", s.executed.Load())
			}
		})
	}
}

// TestAnswers: what the contract says of an answer is what the send proves, and it passes untouched; redirects too.
func TestAnswers(t *testing.T) {
	for name, x := range map[string]struct {
		status  int
		body    string
		header  string
		outcome ledger.Outcome
		class   health.Class
		after   time.Duration
	}{
		"done":            {200, "{}", "", ledger.Succeeded, health.OK, 0},
		"declined":        {402, `{"error":{"code":"card_declined","type":"card_error"}}`, "", ledger.Declined, health.OK, 0},
		"key in use":      {409, `{"error":{}}`, "", ledger.Unknown, health.OK, 0},
		"limited":         {429, `{"error":{"code":"rate_limit"}}`, "Retry-After: 7", ledger.NotSent, health.Limited, 7 * time.Second},
		"limited by code": {429, `{"error":{"code":"lock_timeout"}}`, "", ledger.Unknown, health.Limited, 0},
		"500":             {500, "oops", "", ledger.Unknown, health.Failure, 0},
		"503 wants time":  {503, "", "Retry-After: 99999", ledger.Unknown, health.Failure, time.Hour},
		"307":             {307, "", "Location: http://127.0.0.1:1/", ledger.Unknown, health.Failure, 0},
		"308":             {308, "", "Location: /again", ledger.Unknown, health.Failure, 0},
		"large error":     {402, strings.Repeat("x", 200<<10), "", ledger.Declined, health.OK, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if k, v, ok := strings.Cut(x.header, ": "); ok {
					w.Header().Set(k, v)
				}
				w.WriteHeader(x.status)
				io.WriteString(w, x.body)
			}))
			defer s.Close()
			w := newWorld(t, nil)
			to := &taker{}
			r := w.Send(t.Context(), post(s.URL, "amount=100"), to)
			if r.Outcome != x.outcome || r.Sample.Class != x.class || r.Sample.RetryAfter != x.after || r.Kind != ledger.FromAnswer || r.Err != nil {
				t.Fatalf("%+v", r)
			}
			if to.status != x.status || r.Status != x.status || to.body.String() != x.body || !to.clean() {
				t.Fatalf("passed %d, %d bytes, ends %v", to.status, to.body.Len(), to.ends)
			}
			if r.Sample.Latency <= 0 || r.Elapsed < r.Sample.Latency {
				t.Fatalf("latency %v of %v", r.Sample.Latency, r.Elapsed)
			}
			w.Close()
		})
	}
}

// TestGzippedCode: the application may have asked for gzip; its error code is found all the same, and the bytes pass as they came.
func TestGzippedCode(t *testing.T) {
	packed := gzipped(t, `{"error":{"code":"lock_timeout"}}`)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", r.Header.Get("Accept-Encoding"))
		w.WriteHeader(429)
		io.WriteString(w, packed)
	}))
	defer s.Close()
	w, to, call := newWorld(t, nil), &taker{}, post(s.URL, "")
	call.Request.Header.Add("Accept-Encoding", "gzip")
	r := w.Send(t.Context(), call, to)
	if r.Outcome != ledger.Unknown || r.Sample.Class != health.Limited || to.body.String() != packed || to.header.Get("Content-Encoding") != "gzip" {
		t.Fatalf("%+v %v", r, to.header)
	}
	w.Close()
}

// TestTLS: a provider whose certificate our roots know is spoken to, under its name; close_notify frames a body there.
func TestTLS(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Proto) }))
	defer s.Close()
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	w := newWorld(t, func(c *Config) { c.RootCAs = pool })
	for range 2 {
		to := &taker{}
		if r := w.Send(t.Context(), post(s.URL, "amount=100"), to); r.Outcome != ledger.Succeeded || to.body.String() != "HTTP/1.1" {
			t.Fatalf("%+v %s", r, &to.body)
		}
	}
	w.Close()
}

// TestCallerLeaves: before the first byte that stops the send; after it the effect is unknown, and nobody blames the provider.
func TestCallerLeaves(t *testing.T) {
	over := make(chan struct{})
	arrived := make(chan struct{}, 1)
	s := newRaw(t, func(*net.TCPConn, *http.Request, []byte, int64) bool { arrived <- struct{}{}; <-over; return false })
	t.Cleanup(func() { close(over) })
	w := newWorld(t, nil)
	gone, leave := context.WithCancel(t.Context())
	leave()
	if r := w.Send(gone, post(s.url, ""), &taker{}); r.Outcome != ledger.NotSent || r.Sample.Class != health.None || r.Error != "caller_left" {
		t.Fatalf("before: %+v", r)
	}
	going, leave := context.WithCancel(t.Context())
	go func() { <-arrived; leave() }()
	if r := w.Send(going, post(s.url, ""), &taker{}); r.Outcome != ledger.Unknown || r.Sample.Class != health.None || r.Error != "caller_left" {
		t.Fatalf("after: %+v", r)
	}
}

// TestDeadline: the context's deadline holds where it is nearer than PerTry, and the provider sees the connection close.
func TestDeadline(t *testing.T) {
	closed := make(chan error, 1)
	s := newRaw(t, func(c *net.TCPConn, _ *http.Request, _ []byte, _ int64) bool {
		_, err := c.Read(make([]byte, 1))
		closed <- err
		return false
	})
	w := newWorld(t, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	r := w.Send(ctx, post(s.url, ""), &taker{})
	if r.Outcome != ledger.Unknown || r.Error != "http_response_timeout" || r.Sample.Class != health.Failure {
		t.Fatalf("%+v", r)
	}
	if err := <-closed; err == nil {
		t.Fatal("the connection stayed open")
	}
}
