package cassandra

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gocql/gocql"
)

// Node is what one node says of itself.
type Node struct {
	Address, Datacenter, Version string
	Settings                     map[string]string // those of need, as in system_views.settings
	Offset, Blur                 time.Duration     // its clock against ours, and how well that is known
	Err                          error             // it could not be asked
}

// fault is what breaks a promise at a node.
type fault struct{ check, says, fix string }

// setting is one that must have one of some values.
type setting struct {
	name    string
	allowed []string
	why     string
}

// need are the settings without which an acknowledged write can vanish or cost twice the trips.
var need = []setting{
	{"commitlog_sync", []string{"group", "batch"}, "an acknowledged write can be lost in a power cut"},
	{"paxos_variant", []string{"v2"}, "commits at LOCAL_QUORUM are safe with v2 only"},
	{"paxos_state_purging", []string{"repaired"}, "a promise can be forgotten before it is kept everywhere"},
}

// faults finds what is wrong with a node.
func (n *Node) faults() (found []fault) {
	if err := recentEnough(n.Version); err != nil {
		return []fault{{"version", err.Error(), fixVersion}}
	}
	for _, must := range need {
		value, ok := n.Settings[must.name]
		if !ok {
			value = "not known to it"
		}
		if !slices.ContainsFunc(must.allowed, func(allowed string) bool { return strings.EqualFold(value, allowed) }) {
			says := fmt.Sprintf("%s is %s, and must be %s: %s", must.name, value, strings.Join(must.allowed, " or "), must.why)
			found = append(found, fault{"settings", says, fixes[must.name]})
		}
	}
	if n.Offset.Abs()-n.Blur > maxClockOffset {
		says := fmt.Sprintf("its clock is %s off ours, and may be %s: ages and times to live would lie", n.Offset.Round(time.Millisecond), maxClockOffset)
		found = append(found, fault{"clock", says, fixClock})
	}
	return found
}

// oldest is the first version with Paxos v2, virtual tables of settings and group commit together.
var oldest = [2]int{4, 1}

// recentEnough refuses servers that cannot do what the store needs.
func recentEnough(version string) error {
	parts := strings.SplitN(version, ".", 3)
	var got [2]int
	for i := range got {
		if i >= len(parts) {
			return fmt.Errorf("%w: its version is %q", ErrOldServer, version)
		}
		n, err := strconv.Atoi(parts[i])
		if err != nil {
			return fmt.Errorf("%w: its version is %q", ErrOldServer, version)
		}
		got[i] = n
	}
	if got[0] < oldest[0] || got[0] == oldest[0] && got[1] < oldest[1] {
		return fmt.Errorf("%w: %s; %d.%d is the first that will do", ErrOldServer, version, oldest[0], oldest[1])
	}
	return nil
}

// modern refuses servers that lack what the schema and the statements need, before anything is written there.
func (s *Store) modern(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.opts.Resolve)
	defer cancel()
	var version string
	err := s.often(ctx, func(ctx context.Context) error {
		return s.read(ctx, gocql.One, "SELECT release_version FROM system.local").Scan(&version)
	})
	if err != nil {
		return fmt.Errorf("cassandra: the server's version: %w", err)
	}
	return recentEnough(version)
}

// Look asks every node what it is and how it is set. A node that cannot be asked has an Err; only when none can, Look fails.
func (s *Store) Look(ctx context.Context) ([]Node, error) {
	nodes, err := s.ring(ctx)
	if err != nil {
		return nil, err
	}
	for i := range nodes {
		s.ask(ctx, &nodes[i])
	}
	return nodes, nil
}

// ring lists the nodes: the one that answers, and its peers.
func (s *Store) ring(ctx context.Context) ([]Node, error) {
	ctx, cancel := context.WithTimeout(ctx, s.opts.Resolve)
	defer cancel()
	var me Node
	err := s.often(ctx, func(ctx context.Context) error {
		return s.read(ctx, gocql.One, "SELECT rpc_address, data_center, release_version FROM system.local").Scan(&me.Address, &me.Datacenter, &me.Version)
	})
	if err != nil {
		return nil, fmt.Errorf("cassandra: the nodes: %w", err)
	}
	nodes := []Node{me}
	if recentEnough(me.Version) != nil { // it has no such table
		return nodes, nil
	}
	iter := s.read(at(ctx, me.Address), gocql.One, "SELECT native_address, data_center, release_version FROM system.peers_v2").Iter()
	var n Node
	for iter.Scan(&n.Address, &n.Datacenter, &n.Version) {
		nodes = append(nodes, n)
	}
	if err := iter.Close(); err != nil {
		return nil, fmt.Errorf("cassandra: the peers of %s: %w", me.Address, err)
	}
	return nodes, nil
}

// ask fills in what a node says.
func (s *Store) ask(ctx context.Context, n *Node) {
	if recentEnough(n.Version) != nil {
		return
	}
	ctx, cancel := context.WithTimeout(at(ctx, n.Address), s.opts.Timeout)
	defer cancel()
	n.Settings = map[string]string{}
	var name, value string
	iter := s.read(ctx, gocql.One, "SELECT name, value FROM system_views.settings").Iter()
	for iter.Scan(&name, &value) {
		if slices.ContainsFunc(need, func(must setting) bool { return must.name == name }) {
			n.Settings[name] = value
		}
	}
	var clock int64
	asked := s.opts.Now()
	if n.Err = errors.Join(iter.Close(), s.read(ctx, gocql.One, "SELECT toUnixTimestamp(now()) FROM system.local").Scan(&clock)); n.Err != nil {
		return
	}
	n.Blur = s.opts.Now().Sub(asked) / 2
	n.Offset = time.UnixMilli(clock).Sub(asked.Add(n.Blur))
}

// inspect looks at the nodes and decides whether new claims are taken. Outcomes are recorded in any case: what was sent was sent.
func (s *Store) inspect(ctx context.Context) error {
	nodes, err := s.Look(ctx)
	if err != nil {
		return err
	}
	var wrong []error
	for _, n := range nodes {
		if n.Err != nil { // the others tell; when it is back, it is asked
			s.opts.Log.Warn("a node of Cassandra could not be asked for its settings", "node", n.Address, "error", n.Err)
			continue
		}
		for _, f := range n.faults() {
			wrong = append(wrong, fmt.Errorf("node %s: %s", n.Address, f.says))
		}
	}
	if len(wrong) == 0 {
		s.refusal.Store(nil)
		return nil
	}
	refusal := fmt.Errorf("%w: %w", ErrRefused, errors.Join(wrong...))
	s.opts.Log.Error("guarded work is refused until the cluster is set right", "error", refusal)
	s.refuse(refusal)
	return nil
}
