package settle

import (
	"slices"
	"testing"
	"time"

	"segue/dataplane/ledger"
)

// Others are taken for dead by how long their beat stood still on our clock, whatever theirs says; what they left is looked for until an hour
// brought nothing.
func TestPeers(t *testing.T) {
	p, wall := peers{}, time.Unix(1_000_000, 0)
	look := func(at time.Duration, runs ...ledger.Run) []string {
		var ids []string
		for _, r := range p.observe(runs, "me/1", clocks{at, wall}, 10*time.Second) {
			ids = append(ids, r.ID)
		}
		return ids
	}
	a := func(beat uint64) ledger.Run { return ledger.Run{ID: "a/1", Beat: beat} }
	me, gone := ledger.Run{ID: "me/1", Beat: 1}, ledger.Run{ID: "a/1", Beat: 8, Fenced: wall}
	for _, c := range []struct {
		at   time.Duration
		run  ledger.Run
		dead bool
	}{{0, a(7), false}, {9 * time.Second, a(7), false}, {9500 * time.Millisecond, a(8), false}, {19 * time.Second, a(8), false}, {20 * time.Second, a(8), true}} {
		if got := look(c.at, me, c.run); slices.Contains(got, "a/1") != c.dead || slices.Contains(got, "me/1") {
			t.Errorf("at %v: %v", c.at, got)
		}
	}
	if due := p.due(20 * time.Second); len(due) != 0 {
		t.Errorf("what a run left is taken before it is fenced: %v", due)
	}
	look(21*time.Second, gone)
	looks, at := 0, 21*time.Second
	for ; at < 3*time.Hour; at += time.Second {
		for _, id := range p.due(at) {
			looks++
			found := 0
			if looks == 3 {
				found = 1 // a claim that came late
			}
			p.scanned(id, found, at)
		}
	}
	if !p["a/1"].done || looks < 30 || looks > 200 {
		t.Errorf("done %v after %d looks", p["a/1"].done, looks)
	}
	old := ledger.Run{ID: "b/1", Fenced: wall.Add(-24 * time.Hour)}
	look(at, gone, old)
	p.scanned("b/1", 0, at)
	if !p["b/1"].done {
		t.Error("a run that was fenced yesterday is looked for again and again")
	}
	if look(at, old); p["a/1"] != nil {
		t.Error("a run that is gone is remembered")
	}
}

// TestWhoCares: what a fenced run watched is taken up when no later run of its agent lives, one living agent does the night's work, and a fenced run
// that seemed empty is looked through again when an open row of its is found.
func TestWhoCares(t *testing.T) {
	p := peers{"a/1": {fenced: true, done: true}, "a/2": {}, "b/1": {fenced: true, done: true}, "c/1": {}}
	for run, want := range map[string]bool{"a/1": false, "a/2": false, "b/1": true, "c/1": false, "d/1": false} {
		if p.orphan(run) != want {
			t.Errorf("orphan %s: %v", run, !want)
		}
	}
	for run, want := range map[string]bool{"a/0": true, "a/3": false, "z/1": false} {
		if p.lowest(run) != want {
			t.Errorf("lowest %s: %v", run, !want)
		}
	}
	p.found("b/1")
	p.found("c/1")
	p.found("nobody")
	if got := p.due(0); len(got) != 1 || got[0] != "b/1" {
		t.Errorf("due: %v", got)
	}
}

// Of many runs that are due, one that nobody looked through yet comes first: after a storm of deaths the last dead need not wait for looks
// at the first.
func TestNewlyFencedComesFirst(t *testing.T) {
	p := peers{}
	for at, id := range map[time.Duration]string{3: "a/1", 1: "b/1", 2: "c/1"} {
		p[id] = &peer{fenced: true}
		p.scanned(id, 0, at*time.Second)
	}
	p["z/1"], p["y/1"] = &peer{fenced: true}, &peer{}
	if got := p.due(time.Minute); !slices.Equal(got, []string{"z/1", "b/1", "c/1", "a/1"}) {
		t.Errorf("%v", got)
	}
}
