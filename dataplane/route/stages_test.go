package route

import (
	"testing"
	"time"

	"segue/controlplane/health"
	"segue/controlplane/policy"
	"segue/dataplane/breaker"
)

// line is one line of the table of stages: what it says, what stripe (0) and adyen (1) are like, and what has to come of it.
type line struct {
	says   string
	bend   func(w *world)
	winner int8
	reason Reason
	gate   Gate // of stripe
}

// walk decides each line's world: nothing bent, stripe wins.
func walk(t *testing.T, base func() *world, lines []line) {
	t.Helper()
	for _, l := range lines {
		w := base()
		l.bend(w)
		if d := w.decide(); d.Winner != l.winner || d.Reason != l.reason || d.Scores[0].Gate != l.gate {
			t.Errorf("%s: %d by %v, stripe %v; want %d by %v, stripe %v", l.says, d.Winner, d.Reason, d.Scores[0].Gate, l.winner, l.reason, l.gate)
		}
	}
}

func preferring() *world {
	w := newWorld(policy.Priority, 0, 0)
	w.st.Past = NewCalls()
	return w
}

func TestStage0WhatTheCallIs(t *testing.T) {
	known := func(w *world, kind uint8, i int, mean float32) { w.st.Rows[i].known[kind].mean = mean }
	walk(t, func() *world { return adaptive(2) }, []line{
		{"an effect is judged by effects", func(w *world) { known(w, reads, 0, .5); known(w, effects, 1, .9) }, 0, ByValue, Passed},
		{"a read by reads", func(w *world) { w.f.Read = true; known(w, reads, 0, .5); known(w, effects, 1, .9) }, 1, ByValue, Passed},
		{"its value counts: a failure rate costs its margin", func(w *world) {
			known(w, effects, 0, .98)
			w.costs(1, euro/4+60_000, 15_000_000)
			w.f.Value = 1000 * euro
		}, 1, ByValue, Passed},
		{"and of a small call the fee decides", func(w *world) {
			known(w, effects, 0, .98)
			w.costs(1, euro/4+60_000, 15_000_000)
			w.f.Value = 10 * euro
		}, 0, ByValue, Passed},
		{"a nanosecond before its deadline", func(w *world) { w.f.Deadline = w.now.Add(1); w.open(1, 1) }, 0, ByValue, Passed},
		{"at its deadline", func(w *world) { w.f.Deadline = w.now }, -1, NoReason, NoTime},
	})
}

func TestStage1WhoMay(t *testing.T) {
	walk(t, preferring, []line{
		{"capability: its contract does not map the operation", func(w *world) { w.f.Unmapped = 1 }, 1, ByPriority, Unmapped},
		{"tried", func(w *world) { w.f.Tried = 1 }, 1, ByPriority, Tried},
		{"the session's state cannot be brought", func(w *world) { w.f.Barred = 1 }, 1, ByPriority, NoState},
		{"an object belongs to its owner", func(w *world) { w.f.Owner = 1 }, 1, ByOwner, NotOwner},
		{"a drain", func(w *world) { w.drain(0) }, 1, ByPriority, Drained},
		{"a drain takes pinned sessions along", func(w *world) { w.f.Pinned = 0; w.drain(0) }, 1, ByPriority, Drained},
		{"a rule (residency)", func(w *world) { w.rule(2, func(f *policy.Facts) bool { return f.Client == 1 }); w.f.Client = 1 }, 1, ByPriority, Ruled},
		{"a rule (currency)", func(w *world) { w.rule(2, func(f *policy.Facts) bool { return f.Currency == 7 }); w.f.Currency = 7 }, 1, ByPriority, Ruled},
		{"a rule that does not hold", func(w *world) { w.rule(2, func(f *policy.Facts) bool { return f.Currency == 7 }) }, 0, ByPriority, Passed},
		{"each rule keeps its own away", func(w *world) {
			w.rule(2, func(*policy.Facts) bool { return true })
			w.rule(1, func(*policy.Facts) bool { return true })
		}, -1, NoReason, Ruled},
		{"a rule may leave nobody", func(w *world) { w.rule(0, func(*policy.Facts) bool { return true }) }, -1, NoReason, Ruled},
		{"and is no reason to leave an object", func(w *world) { w.rule(2, func(*policy.Facts) bool { return true }); w.f.Owner = 0 }, 0, ByOwner, Passed},
	})
	high := func() *world {
		w := preferring()
		w.svc.HighValue, w.f.Value = policy.HighValue{Above: 500 * euro}, 500*euro
		return w
	}
	walk(t, high, []line{
		{"high value: within half a percent of the best", func(w *world) { w.shows(0, .99, .981, 0); w.shows(1, .99, .9859, 0) }, 0, ByPriority, Passed},
		{"high value: further below", func(w *world) { w.shows(0, .99, .981, 0); w.shows(1, .99, .9861, 0) }, 1, ByPriority, Careful},
		{"below the value it does not matter", func(w *world) { w.f.Value--; w.shows(0, .99, .9, 0) }, 0, ByPriority, Passed},
		{"high value: only closed circuits", func(w *world) { w.open(0, 1); w.ramps(0) }, 1, ByPriority, Careful},
		{"but one that is not closed rather than none", func(w *world) { w.open(0, 1); w.ramps(0); w.open(1, 1) }, 0, ByPriority, Passed},
	})
}

