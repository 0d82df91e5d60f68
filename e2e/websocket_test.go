package e2e

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/websocket"

	"segue/e2e/patience"
)

// talker is a provider with a WebSocket that answers each message with its own name before it; refuse is what it answers instead.
type talker struct {
	*httptest.Server
	name   string
	refuse atomic.Int64 // a status; 0: none
	asked  atomic.Int64
}

func newTalker(t testing.TB, name string) *talker {
	k := &talker{name: name}
	ws := websocket.Server{Handler: func(c *websocket.Conn) { // no check of the origin: an application is no browser
		for {
			var text string
			if err := websocket.Message.Receive(c, &text); err != nil {
				return
			}
			if err := websocket.Message.Send(c, k.name+":"+text); err != nil {
				return
			}
		}
	}}
	k.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		k.asked.Add(1)
		if status := int(k.refuse.Load()); status != 0 {
			http.Error(w, k.name+" refuses", status)
			return
		}
		if r.Header.Get("Upgrade") == "" {
			_, _ = io.WriteString(w, k.name)
			return
		}
		ws.ServeHTTP(w, r)
	}))
	t.Cleanup(k.Close)
	return k
}

// dialSocket opens a WebSocket through the agent, in a session.
func dialSocket(base, session string) (*websocket.Conn, error) {
	c, err := websocket.NewConfig(strings.Replace(base, "http://", "ws://", 1)+"/v1/talk", "http://localhost/")
	if err != nil {
		return nil, err
	}
	c.Dialer = &net.Dialer{Timeout: 30 * time.Second}
	if session != "" {
		c.Header.Set("Session-Id", session)
	}
	return c.DialContext(context.Background())
}

// exchange says a text and returns what comes back.
func exchange(t *testing.T, c *websocket.Conn, text string) string {
	t.Helper()
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	var got string
	if err := websocket.Message.Send(c, text); err != nil {
		t.Fatal(err)
	}
	if err := websocket.Message.Receive(c, &got); err != nil {
		t.Fatal(err)
	}
	return got
}

// TestWebSocket: messages pass both ways, large ones in little memory; each session's socket is with its provider; while it is open it
// counts among the provider's calls; and an agent that stops closes it in time.
func TestWebSocket(t *testing.T) {
	t.Parallel()
	a, b := newTalker(t, "a"), newTalker(t, "b")
	w := filesWorld(t, nil, a.URL, b.URL, nobody(t))
	w.apply(strings.NewReplacer("{main: 100, backup: 0, legacy: 0}", "{main: 50, backup: 50, legacy: 0}", // each takes two at once
		"contract: files/v1, ", "contract: files/v1, limits: {in_flight: 2}, ").Replace(w.policy()))
	c := w.caller("local")
	seen := map[string]string{}
	eventually(t, 20*time.Second, "both providers have a session", func() error {
		session := fmt.Sprintf("s-%d", len(seen)+int(a.asked.Load()+b.asked.Load()))
		if got := c.get("/v1/who", session); got.status == 200 {
			seen[string(got.body)] = session
		}
		if len(seen) < 2 {
			return fmt.Errorf("sessions at %v", seen)
		}
		return nil
	})
	big := strings.Repeat("x", 1<<20)
	agent := w.agents["local"]
	idle := agent.memory("VmRSS")
	agent.forgetPeak()
	var open []*websocket.Conn
	for range 2 {
		for name, session := range seen {
			s, err := dialSocket(w.url("local"), session)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			defer func() { _ = s.Close() }()
			open = append(open, s)
			if got := exchange(t, s, "hello"); got != name+":hello" {
				t.Errorf("the session of %s is answered %q", name, got)
			}
			if got := exchange(t, s, big); got != name+":"+big {
				t.Errorf("a message of 1 MiB came back with %d bytes", len(got))
			}
		}
	}
	if grew := agent.memory("VmHWM") - idle; grew > 16<<20 {
		t.Errorf("the agent grew by %d MiB", grew>>20)
	}
	full := c.get("/v1/who", seen["a"])
	if full.status == 200 {
		t.Errorf("four sockets are open where four calls are let in, and a fifth is answered %v", full)
	}
	_ = open[0].Close()
	eventually(t, 10*time.Second, "a closed socket gives its place back", func() error {
		if got := c.get("/v1/who", ""); got.status != 200 {
			return fmt.Errorf("%v", got)
		}
		return nil
	})
	begun := time.Now()
	agent.signal(syscall.SIGTERM)
	_ = open[1].SetDeadline(time.Now().Add(time.Minute))
	var nothing string
	if err := websocket.Message.Receive(open[1], &nothing); err == nil {
		t.Errorf("received %q", nothing)
	}
	if code := agent.await(20 * time.Second); code != 0 {
		t.Errorf("exit %d", code)
	}
	if took := time.Since(begun); took < time.Second || took > 14*time.Second && !patience.Excuses(begun) {
		t.Errorf("sockets were closed after %v: want a grace, and less than the drain's time", took)
	}
}

// TestWebSocketRefused: a provider that says no is heard, and nobody else is asked; one that cannot be reached is passed over.
func TestWebSocketRefused(t *testing.T) {
	t.Parallel()
	a, b := newTalker(t, "a"), newTalker(t, "b")
	w := filesWorld(t, nil, a.URL, b.URL)
	upgrade := "GET /v1/talk HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: http://localhost/\r\n"
	for _, status := range []int{403, 500} {
		a.refuse.Store(int64(status))
		before := b.asked.Load()
		said := speak(t, w.url("local"), upgrade+"Prefer: wait=5\r\n\r\n")
		if !strings.HasPrefix(said, fmt.Sprintf("HTTP/1.1 %d", status)) || !strings.Contains(said, "a refuses") || b.asked.Load() != before {
			t.Errorf("%.400q; the other one was asked %d times", said, b.asked.Load()-before)
		}
	}
	a.refuse.Store(0)
	a.Close()
	var s *websocket.Conn
	eventually(t, 10*time.Second, "the other one is asked", func() (err error) { // a warm connection may have taken the first bytes
		s, err = dialSocket(w.url("local"), "")
		return err
	})
	defer func() { _ = s.Close() }()
	if got := exchange(t, s, "hello"); got != "b:hello" {
		t.Errorf("%q", got)
	}
	b.refuse.Store(500)
	if _, err := dialSocket(w.url("local"), ""); err == nil {
		t.Error("a socket opened at a provider that refuses")
	}
}
