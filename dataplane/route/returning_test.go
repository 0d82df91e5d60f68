package route

import (
	"container/heap"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"segue/controlplane/health"
	"segue/controlplane/policy"
	"segue/dataplane/breaker"
)

// town is a service in virtual time: effects arrive at random, and every provider answers after its own while.
type town struct {
	*world
	r       *rand.Rand
	answers answers
	ill     func(now time.Duration) float64 // the share of calls that fail at all providers
	took    time.Duration
	sent    int // calls that were sent, and those of them that failed
	failed  int
	refused int
	most    int32         // in flight at one provider
	good    time.Duration // when the first good answer came since the trouble
	told    func(d *Decision)
}

// answer is one that is under way.
type answer struct {
	at     time.Duration
	permit Permit
	class  health.Class
}

type answers []answer

func (a answers) Len() int           { return len(a) }
func (a answers) Less(i, j int) bool { return a[i].at < a[j].at }
func (a answers) Swap(i, j int)      { a[i], a[j] = a[j], a[i] }
func (a *answers) Push(x any)        { *a = append(*a, x.(answer)) }
func (a *answers) Pop() any {
	last := len(*a) - 1
	x := (*a)[last]
	*a = (*a)[:last]
	return x
}

func newTown(t *testing.T, seed uint64, strategy policy.Strategy, weights ...float64) *town {
	w := &town{world: newWorld(strategy, weights...), r: seeded(t, seed), took: 100 * time.Millisecond}
	w.st.Past = NewCalls()
	for _, row := range w.st.Rows {
		row.Circuit.Configure(breaker.Settings{Failures: 3, Successes: 5, Lease: 11 * time.Second, Back: breaker.DefaultBack, Salt: row.salt})
	}
	return w
}

// live lets calls arrive at that rate until then.
func (w *town) live(from, until time.Duration, rate float64) {
	tick := from
	for at := from; ; {
		at += time.Duration(-math.Log(1-w.r.Float64()) * float64(time.Second) / rate)
		for {
			switch {
			case len(w.answers) > 0 && w.answers[0].at <= min(at, tick, until):
				w.end(heap.Pop(&w.answers).(answer))
				continue
			case tick < min(at, until):
				for _, row := range w.st.Rows {
					row.Tick(t0.Add(tick))
				}
				tick += 50 * time.Millisecond
				continue
			}
			break
		}
		if at >= until {
			return
		}
		w.call(at)
	}
}

func (w *town) end(a answer) {
	if a.class == health.OK && w.good == 0 && a.at > downFrom+time.Minute {
		w.good = a.at
	}
	a.permit.End(health.Sample{Class: a.class, Latency: w.took}, t0.Add(a.at), w.r.Uint64())
}

func (w *town) call(at time.Duration) {
	w.now, w.f.Draw = t0.Add(at), w.r.Uint64()
	for _, row := range w.st.Rows {
		row.Watch(w.now)
	}
	p, d := w.begin()
	if w.told != nil {
		w.told(d)
	}
	if !p.Valid() {
		w.refused++
		return
	}
	w.sent++
	p.Sent(w.now)
	w.most = max(w.most, w.st.Rows[d.Winner].InFlight)
	class := health.OK
	if w.r.Float64() < w.ill(at) {
		class = health.Failure
		w.failed++
	}
	heap.Push(&w.answers, answer{at + w.took, p, class})
}

// outage is a service whose providers all failed, for a minute; after it that share of the calls fails still.
func outage(t *testing.T, seed uint64, strategy policy.Strategy, still float64, weights ...float64) *town {
	w := newTown(t, seed, strategy, weights...)
	w.ill = func(at time.Duration) float64 {
		switch {
		case at >= downFrom && at < downFrom+time.Minute:
			return 1
		case at >= downFrom+time.Minute:
			return still
		}
		return 0
	}
	w.live(0, downFrom+time.Minute, 50)
	if w.st.Rows[0].Circuit.State() == breaker.Closed || w.refused < 500 {
		t.Fatalf("a minute's outage: %v, %d calls refused", w.st.Rows[0].Circuit.State(), w.refused)
	}
	w.refused, w.sent, w.failed, w.most, w.good = 0, 0, 0, 0, 0
	return w
}

const downFrom = 20 * time.Second

