package edge

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"
)

// lookEvery is how often the files of a certificate are looked at, at most.
const lookEvery = time.Second

// Certificate is what the listeners show, from two files. A renewed one is taken when the files change; one that cannot be
// read leaves the old one in use.
type Certificate struct {
	certFile, keyFile string
	log               *slog.Logger

	mu     sync.Mutex
	now    *tls.Certificate
	stamp  [2]fileStamp
	looked time.Time
}

// fileStamp tells one content of a file from another.
type fileStamp struct {
	changed time.Time
	size    int64
}

// OpenCertificate reads a certificate and its key from PEM files.
func OpenCertificate(certFile, keyFile string, log *slog.Logger) (*Certificate, error) {
	c := &Certificate{certFile: certFile, keyFile: keyFile, log: log}
	stamp, err := c.stamps()
	if err != nil {
		return nil, err
	}
	return c, c.read(stamp)
}

func (c *Certificate) stamps() (s [2]fileStamp, err error) {
	for i, name := range [...]string{c.certFile, c.keyFile} {
		info, err := os.Stat(name)
		if err != nil {
			return s, fmt.Errorf("edge: certificate: %w", err)
		}
		s[i] = fileStamp{info.ModTime(), info.Size()}
	}
	return s, nil
}

func (c *Certificate) read(stamp [2]fileStamp) error {
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	c.stamp = stamp // the same files are not read again, good or bad
	if err != nil {
		return fmt.Errorf("edge: certificate %s with key %s: %w", c.certFile, c.keyFile, err)
	}
	c.now = &pair
	return nil
}

// Reload looks at the files now, whatever their times say.
func (c *Certificate) Reload() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stamp = [2]fileStamp{}
	c.look(time.Now())
}

// current is the certificate for the next connection.
func (c *Certificate) current(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); now.Sub(c.looked) >= lookEvery {
		c.look(now)
	}
	return c.now, nil
}

func (c *Certificate) look(now time.Time) {
	c.looked = now
	stamp, err := c.stamps()
	if err == nil && stamp == c.stamp {
		return
	}
	if err == nil {
		err = c.read(stamp)
	}
	if err != nil {
		c.log.Error("a certificate could not be taken; the last good one stays in use", "error", err)
		return
	}
	c.log.Info("a certificate was taken", "file", c.certFile)
}

// secure is a listener whose connections speak TLS. They shake hands beside each other: one that is slow keeps nobody waiting.
type secure struct {
	*listener
	config *tls.Config
	limit  time.Duration
	ready  chan net.Conn
	failed chan error
	hands  sync.WaitGroup
	ctx    context.Context // ends with the listener
	cancel context.CancelFunc
	begin  sync.Once
}

func newSecure(l *listener, c *Certificate, limit time.Duration) *secure {
	s := &secure{listener: l, limit: limit, ready: make(chan net.Conn), failed: make(chan error, 1)}
	s.config = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: c.current, NextProtos: []string{"h2", "http/1.1"}}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// Accept returns a connection that has shaken hands.
func (s *secure) Accept() (net.Conn, error) {
	s.begin.Do(func() { s.hands.Go(s.accept) })
	select {
	case c := <-s.ready:
		return c, nil
	case err := <-s.failed:
		return nil, err
	case <-s.ctx.Done():
		return nil, net.ErrClosed
	}
}

func (s *secure) accept() {
	for {
		c, err := s.listener.Accept()
		if err != nil {
			select {
			case s.failed <- err:
			case <-s.ctx.Done():
			}
			if errors.Is(err, net.ErrClosed) {
				return
			}
			continue
		}
		if mine, ok := c.(*conn); ok {
			s.hands.Go(func() { s.shake(mine) })
		}
	}
}

func (s *secure) shake(c *conn) {
	ctx, cancel := context.WithTimeout(s.ctx, s.limit)
	defer cancel()
	t := tls.Server(c.raw, s.config)
	if err := t.HandshakeContext(ctx); err != nil {
		_ = c.Close() // it never became a connection
		return
	}
	c.Conn = t
	select {
	case s.ready <- c:
	case <-s.ctx.Done():
		_ = c.Close()
	}
}

// Close closes the listener, and returns when nobody shakes hands any more.
func (s *secure) Close() error {
	s.cancel()
	err := s.listener.Close()
	s.hands.Wait()
	return err
}
