package edge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"segue/controlplane/policy"
	"segue/dataplane/message"
	"segue/dataplane/proxy"
)

// Handler answers calls: the proxy. Serve returns when the call is over, which may be long after the application left.
type Handler interface {
	Serve(ctx context.Context, c *proxy.Call, to message.Reply)
}

// Own answers what is asked of the agent itself, under /.segue/. It returns false for paths that it does not know.
type Own func(ctx context.Context, service string, r *message.Request, to message.Reply) bool

// Config is what a Server is made of.
type Config struct {
	Host       string // default 127.0.0.1; anything but loopback is refused
	PortOffset int    // added to every port of the policy: further regions in one process
	AnyPort    bool   // bind a free port for each port of the policy instead; Addr tells which
	Proxy      Handler
	Own        Own // nil: nothing is answered under /.segue/
	Logger     *slog.Logger
	Clock      func() time.Time
	Limits     Limits
	// Certificate makes every listener speak TLS, and nothing else. nil: plain.
	Certificate *Certificate
	SpoolDir    string // where large bodies are kept; default: the system's
}

// Limits bound what applications can ask of the edge. Zero values are the defaults.
type Limits struct {
	Body        int64         // bytes of a request's body; 128 MiB
	SpoolMemory int64         // bytes of memory for all requests' bodies together; 64 MiB
	SpoolDisk   int64         // bytes of files for all requests' bodies together; 4 GiB
	Header      int           // bytes of a request's header; 64 KiB
	Connections int           // per port; 4096
	ReadHeader  time.Duration // 10 s
	ReadBody    time.Duration // 30 s
	Write       time.Duration // for one write to be taken; 30 s
	Idle        time.Duration // between two requests; 2 min
	Grace       time.Duration // for tunnels to end by themselves when the edge stops; 5 s
}

func (l Limits) withDefaults() Limits {
	l.Body = orDefault(l.Body, 128<<20)
	l.SpoolMemory = orDefault(l.SpoolMemory, 64<<20)
	l.SpoolDisk = orDefault(l.SpoolDisk, 4<<30)
	l.Header = orDefault(l.Header, 64<<10)
	l.Connections = orDefault(l.Connections, 4096)
	l.ReadHeader = orDefault(l.ReadHeader, 10*time.Second)
	l.ReadBody = orDefault(l.ReadBody, 30*time.Second)
	l.Write = orDefault(l.Write, 30*time.Second)
	l.Idle = orDefault(l.Idle, 2*time.Minute)
	l.Grace = orDefault(l.Grace, 5*time.Second)
	return l
}

func orDefault[T int | int64 | time.Duration](v, otherwise T) T {
	if v <= 0 {
		return otherwise
	}
	return v
}

// Server is the edge of one agent.
type Server struct {
	config   Config
	spool    *spool
	snapshot atomic.Pointer[policy.Snapshot]

	mu      sync.Mutex    // guards the rest
	ports   map[int]*port // by the policy's port
	leaving sync.WaitGroup
	stopped bool
}

// ErrNotLoopback says why a host is refused.
var ErrNotLoopback = errors.New("only loopback addresses can be listened on: there is no sign-in yet, so whoever reaches a listener may use every provider's credential")

// ErrStopped is returned by Swap after Drain.
var ErrStopped = errors.New("edge: stopped")

// New makes a server. It listens nowhere until Swap.
func New(c Config) (*Server, error) {
	if c.Host == "" {
		c.Host = "127.0.0.1"
	}
	if ip := net.ParseIP(c.Host); (ip == nil || !ip.IsLoopback()) && c.Host != "localhost" {
		return nil, fmt.Errorf("edge: host %s: %w", c.Host, ErrNotLoopback)
	}
	if c.Proxy == nil {
		return nil, errors.New("edge: no proxy")
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	c.Limits = c.Limits.withDefaults()
	s, err := openSpool(c.SpoolDir, c.Limits.SpoolMemory, c.Limits.SpoolDisk)
	if err != nil {
		return nil, err
	}
	return &Server{config: c, spool: s, ports: map[int]*port{}}, nil
}

// Swap serves a snapshot: its new ports are bound first, and only then does anything change. A port that cannot be bound is an error
// that names it, and everything stays as it was. Ports that both have are never closed; calls at those that are gone may finish.
func (s *Server) Swap(to *policy.Snapshot) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return ErrStopped
	}
	fresh, err := s.bindNew(to)
	if err != nil {
		return err
	}
	s.snapshot.Store(to)
	for n, p := range fresh {
		s.ports[n] = p
		p.start()
	}
	wanted := portsOf(to)
	for n, p := range s.ports {
		if !wanted[n] {
			delete(s.ports, n)
			s.dismiss(p)
		}
	}
	return nil
}

// bindNew binds the ports that a snapshot brings, all or none.
func (s *Server) bindNew(to *policy.Snapshot) (map[int]*port, error) {
	fresh := map[int]*port{}
	for n := range portsOf(to) {
		if s.ports[n] != nil {
			continue
		}
		p, err := s.bind(n)
		if err != nil {
			for _, f := range fresh {
				err = errors.Join(err, f.listener.Close())
			}
			return nil, fmt.Errorf("edge: %w; what was served before is served still", err)
		}
		fresh[n] = p
	}
	return fresh, nil
}

func portsOf(s *policy.Snapshot) map[int]bool {
	ports := map[int]bool{}
	for _, svc := range s.Services {
		ports[svc.Listen.Port] = true
	}
	return ports
}

func (s *Server) bind(n int) (*port, error) {
	actual := n + s.config.PortOffset
	if s.config.AnyPort {
		actual = 0
	}
	l, err := net.Listen("tcp", net.JoinHostPort(s.config.Host, strconv.Itoa(actual)))
	if err != nil {
		return nil, fmt.Errorf("port %d (%d in the policy): %w", actual, n, err)
	}
	return newPort(s, n, l), nil
}

// dismiss lets the calls of a port that is not wanted any more finish. Drain waits for it.
func (s *Server) dismiss(p *port) {
	s.leaving.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), dismissTime)
		defer cancel()
		if err := p.stop(ctx); err != nil {
			s.config.Logger.Warn("calls at a closed port were cut", "port", p.number, "error", err)
		}
	})
}

// Addr returns the address at which a service is served, or "".
func (s *Server) Addr(service string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	snapshot := s.snapshot.Load()
	if snapshot == nil {
		return ""
	}
	svc, ok := snapshot.Service(service)
	if !ok || s.ports[svc.Listen.Port] == nil {
		return ""
	}
	return s.ports[svc.Listen.Port].listener.Addr().String()
}

// Drain stops: no new connections, calls under way finish, until the context ends; what is left then is cut, and that is an error.
func (s *Server) Drain(ctx context.Context) error {
	s.mu.Lock()
	s.stopped = true
	ports := s.ports
	s.ports = map[int]*port{}
	s.mu.Unlock()
	var g errgroup.Group
	for _, p := range ports {
		g.Go(func() error { return p.stop(ctx) })
	}
	err := g.Wait()
	s.leaving.Wait()
	if err != nil {
		return fmt.Errorf("edge: drain: %w", err)
	}
	return nil
}