// rule keeps calls for which when holds to a set.
func (w *world) rule(only policy.Set, when func(*policy.Facts) bool) {
	w.svc.Rules = append(w.svc.Rules, policy.Rule{Name: "a rule", Only: only, When: when})
}

func TestStage2WhoIsWell(t *testing.T) {
	failing := Cause{Alarm: health.Failing, Evidence: health.Evidence{Failed: 9, Calls: 9}}
	set := func(w *world, s breaker.Settings) *breaker.Circuit {
		w.st.Rows[0].Circuit.Configure(s)
		return &w.st.Rows[0].Circuit
	}
	fails := func(w *world, n int) {
		for range n {
			p, _ := w.begin()
			p.End(health.Sample{Class: health.Failure, Latency: time.Second}, w.now, 0)
		}
	}
	probe := func(w *world, n int) {
		for range n {
			p, d := w.begin()
			p.End(health.Sample{Class: health.OK, Latency: time.Millisecond}, w.now, 0)
			if w.now = w.now.Add(500 * time.Millisecond); d.Reason != ByProbe {
				return
			}
		}
	}
	back := breaker.Settings{Failures: 3, Successes: 5, Lease: 5 * time.Second, Back: time.Hour}
	walk(t, preferring, []line{
		{"an alarm opens", func(w *world) { w.st.Rows[0].alarmed(failing, w.now, 0) }, 1, ByPriority, CircuitOpen},
		{"where the detectors are frozen it does not", func(w *world) { w.st.Rows[0].Frozen = w.now.Add(1); w.st.Rows[0].alarmed(failing, w.now, 0) }, 0, ByPriority, Passed},
		{"two failures do not", func(w *world) { fails(w, 2) }, 0, ByPriority, Passed},
		{"failures: 3", func(w *world) { fails(w, 3) }, 1, ByPriority, CircuitOpen},
		{"error % over a window", func(w *world) { set(w, breaker.Settings{Failures: 99, Percent: 50, Calls: 4}); fails(w, 4) }, 1, ByPriority, CircuitOpen},
		{"at 5 s less a fifth it is open", func(w *world) { set(w, back); fails(w, 3); w.now = w.now.Add(4*time.Second - 1) }, 1, ByPriority, CircuitOpen},
		{"at 5 s and a fifth it asks, by one probe", func(w *world) { set(w, back); fails(w, 3); w.now = w.now.Add(6 * time.Second) }, 0, ByProbe, Passed},
		{"while that is out nobody else does", func(w *world) { w.halfOpen(0); w.begin(); w.now = w.now.Add(time.Second) }, 1, ByPriority, CircuitProbing},
		{"nor within half a second of it", func(w *world) { w.halfOpen(0); probe(w, 1); w.now = w.now.Add(-1) }, 1, ByPriority, CircuitProbing},
		{"its lease ends", func(w *world) { w.halfOpen(0); w.begin(); w.now = w.now.Add(5 * time.Second) }, 0, ByProbe, Passed},
		{"four successes do not close it", func(w *world) { w.halfOpen(0); probe(w, 3) }, 0, ByProbe, Passed},
		{"successes: 5", func(w *world) { w.halfOpen(0); probe(w, 4) }, 0, ByPriority, Passed},
		{"then a ramp takes it back, where there is one", func(w *world) { w.halfOpen(0); set(w, back); probe(w, 4); w.turnedAway() }, 1, ByPriority, Ramping},
		{"and ends", func(w *world) { w.halfOpen(0); set(w, back); probe(w, 4); w.turnedAway(); w.now = w.now.Add(time.Hour) }, 0, ByPriority, Passed},
		{"slow, with a ramp away: part of it goes on", func(w *world) {
			set(w, breaker.Settings{Failures: 3, Away: time.Hour})
			w.slowly()
		}, 0, ByPriority, Passed},
		{"but not where others have room", func(w *world) {
			set(w, breaker.Settings{Failures: 3, Away: time.Hour})
			w.slowly()
			w.svc.Candidates[1].Limits.InFlight = 10
		}, 1, ByPriority, Ramping},
	})
}

