package edge

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"

	"segue/dataplane/message"
)

// websocket is the one protocol that connections may be switched to.
const websocket = "websocket"

// errHTTP2 refuses a tunnel where many calls share a connection.
var errHTTP2 = errors.New("edge: this connection cannot become a tunnel")

// asksTunnel tells whether a request asks for a WebSocket: a GET that names it alone, and says that this concerns this hop.
func asksTunnel(r *message.Request, upgrade []string, connection string) bool {
	return r.Method == http.MethodGet && len(upgrade) == 1 && strings.EqualFold(strings.Trim(upgrade[0], " \t"), websocket) &&
		message.Listed(connection, "Upgrade")
}

// Switch answers 101 and hands the connection over. The provider's side closes it; the edge does when it stops.
func (r *reply) Switch(h message.Header) (io.ReadWriteCloser, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.in(waiting); err != nil {
		return nil, err
	}
	if r.x.conn == nil {
		return nil, errHTTP2
	}
	r.put(h)
	header := r.w.Header().Clone()
	header.Del("Content-Length")
	c, buffered, err := http.NewResponseController(r.w).Hijack()
	if err != nil {
		return nil, fmt.Errorf("edge: tunnel: %w", err)
	}
	r.phase, r.tunnel = ended, true
	r.x.port.tunnels.enter(r.x, c)
	header["Connection"], header["Upgrade"] = []string{"Upgrade"}, []string{websocket}
	out := bufio.NewWriter(c)
	_, _ = out.WriteString("HTTP/1.1 101 Switching Protocols\r\n") // an error stays in the writer until it is flushed
	_ = header.Write(out)
	_, _ = out.WriteString("\r\n")
	if err := out.Flush(); err != nil {
		_ = c.Close() // it is broken already
		return nil, fmt.Errorf("edge: tunnel: %w", err)
	}
	early := io.LimitReader(buffered.Reader, int64(buffered.Reader.Buffered())) // what came with the request
	return &passage{Reader: io.MultiReader(early, c), Conn: c}, nil
}

// passage is a connection that has become a tunnel.
type passage struct {
	io.Reader
	net.Conn
}

func (p *passage) Read(b []byte) (int, error) { return p.Reader.Read(b) }

// tunnels are a port's open ones.
type tunnels struct {
	mu   sync.Mutex
	open map[*exchange]net.Conn
	gone chan struct{} // closed when the last one left; nil: nobody waits
}

func (t *tunnels) enter(x *exchange, c net.Conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.open == nil {
		t.open = map[*exchange]net.Conn{}
	}
	t.open[x] = c
}

func (t *tunnels) leave(x *exchange) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.open, x)
	if len(t.open) == 0 && t.gone != nil {
		close(t.gone)
		t.gone = nil
	}
}

// end waits for the tunnels until grace ends, closes those that are left, and returns when their calls are over.
func (t *tunnels) end(grace context.Context) {
	t.mu.Lock()
	if len(t.open) == 0 {
		t.mu.Unlock()
		return
	}
	gone := make(chan struct{})
	t.gone = gone
	t.mu.Unlock()
	select {
	case <-gone:
		return
	case <-grace.Done():
	}
	t.mu.Lock()
	for _, c := range t.open {
		_ = c.Close() // its call ends by that
	}
	t.mu.Unlock()
	<-gone
}
