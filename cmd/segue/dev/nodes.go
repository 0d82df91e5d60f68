package dev

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"segue/controlplane"
	"segue/controlplane/feed"
	"segue/controlplane/health"
	"segue/controlplane/query"
	"segue/controlplane/state"
)

// nodes are the control nodes of one process. Each can be killed and started again; whoever asks them is answered by one that lives.
type nodes struct {
	configs []controlplane.Config

	mu   sync.Mutex
	live map[int]*controlplane.Server
}

// errDown is what a change or a read meets when every control node is stopped.
var errDown = &state.Error{Code: state.NoLeader, Message: "every control node is stopped; agents go on with the last good policy"}

// diskTimeout is long: the voters share one disk and one process, so that the end of one would be the end of all.
const diskTimeout = 2 * time.Minute

// voters is how many control nodes there are: one may die.
const voters = 3

func newNodes(cfg Config) *nodes {
	return &nodes{configs: nodeConfigs(cfg, voters), live: map[int]*controlplane.Server{}}
}

// nodeConfigs returns the configurations of n voters on loopback.
func nodeConfigs(cfg Config, n int) []controlplane.Config {
	peers := make([]controlplane.Peer, n)
	for i := range peers {
		peers[i] = controlplane.Peer{ID: fmt.Sprintf("c%d", i+1), Raft: loopback(cfg.Ports.Raft + i)}
	}
	configs := make([]controlplane.Config, n)
	for i, p := range peers {
		configs[i] = controlplane.Config{
			ID: p.ID, Dir: filepath.Join(cfg.Dir, "control", p.ID), Listen: loopback(cfg.Ports.Control + i), Raft: p.Raft, Peers: peers,
			Log: cfg.Log, Now: time.Now, Fatal: cfg.Fatal, DiskTimeout: diskTimeout,
		}
	}
	return configs
}

// start starts node i; it is an error if it lives.
func (n *nodes) start(i int) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.live[i] != nil {
		return fmt.Errorf("control node %s is running", n.configs[i].ID)
	}
	cfg := n.configs[i]
	cfg.Metrics = prometheus.NewRegistry() // a new life counts from zero
	s, err := controlplane.New(cfg)
	if err != nil {
		return err
	}
	s.Start()
	n.live[i] = s
	return nil
}

// kill ends node i as a crash would.
func (n *nodes) kill(i int) error {
	n.mu.Lock()
	s := n.live[i]
	delete(n.live, i)
	n.mu.Unlock()
	if s == nil {
		return fmt.Errorf("control node %s is not running", n.configs[i].ID)
	}
	return s.Kill()
}

// stop ends all nodes in order.
func (n *nodes) stop(ctx context.Context) error {
	var err error
	for i := len(n.configs) - 1; i >= 0; i-- {
		n.mu.Lock()
		s := n.live[i]
		delete(n.live, i)
		n.mu.Unlock()
		if s != nil {
			err = errors.Join(err, s.Stop(ctx))
		}
	}
	return err
}

// any returns a living node, the leader if one is known; nil when all are stopped.
func (n *nodes) any() *controlplane.Server {
	n.mu.Lock()
	defer n.mu.Unlock()
	var found *controlplane.Server
	for i := range n.configs {
		s := n.live[i]
		if s == nil {
			continue
		}
		if leader, _ := s.Leader(); leader == s.ID() {
			return s
		}
		if found == nil {
			found = s
		}
	}
	return found
}

// leader returns the number of the node that leads.
func (n *nodes) leader() (int, bool) {
	s := n.any()
	if s == nil {
		return 0, false
	}
	id, _ := s.Leader()
	for i := range n.configs {
		if n.configs[i].ID == id {
			return i, true
		}
	}
	return 0, false
}

// State is the newest copy at hand; it may be behind.
func (n *nodes) State() *state.State {
	if s := n.any(); s != nil {
		return s.State()
	}
	return nil
}

// Leader is the node that leads.
func (n *nodes) Leader() (id string, term uint64) {
	if s := n.any(); s != nil {
		return s.Leader()
	}
	return "", 0
}

// Propose makes a change through a living node.
func (n *nodes) Propose(ctx context.Context, c state.Command) (state.Result, error) {
	if s := n.any(); s != nil {
		return s.Propose(ctx, c)
	}
	return state.Result{}, errDown
}

// Read is linearizable.
func (n *nodes) Read(ctx context.Context) (*state.State, error) {
	if s := n.any(); s != nil {
		return s.Read(ctx)
	}
	return nil, errDown
}

// View is the leader's view of health.
func (n *nodes) View(ctx context.Context) (controlplane.View, error) {
	if s := n.any(); s != nil {
		return s.View(ctx)
	}
	return controlplane.View{}, errDown
}

// Pull waits for an Update that is newer than known.
func (n *nodes) Pull(ctx context.Context, region string, known state.Position) (state.Update, bool, error) {
	if s := n.any(); s != nil {
		return s.Pull(ctx, region, known)
	}
	return state.Update{}, false, errDown
}

// Reported passes a report on to the leader.
func (n *nodes) Reported(r health.Report) {
	if s := n.any(); s != nil {
		s.Reported(r)
	}
}

// Ask asks every agent.
func (n *nodes) Ask(ctx context.Context, q query.Question) ([]feed.Answer, error) {
	if s := n.any(); s != nil {
		return s.Ask(ctx, q)
	}
	return nil, errDown
}

// Cluster is how every node stands.
func (n *nodes) Cluster(ctx context.Context) (controlplane.Cluster, error) {
	if s := n.any(); s != nil {
		return s.Cluster(ctx)
	}
	return controlplane.Cluster{}, errDown
}

// Steer changes the set of nodes, or hands the leadership on.
func (n *nodes) Steer(ctx context.Context, c state.Command) (state.Result, error) {
	if s := n.any(); s != nil {
		return s.Steer(ctx, c)
	}
	return state.Result{}, errDown
}

// Backup writes the state.
func (n *nodes) Backup(ctx context.Context, to io.Writer) error {
	if s := n.any(); s != nil {
		return s.Backup(ctx, to)
	}
	return errDown
}

// Restore puts a backup in its place.
func (n *nodes) Restore(ctx context.Context, c state.Command, from io.Reader) error {
	if s := n.any(); s != nil {
		return s.Restore(ctx, c, from)
	}
	return errDown
}

func loopback(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }
