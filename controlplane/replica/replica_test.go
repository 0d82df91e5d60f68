package replica

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"github.com/prometheus/client_golang/prometheus"

	"segue/controlplane/state"
)

func TestEveryNodeComesToTheSameState(t *testing.T) {
	c := start(t, 3, nil)
	l := c.leader()
	c.must(l, first())
	changed := c.nodes[(l+1)%3].Changed()
	last := c.must(l, weights("w", 10))
	c.agree(last.Index)
	<-changed
	var want bytes.Buffer
	if err := c.nodes[l].State().Save(&want); err != nil {
		t.Fatal(err)
	}
	for i, n := range c.nodes {
		var got bytes.Buffer
		if err := n.State().Save(&got); err != nil || !bytes.Equal(got.Bytes(), want.Bytes()) {
			t.Errorf("node %d differs (%v)", i, err)
		}
		if !n.Ready() {
			t.Errorf("node %d is not ready", i)
		}
	}
	if s := c.nodes[l].State(); s.Incarnation == "" || s.Current().Number != 2 || s.VerifyAudit() != nil {
		t.Errorf("incarnation %q, revision %d", s.Incarnation, s.Current().Number)
	}
	r, err := c.nodes[l].Propose(within(t, time.Second), weights("bad", -5))
	if err != nil || r.Err == nil || r.Err.Code != state.Invalid {
		t.Errorf("a refusal: %+v %v", r, err)
	}
}

func TestFollowersSendToTheLeader(t *testing.T) {
	c := start(t, 3, nil)
	l := c.leader()
	f := (l + 1) % 3
	until(t, "the follower hears of the leader", func() bool { id, _ := c.nodes[f].Leader(); return id == c.peers[l].ID })
	_, err := c.nodes[f].Propose(within(t, time.Second), first())
	if code(err) != state.NoLeader || !strings.Contains(err.Error(), c.peers[l].ID) {
		t.Error(err)
	}
	if _, err = c.nodes[f].Read(within(t, time.Second)); code(err) != state.NoLeader {
		t.Error(err)
	}
}

func TestRestartFromDisk(t *testing.T) {
	c := start(t, 3, nil)
	l := c.leader()
	c.must(l, first())
	last := c.must(l, weights("w", 10))
	c.agree(last.Index)
	incarnation := c.nodes[l].State().Incarnation
	for i := range c.nodes {
		c.stop(i)
	}
	for i := range c.nodes {
		c.run(i, nil)
		if c.nodes[i].Ready() && c.nodes[i].State().Index < last.Index {
			t.Fatal("ready before it caught up")
		}
	}
	l = c.leader()
	c.agree(last.Index)
	s, err := c.nodes[l].Read(within(t, 30*time.Second))
	if err != nil || s.Incarnation != incarnation || s.Current().Number != 2 {
		t.Fatalf("%v, revision %d", err, s.Current().Number)
	}
	if r := c.must(l, weights("w", 10)); r != last {
		t.Fatalf("a repeat after the restart: %+v, first %+v", r, last)
	}
	for i, n := range c.nodes {
		until(t, fmt.Sprint("ready ", i), n.Ready)
	}
}

func TestWritesResumeAfterTheLeaderDies(t *testing.T) {
	c := start(t, 3, nil)
	c.must(c.leader(), first())
	var took []time.Duration
	for round := range 5 {
		dead := c.leader()
		begin := time.Now()
		c.isolate(dead, true)
		for next := -1; ; {
			next = c.leader(dead)
			if r, err := c.nodes[next].Propose(within(t, 2*time.Second), weights(fmt.Sprint("w", round), float64(round))); err == nil && r.Err == nil {
				break
			}
		}
		took = append(took, time.Since(begin))
		c.stop(dead)
		c.isolate(dead, false)
		c.run(dead, nil)
		c.agree(c.nodes[c.leader(dead)].State().Index)
	}
	slices.Sort(took)
	t.Log(took)
	const slower = 3 // than promised, on a machine that many share
	if took[len(took)/2] > slower*3*time.Second || took[len(took)-1] > slower*6*time.Second {
		t.Errorf("writes again after %v", took)
	}
	if n := c.nodes[c.leader()].State().Current().Number; n != 6 {
		t.Errorf("revision %d", n)
	}
}

