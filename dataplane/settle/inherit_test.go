package settle

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"segue/controlplane/policy"
	"segue/dataplane/ledger"
)

type rows = ledger.Runs

// slowRuns is a store in which some runs cannot be looked through in any time.
type slowRuns struct {
	rows
	asked []string
	late  []string // asked for when the time was over already
}

func (s *slowRuns) Left(ctx context.Context, run string, yield func(*ledger.Transaction) bool) error {
	s.asked = append(s.asked, run)
	if ctx.Err() != nil {
		s.late = append(s.late, run)
	}
	if strings.HasPrefix(run, "slow") {
		<-ctx.Done()
		return ctx.Err()
	}
	return s.rows.Left(ctx, run, yield)
}

// slowly makes a taker for whom the runs named are fenced. It looks through each of them for a fence's length.
func slowly(f *fleet, fence time.Duration, runs ...string) (*Driver, *slowRuns) {
	d := f.agent("taker", "1")
	s := &slowRuns{rows: d.cfg.Runs}
	d.cfg.Runs, d.cfg.Fence = s, fence
	d.keeper.peers = peers{}
	for _, run := range runs {
		d.keeper.peers[run] = &peer{fenced: true}
	}
	return d, s
}

// A run that is slow to look through has a time of its own: in the same round the others are taken over, whatever the order. It is tried
// again.
func TestSlowRunKeepsNobodyWaiting(t *testing.T) {
	f := newFleet(t, nil, newBank(t, always("ok")))
	quick := []string{"x/1", "y/1", "z/1"} // after the slow ones
	for i, run := range quick {
		name, life, _ := strings.Cut(run, "/")
		f.claim(f.agent(name, life), fmt.Sprintf("k%d", i), policy.Leave{})
	}
	d, store := slowly(f, 1500*time.Millisecond, append(quick, "slow/1", "slow/2")...)
	for _, run := range quick {
		if fenced, err := f.store.Runs().Fence(t.Context(), ledger.Run{ID: run, Beat: 1, Fenced: f.now()}); err != nil || !fenced {
			t.Fatalf("%s is not fenced: %v", run, err)
		}
	}
	d.inherit(t.Context())
	for i := range quick {
		if row := f.row(fmt.Sprintf("k%d", i)); row.Run != d.RunID() {
			t.Errorf("k%d is still %s's", i, row.Run)
		}
	}
	if len(store.asked) != 5 || len(store.late) > 0 {
		t.Errorf("asked for %v; too late for %v", store.asked, store.late)
	}
	for _, run := range []string{"slow/1", "slow/2"} {
		if p := d.keeper.peers[run]; p.done || p.left == 0 {
			t.Errorf("%s is not tried again: %+v", run, p)
		}
	}
}

// A store that is slow for everybody is left alone until the next round.
func TestSlowStoreIsLeftAlone(t *testing.T) {
	f := newFleet(t, nil, newBank(t, always("ok")))
	var runs []string
	for n := range maxSlow + 4 {
		runs = append(runs, fmt.Sprintf("slow/%d", n))
	}
	d, store := slowly(f, 50*time.Millisecond, runs...)
	d.inherit(t.Context())
	if len(store.asked) != maxSlow {
		t.Errorf("asked for %v", store.asked)
	}
	d.inherit(t.Context())
	if len(store.asked) != 2*maxSlow {
		t.Errorf("the next round asked for %v", store.asked[maxSlow:])
	}
}
