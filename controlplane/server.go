package controlplane

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"segue/controlplane/feed"
	"segue/controlplane/replica"
	"segue/controlplane/state"
)

// Peer is one voter, this node among them, and where its replica listens. Where its feed listens it announces itself.
type Peer struct{ ID, Raft string }

// Config is what a control node needs. Listeners must be loopback until there are certificates and sign-in.
type Config struct {
	ID      string
	Dir     string // the replica's log and snapshots
	Listen  string // host:port of feed, API and pages; port 0 picks one
	Raft    string // host:port of the replica
	Join    bool   // wait to be added to a cluster that is there: Peers is empty or this node alone
	Peers   []Peer // all voters; this node's entry may be left out when it is alone
	TLS     *tls.Config
	Log     *slog.Logger
	Now     func() time.Time
	Metrics *prometheus.Registry
	Fatal   func(error) // ends the process: the replica cannot go on
	// DiskTimeout is how long a write of the replica may take before the node ends, where another can lead. 0: 10 s.
	DiskTimeout time.Duration
}

// Server is one control node.
type Server struct {
	cfg     Config
	replica *replica.Replica
	feed    *feed.Server
	peers   peers
	listen  net.Listener
	raft    net.Listener
	mux     *http.ServeMux
	http    *http.Server
	tenure  atomic.Pointer[tenure]
	up      *uplink
	ends    context.Context // ends when the node stops
	end     context.CancelFunc
	idle    sync.WaitGroup
	twins   prometheus.Counter
	strange prometheus.Counter
}

// New binds the node's listeners. The replica begins to take part in elections at once; Start begins to serve.
func New(cfg Config) (*Server, error) {
	s := &Server{cfg: cfg, peers: peers{tls: cfg.TLS}, mux: http.NewServeMux()}
	s.ends, s.end = context.WithCancel(context.Background())
	var err error
	if s.listen, err = listenLoopback(cfg.Listen); err != nil {
		return nil, err
	}
	if s.raft, err = listenLoopback(cfg.Raft); err != nil {
		return nil, errors.Join(err, s.listen.Close())
	}
	if err := s.assemble(); err != nil {
		return nil, errors.Join(err, s.listen.Close(), s.raft.Close())
	}
	return s, nil
}

func (s *Server) assemble() error {
	var err error
	s.replica, err = replica.New(replica.Config{
		ID: s.cfg.ID, Listener: s.raft, Dir: s.cfg.Dir, Peers: s.voters(), Join: s.cfg.Join, TLS: s.cfg.TLS,
		Log: s.cfg.Log, Metrics: s.cfg.Metrics, Now: s.cfg.Now, Fatal: s.cfg.Fatal, OnTerm: s.lead,
		DiskTimeout: s.cfg.DiskTimeout,
	})
	if err != nil {
		return fmt.Errorf("controlplane: %w", err)
	}
	s.twins = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "segue_agent_twin_reports_total", Help: "Reports refused because another run reports under the same agent id.",
	})
	s.strange = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "segue_agent_strange_rows_total", Help: "Rows of reports that were left out, because the policy has no such service or provider.",
	})
	if err := errors.Join(s.cfg.Metrics.Register(s.twins), s.cfg.Metrics.Register(s.strange)); err != nil {
		return fmt.Errorf("controlplane: %w", err)
	}
	if err := s.cfg.Metrics.Register(newMeasures(s)); err != nil {
		return errors.Join(fmt.Errorf("controlplane: metrics: %w", err), s.replica.Stop(context.Background()))
	}
	s.up = newUplink(s)
	s.feed = feed.NewServer(s, s.cfg.Log, s.cfg.Now)
	s.handle(s.feed.Handler())
	s.handle(feed.PeerHandler(node{s}))
	s.own()
	s.http = feed.Serve(s.mux, s.cfg.TLS)
	s.http.ErrorLog = slog.NewLogLogger(s.cfg.Log.Handler(), slog.LevelDebug)
	return nil
}

func (s *Server) voters() []replica.Peer {
	voters := []replica.Peer{}
	self := false
	for _, p := range s.cfg.Peers {
		self = self || p.ID == s.cfg.ID
		voters = append(voters, replica.Peer{ID: p.ID, Addr: p.Raft})
	}
	if !self {
		voters = append(voters, replica.Peer{ID: s.cfg.ID, Addr: s.raft.Addr().String()})
	}
	return voters
}

// Mount serves h for every path that is not the feed's or the process's own. It must be called before Start.
func (s *Server) Mount(h http.Handler) { s.mux.Handle("/", h) }

// ServeHTTP serves what the node's own listener serves, for an assembly that has a listener of its own.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// Start serves agents, peers and pages.
func (s *Server) Start() {
	s.idle.Go(s.up.run)
	s.idle.Go(s.announce)
	s.feed.Start()
	s.idle.Go(func() {
		if err := s.http.Serve(s.listen); err != nil && !errors.Is(err, http.ErrServerClosed) {
			s.cfg.Log.Error("the control node's listener failed", "error", err)
		}
	})
}

// Addr is where feed, API and pages are served.
func (s *Server) Addr() string { return s.listen.Addr().String() }

// Member tells whether this node is in a cluster; one that waits to be added is in none.
func (s *Server) Member() bool { return s.replica.Member() }

// ID is the node's name among its peers.
func (s *Server) ID() string { return s.cfg.ID }

// Stop ends the node in reverse order: no new calls, agents go elsewhere, then the replica.
func (s *Server) Stop(ctx context.Context) error {
	s.feed.Stop()
	s.end()
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, s.http.Close())
	}
	return errors.Join(err, s.finish(ctx))
}

// Kill ends the node as a crash would: connections break, nothing is handed over.
func (s *Server) Kill() error {
	err := s.http.Close()
	s.feed.Stop()
	s.end()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return errors.Join(err, s.finish(ctx))
}

func (s *Server) finish(ctx context.Context) error {
	err := s.replica.Stop(ctx)
	s.idle.Wait()
	s.peers.close()
	return err
}

// onLoopback refuses every other address: until certificates and sign-in are there, whoever reaches a listener may steer.
func onLoopback(addr string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("address %q: %w", addr, err)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("%s is not on loopback: there is no sign-in and no certificates yet, so only loopback is served; use 127.0.0.1", addr)
	}
	return nil
}

func listenLoopback(addr string) (net.Listener, error) {
	if err := onLoopback(addr); err != nil {
		return nil, fmt.Errorf("controlplane: %w", err)
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("controlplane: %w", err)
	}
	return l, nil
}

// State is this node's copy of the state, which may be behind the leader's.
func (s *Server) State() *state.State { return s.replica.State() }