func TestStaleLeaderReadsAndWritesNothing(t *testing.T) {
	c := start(t, 3, nil)
	old := c.leader()
	c.must(old, first())
	if _, err := c.nodes[old].Read(within(t, 30*time.Second)); err != nil {
		t.Fatal(err)
	}
	c.isolate(old, true)
	if s, err := c.nodes[old].Read(within(t, 30*time.Second)); code(err) != state.NoLeader {
		t.Errorf("a leader without a quorum read revision %d: %v", s.Current().Number, err)
	}
	l := c.leader(old)
	if s, err := c.nodes[l].Read(within(t, 30*time.Second)); err != nil || s.Current().Number != 1 { // nobody wrote in this term yet
		t.Fatal("the new leader does not read: ", err)
	}
	c.must(l, weights("w", 10))
	if _, err := c.nodes[old].Read(within(t, 30*time.Second)); code(err) != state.NoLeader {
		t.Error("stale read: ", err)
	}
	if _, err := c.nodes[old].Propose(within(t, 30*time.Second), weights("x", 20)); code(err) != state.NoLeader {
		t.Error("stale write: ", err)
	}
	c.isolate(old, false)
	c.agree(c.nodes[l].State().Index)
}

// TestReadsSeeEveryAcknowledgedWrite: under writes and lost leaders, no read is older than the newest write that was acknowledged before
// it began.
func TestReadsSeeEveryAcknowledgedWrite(t *testing.T) {
	c := start(t, 3, nil)
	c.must(c.leader(), first())
	ctx, cancel := context.WithCancel(context.Background())
	var acked atomic.Uint64
	var reads atomic.Int64
	var work sync.WaitGroup
	nodes := slices.Clone(c.nodes)
	for i, n := range nodes {
		work.Go(func() {
			for k := 0; ctx.Err() == nil; k++ {
				one, stop := context.WithTimeout(ctx, time.Second)
				if r, err := n.Propose(one, weights(fmt.Sprint("w", i, "-", k), float64(k%100))); err == nil && r.Err == nil {
					for old := acked.Load(); old < r.Index && !acked.CompareAndSwap(old, r.Index); old = acked.Load() {
					}
				}
				stop()
				pause()
			}
		})
		work.Go(func() {
			for ctx.Err() == nil {
				floor := acked.Load()
				one, stop := context.WithTimeout(ctx, time.Second)
				if s, err := n.Read(one); err == nil {
					reads.Add(1)
					if s.Index < floor {
						t.Errorf("node %d read %d after %d was acknowledged", i, s.Index, floor)
					}
				}
				stop()
				pause()
			}
		})
	}
	for range 3 {
		l := c.leader()
		seen, read := acked.Load(), reads.Load()
		until(t, "reads and writes go on", func() bool { return acked.Load() > seen+20 && reads.Load() > read+20 })
		c.isolate(l, true)
		c.leader(l)
		c.isolate(l, false)
	}
	c.leader()
	cancel()
	work.Wait()
	if reads.Load() < 60 {
		t.Errorf("%d reads", reads.Load())
	}
}

func TestUnknownOutcomeIsResolvedByTheSameRequest(t *testing.T) {
	c := start(t, 3, nil)
	old := c.leader()
	c.must(old, first())
	c.isolate(old, true)
	_, err := c.nodes[old].Propose(within(t, 10*time.Second), weights("w", 10))
	if code(err) != state.Unknown || !strings.Contains(err.Error(), "same request id") {
		t.Fatal(err)
	}
	l := c.leader(old)
	r := c.must(l, weights("w", 10))
	c.isolate(old, false)
	c.agree(r.Index)
	again := c.must(c.leader(), weights("w", 10))
	if again != r || c.nodes[l].State().Current().Number != 2 {
		t.Fatalf("%+v, then %+v", r, again)
	}
	if _, err := c.nodes[c.leader()].Propose(cancelled(), weights("z", 1)); code(err) != state.NoLeader {
		t.Error("a dead context proposed: ", err)
	}
}

func cancelled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