// slowly has stripe told to be slow.
func (w *world) slowly() {
	w.st.Rows[0].alarmed(Cause{Alarm: health.Slowing, Evidence: health.Evidence{Slow: 10, Answers: 17}}, w.now, 0)
}

// turnedAway takes the first draw that stripe's ramp leaves out.
func (w *world) turnedAway() {
	for w.f.Draw = 0; w.st.Rows[0].Circuit.Gate(w.now, w.f.Draw).Pass; w.f.Draw++ {
	}
}

func TestStage2bTheLastResort(t *testing.T) {
	gated := func() *world {
		w := preferring()
		w.f.Read = true
		w.open(0, 3)
		w.open(1, 4)
		return w
	}
	limit := func(w *world, inFlight int32) {
		w.svc.Candidates[0].Limits.InFlight, w.st.Rows[0].InFlight = 50, inFlight
	}
	walk(t, gated, []line{
		{"a read goes to the least bad", func(*world) {}, 0, LastResort, CircuitOpen},
		{"the shorter row of failures", func(w *world) { w.st.Rows[0] = NewStanding("stripe"); w.open(0, 5) }, 1, LastResort, CircuitOpen},
		{"at 20 % of normal concurrency", func(w *world) { limit(w, 9) }, 0, LastResort, CircuitOpen},
		{"and no more", func(w *world) { limit(w, 10) }, 1, LastResort, CircuitOpen},
		{"an effect is refused", func(w *world) { w.f.Read = false }, -1, NoReason, CircuitOpen},
		{"but where all connections are refused", func(w *world) { w.f.Read = false; w.refuses() }, 0, LastResort, CircuitOpen},
		{"limits hold", func(w *world) { w.full(0) }, 1, LastResort, CircuitOpen},
		{"a drained one comes last", func(w *world) { w.drain(0) }, 1, LastResort, Drained},
	})
}

// refuses has stripe refuse three connections.
func (w *world) refuses() {
	w.st.Rows[0] = NewStanding("stripe")
	w.st.Rows[0].Circuit.Configure(breaker.Settings{Failures: 3, Lease: time.Second})
	for range 3 {
		p, _ := w.begin()
		p.End(health.Sample{Class: health.Failure, Unsent: true, Latency: time.Millisecond}, w.now, 0)
	}
}