// TestWhenAllComeBackInOneMoment: from the first good answer on, next to no effect is refused. Until all probes of one of them were through it was 131 to
// 207 of them.
func TestWhenAllComeBackInOneMoment(t *testing.T) {
	for _, strategy := range []policy.Strategy{policy.Weighted, policy.Priority, policy.Adaptive} {
		for seed := range uint64(4) {
			w, late := outage(t, seed, strategy, .005*float64(seed%2), 60, 40), 0 // each second one is as well as providers are
			w.told = func(d *Decision) {
				if w.good > 0 && d.Winner < 0 {
					late++
				}
			}
			w.live(downFrom+time.Minute, downFrom+2*time.Minute, 50)
			t.Logf("%v: the first good answer %v after the end, %d effects refused since then; %d in flight at most", strategy, w.good-downFrom-time.Minute, late, w.most)
			if late > 30 || w.good == 0 || w.failed > 40 {
				t.Errorf("%v: %d effects were refused since the first good answer; %d failed", strategy, late, w.failed)
			}
			for i, row := range w.st.Rows {
				if row.Circuit.State() != breaker.Closed && strategy == policy.Weighted {
					t.Errorf("candidate %d is still %v", i, row.Circuit.State())
				}
			}
		}
	}
}

// TestWhatIsHalfBrokenIsNotStormed: where half of the calls go on failing after the return, the first failure ends what the few good answers before it made
// room for. In five minutes of 15,000 calls 77 to 91 of them fail; 29 to 31 would by the probes alone.
func TestWhatIsHalfBrokenIsNotStormed(t *testing.T) {
	for seed := range uint64(3) {
		w := outage(t, seed, policy.Weighted, .5, 60, 40)
		w.live(downFrom+time.Minute, downFrom+6*time.Minute, 50)
		t.Logf("%d calls went there, %d failed, %d in flight at most; %d refused", w.sent, w.failed, w.most, w.refused)
		if w.failed > 120 || w.most > 12 {
			t.Errorf("%d calls failed, %d were in flight at one of them", w.failed, w.most)
		}
	}
}

// TestWhoComesBackTakesMore goes through what a half-open provider is given beyond its probes.
func TestWhoComesBackTakesMore(t *testing.T) {
	base := func() *world { // stripe answered one probe, and the next is not due; adyen is open
		w := preferring()
		w.halfOpen(0)
		w.now = w.now.Add(-1)
		w.open(1, 1)
		return w
	}
	flight := func(w *world, n int32) { w.st.Rows[0].InFlight = n }
	good := func(w *world, n int) {
		for range n {
			w.st.Rows[0].Circuit.Step(breaker.Success, w.st.Rows[0].Circuit.Beyond(), w.now, 0)
		}
	}
	ends := func(w *world, s health.Sample) {
		p, _ := w.begin()
		p.End(s, w.now, 0)
	}
	failed := health.Sample{Class: health.Failure, Latency: time.Second}
	walk(t, base, []line{
		{"an effect goes there", func(*world) {}, 0, LastResort, CircuitProbing},
		{"a read too", func(w *world) { w.f.Read = true }, 0, LastResort, CircuitProbing},
		{"for one good answer, two in flight", func(w *world) { flight(w, 1) }, 0, LastResort, CircuitProbing},
		{"and no more", func(w *world) { flight(w, 2) }, -1, NoReason, CircuitProbing},
		{"for another one, two more", func(w *world) { good(w, 1); flight(w, 3) }, 0, LastResort, CircuitProbing},
		{"four in any case", func(w *world) { good(w, 9); flight(w, 4) }, -1, NoReason, CircuitProbing},
		{"twice what all carry on an ordinary day", func(w *world) {
			good(w, 99)
			w.st.Rows[0].normal, w.st.Rows[1].normal = 3, 7
			flight(w, 19)
		}, 0, LastResort, CircuitProbing},
		{"at most", func(w *world) {
			good(w, 99)
			w.st.Rows[0].normal, w.st.Rows[1].normal = 3, 7
			flight(w, 20)
		}, -1, NoReason, CircuitProbing},
		{"its limit holds", func(w *world) { w.full(0) }, -1, NoReason, CircuitProbing},
		{"what it was given and answered well makes room", func(w *world) { ends(w, answered); flight(w, 3) }, 0, LastResort, CircuitProbing},
		{"the first failure ends it", func(w *world) { ends(w, failed) }, -1, NoReason, CircuitProbing},
		{"of less than 17 good answers nothing is left", func(w *world) { good(w, 15); ends(w, failed) }, -1, NoReason, CircuitProbing},
		{"of more, less than half", func(w *world) { good(w, 19); ends(w, failed); flight(w, 3) }, 0, LastResort, CircuitProbing},
		{"who else passes takes it", func(w *world) { w.st.Rows[1] = NewStanding("adyen") }, 1, ByPriority, CircuitProbing},
		{"the session's own first", func(w *world) { w.st.Rows[1] = w.st.Rows[0]; w.f.Pinned = 1 }, 1, LastResort, CircuitProbing},
		{"one that was drained is kept away", func(w *world) { w.drain(0) }, -1, NoReason, Drained},
	})
	w := base()
	if lines := w.decide().Explain(w.svc); lines[0] != "stripe won: last resort: nobody else passed, and it comes back: 1 good answer since it was asked again" {
		t.Error(lines)
	}
}