func TestFollowerCatchesUpBySnapshot(t *testing.T) {
	c := start(t, 3, func(_ int, c *Config) { c.trial.snapshotEvery, c.trial.keepEntries = 8, 4 })
	l := c.leader()
	c.must(l, first())
	f := (l + 1) % 3
	c.agree(c.nodes[l].State().Index)
	c.stop(f)
	for i := range 40 {
		c.must(l, weights(fmt.Sprint("w", i), float64(i)))
	}
	for i, n := range c.nodes {
		if i != f {
			if err := n.raft.Load().Snapshot().Error(); err != nil {
				t.Fatal(err)
			}
		}
	}
	oldest, err := c.nodes[l].disk.log.FirstIndex()
	if err != nil || oldest < 20 {
		t.Fatalf("the log was not truncated: it begins at %d (%v)", oldest, err)
	}
	c.run(f, nil)
	changed := c.nodes[f].Changed()
	c.agree(c.nodes[l].State().Index)
	<-changed
	// The state is there a moment before raft counts the snapshot as installed.
	until(t, "it came by a snapshot", func() bool { return c.nodes[f].Stats().Snapshot >= 20 })
	for i := range c.nodes { // and a restart begins with the snapshot
		c.stop(i)
	}
	for i := range c.nodes {
		c.run(i, nil)
	}
	l = c.leader()
	if s := c.nodes[l].State(); s.Current().Number != 41 || s.VerifyAudit() != nil {
		t.Errorf("revision %d after the restart", s.Current().Number)
	}
	if r := c.must(l, weights("w39", 39)); r.Revision != 41 {
		t.Errorf("a repeat from before the snapshot: %+v", r)
	}
}

func TestFollowersHearOfACommitAtOnce(t *testing.T) {
	c := start(t, 3, nil)
	l := c.leader()
	c.must(l, first())
	var took []time.Duration
	for i := range 40 {
		r := c.must(l, drill(fmt.Sprint("w", i), 2*i)) // cheap to apply: this is about hearing of it
		begin := time.Now()
		c.agree(r.Index)
		took = append(took, time.Since(begin))
	}
	slices.Sort(took)
	t.Log("median", took[20], "slowest", took[39])
	if took[20] > 25*time.Millisecond { // raft alone: 50 to 100 ms
		t.Errorf("median %s", took[20])
	}
}

func TestAWrongTellCommitsNothing(t *testing.T) {
	c := start(t, 3, nil)
	l := c.leader()
	r := c.must(l, first())
	c.agree(r.Index)
	f := (l + 1) % 3
	to := raft.Server{ID: raft.ServerID(c.peers[f].ID), Address: raft.ServerAddress(c.peers[f].Addr)}
	_, term := c.nodes[l].Leader()
	before := c.nodes[f].raft.Load().CommitIndex()
	for _, m := range [][2]uint64{{r.Index + 50, term}, {r.Index, term - 1}, {r.Index, 0}} {
		if err := c.nodes[l].trans.tell(to, m[0], m[1]); err != nil {
			t.Fatal(err)
		}
	}
	if got := c.nodes[f].raft.Load().CommitIndex(); got != before {
		t.Errorf("commit index %d, was %d", got, before)
	}
	c.agree(c.must(c.leader(), weights("w", 1)).Index)
}

func TestTermsDoNotOverlap(t *testing.T) {
	var mu sync.Mutex
	running, most := map[int]int{}, 0
	var terms [3][]uint64
	c := start(t, 3, func(i int, c *Config) {
		c.OnTerm = func(ctx context.Context, term uint64) {
			mu.Lock()
			running[i]++
			most = max(most, running[i])
			terms[i] = append(terms[i], term)
			mu.Unlock()
			<-ctx.Done()
			mu.Lock()
			running[i]--
			mu.Unlock()
		}
	})
	c.must(c.leader(), first())
	for range 4 { // flapping: nobody reads a channel that raft waits for
		l := c.leader()
		_, term := c.nodes[l].Leader()
		c.isolate(l, true)
		until(t, "the old term ends", func() bool { return !c.nodes[l].Leading() })
		c.isolate(l, false)
		until(t, "another term", func() bool { n := c.leader(); _, now := c.nodes[n].Leader(); return now > term })
	}
	c.agree(c.must(c.leader(), weights("w", 1)).Index)
	mu.Lock()
	defer mu.Unlock()
	if most != 1 {
		t.Errorf("%d terms ran at once on one node", most)
	}
	all := slices.Concat(terms[0], terms[1], terms[2])
	slices.Sort(all)
	if len(slices.Compact(slices.Clone(all))) != len(all) || len(all) < 3 {
		t.Errorf("terms %v", terms)
	}
}

