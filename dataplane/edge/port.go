package edge

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// dismissTime bounds how long the calls of a removed port may go on.
const dismissTime = time.Minute

// port is one listener and its HTTP server.
type port struct {
	edge     *Server
	number   int // in the policy
	listener net.Listener
	http     *http.Server
	served   sync.WaitGroup
	tunnels  tunnels
}

func newPort(s *Server, number int, l net.Listener) *port {
	p := &port{edge: s, number: number}
	mine := &listener{Listener: l, slots: make(chan struct{}, s.config.Limits.Connections), write: s.config.Limits.Write, done: make(chan struct{})}
	p.listener = mine
	if s.config.Certificate != nil {
		p.listener = newSecure(mine, s.config.Certificate, s.config.Limits.ReadHeader)
	}
	p.http = &http.Server{
		Handler:           p,
		ReadHeaderTimeout: s.config.Limits.ReadHeader,
		IdleTimeout:       s.config.Limits.Idle,
		MaxHeaderBytes:    s.config.Limits.Header,
		ErrorLog:          errorLog(s.config.Logger),
		Protocols:         new(http.Protocols),
		ConnContext:       func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, connKey{}, c) },
	}
	p.http.Protocols.SetHTTP1(true)
	p.http.Protocols.SetUnencryptedHTTP2(true) // TLS, if any, is the listener's: net/http finds HTTP/2 by its first bytes
	p.http.HTTP2 = &http.HTTP2Config{
		MaxConcurrentStreams: streams, MaxReceiveBufferPerConnection: 1 << 20, MaxReceiveBufferPerStream: streamWindow,
		SendPingTimeout: s.config.Limits.Write, PingTimeout: s.config.Limits.Write, WriteByteTimeout: s.config.Limits.Write,
	}
	return p
}

// Of one connection over HTTP/2.
const (
	streams      = 100
	streamWindow = 256 << 10 // bytes of a body that may be on the way before they are read
)

// connKey is under which a request's context has its connection.
type connKey struct{}

// errorLog takes what net/http has to say: broken requests, mostly.
func errorLog(to *slog.Logger) *log.Logger { return slog.NewLogLogger(to.Handler(), slog.LevelDebug) }

func (p *port) start() {
	p.served.Go(func() {
		if err := p.http.Serve(p.listener); !errors.Is(err, http.ErrServerClosed) {
			p.edge.config.Logger.Error("a listener failed", "port", p.number, "error", err)
		}
	})
}

// stop lets calls finish until the context ends, and cuts the rest. Tunnels would go on for ever: they are closed after a grace.
func (p *port) stop(ctx context.Context) error {
	grace, cancel := context.WithTimeout(ctx, p.edge.config.Limits.Grace)
	defer cancel()
	err := p.http.Shutdown(ctx)
	p.tunnels.end(grace)
	if err != nil {
		err = errors.Join(fmt.Errorf("port %d: %w", p.number, err), p.http.Close())
	}
	p.served.Wait()
	return err
}

// listener accepts so many connections at once and no more; the rest wait in the kernel.
type listener struct {
	net.Listener
	slots chan struct{}
	write time.Duration
	once  sync.Once
	done  chan struct{}
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case l.slots <- struct{}{}:
	case <-l.done:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.slots
		return nil, err
	}
	return &conn{Conn: c, raw: c, listener: l}, nil
}

// Close closes the listener, once: an Accept that waits for a slot ends too.
func (l *listener) Close() error {
	l.once.Do(func() { close(l.done) })
	return l.Listener.Close()
}

// conn is an application's connection. Moving a deadline costs a timer; a call that came in one piece and is answered in one moves none.
type conn struct {
	net.Conn          // TLS or TCP
	raw      net.Conn // TCP
	listener *listener
	closed   sync.Once
	taken    time.Time // until when writes may last; one goroutine writes at a time

	mu    sync.Mutex
	until time.Time // until when a body may be read; zero: no limit
	armed bool      // until is the connection's deadline
	seen  screen
}

// Write gives the application a time to take the bytes, half the limit at least: one that takes nothing must not hold a provider's
// answer for ever.
func (c *conn) Write(p []byte) (int, error) {
	if now := time.Now(); c.taken.Sub(now) < c.listener.write/2 {
		c.taken = now.Add(c.listener.write)
		if err := c.SetWriteDeadline(c.taken); err != nil {
			return 0, err
		}
	}
	return c.Conn.Write(p)
}

// Read reads from the network, which is only asked when nothing of the request is here already: then the body's limit counts.
func (c *conn) Read(p []byte) (int, error) {
	if err := c.arm(); err != nil {
		return 0, err
	}
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.mu.Lock()
		c.seen.take(p[:n])
		c.mu.Unlock()
	}
	return n, err
}

// screened says what is wrong with the requests that came, and whether no other can follow them.
func (c *conn) screened() (name, flaw string, ended bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.seen.name, c.seen.flaw, c.seen.ended
}

func (c *conn) arm() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.until.IsZero() || c.armed {
		return nil
	}
	c.armed = true
	return c.SetReadDeadline(c.until)
}

// limitRead sets until when a body may be read, or takes the limit away. A read that waits already has it too.
func (c *conn) limitRead(until time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.until = until
	if c.armed {
		_ = c.SetReadDeadline(until) // fails only on a closed connection, where the next read says so
		c.armed = !until.IsZero()
	}
}

// CloseWrite is asked for by net/http, which then lingers so that a last answer is not lost to a reset.
func (c *conn) CloseWrite() error {
	if t, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return t.CloseWrite()
	}
	return nil
}

func (c *conn) Close() error {
	c.closed.Do(func() { <-c.listener.slots })
	return c.Conn.Close()
}

// reset closes so that the application cannot take it for a clean end: over TLS too without a farewell.
func (c *conn) reset() error {
	if t, ok := c.raw.(*net.TCPConn); ok {
		drain(t)
		_ = t.SetLinger(0) // fails only on a closed socket
	}
	c.closed.Do(func() { <-c.listener.slots })
	return c.raw.Close()
}
