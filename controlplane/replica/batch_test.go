package replica

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"segue/controlplane/state"
)

// TestProposalsShareEntries: what is proposed at once goes in few entries, each has its own answer and index, a refused one spoils no other.
func TestProposalsShareEntries(t *testing.T) {
	c := start(t, 3, nil)
	l := c.leader()
	c.must(l, first())
	before := c.nodes[l].raft.Load().LastIndex()
	const n = 200
	var work sync.WaitGroup
	results := make([]state.Result, n)
	for i := range n {
		work.Go(func() {
			change := weights(fmt.Sprint("w", i), float64(i%100))
			if i%10 == 0 {
				change.SetWeights.Service = "nobody"
			}
			var err error
			if results[i], err = c.nodes[l].Propose(within(t, 20*time.Second), change); err != nil {
				t.Errorf("%d: %v", i, err)
			}
		})
	}
	work.Wait()
	for i, r := range results {
		if refused := r.Err != nil; refused != (i%10 == 0) {
			t.Errorf("%d: %v", i, r.Err)
		}
	}
	var last uint64
	for _, e := range c.nodes[l].State().Audit {
		if e.Index <= last {
			t.Errorf("index %d after %d", e.Index, last)
		}
		last = e.Index
	}
	if entries := c.nodes[l].raft.Load().LastIndex() - before; entries > n/2 {
		t.Errorf("%d proposals took %d entries", n, entries)
	}
	c.agree(c.nodes[l].State().Index)
	for i, node := range c.nodes {
		if err := node.State().VerifyAudit(); err != nil || len(node.State().Audit) != len(c.nodes[l].State().Audit) {
			t.Errorf("node %d: %v, %d in the audit", i, err, len(node.State().Audit))
		}
	}
}

// TestProposalsThatWaitAreTakenBack: without a quorum what is under way is unknown, and what waits behind it was never proposed.
func TestProposalsThatWaitAreTakenBack(t *testing.T) {
	c := start(t, 3, nil)
	l := c.leader()
	c.must(l, first())
	c.isolate(l, true)
	ctx, cancel := context.WithCancel(t.Context())
	var mu sync.Mutex
	told := map[state.Code]int{}
	var work sync.WaitGroup
	for i := range 10 {
		work.Go(func() {
			_, err := c.nodes[l].Propose(ctx, weights(fmt.Sprint("w", i), 10))
			mu.Lock()
			told[code(err)]++
			mu.Unlock()
		})
	}
	waiting := func() int {
		q := &c.nodes[l].queue
		q.mu.Lock()
		defer q.mu.Unlock()
		return len(q.waiting)
	}
	until(t, "two are under way, and the others wait", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return waiting() >= 10-flights-told[state.NoLeader]-told[state.Unknown] && waiting()+len(told) > 0
	})
	behind := waiting()
	cancel()
	work.Wait()
	if told[state.NoLeader]+told[state.Unknown] != 10 || told[state.NoLeader] < behind {
		t.Errorf("%d waited; told %v", behind, told)
	}
	c.isolate(l, false)
}
