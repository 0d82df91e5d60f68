package replica

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"go.etcd.io/bbolt"

	"segue/controlplane/state"
)

func TestUnknownCommandHaltsTheNode(t *testing.T) {
	c := start(t, 3, nil)
	l := c.leader()
	c.must(l, first())
	ignorable := []byte(`{"Version":7,"Ignorable":true,"Tomorrow":{}}`)
	if err := c.nodes[l].raft.Load().Apply(ignorable, time.Second).Error(); err != nil {
		t.Fatal(err)
	}
	c.agree(c.must(l, weights("w", 10)).Index)
	if err := c.nodes[l].raft.Load().Apply([]byte(`{"Version":7,"Tomorrow":{}}`), time.Second).Error(); err != nil {
		t.Fatal(err)
	}
	for i := range c.nodes {
		if err := c.ended(i); !errors.Is(err, state.ErrUnknownCommand) {
			t.Errorf("node %d: %v", i, err)
		}
	}
	if _, err := c.nodes[l].Propose(within(t, time.Second), weights("x", 20)); code(err) != state.Unknown {
		t.Errorf("a halted node applied: %v", err)
	}
	if n := c.nodes[l].State().Current().Number; n != 2 {
		t.Errorf("revision %d", n)
	}
	if err := c.nodes[l].raft.Load().Snapshot().Error(); err == nil {
		t.Error("a halted node made a snapshot that claims the entry")
	}
}

// hanging is a store whose writes do not return while it is shut.
type hanging struct {
	store
	mu   sync.Mutex
	gate chan struct{}
}

func (h *hanging) StoreLogs(logs []*raft.Log) error {
	h.mu.Lock()
	gate := h.gate
	h.mu.Unlock()
	if gate != nil {
		<-gate
	}
	return h.store.StoreLogs(logs)
}

func TestHangingStorageEndsTheNode(t *testing.T) {
	disks := make([]*hanging, 3)
	c := start(t, 3, func(i int, c *Config) {
		c.DiskTimeout = 300 * time.Millisecond
		c.trial.store = func(s store) store { disks[i] = &hanging{store: s}; return disks[i] }
	})
	l := c.leader()
	c.must(l, first())
	gate := make(chan struct{})
	var open sync.Once
	defer open.Do(func() { close(gate) })
	disks[l].mu.Lock()
	disks[l].gate = gate
	disks[l].mu.Unlock()
	_, err := c.nodes[l].Propose(within(t, 200*time.Millisecond), weights("w", 10))
	if code(err) != state.Unknown {
		t.Error(err)
	}
	if err := c.ended(l); !strings.Contains(err.Error(), "storage hangs") {
		t.Error(err)
	}
	if err := c.nodes[l].Stop(within(t, 50*time.Millisecond)); !errors.Is(err, context.DeadlineExceeded) {
		t.Error("Stop waits for a storage that hangs: ", err)
	}
	open.Do(func() { close(gate) })
	until(t, "the node ends", func() bool {
		return c.nodes[l].raft.Load().State() == raft.Shutdown && c.nodes[l].trans.IsShutdown()
	})
}

// told are the lines of a log.
type told chan string

func (c told) Write(b []byte) (int, error) {
	select {
	case c <- string(b):
	default: // nobody reads so much
	}
	return len(b), nil
}

// A node that is alone ends for nobody's good: it says that its disk hangs, and goes on when the disk does.
func TestHangingStorageOfALoneNodeIsWaitedFor(t *testing.T) {
	var disk *hanging
	told := make(told, 100)
	c := start(t, 1, func(_ int, c *Config) {
		c.DiskTimeout = 20 * time.Millisecond
		c.Log = slog.New(slog.NewTextHandler(told, &slog.HandlerOptions{Level: slog.LevelError}))
		c.trial.store = func(s store) store { disk = &hanging{store: s}; return disk }
	})
	c.must(c.leader(), first())
	gate := make(chan struct{})
	disk.mu.Lock()
	disk.gate = gate
	disk.mu.Unlock()
	proposed := make(chan error, 1)
	go func() {
		_, err := c.nodes[0].Propose(within(t, 20*time.Second), weights("w", 10))
		proposed <- err
	}()
	for !strings.Contains(<-told, "waits for its disk") {
		t.Log("something else was told before")
	}
	disk.mu.Lock()
	disk.gate = nil
	disk.mu.Unlock()
	close(gate)
	if err := <-proposed; err != nil {
		t.Error(err)
	}
}

