package controlplane

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"segue/controlplane/replica"
	"segue/controlplane/state"
)

// Cluster is the control nodes, and what binds them.
type Cluster struct {
	Leader string // "" where nobody is known to lead
	Term   uint64
	Nodes  []Node // by id
	Quorum int    // voters that must live for a change to be taken
	Alive  int    // voters that answered
}

// Node is one control node as the cluster knows it.
type Node struct {
	ID, Raft, API   string
	Role            string // leader, follower, learner or unreachable
	Voter           bool
	Term            uint64
	Commit, Applied uint64
	Snapshot        uint64
	SnapshotAt      time.Time
	LastContact     time.Duration // since it heard of a leader; 0 at the leader, negative: never
	Clock           time.Duration // how far its clock is ahead of the node that asked
	Version         string
	Err             string // why it did not answer
}

// standFor is how long a node may take to say how it stands.
const standFor = 1500 * time.Millisecond

// stand is what a node says of itself.
type stand struct {
	replica.Stats
	Version string
	Now     time.Time
	clock   time.Duration
	err     error
}

func (n node) Stand(context.Context) ([]byte, error) {
	v := Version()
	return json.Marshal(stand{Stats: n.s.replica.Stats(), Version: build(v), Now: n.s.cfg.Now()})
}

// build is the version and, where it is known, the commit.
func build(v map[string]string) string {
	if c := v["commit"]; c != "" {
		return v["version"] + " " + c[:min(len(c), 8)]
	}
	return v["version"]
}

// Cluster asks every node how it stands. It needs no leader: what cannot be asked is told as unreachable.
func (s *Server) Cluster(ctx context.Context) (Cluster, error) {
	own := s.replica.Stats()
	stands := s.stands(ctx, own.Peers)
	peers := own.Peers
	if l, ok := stands[own.Leader]; ok && l.err == nil && l.Role == "Leader" {
		peers = l.Peers // the leader's list is the newest
	}
	c := Cluster{Leader: own.Leader, Term: own.Term}
	voters := 0
	for _, p := range peers {
		st := stands[p.ID]
		n := s.node(p, st)
		if n.Voter {
			voters++
			if n.Err == "" {
				c.Alive++
			}
		}
		c.Nodes = append(c.Nodes, n)
	}
	c.Quorum = voters/2 + 1
	slices.SortFunc(c.Nodes, func(a, b Node) int { return cmp.Compare(a.ID, b.ID) })
	return c, nil
}

// stands asks this node, the peers and whoever else announced itself, all at once.
func (s *Server) stands(ctx context.Context, peers []replica.PeerStats) map[string]*stand {
	ids := map[string]bool{s.cfg.ID: true}
	for _, p := range peers {
		ids[p.ID] = true
	}
	for _, n := range s.replica.State().Nodes {
		ids[n.ID] = true
	}
	var mu sync.Mutex
	var wait sync.WaitGroup
	all := map[string]*stand{}
	for id := range maps.Keys(ids) {
		wait.Go(func() {
			st := s.standOf(ctx, id)
			mu.Lock()
			all[id] = st
			mu.Unlock()
		})
	}
	wait.Wait()
	return all
}

func (s *Server) standOf(ctx context.Context, id string) *stand {
	st := &stand{}
	if id == s.cfg.ID {
		st.Stats, st.Version = s.replica.Stats(), build(Version())
		return st
	}
	ctx, cancel := context.WithTimeout(ctx, standFor)
	defer cancel()
	n, ok := s.replica.State().Node(id)
	if !ok {
		if err := s.replica.Answers(ctx, id); err != nil { // what heartbeats said a moment ago is no proof that it lives
			st.err = fmt.Errorf("%s has not said yet where its API is, and cannot be asked: %w", id, err)
		}
		return st
	}
	began := s.cfg.Now()
	raw, err := s.peers.at(n.API).Stand(ctx)
	if err == nil {
		err = json.Unmarshal(raw, st)
	}
	ended := s.cfg.Now()
	if err != nil {
		st.err = fmt.Errorf("%s does not answer at %s: %w", id, n.API, err)
		return st
	}
	if st.ID != id { // another node took its place: an old address
		st.err = fmt.Errorf("%s is not at %s any more, %s is", id, n.API, st.ID)
		return st
	}
	st.clock = st.Now.Sub(began.Add(ended.Sub(began) / 2))
	return st
}

// node puts together what the cluster's list and the node itself say.
func (s *Server) node(p replica.PeerStats, st *stand) Node {
	n := Node{ID: p.ID, Raft: p.Addr, Voter: p.Suffrage == "Voter", Role: "follower"}
	if known, ok := s.replica.State().Node(p.ID); ok {
		n.API = known.API
	}
	switch {
	case st == nil || st.err != nil:
		n.Role = "unreachable"
		if n.Err = "nobody asked it"; st != nil {
			n.Err = st.err.Error()
		}
		return n
	case st.Role == "Leader":
		n.Role = "leader"
	case !n.Voter:
		n.Role = "learner"
	}
	n.Term, n.Commit, n.Applied = st.Term, st.Commit, st.Applied
	n.Snapshot, n.SnapshotAt, n.LastContact = st.Snapshot, st.Kept, st.Contact
	n.Clock, n.Version = st.clock, st.Version
	return n
}

// Node returns the node called id.
func (c *Cluster) node(id string) (Node, bool) {
	i := slices.IndexFunc(c.Nodes, func(n Node) bool { return n.ID == id })
	if i < 0 {
		return Node{}, false
	}
	return c.Nodes[i], true
}

// heir is the voter, other than those named, that answers and has the most of the log.
func (c *Cluster) heir(not ...string) (id string, found bool) {
	var applied uint64
	for _, n := range c.Nodes {
		if n.Voter && n.Err == "" && !slices.Contains(not, n.ID) && (!found || n.Applied > applied) {
			id, applied, found = n.ID, n.Applied, true
		}
	}
	return id, found
}

// without tells whether the voters that answer are a quorum once id is gone.
func (c *Cluster) without(id string) (alive, quorum int) {
	voters := 0
	for _, n := range c.Nodes {
		if !n.Voter || n.ID == id {
			continue
		}
		voters++
		if n.Err == "" {
			alive++
		}
	}
	return alive, voters/2 + 1
}

func refuse(code state.Code, format string, args ...any) error {
	return &state.Error{Code: code, Message: fmt.Sprintf(format, args...)}
}
