package breaker

import (
	"testing"
	"time"
)

// answered is a half-open circuit whose first probe was good.
func answered() *Circuit {
	c := &Circuit{}
	c.Configure(Settings{Failures: 1, Successes: 3, Reset: time.Second, Lease: time.Second, Back: time.Minute})
	held, _, _ := c.Enter(t0, 0)
	c.Step(Failure, held, t0, 0)
	held, _, _ = c.Enter(t0.Add(time.Minute), 0)
	c.Step(Success, held, t0.Add(time.Minute), 0)
	return c
}

// TestBeyondTheProbes: a call beyond the probes adds to the good answers and closes nothing; its failure opens, and its companions say nothing more.
func TestBeyondTheProbes(t *testing.T) {
	now := t0.Add(time.Minute)
	c := answered()
	held := c.Beyond()
	if g := c.Gate(now, 0); g.Good != 1 || g.Pass || held == Outside {
		t.Fatalf("after one good probe: %+v", g)
	}
	for range 9 {
		if _, changed := c.Step(Success, held, now, 0); changed {
			t.Fatal("it closed something")
		}
	}
	for _, e := range []Event{Slowed, Abandoned} {
		if _, changed := c.Step(e, held, now, 0); changed || c.Gate(now, 0).Good != 10 {
			t.Errorf("%d: changed %v, %d good answers", e, changed, c.Gate(now, 0).Good)
		}
	}
	if got, _ := c.Probes(); got != 1 || c.Gate(now, 0).Good != 10 {
		t.Errorf("%d probes, %d good answers", got, c.Gate(now, 0).Good)
	}
	tr, changed := c.Step(Failure, held, now, 0)
	if !changed || tr.To != Open || tr.Reason != ProbeFailed {
		t.Fatalf("a failure: %+v", tr)
	}
	was := *c
	if c.Step(Failure, held, now, 0); *c != was {
		t.Error("a companion's failure counted again")
	}
	if c.Beyond() != Outside {
		t.Error("an open circuit lets calls through")
	}
	probe, _, _ := c.Enter(c.Until(), 0)
	if c.Gate(now, 0).Good != 0 || c.Beyond() != Outside {
		t.Error("the good answers outlived the failure")
	}
	was = *c
	if _, changed := c.Step(Failure, held, c.Until(), 0); changed || *c != was {
		t.Error("a failure from before the last opening counted")
	}
	if c.Step(Success, probe, c.Until(), 0); c.Gate(now, 0).Good != 1 {
		t.Error("the next good probe did not count")
	}
}

// TestRefusedBeyondTheProbes: as of a probe, a refused connection there does not double the wait.
func TestRefusedBeyondTheProbes(t *testing.T) {
	c := &Circuit{}
	c.Configure(Settings{Failures: 1, Successes: 3, Lease: time.Second})
	held, _, _ := c.Enter(t0, 0)
	c.Step(Failure, held, t0, 0)
	held, _, _ = c.Enter(t0.Add(time.Minute), 0)
	c.Step(Success, held, t0.Add(time.Minute), 0)
	c.Step(Refused, c.Beyond(), t0.Add(time.Minute), 0)
	if c.State() != Open || c.wait > FirstWait*6/5 {
		t.Errorf("%v, for %v", c.State(), c.wait)
	}
}

// TestBeyondOnTheRamp: what came back well is on its ramp by the same answers. A failure ends that, and so does the ramp's end.
func TestBeyondOnTheRamp(t *testing.T) {
	now := t0.Add(time.Minute)
	back := func() *Circuit {
		c := answered()
		for range 2 {
			now = now.Add(time.Second)
			held, _, _ := c.Enter(now, 0)
			c.Step(Success, held, now, 0)
		}
		if c.State() != Ramp || c.Gate(now, 0).Good != 3 || c.Beyond() == Outside {
			t.Fatalf("%v: %+v", c.State(), c.Gate(now, 0))
		}
		return c
	}
	c := back()
	c.Configure(Settings{Failures: 9, Successes: 3, Reset: time.Second, Lease: time.Second, Back: time.Minute})
	if c.Step(Failure, c.Beyond(), now, 0); c.Gate(now, 0).Good != 0 || c.Failures() != 1 {
		t.Errorf("after a failure: %d good answers, %d failures", c.Gate(now, 0).Good, c.Failures())
	}
	c = back()
	if c.Settle(now.Add(time.Hour)); c.State() != Closed || c.Gate(now, 0).Good != 0 || c.Beyond() != Outside {
		t.Errorf("closed: %+v", c.Gate(now, 0))
	}
}
