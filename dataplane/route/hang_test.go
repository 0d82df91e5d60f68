package route

import (
	"math"
	"testing"
	"time"

	"segue/controlplane/health"
	"segue/controlplane/policy"
	"segue/dataplane/breaker"
)

// underWay is a call of the open load: where it went, when it ends (zero: never).
type underWay struct {
	p    Permit
	ends time.Time
	sent time.Time
}

// TestAHangIsSeenByAgeAtFiveHundredASecond: two providers, two fifths of 500 calls/s at the one that hangs. How many calls are sent into the hang
// before its circuit opens, in virtual time: with a tick each 20th of a second and a look at each choice, as the board does. All of them stall;
// what is under way when it begins does not hang, it is answered.
func TestAHangIsSeenByAgeAtFiveHundredASecond(t *testing.T) {
	for _, median := range []time.Duration{12 * time.Millisecond, 20 * time.Millisecond, 50 * time.Millisecond, 80 * time.Millisecond} {
		worst, longest, total := 0, time.Duration(0), 0
		const runs = 5
		for seed := range uint64(runs) {
			stalled, took := hang(t, seed, median)
			worst, longest, total = max(worst, stalled), max(longest, took), total+stalled
		}
		t.Logf("latency %v: %d calls stalled in the mean, %d in the worst of %d seeds; seen after at most %v", median, total/runs, worst, runs, longest)
		if median <= 20*time.Millisecond && (worst > 60 || longest > 300*time.Millisecond) {
			t.Errorf("latency %v: %d calls, %v", median, worst, longest)
		}
	}
}

func hang(t *testing.T, seed uint64, median time.Duration) (stalled int, took time.Duration) {
	t.Helper()
	r, w := seeded(t, seed), newWorld(policy.Weighted, 40, 60)
	for _, row := range w.st.Rows {
		row.Circuit.Configure(breaker.Settings{Failures: 5, Successes: 5, Lease: 5 * time.Second})
	}
	var open []underWay
	const warm = 4 * time.Second
	w.now = t0
	tick := t0
	for {
		w.now = w.now.Add(time.Duration(r.ExpFloat64() / 500 * float64(time.Second)))
		hung := w.now.Sub(t0) >= warm
		for !tick.After(w.now) {
			for _, row := range w.st.Rows {
				row.Tick(tick)
			}
			tick = tick.Add(50 * time.Millisecond)
		}
		kept := open[:0]
		for _, c := range open {
			if c.ends.IsZero() || c.ends.After(w.now) {
				kept = append(kept, c)
				continue
			}
			c.p.End(health.Sample{Class: health.OK, Latency: c.ends.Sub(c.sent)}, c.ends, 0)
			c.p.row.Watch(c.ends)
		}
		open = kept
		for _, row := range w.st.Rows {
			row.Watch(w.now)
		}
		switch state := w.st.Rows[0].Circuit.State(); {
		case state != breaker.Closed && !hung:
			t.Fatalf("seed %d: %v, and nothing is wrong", seed, state)
		case state != breaker.Closed:
			if w.st.Rows[1].Circuit.State() != breaker.Closed {
				t.Fatalf("seed %d: the other one is %v", seed, w.st.Rows[1].Circuit.State())
			}
			return stalled, w.now.Sub(t0.Add(warm))
		case w.now.Sub(t0) > warm+5*time.Second:
			t.Fatalf("seed %d: not seen in 5 s, %d calls stalled", seed, stalled)
		}
		w.f.Draw = r.Uint64()
		d := w.decide()
		p := w.st.Begin(d, w.svc, w.now)
		p.Sent(w.now)
		c := underWay{p: p, sent: w.now, ends: w.now.Add(time.Duration(float64(median) * math.Exp(.5*r.NormFloat64())))}
		if hung && d.Winner == 0 {
			c.ends = time.Time{}
			stalled++
		}
		open = append(open, c)
	}
}
