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

// TestBeyondTheProbes: a call beyond the probes adds to the good answers and turns nothing; its failure takes them, and then its companions say nothing more.
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
	if _, changed := c.Step(Failure, held, now, 0); changed || c.Gate(now, 0).Good != 0 || c.Beyond() != Outside {
		t.Fatalf("a failure: %v, %d good answers", c.State(), c.Gate(now, 0).Good)
	}
	was := *c
	for _, e := range []Event{Success, Failure} {
		if c.Step(e, held, now, 0); *c != was {
			t.Errorf("a companion's %d counted", e)
		}
	}
	now = now.Add(time.Second)
	probe, _, _ := c.Enter(now, 0)
	c.Step(Success, probe, now, 0)
	if got, _ := c.Probes(); got != 2 || c.Gate(now, 0).Good != 1 || c.Beyond() == held {
		t.Fatalf("%d probes, %d good answers", got, c.Gate(now, 0).Good)
	}
	if c.Step(Success, held, now, 0); c.Gate(now, 0).Good != 1 {
		t.Error("a companion's answer counted after the next probe")
	}
}

// TestAFailureTakesMoreThanHalf: a failure once in a while does not end what a well provider may take; what fails each tenth time is left with nothing.
func TestAFailureTakesMoreThanHalf(t *testing.T) {
	for of, want := range map[int][2]int32{200: {370, 400}, 10: {1, 10}} {
		c := answered()
		for i := range 2000 {
			e := Success
			if i%of == of-1 {
				e = Failure
			}
			c.Step(e, c.Beyond(), t0, 0)
			if c.probes.row == 0 { // the next probe is good
				c.answeredWell()
			}
		}
		most := c.probes.row
		for i := range of {
			if i < of-1 {
				c.Step(Success, c.Beyond(), t0, 0)
			}
			most = max(most, c.probes.row)
		}
		if c.State() != HalfOpen || most < want[0] || most > want[1] {
			t.Errorf("one of %d fails: %v, at most %d good answers count", of, c.State(), most)
		}
	}
}

// TestBeyondOnTheRamp: what came back well is on its ramp by the same answers. Calls on it add to them, a failure takes them, and the ramp's end.
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
	if c.Step(Success, c.Beyond(), now, 0); c.Gate(now, 0).Good != 4 {
		t.Errorf("after another good answer: %d", c.Gate(now, 0).Good)
	}
	if c.Step(Failure, c.Beyond(), now, 0); c.Gate(now, 0).Good != 0 || c.Failures() != 1 {
		t.Errorf("after a failure: %d good answers, %d failures", c.Gate(now, 0).Good, c.Failures())
	}
	c = back()
	if c.Settle(now.Add(time.Hour)); c.State() != Closed || c.Gate(now, 0).Good != 0 || c.Beyond() != Outside {
		t.Errorf("closed: %+v", c.Gate(now, 0))
	}
}
