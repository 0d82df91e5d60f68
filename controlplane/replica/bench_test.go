package replica

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"

	"segue/controlplane/policy"
	"segue/controlplane/state"
)

// nothing is an FSM that does nothing: what raft and its store cost alone.
type nothing struct{}

func (nothing) Apply(*raft.Log) any                 { return nil }
func (nothing) ApplyBatch(logs []*raft.Log) []any   { return make([]any, len(logs)) }
func (nothing) Snapshot() (raft.FSMSnapshot, error) { return nil, io.ErrUnexpectedEOF }
func (nothing) Restore(io.ReadCloser) error         { return nil }

// bare is a cluster of the library alone, with the same time-outs, store options, cache, batches and transport settings.
func bare(b *testing.B) *raft.Raft {
	var servers []raft.Server
	var transports []*raft.NetworkTransport
	for i := range 3 {
		tr, err := raft.NewTCPTransportWithConfig("127.0.0.1:0", nil, &raft.NetworkTransportConfig{
			MaxPool: transportPool, Timeout: transportFor, Logger: newBridge(slog.New(slog.DiscardHandler)),
		})
		if err != nil {
			b.Fatal(err)
		}
		transports = append(transports, tr)
		servers = append(servers, raft.Server{ID: raft.ServerID(fmt.Sprint("n", i)), Address: tr.LocalAddr()})
	}
	var nodes []*raft.Raft
	for i, tr := range transports {
		nodes = append(nodes, bareNode(b, string(servers[i].ID), tr, servers))
	}
	var leader *raft.Raft
	until(b, "a bare leader", func() bool {
		i := slices.IndexFunc(nodes, func(n *raft.Raft) bool { return n.State() == raft.Leader })
		if i >= 0 {
			leader = nodes[i]
		}
		return i >= 0
	})
	return leader
}

func bareNode(b *testing.B, id string, tr *raft.NetworkTransport, servers []raft.Server) *raft.Raft {
	cfg := Config{ID: id, Log: slog.New(slog.DiscardHandler)}
	rc, err := cfg.raft()
	if err != nil {
		b.Fatal(err)
	}
	dir := b.TempDir()
	db, err := raftboltdb.New(raftboltdb.Options{Path: filepath.Join(dir, "raft.db"), BoltOptions: boltOptions()})
	if err != nil {
		b.Fatal(err)
	}
	cache, err := raft.NewLogCache(cacheSize, db)
	if err != nil {
		b.Fatal(err)
	}
	snaps, err := raft.NewFileSnapshotStoreWithLogger(dir, snapshots, rc.Logger)
	if err != nil {
		b.Fatal(err)
	}
	if err := raft.BootstrapCluster(rc, cache, db, snaps, tr, raft.Configuration{Servers: servers}); err != nil {
		b.Fatal(err)
	}
	node, err := raft.NewRaft(rc, nothing{}, cache, db, snaps, tr)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		node.Shutdown().Error()
		tr.CloseStreams()
		tr.Close()
		db.Close()
	})
	return node
}

// BenchmarkCommit measures commits per second on a cluster of three beside the bare library, in turns in the same run, with the same
// payload. ratio is the figure that is promised: at least 0.8.
func BenchmarkCommit(b *testing.B) {
	for _, kind := range []struct {
		name string
		make func(request string, i int) state.Command
	}{{"order", drill}, {"weights", func(request string, i int) state.Command { return weights(request, float64(i%100)) }}} {
		for _, proposers := range []int{1, 16, 64} {
			b.Run(fmt.Sprintf("%s/proposers=%d", kind.name, proposers), func(b *testing.B) { compare(b, proposers, kind.make) })
		}
	}
}

func drill(request string, i int) state.Command {
	c := state.Command{Request: request, Actor: "ann", Reason: "because", At: time.Now()}
	c.GiveOrder = &state.GiveOrder{Order: policy.Order{
		Kind: policy.Drill, Provider: "main", Regions: []string{"eu-west"}, For: time.Second,
		Fault: policy.Fault{Kind: policy.FaultRefuse, Share: 0.5},
	}}
	c.At = c.At.Add(time.Duration(i) * time.Second) // the orders before have ended: there is room for this one
	return c
}

func compare(b *testing.B, proposers int, change func(string, int) state.Command) {
	c := start(b, 3, nil)
	own := c.nodes[c.leader()]
	if r, err := own.Propose(context.Background(), first()); err != nil || r.Err != nil {
		b.Fatal(err, r.Err)
	}
	other := bare(b)
	ours := func(request string, i int) error {
		r, err := own.Propose(context.Background(), change(request, i))
		if err == nil && r.Err != nil {
			err = r.Err
		}
		return err
	}
	theirs := func(request string, i int) error {
		text, err := state.Encode(change(request, i))
		if err != nil {
			return err
		}
		return other.Apply(text, enqueueFor).Error()
	}
	const each = 20 // commits of one proposer in one turn
	var took [2]time.Duration
	done, round := 0, 0
	for b.Loop() {
		for side, do := range []func(string, int) error{ours, theirs} {
			if round%2 == 1 { // nobody always goes first
				side, do = 1-side, []func(string, int) error{theirs, ours}[side]
			}
			took[side] += turn(b, proposers, each, round, do)
		}
		done += proposers * each
		round++
	}
	b.ReportMetric(float64(done)/took[0].Seconds(), "segue/s")
	b.ReportMetric(float64(done)/took[1].Seconds(), "bare/s")
	b.ReportMetric(took[1].Seconds()/took[0].Seconds(), "ratio")
}

func turn(b *testing.B, proposers, each, round int, do func(string, int) error) time.Duration {
	var work sync.WaitGroup
	var failed atomic.Pointer[error]
	begin := time.Now()
	for p := range proposers {
		work.Go(func() {
			for k := range each {
				if err := do(fmt.Sprintf("r-%d-%d-%d", round, p, k), 2*(round*each+k)); err != nil {
					failed.Store(&err)
					return
				}
			}
		})
	}
	work.Wait()
	if err := failed.Load(); err != nil {
		b.Fatal(*err)
	}
	return time.Since(begin)
}
