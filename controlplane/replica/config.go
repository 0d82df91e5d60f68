package replica

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/hashicorp/raft"
	"github.com/prometheus/client_golang/prometheus"
)

// Config is what a node needs. ID, Dir, Peers, Log and Fatal must be given; the rest has a default.
type Config struct {
	ID       string
	Dir      string
	Peers    []Peer       // every node of the cluster, this one included: the same list on each; once there are files, the list in them counts
	Join     bool         // wait to be added by a cluster that is there: Peers is this node alone, and nothing is begun with it
	Listener net.Listener // of this node; nil: New listens at its address in Peers
	// Dial opens a connection to another node. Nil: plain TCP. Tests give one whose links can be cut.
	Dial    func(ctx context.Context, addr string) (net.Conn, error)
	TLS     *tls.Config // nil: plain, and then loopback only
	Preset  Preset
	Log     *slog.Logger
	Now     func() time.Time      // nil: time.Now
	Metrics prometheus.Registerer // nil: none
	// DiskTimeout is how long a write may take before the node ends, so that another can lead. 0: ten election time-outs.
	DiskTimeout time.Duration
	// Fatal is called once, when the node must not go on: its storage hangs, or the log holds a command that it does not know. It should
	// end the process.
	Fatal func(error)
	// OnTerm runs while this node leads: it begins after the term's barrier and must return when ctx ends. Nil: nothing.
	OnTerm func(ctx context.Context, term uint64)

	trial trial
}

// trial is what tests of this package bend.
type trial struct {
	store         func(store) store                              // wraps the storage
	space         func(dir string) (free, total uint64, e error) // replaces statfs
	snapshotEvery uint64                                         // entries between snapshots
	keepEntries   uint64                                         // entries kept behind a snapshot
}

// Peer is a node of the cluster.
type Peer struct{ ID, Addr string }

// Preset is a set of time-outs for the distance between the nodes.
type Preset uint8

// The presets.
const (
	LAN Preset = iota // round trips of a few milliseconds: the leader's death is noticed after 1 to 2 s
	WAN               // up to some 200 ms
)

const (
	maxPeers = 9 // more voters make each write slower and nothing safer

	// A store that does not return for so many election time-outs hangs. Raft itself would stay leader for ever.
	stallElections = 10

	enqueueFor = 2 * time.Second // a leader that takes no proposal for so long is overrun
	spaceEvery = 5 * time.Second

	spaceAlarm   = 0.20      // share of the disk
	spaceMinimum = 128 << 20 // bytes: a snapshot at its bounds (some 70 MiB) and the log behind it
)

func (c *Config) check() error {
	switch {
	case c.ID == "", c.Dir == "":
		return errors.New("replica: ID and Dir must be given")
	case c.Log == nil, c.Fatal == nil:
		return errors.New("replica: Log and Fatal must be given")
	case c.DiskTimeout < 0:
		return fmt.Errorf("replica: DiskTimeout is %s: it is 0 or more", c.DiskTimeout)
	case len(c.Peers) == 0 || len(c.Peers) > maxPeers:
		return fmt.Errorf("replica: %d peers, between 1 and %d are possible", len(c.Peers), maxPeers)
	}
	ids, addrs := map[string]bool{}, map[string]bool{}
	for _, p := range c.Peers {
		if p.ID == "" || p.Addr == "" || ids[p.ID] || addrs[p.Addr] {
			return fmt.Errorf("replica: peer %q at %q: ids and addresses must be given and differ", p.ID, p.Addr)
		}
		ids[p.ID], addrs[p.Addr] = true, true
	}
	if !ids[c.ID] {
		return fmt.Errorf("replica: this node, %q, is not among the peers", c.ID)
	}
	return nil
}

func (c *Config) address() string {
	for _, p := range c.Peers {
		if p.ID == c.ID {
			return p.Addr
		}
	}
	return ""
}

func (c *Config) servers() raft.Configuration {
	var servers []raft.Server
	for _, p := range c.Peers {
		servers = append(servers, raft.Server{ID: raft.ServerID(p.ID), Address: raft.ServerAddress(p.Addr)})
	}
	return raft.Configuration{Servers: servers}
}

// raft translates into the library's settings.
func (c *Config) raft() (*raft.Config, error) {
	rc := raft.DefaultConfig()
	rc.LocalID = raft.ServerID(c.ID)
	rc.Logger = newBridge(c.Log)
	rc.BatchApplyCh = true // proposals that wait together share one fsync
	rc.NoLegacyTelemetry = true
	switch c.Preset {
	case LAN:
		// The lease is as long as it may be: it only says when a cut-off leader gives up, reads do not trust it (Read), and with less a
		// leader on a busy machine loses its term for nothing.
		rc.HeartbeatTimeout, rc.ElectionTimeout, rc.LeaderLeaseTimeout = time.Second, time.Second, time.Second
	case WAN:
		rc.HeartbeatTimeout, rc.ElectionTimeout, rc.LeaderLeaseTimeout = 3*time.Second, 3*time.Second, 3*time.Second
		rc.CommitTimeout = 200 * time.Millisecond
	default:
		return nil, fmt.Errorf("replica: unknown preset %d", c.Preset)
	}
	if c.trial.snapshotEvery > 0 {
		rc.SnapshotThreshold, rc.TrailingLogs = c.trial.snapshotEvery, c.trial.keepEntries
	}
	return rc, nil
}

// diskTimeout is how long the storage may take.
func (c *Config) diskTimeout(rc *raft.Config) time.Duration {
	if c.DiskTimeout > 0 {
		return c.DiskTimeout
	}
	return stallElections * rc.ElectionTimeout
}
