package route

import (
	"container/heap"
	"math"
	"math/rand/v2"
	"regexp"
	"testing"
	"time"

	"segue/controlplane/health"
	"segue/controlplane/policy"
	"segue/dataplane/breaker"
)

// underWay is a call of the open load: where it went, when it ends.
type underWay struct {
	p    Permit
	ends time.Time
	sent time.Time
}

// load is an open load on two providers, two fifths of it on the first, in virtual time: with a tick each 20th of a second and a look at each
// choice and each end, as the board does.
type load struct {
	t      *testing.T
	seed   uint64
	r      *rand.Rand
	w      *world
	rate   float64
	median time.Duration
	sigma  float64
	took   func(*load, int) (time.Duration, bool) // a call's latency at that provider; false: it hangs
	open   queue                                  // those that will be answered
	tick   time.Time
}

func newLoad(t *testing.T, seed uint64, rate float64, median time.Duration) *load {
	l := &load{t: t, seed: seed, r: seeded(t, seed), w: newWorld(policy.Weighted, 40, 60), rate: rate, median: median, sigma: .5, tick: t0}
	for _, row := range l.w.st.Rows {
		row.Circuit.Configure(breaker.Settings{Failures: 5, Successes: 5, Lease: 5 * time.Second})
	}
	l.w.now, l.took = t0, (*load).usual
	return l
}

// usual is how long a call takes on an ordinary day.
func (l *load) usual(int) (time.Duration, bool) {
	return time.Duration(float64(l.median) * math.Exp(l.sigma*l.r.NormFloat64())), true
}

// step goes to the next call and makes it.
func (l *load) step() {
	w := l.w
	w.now = w.now.Add(time.Duration(l.r.ExpFloat64() / l.rate * float64(time.Second)))
	l.until(w.now)
	for _, row := range w.st.Rows {
		row.Watch(w.now)
	}
	w.f.Draw = l.r.Uint64()
	d := w.decide()
	if d.Winner < 0 {
		return
	}
	p := w.st.Begin(d, w.svc, w.now)
	p.Sent(w.now)
	if took, answers := l.took(l, int(d.Winner)); answers {
		heap.Push(&l.open, underWay{p: p, sent: w.now, ends: w.now.Add(took)})
	}
}

// until lets what happens before then happen, in its order: ticks, and the ends of calls.
func (l *load) until(then time.Time) {
	for {
		at, ends := then, len(l.open) > 0 && !l.open[0].ends.After(then)
		if ends {
			at = l.open[0].ends
		}
		switch {
		case !l.tick.After(at):
			for _, row := range l.w.st.Rows {
				row.Tick(l.tick)
			}
			l.tick = l.tick.Add(50 * time.Millisecond)
		case ends:
			c := heap.Pop(&l.open).(underWay)
			c.p.End(health.Sample{Class: health.OK, Latency: c.ends.Sub(c.sent)}, c.ends, 0)
			c.p.row.Watch(c.ends)
		default:
			return
		}
	}
}

func (l *load) state(i int) breaker.State { return l.w.st.Rows[i].Circuit.State() }

// well runs for so long and wants both circuits closed all the time.
func (l *load) well(lasts time.Duration) {
	l.t.Helper()
	for end := l.w.now.Add(lasts); l.w.now.Before(end); {
		l.step()
		for i, row := range l.w.st.Rows {
			if row.Circuit.State() != breaker.Closed {
				c := row.Cause()
				l.t.Fatalf("seed %d: provider %d is %v after %v, and nothing is wrong: %s", l.seed, i, l.state(i), l.w.now.Sub(t0), c.Text(0))
			}
		}
	}
}

// hang lets the first provider hang, but for a share of its calls, and tells how many were sent there before its circuit opened.
func (l *load) hang(answers float64, most time.Duration) (stalled int, took time.Duration) {
	l.t.Helper()
	usual, begin := l.took, l.w.now
	l.took = func(l *load, i int) (time.Duration, bool) {
		if i == 0 && l.r.Float64() >= answers {
			stalled++
			return 0, false
		}
		return usual(l, i)
	}
	for l.state(0) == breaker.Closed {
		l.step()
		if l.state(1) != breaker.Closed {
			l.t.Fatalf("seed %d: the other one is %v", l.seed, l.state(1))
		}
		if l.w.now.Sub(begin) > most {
			l.t.Fatalf("seed %d: not seen in %v, %d calls stalled", l.seed, most, stalled)
		}
	}
	return stalled, l.w.now.Sub(begin)
}

