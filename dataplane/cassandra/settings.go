package cassandra

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/gocql/gocql"
)

// Node is what one node says of itself.
type Node struct {
	Address, Datacenter, Version string
	CommitLog, Paxos, Purging    string        // as in system_views.settings
	Offset                       time.Duration // its clock against ours
	Wrong                        []string      // what breaks a promise
	Err                          error         // it could not be asked
}

// need are the settings without which an acknowledged write can vanish or cost twice the trips.
var need = []struct {
	setting string
	allowed []string
	why     string
}{
	{"commitlog_sync", []string{"group", "batch"}, "an acknowledged write can be lost in a power cut"},
	{"paxos_variant", []string{"v2"}, "commits at LOCAL_QUORUM are safe with v2 only"},
	{"paxos_state_purging", []string{"repaired"}, "a promise can be forgotten before it is kept everywhere"},
}

// judge finds what is wrong with a node's settings.
func judge(settings map[string]string) []string {
	var wrong []string
	for _, n := range need {
		value, ok := settings[n.setting]
		fine := false
		for _, allowed := range n.allowed {
			fine = fine || strings.EqualFold(value, allowed)
		}
		if !ok {
			value = "not known to it"
		}
		if !fine {
			wrong = append(wrong, fmt.Sprintf("%s is %s, and must be %s: %s", n.setting, value, strings.Join(n.allowed, " or "), n.why))
		}
	}
	return wrong
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
	if err := recentEnough(n.Version); err != nil {
		n.Wrong = append(n.Wrong, err.Error())
		return
	}
	ctx, cancel := context.WithTimeout(at(ctx, n.Address), s.opts.Timeout)
	defer cancel()
	settings := map[string]string{}
	var name, value string
	iter := s.read(ctx, gocql.One, "SELECT name, value FROM system_views.settings").Iter()
	for iter.Scan(&name, &value) {
		settings[name] = value
	}
	var clock int64
	asked := s.opts.Now()
	if n.Err = errors.Join(iter.Close(), s.read(ctx, gocql.One, "SELECT toUnixTimestamp(now()) FROM system.local").Scan(&clock)); n.Err != nil {
		return
	}
	answered := s.opts.Now()
	n.CommitLog, n.Paxos, n.Purging = settings["commitlog_sync"], settings["paxos_variant"], settings["paxos_state_purging"]
	n.Offset = time.UnixMilli(clock).Sub(asked.Add(answered.Sub(asked) / 2))
	n.Wrong = judge(settings)
	if n.Offset.Abs()-answered.Sub(asked)/2 > maxClockOffset {
		n.Wrong = append(n.Wrong, fmt.Sprintf("its clock is %s off ours, and may be %s: ages and times to live would lie", n.Offset.Round(time.Millisecond), maxClockOffset))
	}
}

// inspect looks at the nodes and decides whether new claims are taken. Outcomes are recorded in any case: what was sent was sent.
func (s *Store) inspect(ctx context.Context) error {
	nodes, err := s.Look(ctx)
	if err != nil {
		return err
	}
	var wrong []error
	for _, n := range nodes {
		for _, w := range n.Wrong {
			wrong = append(wrong, fmt.Errorf("node %s: %s", n.Address, w))
		}
		if n.Err != nil {
			s.opts.Log.Warn("a node of Cassandra could not be asked for its settings", "node", n.Address, "error", n.Err)
		}
	}
	if len(wrong) == 0 {
		s.refusal.Store(nil)
		return nil
	}
	refusal := fmt.Errorf("%w: %w", ErrRefused, errors.Join(wrong...))
	s.opts.Log.Error("guarded work is refused until the cluster is set right", "error", refusal)
	s.refusal.Store(&refusal)
	return nil
}