func TestStage3WhoHasRoom(t *testing.T) {
	end := func(w *world, s health.Sample) {
		p, _ := w.begin()
		p.End(s, w.now, 0)
	}
	walk(t, preferring, []line{
		{"one below its limit", func(w *world) { w.svc.Candidates[0].Limits.InFlight = 2; w.begin() }, 0, ByPriority, Passed},
		{"in flight at its limit", func(w *world) { w.svc.Candidates[0].Limits.InFlight = 2; w.begin(); w.begin() }, 1, ByPriority, AtCapacity},
		{"the owner's too", func(w *world) { w.full(0); w.f.Owner = 0 }, -1, NoReason, AtCapacity},
		{"a tenth of a second's worth may come at once", func(w *world) { w.svc.Candidates[0].Limits.Rate = 100; w.begins(9) }, 0, ByPriority, Passed},
		{"and no more", func(w *world) { w.svc.Candidates[0].Limits.Rate = 100; w.begins(10) }, 1, ByPriority, AtRate},
		{"the next after its interval", func(w *world) {
			w.svc.Candidates[0].Limits.Rate = 100
			w.begins(10)
			w.now = w.now.Add(10 * time.Millisecond)
		}, 0, ByPriority, Passed},
		{"Retry-After closes it", func(w *world) {
			end(w, health.Sample{Class: health.Limited, RetryAfter: time.Second})
			w.now = w.now.Add(time.Second - 1)
		}, 1, ByPriority, AtRate},
		{"until it has passed", func(w *world) {
			end(w, health.Sample{Class: health.Limited, RetryAfter: time.Second})
			w.now = w.now.Add(time.Second)
		}, 0, ByPriority, Passed},
		{"money that is spent", func(w *world) {
			w.svc.Spend = policy.Spend{Limit: euro, Per: time.Hour, Then: policy.SpendRefuse}
			w.costs(0, euro, 0)
			w.begin()
		}, 1, ByPriority, Spent},
	})
}

func (w *world) begins(n int) {
	for range n {
		w.begin()
	}
}

func TestStage4WhoHasTheSession(t *testing.T) {
	pinned := func() *world {
		w := adaptive(2)
		w.f.Pinned = 1
		w.costs(0, euro/4-15_000, 15_000_000) // stripe is better by 1.5 cents, and leaving costs 2
		return w
	}
	walk(t, pinned, []line{
		{"it stays for less than leaving costs", func(*world) {}, 1, ByPin, Passed},
		{"it leaves for more", func(w *world) { w.svc.Objective.Stay = euro / 200 }, 0, ByValue, Passed},
		{"it leaves when gated", func(w *world) { w.open(1, 1) }, 0, ByValue, Passed},
		{"a new one goes to the better", func(w *world) { w.f.Pinned = -1 }, 0, ByValue, Passed},
		{"any other strategy keeps it", func(w *world) { w.svc.Strategy = policy.Priority }, 1, ByPin, Passed},
	})
}

// TestStage5TheObjective: EV = p̃(M − c) − (1 − p̃)F − λL̂(1 + inflight/limit) − κ·[not sticky], term by term: each changes the worth by what
// it says, and nothing else.
func TestStage5TheObjective(t *testing.T) {
	rank := func(bend func(w *world)) float64 {
		w := adaptive(2)
		w.svc.Candidates[0].Limits.InFlight = 10
		w.shows(0, .75, .5, time.Second)
		if bend != nil {
			bend(w)
		}
		return w.decide().Scores[0].Rank
	}
	base, e := rank(nil), float64(euro)
	if want := .75*(5*e-1.75*e) - .25*2*e - .01*e; base != want {
		t.Fatalf("the worth is %v, want %v", base, want)
	}
	for _, x := range []struct {
		says string
		bend func(w *world)
		more float64
	}{
		{"p̃ mean", func(w *world) { w.shows(0, 1, .5, time.Second) }, .25*3.25*e + .25*2*e},
		{"p̃ is LCB95 for high value", func(w *world) { w.svc.HighValue.Above = euro }, -.25*3.25*e - .25*2*e},
		{"M is value × margin", func(w *world) { w.svc.Objective.Margin = .06 }, .75 * e},
		{"M grows with the value", func(w *world) { w.f.Value *= 2 }, .75 * 3.5 * e}, // 5 more of margin, 1.5 more of fee
		{"c, the fee's fixed part", func(w *world) { w.costs(0, euro/4+1000, 15_000_000) }, -750},
		{"c, its percent", func(w *world) { w.costs(0, euro/4, 16_000_000) }, -.75 * .1 * e},
		{"c as learned from actuals", func(w *world) { w.st.Rows[0].fees.learned = Learned{Ratio: 2, Answers: 99} }, -.75 * 1.75 * e},
		{"F, the cost of a failure", func(w *world) { w.svc.Objective.Failure += 1000 }, -250},
		{"λ, money per second", func(w *world) { w.svc.Objective.Second *= 3 }, -.02 * e},
		{"L̂, the latency", func(w *world) { w.shows(0, .75, .5, 3*time.Second) }, -.02 * e},
		{"in flight beside the limit", func(w *world) { w.st.Rows[0].InFlight = 5 }, -.005 * e},
		{"κ where it is not the session's", func(w *world) { w.f.Pinned = 1 }, -.02 * e},
		{"no κ where it is", func(w *world) { w.f.Pinned = 0 }, 0},
		{"nor without a session", func(w *world) { w.svc.Objective.Stay *= 9 }, 0},
	} {
		if got := rank(x.bend) - base; got < x.more-1e-3 || got > x.more+1e-3 {
			t.Errorf("%s: %+v, want %+v", x.says, got, x.more)
		}
	}
}

