package replica

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

const (
	handshakeFor  = 5 * time.Second
	maxHandshakes = 32 // under way at once; more connections wait in the listener's queue
)

// stream carries raft's messages. It owns the listener and the connections that came in through it.
type stream struct {
	net.Listener
	dial    func(ctx context.Context, addr string) (net.Conn, error)
	tls     *tls.Config
	servers func() []raft.Server // the cluster as this node knows it
	who     func() identity

	ready chan *tls.Conn // TLS only: connections whose peer is proven
	done  chan struct{}
	work  sync.WaitGroup

	mu    sync.Mutex
	conns map[net.Conn]struct{}
}

func newStream(c *Config, ln net.Listener, servers func() []raft.Server) (*stream, error) {
	s := &stream{
		Listener: ln, dial: c.Dial, servers: servers,
		ready: make(chan *tls.Conn), done: make(chan struct{}), conns: map[net.Conn]struct{}{},
	}
	if s.dial == nil {
		s.dial = func(ctx context.Context, addr string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", addr)
		}
	}
	if c.TLS == nil {
		return s, loopback(ln.Addr())
	}
	s.tls = c.TLS.Clone()
	s.tls.MinVersion = tls.VersionTLS13
	s.tls.ClientAuth = tls.RequireAndVerifyClientCert
	s.work.Go(s.handshakes)
	return s, nil
}

// loopback refuses to speak plainly to a network: raft decodes what anybody sends.
func loopback(addr net.Addr) error {
	if tcp, ok := addr.(*net.TCPAddr); ok && tcp.IP.IsLoopback() {
		return nil
	}
	return fmt.Errorf("replica: %s is not a loopback address: without certificates anybody there could change the cluster", addr)
}

// stranger tells whether a peer's certificate names no server of the cluster. It may ask who is here, as one must that was taken out while it
// was away; raft hears nothing of it.
func (s *stream) stranger(cs tls.ConnectionState) bool {
	if len(cs.PeerCertificates) == 0 {
		return true
	}
	names, servers := certNames(cs.PeerCertificates[0]), s.servers()
	known := func(sv raft.Server) bool { return slices.Contains(names, string(sv.ID)) }
	// A node that waits to be added knows nobody: whoever has a certificate of ours may talk to it.
	return len(servers) > 0 && !slices.ContainsFunc(servers, known)
}

// certNames are the names that a certificate is good for: the DNS names, which verification checks, and no other field.
func certNames(c *x509.Certificate) []string { return c.DNSNames }

// handshakes accepts and proves peers, so that one that says nothing keeps nobody else waiting.
func (s *stream) handshakes() {
	slots := make(chan struct{}, maxHandshakes)
	for {
		select {
		case slots <- struct{}{}:
		case <-s.done:
			return
		}
		conn, err := s.Listener.Accept()
		if err != nil {
			<-slots
			if s.pause() {
				continue
			}
			return
		}
		s.work.Go(func() {
			defer func() { <-slots }()
			s.handshake(conn)
		})
	}
}

// pause waits a moment after a failed accept (too many open files); false at the end.
func (s *stream) pause() bool {
	select {
	case <-s.done:
		return false
	case <-time.After(10 * time.Millisecond):
		return true
	}
}

func (s *stream) handshake(conn net.Conn) {
	conn = s.track(conn)
	ctx, cancel := context.WithTimeout(context.Background(), handshakeFor)
	defer cancel()
	proven := tls.Server(conn, s.tls)
	if err := proven.HandshakeContext(ctx); err != nil {
		conn.Close()
		return
	}
	select {
	case s.ready <- proven:
	case <-s.done:
		conn.Close()
	}
}

// Accept returns the next connection, with TLS only one of a server of the cluster.
func (s *stream) Accept() (net.Conn, error) {
	if s.tls == nil {
		conn, err := s.Listener.Accept()
		if err != nil {
			return nil, err
		}
		return &greeted{Conn: s.track(conn), who: s.who}, nil
	}
	select {
	case conn := <-s.ready:
		return &greeted{Conn: conn, who: s.who, stranger: s.stranger(conn.ConnectionState())}, nil
	case <-s.done:
		return nil, net.ErrClosed
	}
}

// Dial connects to another node and proves who it is.
func (s *stream) Dial(address raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return s.connect(ctx, string(address), s.idAt(address))
}

// connect dials and wants a certificate in the name of id.
func (s *stream) connect(ctx context.Context, address, id string) (net.Conn, error) {
	conn, err := s.dial(ctx, address)
	if err != nil {
		return nil, err
	}
	if s.tls == nil {
		return conn, nil
	}
	cfg := s.tls.Clone()
	cfg.ServerName = id // proven by that alone; one that waits to be added is in no list yet
	proven := tls.Client(conn, cfg)
	if err := proven.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, fmt.Errorf("replica: %s: %w", address, err)
	}
	return proven, nil
}

// idAt is the name that the server at address must show.
func (s *stream) idAt(address raft.ServerAddress) string {
	for _, sv := range s.servers() {
		if sv.Address == address {
			return string(sv.ID)
		}
	}
	return "-" // in no certificate
}

// Close ends the listener and every connection that came in. Raft leaves those open, and would answer on them.
func (s *stream) Close() error {
	err := s.Listener.Close()
	close(s.done)
	s.mu.Lock()
	conns := s.conns
	s.conns = nil
	s.mu.Unlock()
	for c := range conns {
		c.Close()
	}
	s.work.Wait()
	return err
}

func (s *stream) track(conn net.Conn) net.Conn {
	t := &tracked{Conn: conn, of: s}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conns == nil {
		conn.Close()
		return t
	}
	s.conns[t] = struct{}{}
	return t
}

// tracked is a connection that takes itself off the stream's list.
type tracked struct {
	net.Conn
	of *stream
}

// Close closes the connection.
func (t *tracked) Close() error {
	t.of.mu.Lock()
	delete(t.of.conns, t)
	t.of.mu.Unlock()
	return t.Conn.Close()
}
