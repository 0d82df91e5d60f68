package provider

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"segue/controlplane/health"
	"segue/dataplane/ledger"
)

// TestOneExecutionPerSend: a warm connection dies after it took a request. net/http would send it again by itself (a GET always, an
// empty POST with an Idempotency-Key too); here each Send is executed once at most, and the second is unknown.
func TestOneExecutionPerSend(t *testing.T) {
	for _, body := range []string{"", "amount=100"} {
		for _, method := range []string{"POST", "GET", "DELETE"} {
			for _, key := range []string{"", "key-1"} {
				t.Run(method+" body="+body+" key="+key, func(t *testing.T) {
					s := newRaw(t, func(c *net.TCPConn, _ *http.Request, _ []byte, n int64) bool {
						if n%2 == 1 {
							say(c, fine)
							return true
						}
						return false // executed, and the connection dies
					})
					w := newWorld(t, nil)
					for i := range 20 {
						call := post(s.url, body)
						call.Request.Method, call.Key = method, key
						r := w.Send(t.Context(), call, &taker{})
						want := ledger.Succeeded
						if i%2 == 1 {
							want = ledger.Unknown
						}
						if r.Outcome != want || s.executed.Load() != int64(i+1) {
							t.Fatalf("send %d: %s %v, executed %d times", i+1, status(r.Outcome), r.Err, s.executed.Load())
						}
					}
				})
			}
		}
	}
}

// spy lets a test see the wires that a client opens.
func spy(c *Client) *wires {
	ws := &wires{}
	dial := c.transport.DialContext
	c.transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		if w, ok := conn.(*wire); ok {
			ws.mu.Lock()
			ws.list = append(ws.list, w)
			ws.mu.Unlock()
		}
		return conn, err
	}
	return ws
}

type wires struct {
	mu   sync.Mutex
	list []*wire
}

func (ws *wires) last() *wire {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	return ws.list[len(ws.list)-1]
}

// TestDeadWarmConnection: a warm connection that dies before it took a byte is no failure: the send goes on another, once, whole.
func TestDeadWarmConnection(t *testing.T) {
	for _, body := range []string{"", "amount=100"} {
		var got []string
		s := newRaw(t, func(c *net.TCPConn, _ *http.Request, body []byte, _ int64) bool {
			got = append(got, string(body))
			say(c, fine)
			return true
		})
		w := newWorld(t, nil)
		ws := spy(w.Client)
		if r := w.Send(t.Context(), post(s.url, body), &taker{}); r.Outcome != ledger.Succeeded {
			t.Fatalf("first: %+v", r)
		}
		call, asked := post(s.url, body), 0
		call.Guard = func() error {
			if asked++; asked == 1 {
				return ws.last().raw.CloseWrite() // the next write takes nothing
			}
			return nil
		}
		r := w.Send(t.Context(), call, &taker{})
		if r.Outcome != ledger.Succeeded || asked != 2 || s.executed.Load() != 2 || s.conns.Load() != 2 || got[1] != body {
			t.Fatalf("body %q: %+v; guard asked %d times, %d executed on %d connections: %q", body, r, asked, s.executed.Load(), s.conns.Load(), got)
		}
	}
}

// TestGuard: a guard that says no keeps every byte back, on cold and warm connections.
func TestGuard(t *testing.T) {
	s := newRaw(t, func(c *net.TCPConn, _ *http.Request, _ []byte, _ int64) bool { say(c, fine); return true })
	w := newWorld(t, nil)
	for range 2 {
		no, call := errors.New("paused too long"), post(s.url, "amount=100")
		call.Guard = func() error { return no }
		before := s.executed.Load()
		r := w.Send(t.Context(), call, &taker{})
		if r.Outcome != ledger.NotSent || r.Kind != ledger.FromStaleSend || r.Error != "stale_send" || !errors.Is(r.Err, no) || r.Sample.Class != health.None {
			t.Fatalf("%+v", r)
		}
		if s.executed.Load() != before {
			t.Fatal("a byte left")
		}
		call.Guard = func() error { return nil }
		if r := w.Send(t.Context(), call, &taker{}); r.Outcome != ledger.Succeeded {
			t.Fatalf("with leave: %+v", r)
		}
	}
}

