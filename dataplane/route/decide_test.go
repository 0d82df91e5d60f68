package route

import (
	"testing"
	"time"

	"segue/controlplane/health"
	"segue/controlplane/policy"
	"segue/dataplane/breaker"
)

var t0 = time.Date(2026, 11, 21, 14, 0, 0, 0, time.UTC)

// world is a service and its standings, for one table row to bend.
type world struct {
	svc *policy.Service
	st  *Standings
	f   policy.Facts
	now time.Time
}

func newWorld(strategy policy.Strategy, weights ...float64) *world {
	w := &world{svc: &policy.Service{Name: "payments", Strategy: strategy}, st: &Standings{}, now: t0}
	for i, weight := range weights {
		name := []string{"stripe", "adyen", "checkout", "braintree"}[i%4]
		w.svc.Candidates = append(w.svc.Candidates, &policy.Candidate{Provider: name, Weight: weight})
		row := NewStanding(name)
		row.Circuit.Configure(breaker.Settings{Failures: 3, Successes: 5, Reset: 30 * time.Second, Lease: 5 * time.Second})
		w.st.Rows = append(w.st.Rows, row)
	}
	w.f = policy.Facts{Pinned: -1, Owner: -1, Draw: 42}
	return w
}

func (w *world) decide() *Decision {
	d := &Decision{}
	Decide(d, w.svc, w.st, &w.f, w.now)
	return d
}

// open opens candidate i's circuit by failures in a row.
func (w *world) open(i, failures int) {
	c := &w.st.Rows[i].Circuit
	c.Configure(breaker.Settings{Failures: failures, Successes: 5, Reset: 30 * time.Second, Lease: 5 * time.Second})
	for range failures {
		held, _, _ := c.Enter(w.now, 0)
		c.Step(breaker.Failure, held, w.now, 0)
	}
}

// halfOpen leaves candidate i half-open, its next probe free.
func (w *world) halfOpen(i int) {
	w.open(i, 3)
	c := &w.st.Rows[i].Circuit
	then := c.Until()
	held, _, _ := c.Enter(then, 0)
	c.Step(breaker.Success, held, then, 0)
	w.now = then.Add(breaker.Spacing)
}

