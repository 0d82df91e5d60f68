package settle

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"segue/controlplane/policy"
	"segue/dataplane/ledger"
)

// holding is an agent with n rows that it holds; its background sleeps.
func holding(t *testing.T, n int, how func(int) string) (*fleet, *Driver, *bank) {
	t.Helper()
	b := newBank(t, how)
	b.mute = true
	f := newFleet(t, nil, b)
	d := f.agent("a", "1")
	d.cfg.Runs = nil // nobody else is there: this run needs no lease
	for i := range n {
		j := f.claim(d, fmt.Sprintf("k%d", i), policy.Leave{})
		j.Deadline = f.now().Add(200 * time.Millisecond)
		if end := d.Run(t.Context(), j); end.Kind != ledger.Hold || !end.Looked.Asked || !end.Looked.Mute || end.Looked.Why == "" {
			t.Fatalf("end %+v", end)
		}
	}
	return f, d, b
}

// verifyAll collects what is told.
func verifyAll(ctx context.Context, d *Driver, rows []*ledger.Transaction) []Checked {
	var mu sync.Mutex
	out := make([]Checked, len(rows))
	d.VerifyAll(ctx, rows, func(i int, c Checked) {
		mu.Lock()
		defer mu.Unlock()
		out[i] = c
	})
	return out
}

// TestVerifyAll asks for every open outcome, one question after the other: what was executed is proven, what shows nothing stays open with its
// reason, and nothing is sent a second time.
func TestVerifyAll(t *testing.T) {
	f, d, b := holding(t, 5, func(n int) string { return map[bool]string{true: "lost", false: "dropped"}[n < 3] })
	var at, most atomic.Int32
	b.onFind = func() {
		most.Store(max(most.Load(), at.Add(1)))
		time.Sleep(time.Millisecond)
		at.Add(-1)
	}
	b.set(func() { b.mute = false })
	rows, found, err := d.Open(t.Context(), &policy.Open{Limit: 10}, f.now())
	if err != nil || len(rows) != 5 || found != 5 || rows[0].Key.Key != "k0" {
		t.Fatal(rows, found, err)
	}
	for i, c := range verifyAll(t.Context(), d, rows) {
		closed := c.Tx != nil && !c.Tx.Pending()
		if closed != (i < 3) || !c.Asked || c.Mute || !closed && c.Why == "" {
			t.Errorf("%d: %+v %+v", i, c.Tx, c.Looked)
		}
	}
	if most.Load() != 1 || b.charges != 5 || b.sum() != 3 {
		t.Errorf("%d questions at once; %d charges, %d executed", most.Load(), b.charges, b.sum())
	}
	if rows, found, err = d.Open(t.Context(), &policy.Open{Limit: 10}, f.now()); err != nil || len(rows) != 2 || found != 2 {
		t.Errorf("still open: %v %d %v", rows, found, err)
	}
}

// TestVerifyAllLeavesTheMute: a provider that leaves three questions in a row without an answer is not asked the rest; nor is anything asked
// after the time is up.
func TestVerifyAllLeavesTheMute(t *testing.T) {
	f, d, b := holding(t, 5, always("lost"))
	var asked atomic.Int32
	b.onFind = func() { asked.Add(1) }
	rows, _, err := d.Open(t.Context(), &policy.Open{Limit: 10}, f.now())
	if err != nil {
		t.Fatal(err)
	}
	got := verifyAll(t.Context(), d, rows)
	for i, c := range got {
		if c.Asked != (i < 3) || c.Tx == nil || !c.Tx.Pending() || c.Why == "" {
			t.Errorf("%d: %+v", i, c.Looked)
		}
	}
	if n := asked.Load(); n != 3 || !strings.Contains(got[4].Why, "p0 left 3 questions in a row without an answer") {
		t.Errorf("%d were asked: %s", n, got[4].Why)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for i, c := range verifyAll(ended, d, rows) {
		if c.Asked || !strings.Contains(c.Why, "time") {
			t.Errorf("%d, after the end: %+v", i, c.Looked)
		}
	}
	if asked.Load() != 3 {
		t.Error("something was asked after the end")
	}
}

// TestOpenIsChosen: which open transactions an order means.
func TestOpenIsChosen(t *testing.T) {
	f, d, _ := holding(t, 3, always("lost"))
	id := f.row("k1").ID
	for _, c := range []struct {
		which        policy.Open
		after        time.Duration
		rows, wanted int
	}{
		{policy.Open{Limit: 2}, 0, 2, 3},
		{policy.Open{Limit: 2, State: "held"}, 0, 2, 3},
		{policy.Open{Limit: 2, State: "cancelling"}, 0, 0, 0},
		{policy.Open{Limit: 9, Service: "payments", Provider: "p0"}, 0, 3, 3},
		{policy.Open{Limit: 9, Service: "payouts"}, 0, 0, 0},
		{policy.Open{Limit: 9, Provider: "p1"}, 0, 0, 0},
		{policy.Open{Limit: 9, OlderThan: time.Hour}, 0, 0, 0},
		{policy.Open{Limit: 9, OlderThan: time.Hour}, 2 * time.Hour, 3, 3},
		{policy.Open{Limit: 9, Transactions: []string{id, "tx_nobody"}}, 0, 1, 1},
	} {
		rows, found, err := d.Open(t.Context(), &c.which, f.now().Add(c.after))
		if err != nil || len(rows) != c.rows || found != c.wanted {
			t.Errorf("%+v: %d rows of %d, %v", c.which, len(rows), found, err)
		}
	}
}
