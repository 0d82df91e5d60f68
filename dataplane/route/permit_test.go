package route

import (
	"testing"
	"time"

	"segue/controlplane/health"
	"segue/controlplane/policy"
	"segue/dataplane/breaker"
)

// one is a world of one provider.
func one(l policy.Limits) *world {
	w := newWorld(policy.Priority, 0)
	w.svc.Candidates[0].Limits = l
	return w
}

func (w *world) begin() (Permit, *Decision) {
	d := w.decide()
	return w.st.Begin(d, w.svc, w.now), d
}

func TestSlotsAreTakenAndGivenBack(t *testing.T) {
	w := one(policy.Limits{InFlight: 2})
	a, _ := w.begin()
	b, _ := w.begin()
	if c, d := w.begin(); c.Valid() || d.Scores[0].Gate != AtCapacity {
		t.Fatalf("a third call in flight: %v", d.Scores[0].Gate)
	}
	w.st.End(a, health.Sample{Class: health.OK}, w.now, 0)
	if c, _ := w.begin(); !c.Valid() {
		t.Error("the slot did not come back by End")
	}
	w.st.Release(b)
	if c, _ := w.begin(); !c.Valid() {
		t.Error("the slot did not come back by Release")
	}
}

func TestRateHoldsOverAnySecond(t *testing.T) {
	for _, rate := range []float64{0.5, 1, 3, 10, 100, 1234.5} {
		w, passed := one(policy.Limits{Rate: rate}), 0
		const span = 20
		for i := range 20 * 10000 { // a call each 100 µs
			w.now = t0.Add(time.Duration(i) * span * time.Second / 200_000)
			if p, _ := w.begin(); p.Valid() {
				passed++
				w.st.End(p, health.Sample{Class: health.OK}, w.now, 0)
			}
		}
		most := rate*span + rate/10 + 1
		if float64(passed) > most || float64(passed) < rate*span*.98-1 {
			t.Errorf("rate %v: %d calls in %d s, at most %.1f", rate, passed, span, most)
		}
	}
}

func TestTheRateTellsWhenToComeBack(t *testing.T) {
	w := one(policy.Limits{Rate: 2})
	w.begin()
	p, d := w.begin()
	if p.Valid() || d.Scores[0].Gate != AtRate || d.Scores[0].Wait != 500*time.Millisecond {
		t.Fatalf("%v, wait %v", d.Scores[0].Gate, d.Scores[0].Wait)
	}
	if wait, ok := d.Wait(); !ok || wait != 500*time.Millisecond {
		t.Errorf("Retry-After would be %v", wait)
	}
	w.now = w.now.Add(500 * time.Millisecond)
	if p, _ := w.begin(); !p.Valid() {
		t.Error("it came back in time and was refused")
	}
}

func TestALostClaimGivesItsTokenBack(t *testing.T) {
	w := one(policy.Limits{Rate: 1})
	p, _ := w.begin()
	w.st.Release(p)
	if q, d := w.begin(); !q.Valid() {
		t.Errorf("the token is gone: %v", d.Scores[0].Gate)
	}
}

func TestRetryAfterClosesTheBucket(t *testing.T) {
	cases := []struct {
		sample health.Sample
		closed time.Duration
	}{
		{health.Sample{Class: health.Limited, RetryAfter: 7 * time.Second}, 7 * time.Second},
		{health.Sample{Class: health.Failure, RetryAfter: time.Second}, time.Second},
		{health.Sample{Class: health.Limited, RetryAfter: 24 * time.Hour}, MaxRetryAfter},
		{health.Sample{Class: health.Limited}, 0},
		{health.Sample{Class: health.Limited, RetryAfter: -time.Second}, 0},
		{health.Sample{Class: health.OK, RetryAfter: time.Second}, 0}, // it answered: a header on an answer is not for us
	}
	for _, tc := range cases {
		w := one(policy.Limits{})
		p, _ := w.begin()
		w.st.End(p, tc.sample, w.now, 0)
		if d := w.decide(); d.Seen[0].Closed != tc.closed {
			t.Errorf("%+v: closed for %v, want %v", tc.sample, d.Seen[0].Closed, tc.closed)
		}
	}
}

func TestALaterRetryAfterDoesNotShorten(t *testing.T) {
	w := one(policy.Limits{})
	a, _ := w.begin()
	b, _ := w.begin()
	w.st.End(a, health.Sample{Class: health.Limited, RetryAfter: time.Minute}, w.now, 0)
	w.st.End(b, health.Sample{Class: health.Limited, RetryAfter: time.Second}, w.now, 0)
	if d := w.decide(); d.Seen[0].Closed != time.Minute {
		t.Errorf("closed for %v", d.Seen[0].Closed)
	}
}