func TestWhoWins(t *testing.T) {
	const w, p = policy.Weighted, policy.Priority
	cases := []struct {
		name   string
		world  *world
		bend   func(*world)
		winner int8
		reason Reason
		moved  bool
		gates  []Gate // nil: not looked at
	}{
		{"priority takes the first", newWorld(p, 0, 0, 0), nil, 0, ByPriority, false, []Gate{Passed, Passed, Passed}},
		{"priority goes on to the next", newWorld(p, 0, 0), func(w *world) { w.open(0, 3) }, 1, ByPriority, false, []Gate{CircuitOpen, Passed}},
		{"all the weight on one", newWorld(w, 0, 100), nil, 1, ByWeight, false, []Gate{NoWeight, Passed}},
		{"weight 0 when no other passes", newWorld(w, 0, 100), func(w *world) { w.open(1, 3) }, 0, ByFallback, false, []Gate{Passed, CircuitOpen}},
		{"an open circuit of weight 0 says so", newWorld(w, 0, 100), func(w *world) { w.open(0, 3) }, 1, ByWeight, false, []Gate{CircuitOpen, Passed}},
		{"tried", newWorld(p, 0, 0), func(w *world) { w.f.Tried = w.f.Tried.With(0) }, 1, ByPriority, false, []Gate{Tried, Passed}},
		{"the session's state is not there", newWorld(p, 0, 0), func(w *world) { w.f.Barred = 1; w.f.Pinned = 0; w.f.Read = true }, 1, ByPriority, true, []Gate{NoState, Passed}},
		{"nowhere, and no last resort", newWorld(p, 0), func(w *world) { w.f.Barred = 1; w.f.Read = true }, -1, NoReason, false, []Gate{NoState}},
		{"the owner, whatever the session has there", newWorld(p, 0, 0), func(w *world) { w.f.Owner = 1; w.f.Barred = 2 }, 1, ByOwner, false, nil},
		{"all tried, a read too", newWorld(p, 0), func(w *world) { w.f.Tried = 1; w.f.Read = true }, -1, NoReason, false, []Gate{Tried}},
		{"drained", newWorld(p, 0, 0), func(w *world) { w.drain(0) }, 1, ByPriority, false, []Gate{Drained, Passed}},
		{"a drain that ended", newWorld(p, 0, 0), func(w *world) { w.st.Rows[0].Drained = w.now }, 0, ByPriority, false, nil},

		{"a pin holds", newWorld(p, 0, 0), func(w *world) { w.f.Pinned = 1 }, 1, ByPin, false, nil},
		{"a pin holds at weight 0", newWorld(w, 100, 0), func(w *world) { w.f.Pinned = 1 }, 1, ByPin, false, []Gate{Passed, Passed}},
		{"a pin leaves an open circuit", newWorld(p, 0, 0), func(w *world) { w.f.Pinned = 1; w.open(1, 3) }, 0, ByPriority, true, nil},
		{"a pin leaves a drain", newWorld(p, 0, 0), func(w *world) { w.f.Pinned = 1; w.drain(1) }, 0, ByPriority, true, nil},
		{"a pin whose provider is gone", newWorld(p, 0, 0), func(w *world) { w.f.Pinned = 7 }, 0, ByPriority, true, nil},

		{"the owner, against weights", newWorld(w, 100, 0), func(w *world) { w.f.Owner = 1 }, 1, ByOwner, false, []Gate{NotOwner, Passed}},
		{"the owner, against the pin", newWorld(p, 0, 0), func(w *world) { w.f.Owner = 1; w.f.Pinned = 0 }, 1, ByOwner, false, nil},
		{"the owner, drained", newWorld(p, 0, 0), func(w *world) { w.f.Owner = 1; w.drain(1) }, 1, ByOwner, false, nil},
		{"the owner, its circuit open", newWorld(p, 0, 0), func(w *world) { w.f.Owner = 1; w.open(1, 3) }, 1, ByOwner, false, nil},
		{"the owner at capacity", newWorld(p, 0, 0), func(w *world) { w.f.Owner = 1; w.f.Read = true; w.full(1) }, -1, NoReason, false, []Gate{NotOwner, AtCapacity}},
		{"the owner tried already", newWorld(p, 0, 0), func(w *world) { w.f.Owner = 1; w.f.Tried = 2; w.f.Read = true }, -1, NoReason, false, []Gate{NotOwner, Tried}},
		{"the owner is gone", newWorld(p, 0, 0), func(w *world) { w.f.Owner = 9; w.f.Read = true }, -1, NoReason, false, []Gate{NotOwner, NotOwner}},

		{"at capacity", newWorld(p, 0, 0), func(w *world) { w.full(0) }, 1, ByPriority, false, []Gate{AtCapacity, Passed}},
		{"Retry-After", newWorld(p, 0, 0), func(w *world) { w.st.Rows[0].closed = w.now.Add(1) }, 1, ByPriority, false, []Gate{AtRate, Passed}},
		{"no time", newWorld(p, 0, 0), func(w *world) { w.f.Deadline = w.now; w.f.Read = true }, -1, NoReason, false, []Gate{NoTime, NoTime}},
		{"a little time", newWorld(p, 0), func(w *world) { w.f.Deadline = w.now.Add(1) }, 0, ByPriority, false, nil},

		{"the probe of a half-open circuit", newWorld(p, 0, 0), func(w *world) { w.halfOpen(0) }, 0, ByProbe, false, nil},
		{"while the probe is out", newWorld(p, 0, 0), func(w *world) { w.halfOpen(0); w.st.Rows[0].Circuit.Enter(w.now, 0) }, 1, ByPriority, false, []Gate{CircuitProbing, Passed}},

		{"effects are refused when all are open", newWorld(p, 0, 0), func(w *world) { w.open(0, 3); w.open(1, 3) }, -1, NoReason, false, []Gate{CircuitOpen, CircuitOpen}},
		{"reads go to the least bad", newWorld(p, 0, 0), func(w *world) { w.f.Read = true; w.open(0, 4); w.open(1, 3) }, 1, LastResort, false, nil},
		{"as bad as each other: by rank", newWorld(p, 0, 0), func(w *world) { w.f.Read = true; w.open(0, 3); w.open(1, 3) }, 0, LastResort, false, nil},
		{"the last resort has a capacity", newWorld(p, 0, 0), func(w *world) { w.f.Read = true; w.open(0, 3); w.open(1, 3); w.full(0) }, 1, LastResort, false, nil},
		{"the last resort needs time", newWorld(p, 0), func(w *world) { w.f.Read = true; w.open(0, 3); w.f.Deadline = w.now }, -1, NoReason, false, nil},
		{"open before drained", newWorld(p, 0, 0), func(w *world) { w.f.Read = true; w.drain(0); w.open(1, 3) }, 1, LastResort, false, nil},
		{"drained when it is all there is", newWorld(p, 0), func(w *world) { w.f.Read = true; w.drain(0) }, 0, LastResort, false, []Gate{Drained}},
		{"a drained one takes no effect", newWorld(p, 0), func(w *world) { w.drain(0) }, -1, NoReason, false, nil},
		{"nobody at all", newWorld(p), nil, -1, NoReason, false, nil},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			if tc.bend != nil {
				tc.bend(tc.world)
			}
			d := tc.world.decide()
			if d.Winner != tc.winner || d.Reason != tc.reason || d.Moved != tc.moved {
				t.Errorf("winner %d by %v, moved %v; want %d by %v, %v", d.Winner, d.Reason, d.Moved, tc.winner, tc.reason, tc.moved)
			}
			for i, g := range tc.gates {
				if d.Scores[i].Gate != g {
					t.Errorf("candidate %d: %v, want %v", i, d.Scores[i].Gate, g)
				}
			}
		})
	}
}

