package replica

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"segue/controlplane/state"
)

// Replica is one control node's copy of the State.
type Replica struct {
	cfg   Config
	log   *slog.Logger
	raft  atomic.Pointer[raft.Raft]
	fsm   *fsm
	disk  disk
	trans *transport
	space *space

	reign    atomic.Pointer[reign] // set while this node leads and its barrier has passed
	gate     gate
	queue    proposals
	contact  contacts
	caughtUp atomic.Bool
	out      atomic.Bool // it was taken out, and others had to say so
	follower life
	gauges   gauges
}

// disk is what a node keeps: its log and its snapshots.
type disk struct {
	store     store
	log       raft.LogStore
	snapshots raft.SnapshotStore
	last      uint64 // last entry when the node started
}

// life is the owned goroutine that follows the terms, and its end.
type life struct {
	stop  context.CancelFunc
	ended chan struct{}
}

// gate counts the proposals under way. Once shut none begins, so that Stop can await them.
type gate struct {
	mu    sync.Mutex
	shut  bool
	count sync.WaitGroup
}

func (g *gate) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut {
		return false
	}
	g.count.Add(1)
	return true
}

// close shuts the gate; false if it was shut already.
func (g *gate) close() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	was := g.shut
	g.shut = true
	return !was
}

// New opens the node's files, binds its listener and joins the cluster.
func New(cfg Config) (*Replica, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	rc, err := cfg.raft()
	if err != nil {
		return nil, err
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	r := &Replica{cfg: cfg, log: cfg.Log.With("node", cfg.ID)}
	var once sync.Once
	fatal := func(err error) { once.Do(func() { cfg.Fatal(err) }) }
	r.fsm = newFSM(fatal)
	r.space = &space{dir: cfg.Dir, probe: statfs}
	if cfg.trial.space != nil {
		r.space.probe = cfg.trial.space
	}
	if err := r.start(rc, fatal); err != nil {
		r.abandon()
		return nil, err
	}
	return r, nil
}

// start does what can fail, in the order in which abandon and Stop undo it.
func (r *Replica) start(rc *raft.Config, fatal func(error)) error {
	if err := r.open(r.cfg.diskTimeout(rc), fatal); err != nil {
		return err
	}
	if err := r.connect(); err != nil {
		return err
	}
	if err := r.join(rc); err != nil {
		return err
	}
	if err := r.measure(); err != nil {
		return err
	}
	r.follow()
	return nil
}

// open opens log and snapshots.
func (r *Replica) open(limit time.Duration, fatal func(error)) error {
	db, err := openStore(r.cfg.Dir)
	if err != nil {
		return err
	}
	if r.cfg.trial.store != nil {
		db = r.cfg.trial.store(db)
	}
	r.disk.store = &watched{store: db, limit: limit, hangs: func(err error) { r.diskHangs(err, fatal) }}
	if err := belong(r.disk.store, r.cfg.ID); err != nil {
		return err
	}
	if r.disk.log, err = raft.NewLogCache(cacheSize, r.disk.store); err != nil {
		return fmt.Errorf("replica: %w", err)
	}
	if r.disk.snapshots, err = raft.NewFileSnapshotStoreWithLogger(r.cfg.Dir, snapshots, newBridge(r.log)); err != nil {
		return fmt.Errorf("replica: snapshots: %w", err)
	}
	if r.disk.last, err = r.disk.store.LastIndex(); err != nil {
		return fmt.Errorf("replica: %w", err)
	}
	if _, err := r.space.look(); err != nil {
		return err
	}
	return nil
}

// connect binds the listener.
func (r *Replica) connect() error {
	ln := r.cfg.Listener
	if ln == nil {
		var err error
		if ln, err = net.Listen("tcp", r.cfg.address()); err != nil {
			return fmt.Errorf("replica: %w", err)
		}
	}
	s, err := newStream(&r.cfg, ln, r.servers)
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	s.who = r.identity
	r.trans = &transport{
		NetworkTransport: raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
			Stream: s, MaxPool: transportPool, Timeout: transportFor, Logger: newBridge(r.log),
		}),
		id: raft.ServerID(r.cfg.ID), space: r.space, stream: s,
	}
	return nil
}

// join starts raft. Every node of a new cluster begins with the same list; where one has files already, the list in them counts. A node that
// is to be added begins with no list, and so with no vote and no term of its own.
func (r *Replica) join(rc *raft.Config) error {
	rc.Logger = newBridge(r.log)
	if !r.cfg.Join {
		err := raft.BootstrapCluster(rc, r.disk.log, r.disk.store, r.disk.snapshots, r.trans, r.cfg.servers())
		if err != nil && !errors.Is(err, raft.ErrCantBootstrap) {
			return fmt.Errorf("replica: bootstrap: %w", err)
		}
	}
	node, err := raft.NewRaft(rc, r.fsm, r.disk.log, r.disk.store, r.disk.snapshots, r.trans)
	if err != nil {
		return fmt.Errorf("replica: %w", err)
	}
	r.raft.Store(node)
	if kept, given := r.servers(), r.cfg.servers().Servers; !r.cfg.Join && !slices.Equal(byID(kept), byID(given)) {
		r.log.Warn("the peers that are given are not those in this node's files, which count", "given", given, "files", kept)
	}
	return nil
}

// byID sorts servers, so that two lists can be compared.
func byID(servers []raft.Server) []raft.Server {
	return slices.SortedFunc(slices.Values(servers), func(a, b raft.Server) int { return strings.Compare(string(a.ID), string(b.ID)) })
}

// servers is the cluster as this node knows it: the list it was given until raft runs; none while it waits to be added.
func (r *Replica) servers() []raft.Server {
	if node := r.raft.Load(); node != nil {
		return node.GetConfiguration().Configuration().Servers
	}
	if r.cfg.Join {
		return nil
	}
	return r.cfg.servers().Servers
}

// State returns this node's own copy: on a follower it may be behind.
func (r *Replica) State() *state.State { return r.fsm.now.Load().state }

// Changed is closed when this node's State changes, or is replaced by a snapshot. Take it before State, and no change is missed.
func (r *Replica) Changed() <-chan struct{} { return r.fsm.now.Load().changed }

// Addr is where the node listens.
func (r *Replica) Addr() string { return string(r.trans.LocalAddr()) }
