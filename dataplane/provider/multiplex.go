package provider

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

const (
	// singleFor is how long a host is taken for one that speaks HTTP/1.1 only.
	singleFor = 10 * time.Minute
	// maxShared bounds the HTTP/2 connections to one host. Each carries what the host allows, mostly 100 calls.
	maxShared = 64
	// pulse is how long an HTTP/2 connection with calls on it may be silent before it is asked whether it lives, and then again.
	pulse = 15 * time.Second
)

// errCrowded is when a host has no room for another call over HTTP/2.
var errCrowded = errors.New("every HTTP/2 connection of the host is full")

// multiplex are the HTTP/2 connections to providers. They are ours, and not a pool of net/http's: that sends a request again by itself when
// a connection goes away under it.
type multiplex struct {
	transport *http.Transport
	dial      func(ctx context.Context, addr string) (net.Conn, error)
	now       func() time.Time

	mu    sync.Mutex
	hosts map[string]*peer
}

// peer is a host that may speak HTTP/2.
type peer struct {
	dialing chan struct{} // whoever dials holds it: the others take what he brings

	mu     sync.Mutex
	single time.Time // until when it is taken for one that does not
	shared []*shared
}

// shared is an HTTP/2 connection.
type shared struct {
	net.Conn // above TLS
	client   *http.ClientConn
	mark     wire // what a gate knows it by

	mu      sync.Mutex
	refused error // nothing may be written any more
}

// Write passes bytes on, unless a call of which they are part was refused: nobody can take its bytes out again.
func (s *shared) Write(p []byte) (int, error) {
	s.mu.Lock()
	err := s.refused
	s.mu.Unlock()
	if err != nil {
		return 0, err
	}
	return s.Conn.Write(p)
}

func (s *shared) refuse(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused = err
}

// dialed carries a connection to the transport that shall use it.
type dialed struct{}

func newMultiplex(d *dialer, c Config) *multiplex {
	alpn := &dialer{timeout: d.timeout, tls: d.tls.Clone()}
	alpn.tls.NextProtos = []string{"h2", "http/1.1"}
	m := &multiplex{now: c.Clock, hosts: map[string]*peer{}}
	m.dial = func(ctx context.Context, addr string) (net.Conn, error) { return alpn.secure(ctx, "tcp", addr) }
	m.transport = &http.Transport{
		DialTLSContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			s, _ := ctx.Value(dialed{}).(*shared)
			return s, nil
		},
		Protocols:              new(http.Protocols),
		DisableCompression:     true,
		IdleConnTimeout:        c.KeepIdle,
		MaxResponseHeaderBytes: maxHeaderBytes,
		HTTP2: &http.HTTP2Config{
			MaxReceiveBufferPerConnection: 1 << 20, MaxReceiveBufferPerStream: 256 << 10,
			SendPingTimeout: pulse, PingTimeout: pulse, WriteByteTimeout: pulse,
		},
	}
	m.transport.Protocols.SetUnencryptedHTTP2(true) // the connection that it is given speaks TLS already
	return m
}

// take returns a connection with room for one call, which is kept for the caller; nil: the host speaks HTTP/1.1.
func (m *multiplex) take(ctx context.Context, host string) (*shared, error) {
	p := m.peer(host)
	if s, single := p.free(m.now()); s != nil || single {
		return s, nil
	}
	select {
	case p.dialing <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-p.dialing }()
	if s, single := p.free(m.now()); s != nil || single {
		return s, nil
	}
	if p.crowded() {
		return nil, &dialError{"connection_limit_reached", errCrowded}
	}
	return m.open(ctx, p, withPort(host))
}

func (m *multiplex) peer(host string) *peer {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.hosts[host]
	if p == nil {
		if len(m.hosts) >= maxTargets {
			m.closeAll()
		}
		p = &peer{dialing: make(chan struct{}, 1)}
		m.hosts[host] = p
	}
	return p
}

// free returns a connection with room, kept for the caller, and whether the host is known to speak HTTP/1.1 only.
func (p *peer) free(now time.Time) (s *shared, single bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now.Before(p.single) {
		return nil, true
	}
	kept := p.shared[:0]
	for _, one := range p.shared {
		if one.client.Err() != nil {
			continue // closed, or about to be: calls on it go on
		}
		kept = append(kept, one)
		if s == nil && one.client.Reserve() == nil {
			s = one
		}
	}
	clear(p.shared[len(kept):])
	p.shared = kept
	return s, false
}

func (p *peer) crowded() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.shared) >= maxShared
}

// open makes a connection, and finds out what the host speaks.
func (m *multiplex) open(ctx context.Context, p *peer, addr string) (*shared, error) {
	c, err := m.dial(ctx, addr)
	if err != nil {
		return nil, err
	}
	raw, _ := c.(*wire)
	if t, ok := raw.Conn.(*tls.Conn); !ok || t.ConnectionState().NegotiatedProtocol != "h2" {
		p.mu.Lock()
		p.single = m.now().Add(singleFor)
		p.mu.Unlock()
		_ = raw.Conn.Close() // nothing was said on it
		return nil, nil
	}
	s := &shared{Conn: raw.Conn}
	if s.client, err = m.transport.NewClientConn(context.WithValue(ctx, dialed{}, s), "https", addr); err != nil {
		return nil, errors.Join(err, raw.Conn.Close())
	}
	if err := s.client.Reserve(); err != nil {
		return nil, errors.Join(err, s.client.Close())
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shared = append(p.shared, s)
	return s, nil
}

// close ends the connections that have no calls on them; the others end by their calls' limits.
func (m *multiplex) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closeAll()
}

func (m *multiplex) closeAll() {
	for _, p := range m.hosts {
		p.mu.Lock()
		for _, s := range p.shared {
			_ = s.client.Close() // there is nobody to tell
		}
		p.shared = nil
		p.mu.Unlock()
	}
	clear(m.hosts)
}

func withPort(host string) string {
	if _, _, err := net.SplitHostPort(host); err == nil {
		return host
	}
	return net.JoinHostPort(strings.Trim(host, "[]"), "443")
}

// roundTrip sends one request on a connection that was taken for it. The gate is asked while the request's header is being encoded, under
// the connection's own lock, so that the next bytes on the wire are this call's. A connection on which a call was refused
// at that point is given up: its header is part of the compression's state already.
func (s *shared) roundTrip(f *flight, req *http.Request) (*http.Response, error) {
	asked := false
	f.trace.WroteHeaderField = func(string, []string) {
		if asked {
			return
		}
		asked = true
		if err := f.gate.enter(&s.mark); err != nil {
			s.refuse(err)
			return
		}
		f.gate.leave(1) // how many are ours nobody knows: some are
	}
	f.gate.warm()
	return s.client.RoundTrip(req)
}

// refusedStream is how a provider says that it did not touch a call (RFC 9113, 8.7). net/http's own type is matched by its fields.
type refusedStream struct {
	StreamID uint32
	Code     uint32
	Cause    error
}

func (e refusedStream) Error() string { return "the stream was refused" }

// untouched tells whether a provider said that it did not process a call: that it refused the stream, or that it goes away and did
// not come to it. again: another connection may take it.
func untouched(err error) (untouched, again bool) {
	if err == nil {
		return false, false
	}
	const refused = 7
	stream := new(refusedStream) // here, and not before: most calls end well
	switch {
	case errors.As(err, stream):
		return stream.Code == refused, false
	default:
		return strings.HasSuffix(err.Error(), "http2: Transport received Server's graceful shutdown GOAWAY"), true
	}
}