func (w *world) drain(i int) { w.st.Rows[i].Drained = w.now.Add(time.Hour) }

func (w *world) full(i int) {
	w.svc.Candidates[i].Limits.InFlight = 2
	w.st.Rows[i].InFlight = 2
}

func TestFallbackSpreadsEvenly(t *testing.T) {
	w := newWorld(policy.Weighted, 0, 0, 0)
	var got [3]int
	for draw := range uint64(30000) {
		w.f.Draw = draw
		d := w.decide()
		if d.Reason != ByFallback {
			t.Fatal(d.Reason)
		}
		got[d.Winner]++
	}
	for i, n := range got {
		within3Sigma(t, i, n, 30000, 1.0/3)
	}
}

func TestEffectiveShareIsOfThoseThatPassed(t *testing.T) {
	w := newWorld(policy.Weighted, 60, 30, 10)
	w.open(0, 3)
	d := w.decide()
	for i, want := range []float64{0, 75, 25} {
		if d.Scores[i].Weight != want {
			t.Errorf("candidate %d: share %v, want %v", i, d.Scores[i].Weight, want)
		}
	}
}

func TestADecisionIsReusable(t *testing.T) {
	d, big := &Decision{}, newWorld(policy.Weighted, 25, 25, 25, 25)
	big.open(0, 3)
	Decide(d, big.svc, big.st, &big.f, t0)
	small, fresh := newWorld(policy.Priority, 0), &Decision{}
	Decide(d, small.svc, small.st, &small.f, t0)
	Decide(fresh, small.svc, small.st, &small.f, t0)
	if *d != *fresh {
		t.Error("something of the decision before is left")
	}
}

func TestDecideTakesNothing(t *testing.T) {
	w := newWorld(policy.Weighted, 70, 30)
	w.svc.Candidates[0].Limits = policy.Limits{InFlight: 1, Rate: 1}
	w.halfOpen(0)
	before := *w.st.Rows[0]
	for range 10 {
		w.decide()
	}
	if *w.st.Rows[0] != before {
		t.Error("Decide changed a standing")
	}
}

func TestASenselessWeightIsNone(t *testing.T) {
	nan := 0.0
	nan /= nan
	w := newWorld(policy.Weighted, nan, -5, 10)
	for draw := range uint64(100) {
		w.f.Draw = draw
		if d := w.decide(); d.Winner != 2 {
			t.Fatalf("draw %d went to %d", draw, d.Winner)
		}
	}
}

func TestDecideNeedsNoMemory(t *testing.T) {
	w := newWorld(policy.Weighted, 40, 30, 20, 10)
	w.open(3, 3)
	d := &Decision{}
	n := testing.AllocsPerRun(1000, func() {
		w.f.Draw++
		Decide(d, w.svc, w.st, &w.f, w.now)
		p := w.st.Begin(d, w.svc, w.now)
		w.st.End(p, health.Sample{Class: health.OK}, w.now, 0)
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkDecideFour(b *testing.B) {
	for _, s := range []struct {
		name     string
		strategy policy.Strategy
	}{{"weighted", policy.Weighted}, {"priority", policy.Priority}} {
		b.Run(s.name, func(b *testing.B) {
			w := newWorld(s.strategy, 40, 30, 20, 10)
			for _, c := range w.svc.Candidates {
				c.Limits = policy.Limits{InFlight: 100, Rate: 1e6}
			}
			w.f.Deadline = w.now.Add(time.Second)
			d := &Decision{}
			b.ReportAllocs()
			for b.Loop() {
				w.f.Draw++
				Decide(d, w.svc, w.st, &w.f, w.now)
			}
		})
	}
}
