package provider

import (
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"segue/dataplane/ledger"
	"segue/dataplane/message"
)

// opener is a reply whose connection becomes one end of a pipe.
type opener struct {
	taker
	end net.Conn
}

func (o *opener) Switch(message.Header) (io.ReadWriteCloser, error) { return o.end, nil }

// TestTunnelEnds: a tunnel ends when the provider closes it, when the application does, when the caller's context ends, and when both
// are silent for too long; it was a success each time, and nothing is left behind.
func TestTunnelEnds(t *testing.T) {
	for name, end := range map[string]func(theirs *net.TCPConn, app net.Conn, cancel func()){
		"by the provider":    func(theirs *net.TCPConn, _ net.Conn, _ func()) { _ = theirs.Close() },
		"by the application": func(_ *net.TCPConn, app net.Conn, _ func()) { _ = app.Close() },
		"by the edge":        func(_ *net.TCPConn, _ net.Conn, cancel func()) { cancel() },
		"by silence":         func(*net.TCPConn, net.Conn, func()) {},
	} {
		t.Run(name, func(t *testing.T) {
			opened := make(chan *net.TCPConn, 1)
			held := make(chan struct{})
			s := newRaw(t, func(c *net.TCPConn, _ *http.Request, _ []byte, _ int64) bool {
				say(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nfirst")
				opened <- c
				<-held
				return false
			})
			defer close(held)
			w := newWorld(t, func(c *Config) { c.Quiet = 300 * time.Millisecond })
			defer w.Close()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			app, ours := net.Pipe()
			defer func() { _ = app.Close() }()
			call := get(s.url)
			call.Request.Upgrade = "websocket"
			done := make(chan Result, 1)
			go func() { done <- w.Send(ctx, call, &opener{end: ours}) }()
			_ = app.SetDeadline(time.Now().Add(time.Minute))
			room := make([]byte, 5)
			if _, err := io.ReadFull(app, room); err != nil || string(room) != "first" {
				t.Fatalf("%q %v", room, err)
			}
			end(<-opened, app, cancel)
			select {
			case r := <-done:
				if r.Outcome != ledger.Succeeded || r.Status != 101 || !r.Begun {
					t.Errorf("%+v", r)
				}
			case <-time.After(time.Minute):
				t.Fatal("the tunnel goes on")
			}
		})
	}
}