// TestGuardIsLast: what the guard sees is a connection that is open: a slow dial cannot make its answer old.
func TestGuardIsLast(t *testing.T) {
	s := newRaw(t, func(c *net.TCPConn, _ *http.Request, _ []byte, _ int64) bool { say(c, fine); return true })
	w := newWorld(t, nil)
	ws := spy(w.Client)
	call := post(s.url, "")
	call.Guard = func() error {
		if ws.last().flight.Load() == nil {
			return errors.New("no connection yet")
		}
		return nil
	}
	if r := w.Send(t.Context(), call, &taker{}); r.Outcome != ledger.Succeeded {
		t.Fatalf("%+v", r)
	}
}

// TestSealedGate: once a send was called not sent, nothing of it can leave any more, however late net/http's goroutine wakes.
func TestSealedGate(t *testing.T) {
	ours, theirs := net.Pipe()
	defer ours.Close()
	defer theirs.Close()
	w, f := &wire{Conn: ours}, &flight{}
	w.flight.Store(f)
	if nothing, _ := f.gate.seal(); !nothing {
		t.Fatal("something was written by nobody")
	}
	if n, err := w.Write([]byte("POST")); n != 0 || !errors.Is(err, errSealed) {
		t.Fatalf("wrote %d, %v", n, err)
	}
}

// TestGateUnderWay: a write that has not returned counts: its bytes may be out.
func TestGateUnderWay(t *testing.T) {
	ours, theirs := net.Pipe()
	defer theirs.Close()
	w, f := &wire{Conn: ours}, &flight{}
	w.flight.Store(f)
	done := make(chan struct{})
	go func() { defer close(done); _, _ = w.Write([]byte("POST")) }()
	one := make([]byte, 1)
	if _, err := theirs.Read(one); err != nil {
		t.Fatal(err)
	}
	if nothing, _ := f.gate.seal(); nothing {
		t.Fatal("a write under way was called nothing")
	}
	ours.Close()
	<-done
}

// TestOneWire: no second connection gets a byte after the first got one; one that took nothing does not count.
func TestOneWire(t *testing.T) {
	var g gate
	first, second := &wire{}, &wire{}
	if err := g.enter(first); err != nil {
		t.Fatal(err)
	}
	if err := g.enter(second); !errors.Is(err, errSecondWire) {
		t.Fatalf("while the first writes: %v", err)
	}
	g.leave(0)
	if err := g.enter(second); err != nil {
		t.Fatalf("after the first took nothing: %v", err)
	}
	g.leave(1)
	if err := g.enter(first); !errors.Is(err, errSecondWire) {
		t.Fatalf("after the second took a byte: %v", err)
	}
	if err := g.enter(second); err != nil {
		t.Fatalf("the same again: %v", err)
	}
}

// TestNobodysWrite: a connection without a send takes nothing.
func TestNobodysWrite(t *testing.T) {
	if _, err := (&wire{}).Write([]byte("x")); !errors.Is(err, errNoFlight) {
		t.Fatal(err)
	}
}

// TestGivenUpBytesDie: bytes that the kernel still holds when a send is given up never reach the provider, which would execute them later.
func TestGivenUpBytesDie(t *testing.T) {
	small := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) { _ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4096) })
	}}
	l, err := small.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	w := newWorld(t, nil)
	const size = 200 << 10 // more than the provider's kernel takes, less than ours holds
	call := post("http://"+l.Addr().String(), string(make([]byte, size)))
	call.PerTry = 200 * time.Millisecond
	r := w.Send(t.Context(), call, &taker{})
	if r.Outcome != ledger.Unknown || r.Error != "http_response_timeout" {
		t.Fatalf("%+v", r)
	}
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, c); n >= size || err == nil {
		t.Fatalf("%d bytes arrived, ended by %v", n, err)
	}
}

// TestKeyName: net/http re-sends requests whose header has the key under its canonical name; ours has not.
func TestKeyName(t *testing.T) {
	w := newWorld(t, nil)
	h, err := w.header(post("http://x", ""), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for name := range h {
		if strings.EqualFold(name, "Idempotency-Key") {
			names = append(names, name)
		}
	}
	if strings.Join(names, ",") != "idempotency-key" {
		t.Errorf("%v", h)
	}
}
