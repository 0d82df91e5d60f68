package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
)

// life is one life of a provider's process. Requests belong to the life in which their connection was accepted; when it is over, nothing of
// it executes any more.
type life struct {
	context.Context
	end context.CancelFunc
}

func newLife() *life {
	ctx, end := context.WithCancel(context.Background())
	return &life{ctx, end}
}

// line is a port that can be closed and opened again. The port stays reserved in between, and all connections are known, so that they can
// be reset.
type line struct {
	addr netip.AddrPort
	hold io.Closer

	mu    sync.Mutex
	open  *listener // nil while the port refuses
	conns map[*conn]struct{}
}

func newLine(addr netip.AddrPort) (*line, error) {
	holder, bound, err := hold(addr)
	if err != nil {
		return nil, err
	}
	return &line{addr: bound, hold: holder, conns: map[*conn]struct{}{}}, nil
}

// listen opens the port; connections belong to life l. It returns nil if the port is open already.
func (n *line) listen(l *life) (fresh *listener, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.open != nil {
		return nil, nil
	}
	tcp, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(n.addr))
	if err != nil {
		return nil, fmt.Errorf("open port: %w", err)
	}
	n.open = &listener{TCPListener: tcp, line: n, life: l}
	return n.open, nil
}

// refuse closes the port and resets every connection.
func (n *line) refuse() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.open != nil {
		_ = n.open.TCPListener.Close()
		n.open = nil
	}
	for c := range n.conns {
		c.reset()
	}
}

// current is the listener that is open, or nil.
func (n *line) current() *listener {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.open
}

func (n *line) close() error {
	n.refuse()
	if err := n.hold.Close(); err != nil {
		return fmt.Errorf("give the port back: %w", err)
	}
	return nil
}

// admit registers an accepted connection, unless the listener was closed meanwhile.
func (n *line) admit(l *listener, c *conn) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.open != l {
		return false
	}
	n.conns[c] = struct{}{}
	return true
}

func (n *line) forget(c *conn) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.conns, c)
}

// listener is one opening of a line.
type listener struct {
	*net.TCPListener
	line *line
	life *life
}

// Accept waits for a connection; one that raced with the closing of the port is reset, as if it had come later.
func (l *listener) Accept() (net.Conn, error) {
	tcp, err := l.AcceptTCP()
	if err != nil {
		return nil, err // net/http compares it; wrapping would hide net.ErrClosed's Temporary
	}
	c := &conn{TCPConn: tcp, line: l.line, life: l.life}
	if !l.line.admit(l, c) {
		c.reset()
		return nil, net.ErrClosed
	}
	return c, nil
}

// Close is what net/http's server calls at its end, when the line may have closed the port already.
func (l *listener) Close() error {
	if err := l.TCPListener.Close(); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// conn is a connection that knows how many requests it carried, and can be ended in both ways that TCP has.
type conn struct {
	*net.TCPConn
	line     *line
	life     *life
	requests atomic.Int64
}

// Close ends it with a FIN.
func (c *conn) Close() error {
	c.line.forget(c)
	return c.TCPConn.Close()
}

// reset ends it with a RST: what was not sent yet is thrown away, and the peer's reads and writes fail. It takes no lock of the line.
func (c *conn) reset() {
	// Errors mean that the connection is gone already, which is what is wanted.
	_ = c.SetLinger(0)
	_ = c.TCPConn.Close()
}

func (c *conn) end(how Ending) {
	if how == Abort {
		c.reset()
	}
	if err := c.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		c.reset()
	}
}