func TestFullDiskDoesNotCampaign(t *testing.T) {
	var full [3]atomic.Bool
	c := start(t, 3, func(i int, c *Config) {
		c.trial.space = func(string) (uint64, uint64, error) {
			if full[i].Load() {
				return spaceMinimum - 1, 1 << 40, nil
			}
			return 1 << 39, 1 << 40, nil
		}
	})
	dead := c.leader()
	c.must(dead, first())
	a, b := (dead+1)%3, (dead+2)%3
	for _, i := range []int{a, b} {
		full[i].Store(true)
		c.nodes[i].lookAtDisk()
	}
	if s := c.nodes[a].Stats(); s.Free > 0.001 {
		t.Errorf("free %g", s.Free)
	}
	c.isolate(dead, true)
	for end := time.Now().Add(4 * time.Second); time.Now().Before(end); pause() { // two elections' time
		if c.nodes[a].Leading() || c.nodes[b].Leading() {
			t.Fatal("a node without space leads")
		}
	}
	full[b].Store(false)
	c.nodes[b].lookAtDisk()
	if l := c.leader(dead); l != b {
		t.Fatal("the node without space leads")
	}
	c.isolate(dead, false)
	c.agree(c.must(b, weights("w", 5)).Index) // it still follows and votes
}

func TestSpaceOfARealDisk(t *testing.T) {
	s := space{dir: t.TempDir(), probe: statfs}
	if _, err := s.look(); err != nil || s.total.Load() == 0 || s.share() <= 0 || s.share() > 1 {
		t.Errorf("%d of %d: %v", s.free.Load(), s.total.Load(), err)
	}
	s.dir = filepath.Join(s.dir, "none")
	if _, err := s.look(); err == nil {
		t.Error("a folder that is not there was measured")
	}
	s.probe = func(string) (uint64, uint64, error) { return 19, 100, nil }
	if low, _ := s.look(); !low {
		t.Error("19 % is no alarm")
	}
}

func TestLogFileIsLocked(t *testing.T) {
	if o := boltOptions(); o.Timeout != time.Second || !o.NoFreelistSync || o.FreelistType != bbolt.FreelistMapType {
		t.Errorf("%+v", o)
	}
	c := start(t, 1, nil)
	begin := time.Now()
	_, err := openStore(c.dirs[0])
	if !errors.Is(err, bbolt.ErrTimeout) || time.Since(begin) > 5*time.Second {
		t.Errorf("after %s: %v", time.Since(begin), err)
	}
}

// TestTermBeginsAfterItsBarrier: when OnTerm runs, everything up to the term's own barrier is applied here.
func TestTermBeginsAfterItsBarrier(t *testing.T) {
	var nodes [3]atomic.Pointer[Replica]
	seen := make(chan uint64, 10)
	c := start(t, 3, func(i int, c *Config) {
		c.OnTerm = func(ctx context.Context, term uint64) {
			if n := nodes[i].Load(); n != nil { // the second term: nobody writes
				applied, _ := n.fsm.newest()
				seen <- applied
			}
			<-ctx.Done()
		}
	})
	l := c.leader()
	last := c.must(l, first())
	c.agree(last.Index)
	for i, n := range c.nodes {
		nodes[i].Store(n)
	}
	c.isolate(l, true)
	c.leader(l)
	if applied := <-seen; applied < last.Index+2 { // the leader's own first entry, and the barrier
		t.Errorf("applied %d, the last change was %d", applied, last.Index)
	}
	c.isolate(l, false)
}