func TestStage6AmongEquals(t *testing.T) {
	tie := func() *world { // a thousandth of M, 5 euro, is half a cent; p̃ is .99
		w := adaptive(2)
		w.f.Draw = 3
		return w
	}
	first := tie().decide().Winner
	dearer := func(by policy.Money) func(w *world) {
		return func(w *world) { w.costs(int(first), euro/4+by, 15_000_000) }
	}
	walk(t, tie, []line{
		{"as good: the draw decides", func(*world) {}, first, BySpread, Passed},
		{"worse by less than a thousandth of M: still", dearer(5000), first, BySpread, Passed},
		{"worse by more: the better one", dearer(5100), 1 - first, ByValue, Passed},
		{"the operator's weights decide among equals", func(w *world) {
			w.svc.Candidates[first].Weight, w.svc.Candidates[1-first].Weight = 0, 1
		}, 1 - first, BySpread, Passed},
	})
	seen := [2]int{}
	for draw := range uint64(2000) { // another agent, its document in another order: the same answer
		w, other := newWorld(policy.Weighted, 60, 40), newWorld(policy.Weighted, 40, 60)
		a, b := other.svc.Candidates, other.st.Rows
		a[0].Provider, a[1].Provider, b[0], b[1] = a[1].Provider, a[0].Provider, b[1], b[0]
		w.f.Draw, other.f.Draw = mix(draw), mix(draw)
		x, y := w.decide(), other.decide()
		if seen[x.Winner]++; x.Winner != 1-y.Winner || x.Reason != ByWeight {
			t.Fatalf("draw %d: %d by %v, and elsewhere %d", draw, x.Winner, x.Reason, 1-y.Winner)
		}
	}
	within3Sigma(t, 0, seen[0], 2000, .6)
}

// TestStage7TheBudget: retries are a fifth of the calls of the last ten seconds and three a second beside, of whatever kind they are.
func TestStage7TheBudget(t *testing.T) {
	retries := func(w *world, first int) (n int) {
		for n = 0; n < 1000; n++ {
			if w.f.Tried = 1; (n+first)%2 == 0 { // to the same provider, and elsewhere, by turns
				if !w.st.Retry(w.svc, w.now) {
					return n
				}
			} else if p, d := w.begin(); !p.Valid() {
				if d.Scores[1].Gate != NoRetry {
					t.Fatalf("refused as %v", d.Scores[1].Gate)
				}
				return n
			}
		}
		return n
	}
	for _, x := range []struct {
		says  string
		calls int
		over  time.Duration
		want  int
	}{
		{"the floor: ten seconds' worth of three a second", 0, 0, 30},
		{"a fifth of the calls beside", 100, time.Second, 50},
		{"a call of eleven seconds ago gives none", 100, 11 * time.Second, 30},
	} {
		for first := range 2 {
			w := preferring()
			w.svc.Attempts.Budget = policy.RetryBudget{Ratio: policy.DefaultRatio, Floor: policy.DefaultFloor}
			w.begins(x.calls)
			w.now = w.now.Add(x.over)
			if got := retries(w, first); got != x.want {
				t.Errorf("%s: %d retries, want %d", x.says, got, x.want)
			}
		}
	}
}