// TestARampTakesMoreForGoodAnswers: what its good answers made room for goes to a provider on its ramp back too, where nobody else passes. It counts: a
// failure of such a call is a failure on the ramp.
func TestARampTakesMoreForGoodAnswers(t *testing.T) {
	w := preferring()
	w.halfOpen(0)
	w.st.Rows[0].Circuit.Configure(breaker.Settings{Failures: 3, Successes: 2, Lease: time.Second, Back: time.Hour})
	p, _ := w.begin()
	p.End(answered, w.now, 0)
	w.open(1, 1)
	w.turnedAway()
	w.st.Rows[0].InFlight = 3
	p, d := w.begin()
	if d.Winner != 0 || d.Reason != ByRamp {
		t.Fatalf("%d by %v after two good answers, three in flight", d.Winner, d.Reason)
	}
	if _, d := w.begin(); d.Winner >= 0 {
		t.Errorf("%d by %v with four in flight", d.Winner, d.Reason)
	}
	w.st.Rows[0].InFlight = 3
	p.End(health.Sample{Class: health.Failure, Latency: time.Second}, w.now, 0)
	if w.st.Rows[0].Circuit.Failures() != 1 {
		t.Error("its failure did not count")
	}
	if d := w.decide(); d.Winner >= 0 {
		t.Errorf("after a failure two in flight are too many: %d by %v", d.Winner, d.Reason)
	}
}

// TestALateAnswerIsNoRelapse: a hang within a minute of another one makes the next ramp back twice as long, but not where all calls in flight were answered
// after all.
func TestALateAnswerIsNoRelapse(t *testing.T) {
	for class, want := range map[health.Class]breaker.State{health.OK: breaker.Closed, health.Failure: breaker.Ramp} {
		w := newWorld(policy.Priority, 0)
		row := w.st.Rows[0]
		row.Circuit.Configure(breaker.Settings{Failures: 99, Successes: 1, Lease: time.Second, Back: 5 * time.Second})
		quick := health.Sample{Class: health.OK, Latency: 20 * time.Millisecond}
		for w.now = t0; w.now.Before(t0.Add(time.Minute)); w.now = w.now.Add(50 * time.Millisecond) {
			p, _ := w.begin()
			p.Sent(w.now)
			p.End(quick, w.now, 1)
		}
		for n := range 2 {
			w.hangs(t, class)
			w.now = row.Circuit.Until()
			p, _ := w.begin()
			p.End(quick, w.now, 1)
			w.now = w.now.Add(5 * time.Second)
			row.Tick(w.now)
			if is := row.Circuit.State(); n == 0 && is != breaker.Closed || n == 1 && is != want {
				t.Errorf("hang %d, its calls all ended %v: five seconds after the probe it is %v", n+1, class, is)
			}
		}
	}
}

// hangs lets twenty calls hang until the circuit opens, and then end.
func (w *world) hangs(t *testing.T, class health.Class) {
	t.Helper()
	held, row := make([]Permit, 20), w.st.Rows[0]
	for i := range held {
		held[i], _ = w.begin()
		held[i].Sent(w.now)
	}
	for until := w.now.Add(20 * time.Second); row.Circuit.State() != breaker.Open; row.Tick(w.now) {
		if w.now = w.now.Add(50 * time.Millisecond); w.now.After(until) {
			t.Fatalf("a hang is not seen: %+v", row.Cause())
		}
	}
	for i := range held {
		held[i].End(health.Sample{Class: class, Latency: 2 * time.Second}, w.now, 1)
	}
}