// TestAHangIsSeenByAgeAtFiveHundredASecond: how many calls are sent into a hang before its circuit opens. All of them stall; what is under way
// when it begins does not hang, it is answered. Where a call in twenty is answered still, it is seen as soon.
func TestAHangIsSeenByAgeAtFiveHundredASecond(t *testing.T) {
	for _, c := range []struct {
		median         time.Duration
		answers        float64
		typical, worst int
		seen           time.Duration
	}{
		{12 * time.Millisecond, 0, 30, 60, 200 * time.Millisecond},
		{20 * time.Millisecond, 0, 35, 60, 200 * time.Millisecond},
		{50 * time.Millisecond, 0, 45, 60, 300 * time.Millisecond},
		{80 * time.Millisecond, 0, 60, 75, 350 * time.Millisecond},
		{200 * time.Millisecond, 0, 110, 140, 700 * time.Millisecond},
		{12 * time.Millisecond, .05, 35, 60, 200 * time.Millisecond},
		{80 * time.Millisecond, .05, 60, 75, 350 * time.Millisecond},
	} {
		worst, longest, total := 0, time.Duration(0), 0
		const runs = 20
		said := regexp.MustCompile(`^\d+ calls in flight and (no answer for|\d answers? in) \d+ ms, where \d+ were due$`)
		for seed := range uint64(runs) {
			l := newLoad(t, seed, 500, c.median)
			l.well(max(4*time.Second, 50*c.median))
			stalled, took := l.hang(c.answers, 5*time.Second)
			worst, longest, total = max(worst, stalled), max(longest, took), total+stalled
			cause := l.w.st.Rows[0].Cause()
			if text := cause.Text(0); c.median >= 50*time.Millisecond && (!said.MatchString(text) || cause.Quiet.Due > uint32(cause.Late)) {
				t.Errorf("seed %d: %q", seed, text)
			}
		}
		t.Logf("latency %v, %v answered: %d calls stalled in the mean, %d in the worst of %d seeds; seen after at most %v",
			c.median, c.answers, total/runs, worst, runs, longest)
		if total/runs > c.typical || worst > c.worst || longest > c.seen {
			t.Errorf("more than %d, %d and %v", c.typical, c.worst, c.seen)
		}
	}
}

// TestAHangAfterANoisyMinute: a third of the first provider's answers were late for the machine's sake, by seconds, so that its p99.9 is seconds.
// A hang is seen by the silence all the same, long before the time-out of four seconds.
func TestAHangAfterANoisyMinute(t *testing.T) {
	for _, c := range []struct {
		rate  float64
		worst int
		seen  time.Duration
	}{{100, 60, 1500 * time.Millisecond}, {500, 100, 500 * time.Millisecond}} {
		worst, traces, longest := 0, 0, time.Duration(0)
		for seed := range uint64(8) {
			l := newLoad(t, seed, c.rate, 12*time.Millisecond)
			l.noise(time.Minute)
			l.well(8 * time.Second)
			if l.w.st.Rows[0].limit(effects) > time.Second {
				traces++
			}
			stalled, took := l.hang(0, 4*time.Second)
			worst, longest = max(worst, stalled), max(longest, took)
		}
		t.Logf("%v calls/s: at most %d calls stalled, seen after at most %v; in %d runs p99.9 is seconds", c.rate, worst, longest, traces)
		if traces < 5 {
			t.Errorf("the minute left a trace in %d runs only", traces)
		}
		if worst > c.worst || longest > c.seen {
			t.Errorf("more than %d or %v", c.worst, c.seen)
		}
	}
}

// noise makes a third of the first provider's answers late by 0.3 to 8 s. The leader says that it is ours, so that no circuit opens.
func (l *load) noise(lasts time.Duration) {
	usual, end := l.took, l.w.now.Add(lasts)
	l.took = func(l *load, i int) (time.Duration, bool) {
		d, answers := usual(l, i)
		if i == 0 && l.r.IntN(3) == 0 {
			d += 300*time.Millisecond + time.Duration(min(700*l.r.ExpFloat64(), 7700))*time.Millisecond
		}
		return d, answers
	}
	l.w.st.Rows[0].Frozen = end.Add(6 * time.Second) // until its last answers have come
	for l.w.now.Before(end) {
		l.step()
	}
	l.took = usual
}

// pauses lets the first provider stand still for so long, now and then: what it has is answered when it goes on. It counts how often it was called
// silent.
func (l *load) pauses(pause, every, lasts time.Duration) (silent int) {
	usual, begin := l.took, l.w.now
	l.took = func(l *load, i int) (time.Duration, bool) {
		d, answers := usual(l, i)
		if into := (l.w.now.Add(d).Sub(begin) + every/2) % every; i == 0 && into < pause { // it would end in a pause
			d += pause - into
		}
		return d, answers
	}
	for end, was := begin.Add(lasts), breaker.Closed; l.w.now.Before(end); was = l.state(0) {
		l.step()
		if l.state(0) == breaker.Open && (was == breaker.Closed || was == breaker.Ramp) && l.w.st.Rows[0].Cause().Quiet.For > 0 {
			silent++
		}
	}
	l.took = usual
	return silent
}

// TestAPauseTeaches: a provider that stands still for a moment, now and then, and answers all of it when it goes on, is called silent once. The
// next pause of that length is known.
func TestAPauseTeaches(t *testing.T) {
	for _, c := range []struct {
		pause time.Duration
		times int
	}{{80 * time.Millisecond, 0}, {150 * time.Millisecond, 1}} {
		for seed := range uint64(2) {
			l := newLoad(t, seed, 500, 80*time.Millisecond)
			l.well(4 * time.Second)
			silent := l.pauses(c.pause, 10*time.Second, 45*time.Second)
			t.Logf("seed %d: pauses of %v: silent %d times", seed, c.pause, silent)
			if silent != c.times {
				t.Errorf("seed %d: pauses of %v: silent %d times, want %d", seed, c.pause, silent, c.times)
			}
		}
	}
}
