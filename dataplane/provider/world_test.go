package provider

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"segue/controlplane/policy"
	"segue/dataplane/message"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a client whose log can be read.
type world struct {
	*Client
	log *safeBuffer
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func newWorld(t testing.TB, change func(*Config)) *world {
	t.Helper()
	log := &safeBuffer{}
	c := Config{Region: "eu-west", Logger: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	if change != nil {
		change(&c)
	}
	client, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return &world{client, log}
}

// contract is a provider's API with one rule of each kind.
func contract() *policy.Contract {
	return &policy.Contract{
		Name: "test/v1", Dialect: policy.Stripe,
		Credential: policy.Slot{Header: "Authorization", Value: "Bearer {credential}"},
		Keys:       policy.Keys{Header: "Idempotency-Key", Enforced: true, InUse: 409},
		Statuses: []policy.StatusRule{
			{From: 200, To: 299, Class: policy.ClassOK, Outcome: policy.OutcomeSucceeded},
			{From: 429, To: 429, Code: "lock_timeout", Class: policy.ClassLimited, Outcome: policy.OutcomeUnknown},
			{From: 429, To: 429, Class: policy.ClassLimited, Outcome: policy.OutcomeNotSent},
			{From: 400, To: 499, Class: policy.ClassOK, Outcome: policy.OutcomeDeclined},
		},
	}
}

func candidate(endpoint string) *policy.Candidate {
	return &policy.Candidate{Provider: "main", Contract: contract(), Endpoint: endpoint, Credential: policy.Credential{Kind: policy.CredentialCaller}}
}

// post is an effect with a key.
func post(endpoint, body string) *Call {
	r := &message.Request{Method: "POST", Path: "/v1/charges", Body: []byte(body)}
	if body == "" {
		r.Body = nil
	}
	return &Call{Candidate: candidate(endpoint), Service: "payments", Operation: "charge", Request: r, Key: "key-1", PerTry: 5 * time.Second}
}

func get(endpoint string) *Call {
	c := post(endpoint, "")
	c.Request.Method, c.Read, c.Key = "GET", true, ""
	return c
}

// taker is a reply that keeps what it is given.
type taker struct {
	mu      sync.Mutex
	status  int
	header  message.Header
	body    bytes.Buffer
	trailer message.Header
	biggest int
	ends    []error
	refuse  error            // from Write
	onWrite func(p []byte)   // after each
	onBegin func(status int) // after it
}

func (r *taker) Begin(status int, h message.Header) error {
	r.mu.Lock()
	r.status, r.header = status, h
	r.mu.Unlock()
	if r.onBegin != nil {
		r.onBegin(status)
	}
	return nil
}

func (r *taker) Write(p []byte) error {
	r.mu.Lock()
	r.body.Write(p)
	r.biggest = max(r.biggest, len(p))
	r.mu.Unlock()
	if r.onWrite != nil {
		r.onWrite(p)
	}
	return r.refuse
}

func (r *taker) Trail(h message.Header) { r.trailer = h }

func (r *taker) End(cut error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ends = append(r.ends, cut)
	return nil
}

// clean tells whether the answer was told to have ended well, once.
func (r *taker) clean() bool { return len(r.ends) == 1 && r.ends[0] == nil }

// cut tells whether the answer was told to have been cut, once.
func (r *taker) cut() bool { return len(r.ends) == 1 && errors.Is(r.ends[0], ErrCut) }

// rawServer is a provider on plain TCP: serve is given each whole request with its number and may do to the connection what it
// likes; it returns false to close it.
type rawServer struct {
	url      string
	executed atomic.Int64 // whole requests
	conns    atomic.Int64
}

func newRaw(t testing.TB, serve func(c *net.TCPConn, r *http.Request, body []byte, n int64) bool) *rawServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &rawServer{url: "http://" + l.Addr().String()}
	var wg sync.WaitGroup
	var mu sync.Mutex
	open := map[net.Conn]bool{}
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.conns.Add(1)
			mu.Lock()
			open[c] = true
			mu.Unlock()
			wg.Go(func() { s.talk(c.(*net.TCPConn), serve) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for c := range open {
			c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return s
}

func (s *rawServer) talk(c *net.TCPConn, serve func(*net.TCPConn, *http.Request, []byte, int64) bool) {
	defer c.Close()
	in := bufio.NewReader(c)
	for {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		if !serve(c, r, body, s.executed.Add(1)) {
			return
		}
	}
}

const fine = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

func say(c net.Conn, text string) { fmt.Fprint(c, text) }