func TestWhatAClassMeansToTheCircuit(t *testing.T) {
	cases := []struct {
		class health.Class
		open  bool
	}{
		{health.Failure, true}, {health.OK, false}, {health.Slow, true}, {health.Limited, false}, {health.None, false}, {99, false},
	}
	for _, tc := range cases {
		w := one(policy.Limits{})
		for range 10 {
			if p, _ := w.begin(); p.Valid() {
				w.st.End(p, health.Sample{Class: tc.class}, w.now, 0)
			}
		}
		if open := w.st.Rows[0].Circuit.State() == breaker.Open; open != tc.open {
			t.Errorf("ten calls of class %d: open %v", tc.class, open)
		}
	}
}

func TestAProbeTakesTheLeaseAndReleaseGivesItBack(t *testing.T) {
	w := one(policy.Limits{})
	w.halfOpen(0)
	p, d := w.begin()
	if !d.Probe || d.Reason != ByProbe {
		t.Fatalf("probe %v by %v", d.Probe, d.Reason)
	}
	if _, e := w.begin(); e.Scores[0].Gate != CircuitProbing {
		t.Fatalf("a second probe: %v", e.Scores[0].Gate)
	}
	w.st.Release(p)
	w.now = w.now.Add(breaker.Spacing)
	q, _ := w.begin()
	if !q.Valid() {
		t.Fatal("the lease did not come back")
	}
	w.st.End(q, health.Sample{Class: health.OK}, w.now, 0)
	if got, _ := w.st.Rows[0].Circuit.Probes(); got != 2 {
		t.Errorf("%d probes succeeded", got)
	}
}

func TestTheOwnersCallThroughAnOpenCircuitProvesNothing(t *testing.T) {
	w := one(policy.Limits{})
	w.open(0, 3)
	w.f.Owner = 0
	before := w.st.Rows[0].Circuit
	p, _ := w.begin()
	w.st.End(p, health.Sample{Class: health.OK}, w.now, 0)
	if w.st.Rows[0].Circuit != before {
		t.Error("it moved the circuit")
	}
}

func TestNoPermitIsHarmless(t *testing.T) {
	w := one(policy.Limits{})
	d := &Decision{Winner: -1}
	p := w.st.Begin(d, w.svc, w.now)
	if p.Valid() || p.Row() != nil {
		t.Error("a permit without a winner")
	}
	w.st.Release(p)
	if _, changed := w.st.End(p, health.Sample{Class: health.Failure}, w.now, 0); changed {
		t.Error("no permit changed something")
	}
	if q := w.st.Begin(&Decision{Winner: 9}, w.svc, w.now); q.Valid() {
		t.Error("a permit for a candidate that is not there")
	}
	q, _ := w.begin()
	if !q.At().Equal(w.now) || q.Draw() != w.f.Draw || q.Row() != w.st.Rows[0] {
		t.Error("a permit does not know what it was given for")
	}
	w.st.End(q, health.Sample{}, w.now, 0)
	w.st.End(q, health.Sample{}, w.now, 0)
	if n := w.st.Rows[0].InFlight; n != 0 {
		t.Errorf("%d in flight", n)
	}
}

// TestTheSameFailureTwiceIsOne: providers that keep their answers give a poisoned key's failure again and again.
func TestTheSameFailureTwiceIsOne(t *testing.T) {
	w := one(policy.Limits{})
	for range 50 {
		p, _ := w.begin()
		w.st.End(p, health.Sample{Class: health.Failure, Again: true}, w.now, 0)
	}
	p, _ := w.begin()
	w.st.End(p, health.Sample{Class: health.Failure}, w.now, 0)
	p, _ = w.begin()
	w.st.End(p, health.Sample{Class: health.OK, Again: true}, w.now, 0) // nor does a good one speak for it: failures would not count, and these would
	if n := w.st.Rows[0].Failing.InARow(); n != 1 || w.st.Rows[0].Circuit.Failures() != 1 {
		t.Errorf("%d in a row", n)
	}
	p, _ = w.begin()
	w.st.End(p, health.Sample{Class: health.OK}, w.now, 0)
	if s := w.st.Rows[0].Circuit.State(); s != breaker.Closed || w.st.Rows[0].Circuit.Failures() != 0 {
		t.Errorf("%v after %d failures", s, w.st.Rows[0].Circuit.Failures())
	}
}