func TestNothingIsProposedBeforeTheBarrier(t *testing.T) {
	c := start(t, 1, nil)
	l := c.leader()
	c.must(l, first())
	n := c.nodes[l]
	own := n.reign.Swap(nil) // as between the election and the barrier
	_, err := n.Propose(within(t, time.Second), weights("w", 1))
	if code(err) != state.NoLeader || !strings.Contains(err.Error(), "still catching up") {
		t.Error(err)
	}
	if _, err := n.Read(within(t, time.Second)); code(err) != state.NoLeader {
		t.Error(err)
	}
	n.reign.Store(own)
	n.reign.Store(&reign{term: own.term - 1, ctx: own.ctx})
	if _, err := n.Read(within(t, time.Second)); code(err) != state.NoLeader {
		t.Error("a read crossed terms: ", err)
	}
}

func TestStatsOfTheCluster(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	c := start(t, 3, func(i int, c *Config) {
		c.Metrics = prometheus.WrapRegistererWith(prometheus.Labels{"node": c.ID}, reg)
	})
	l := c.leader()
	c.agree(c.must(l, first()).Index)
	s := c.nodes[l].Stats()
	if s.Role != "Leader" || s.Leader != s.ID || len(s.Peers) != 3 || s.Commit == 0 || s.Applied == 0 || s.Term == 0 || s.Contact != 0 || !s.Ready {
		t.Errorf("%+v", s)
	}
	f := (l + 1) % 3
	if s := c.nodes[f].Stats(); s.Role != "Follower" || s.Leader != c.peers[l].ID || s.Contact < 0 || s.Peers[0].Suffrage != "Voter" {
		t.Errorf("%+v", s)
	}
	c.isolate(f, true)
	until(t, "the leader misses a peer", func() bool { return !c.nodes[l].Stats().Peers[f].Lost.IsZero() })
	c.isolate(f, false)
	until(t, "the peer is back", func() bool { return c.nodes[l].Stats().Peers[f].Lost.IsZero() })
	families, err := reg.Gather()
	if err != nil || len(families) != 5 || len(families[0].Metric) != 3 {
		t.Errorf("%d metrics: %v", len(families), err)
	}
}

func TestTransferAndStop(t *testing.T) {
	c := start(t, 3, nil)
	l := c.leader()
	c.must(l, first())
	if err := c.nodes[l].Transfer(within(t, 30*time.Second), ""); err != nil {
		t.Fatal(err)
	}
	next := c.leader(l)
	old := c.nodes[l]
	c.stop(l)
	if _, err := old.Propose(within(t, time.Second), weights("w", 1)); code(err) != state.NoLeader {
		t.Error(err)
	}
	if err := old.Stop(within(t, time.Second)); err != nil {
		t.Error("a second Stop: ", err)
	}
	if err := old.Transfer(within(t, time.Second), ""); code(err) != state.NoLeader {
		t.Error(err)
	}
	c.must(next, weights("w", 1))
}

func TestConfigIsChecked(t *testing.T) {
	good := func() Config {
		return Config{
			ID: "a", Dir: t.TempDir(), Peers: []Peer{{"a", "127.0.0.1:0"}, {"b", "127.0.0.1:1"}},
			Log: slog.New(slog.DiscardHandler), Fatal: func(error) {},
		}
	}
	for says, spoil := range map[string]func(*Config){
		"ID and Dir":    func(c *Config) { c.ID = "" },
		"Dir must":      func(c *Config) { c.Dir = "" },
		"Log and Fatal": func(c *Config) { c.Fatal = nil },
		"0 peers":       func(c *Config) { c.Peers = nil },
		"10 peers":      func(c *Config) { c.Peers = make([]Peer, 10) },
		"differ":        func(c *Config) { c.Peers[1] = c.Peers[0] },
		"not among":     func(c *Config) { c.ID = "x" },
		"preset":        func(c *Config) { c.Preset = 9 },
		"loopback":      func(c *Config) { c.Listener = listen(t, "0.0.0.0:0") },
		"raft.db":       func(c *Config) { c.Dir = "/dev/null" },
		"already":       func(c *Config) { c.Peers[0].Addr = taken(t) },
	} {
		c := good()
		spoil(&c)
		r, err := New(c)
		if err == nil {
			t.Errorf("%s: started", says)
			_ = r.Stop(within(t, time.Second))
		} else if says != "raft.db" && says != "already" && !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", says, err)
		}
	}
}

func listen(t *testing.T, addr string) net.Listener {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln
}

func taken(t *testing.T) string { return listen(t, "127.0.0.1:0").Addr().String() }
