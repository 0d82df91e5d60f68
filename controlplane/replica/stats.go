package replica

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/raft"
	"github.com/prometheus/client_golang/prometheus"
)

// Stats is what the cluster's page shows of one node.
type Stats struct {
	ID       string
	Role     string // Leader, Follower, Candidate, Shutdown
	Leader   string // id; empty: none known
	Ready    bool
	Term     uint64
	Last     uint64        // index of the last log entry
	Commit   uint64        // committed, as this node knows
	Applied  uint64        // applied here
	Snapshot uint64        // index of the last snapshot
	Kept     time.Time     // when that was written; zero: there is none
	Contact  time.Duration // since this node heard of a leader; 0 at the leader, negative: never
	Free     float64       // share of the disk
	Peers    []PeerStats
}

// PeerStats is a server of the cluster.
type PeerStats struct {
	ID, Addr string
	Suffrage string // Voter, Nonvoter
	Leader   bool
	Lost     time.Time // at the leader: no answer since; zero while it answers
}

// Stats returns this node's view.
func (r *Replica) Stats() Stats {
	node := r.raft.Load()
	id, term := r.Leader()
	said := node.Stats()
	s := Stats{
		ID: r.cfg.ID, Role: node.State().String(), Leader: id, Ready: r.Ready(), Term: term,
		Last: node.LastIndex(), Commit: node.CommitIndex(), Applied: node.AppliedIndex(),
		Snapshot: number(said["last_snapshot_index"]), Contact: contactOf(node), Free: r.space.share(),
	}
	if kept, err := r.disk.snapshots.List(); err == nil && len(kept) > 0 {
		s.Kept = writtenAt(kept[0].ID)
	}
	for _, sv := range r.servers() {
		p := PeerStats{ID: string(sv.ID), Addr: string(sv.Address), Suffrage: sv.Suffrage.String(), Leader: string(sv.ID) == id}
		if s.Role == raft.Leader.String() {
			p.Lost = r.contact.since(p.ID)
		}
		s.Peers = append(s.Peers, p)
	}
	return s
}

func contactOf(node *raft.Raft) time.Duration {
	last := node.LastContact()
	switch {
	case node.State() == raft.Leader:
		return 0
	case last.IsZero():
		return -1
	default:
		return time.Since(last)
	}
}

// writtenAt reads the time in a snapshot's name: term, index, milliseconds.
func writtenAt(name string) time.Time {
	ms, err := strconv.ParseInt(name[strings.LastIndexByte(name, '-')+1:], 10, 64)
	if err != nil {
		return time.Time{} // raft always writes one
	}
	return time.UnixMilli(ms).UTC()
}

func number(s string) uint64 {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return 0 // raft always says a number
	}
	return n
}

// Leader returns who leads, as far as this node knows, and the term.
func (r *Replica) Leader() (id string, term uint64) {
	node := r.raft.Load()
	_, leader := node.LeaderWithID()
	return string(leader), node.CurrentTerm()
}

// Leading tells whether this node leads and its term's barrier has passed.
func (r *Replica) Leading() bool { return r.reign.Load() != nil }

// Ready tells whether this node has caught up with the cluster since it started. Before that it must serve nobody: its State is from
// before the restart.
func (r *Replica) Ready() bool {
	if !r.Member() {
		return false // it waits to be added, or was removed: what it has will never be newer
	}
	if r.caughtUp.Load() {
		return true
	}
	if r.Leading() || r.replayed() {
		r.caughtUp.Store(true)
		return true
	}
	return false
}

// replayed tells whether a leader is known, everything that was on disk at the start is applied, and nothing known is outstanding.
func (r *Replica) replayed() bool {
	node := r.raft.Load()
	id, _ := r.Leader()
	applied := node.AppliedIndex()
	return id != "" && r.State().Incarnation != "" && node.Stats()["fsm_pending"] == "0" &&
		applied >= node.CommitIndex() && applied >= min(r.disk.last, node.LastIndex())
}

// gauges are this node's metrics while it runs.
type gauges struct{ all []prometheus.Collector }

// measure registers the metrics.
func (r *Replica) measure() error {
	if r.cfg.Metrics == nil {
		return nil
	}
	for _, g := range []struct {
		name, help string
		value      func() float64
	}{
		{"segue_raft_leader", "1 while this node leads and has caught up.", func() float64 { return one(r.Leading()) }},
		{"segue_raft_ready", "1 once this node has caught up since its start.", func() float64 { return one(r.Ready()) }},
		{"segue_raft_term", "The term this node is in.", func() float64 { return float64(r.raft.Load().CurrentTerm()) }},
		{"segue_raft_applied_index", "The last log entry applied here.", func() float64 { return float64(r.raft.Load().AppliedIndex()) }},
		{"segue_raft_disk_free_ratio", "Share of the disk that is free; below 0.2 is an alarm.", r.space.share},
	} {
		c := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: g.name, Help: g.help}, g.value)
		if err := r.cfg.Metrics.Register(c); err != nil {
			return fmt.Errorf("replica: %s: %w", g.name, err)
		}
		r.gauges.all = append(r.gauges.all, c)
	}
	return nil
}

func one(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
