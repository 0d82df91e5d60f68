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
}

func newPort(s *Server, number int, l net.Listener) *port {
	p := &port{edge: s, number: number}
	p.listener = &listener{Listener: l, slots: make(chan struct{}, s.config.Limits.Connections), write: s.config.Limits.Write, done: make(chan struct{})}
	p.http = &http.Server{
		Handler:           p,
		ReadHeaderTimeout: s.config.Limits.ReadHeader,
		IdleTimeout:       s.config.Limits.Idle,
		MaxHeaderBytes:    s.config.Limits.Header,
		ErrorLog:          errorLog(s.config.Logger),
		Protocols:         new(http.Protocols),
	}
	p.http.Protocols.SetHTTP1(true)
	return p
}

// errorLog takes what net/http has to say: broken requests, mostly.
func errorLog(to *slog.Logger) *log.Logger { return slog.NewLogLogger(to.Handler(), slog.LevelDebug) }

func (p *port) start() {
	p.served.Go(func() {
		if err := p.http.Serve(p.listener); !errors.Is(err, http.ErrServerClosed) {
			p.edge.config.Logger.Error("a listener failed", "port", p.number, "error", err)
		}
	})
}

// stop lets calls finish until the context ends, and cuts the rest.
func (p *port) stop(ctx context.Context) error {
	err := p.http.Shutdown(ctx)
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
	return &conn{Conn: c, listener: l}, nil
}

// Close closes the listener, once: an Accept that waits for a slot ends too.
func (l *listener) Close() error {
	l.once.Do(func() { close(l.done) })
	return l.Listener.Close()
}

// conn is an application's connection.
type conn struct {
	net.Conn
	listener *listener
	closed   sync.Once
}

// Write gives the application so long to take the bytes: one that takes nothing must not hold a provider's answer for ever.
func (c *conn) Write(p []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(c.listener.write)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

// CloseWrite is asked for by net/http, which then lingers so that a last answer is not lost to a reset.
func (c *conn) CloseWrite() error {
	if t, ok := c.Conn.(*net.TCPConn); ok {
		return t.CloseWrite()
	}
	return nil
}

func (c *conn) Close() error {
	c.closed.Do(func() { <-c.listener.slots })
	return c.Conn.Close()
}

// reset closes so that the application cannot take it for a clean end.
func (c *conn) reset() error {
	if t, ok := c.Conn.(*net.TCPConn); ok {
		_ = t.SetLinger(0) // fails only on a closed socket
	}
	return c.Close()
}
