package breaker

import (
	"fmt"
	"testing"
	"time"
)

func open(c *Circuit, now time.Time) time.Duration {
	c.Step(Alarmed, Outside, now, uint64(c.settings.wait(c.flaps.again)/5)) // the draw in the middle
	return c.Until().Sub(now)
}

// TestWaitsDouble: 5, 10, 20, 20, 20, 20 s while its probes fail.
func TestWaitsDouble(t *testing.T) {
	c := &Circuit{}
	c.Configure(Settings{Failures: 3, Successes: 5, Lease: time.Second})
	got := []time.Duration{open(c, t0)}
	for range 5 {
		now := c.Until()
		held, _, _ := c.Enter(now, 0)
		c.Step(Failure, held, now, uint64(c.settings.wait(c.flaps.again)/5))
		got = append(got, c.Until().Sub(now))
	}
	if want := "[5s 10s 20s 20s 20s 20s]"; fmt.Sprint(got) != want {
		t.Errorf("%v, want %v", got, want)
	}
}

// TestRefusedProbesAskOn: where connections are refused at once, a probe costs a caller a moment, so that the wait does not grow.
func TestRefusedProbesAskOn(t *testing.T) {
	c := &Circuit{}
	c.Configure(Settings{Failures: 3, Successes: 5, Lease: time.Second})
	probe := func(e Event) time.Duration {
		now := c.Until()
		held, _, _ := c.Enter(now, 0)
		c.Step(e, held, now, uint64(c.settings.wait(c.flaps.again)/5))
		return c.Until().Sub(now).Round(time.Second)
	}
	open(c, t0) // by failures that were no refusals
	for i := range 6 {
		if wait := probe(Refused); wait > FirstWait+FirstWait/5 || wait < FirstWait*4/5 {
			t.Errorf("refused probe %d: asked again after %v", i+1, wait)
		}
	}
	if first, second := probe(Failure), probe(Failure); first != 10*time.Second || second != LongestWait {
		t.Errorf("failed probes: asked again after %v and %v", first, second)
	}
}

// TestWhatIsNeverReachedIsAskedSoon: where each connection was refused since the trouble began, a probe waits a second. The first that may have
// been sent ends that, and a Reset that somebody set is kept.
func TestWhatIsNeverReachedIsAskedSoon(t *testing.T) {
	refused := func(reset time.Duration) (*Circuit, func(Event) time.Duration) {
		c := &Circuit{}
		c.Configure(Settings{Failures: 3, Successes: 5, Lease: time.Second, Reset: reset})
		for range 3 {
			held, _, _ := c.Enter(t0, 0)
			c.Step(Refused, held, t0, 0)
		}
		return c, func(e Event) time.Duration {
			now := c.Until()
			held, _, _ := c.Enter(now, 0)
			c.Step(e, held, now, 0) // this draw takes a fifth off
			return c.Until().Sub(now)
		}
	}
	c, probe := refused(0)
	for range 60 {
		if wait := probe(Refused); wait != RefusedWait*4/5 {
			t.Fatalf("asked again after %v", wait)
		}
	}
	if wait := probe(Failure); c.Refused() || wait != 8*time.Second {
		t.Errorf("a probe that may have been sent failed: asked again after %v", wait)
	}
	if wait := probe(Refused); wait != FirstWait*4/5 {
		t.Errorf("a refused one behind it: asked again after %v", wait)
	}
	if _, probe := refused(30 * time.Second); probe(Refused) != 24*time.Second {
		t.Error("a Reset that somebody set was not kept")
	}
}

// TestWhatFailsInPartComesBackAsSoon: to find out that part of the calls fail costs few calls, so that its ramp back does not grow. What fails
// altogether comes back more slowly each time.
func TestWhatFailsInPartComesBackAsSoon(t *testing.T) {
	for e, want := range map[Event]time.Duration{Faltered: 5 * time.Second, Alarmed: 40 * time.Second} {
		c := &Circuit{}
		c.Configure(Settings{Failures: 3, Successes: 5, Lease: time.Second, Back: 5 * time.Second})
		now := t0
		for range 4 { // the first trouble and three relapses
			c.Step(e, Outside, now, 0)
			now = probed(t, c).Add(time.Second)
		}
		if c.State() != Ramp || c.ramp.over != want {
			t.Errorf("event %d: %v, back in %v, want %v", e, c.State(), c.ramp.over, want)
		}
	}
}

// TestRefused is all of a row or nothing, whoever's the failure is.
func TestRefused(t *testing.T) {
	for _, tc := range []struct {
		name   string
		events []Event
		want   bool
	}{
		{"nothing failed", []Event{Success}, false},
		{"all refused", []Event{Refused, Refused, Refused}, true},
		{"one was sent", []Event{Refused, Failure, Refused}, false},
		{"the first was sent", []Event{Failure, Refused, Refused}, false},
		{"another row", []Event{Failure, Success, Refused, Refused, Refused}, true},
		{"it is over", []Event{Refused, Refused, Success}, false},
	} {
		c := configured()
		for _, e := range tc.events {
			held, _, _ := c.Enter(t0, 0)
			c.Step(e, held, t0, 0)
		}
		if c.Refused() != tc.want {
			t.Errorf("%s: %v", tc.name, c.Refused())
		}
	}
	c := configured()
	for range settings.Failures {
		held, _, _ := c.Enter(t0, 0)
		c.Step(Refused, held, t0, 0)
	}
	c.Step(Failure, Outside, t0, 0)
	if c.Refused() {
		t.Error("an effect that went there as the last resort stayed without an answer, and the next may go there too")
	}
}

// TestDoublingsAreForgivenSlowly: one for each minute that it stays closed.
func TestDoublingsAreForgivenSlowly(t *testing.T) {
	for _, tc := range []struct {
		closed, want time.Duration
	}{{0, 20 * time.Second}, {59 * time.Second, 20 * time.Second}, {time.Minute, 10 * time.Second}, {2 * time.Minute, 5 * time.Second}, {time.Hour, 5 * time.Second}} {
		c := &Circuit{}
		c.Configure(Settings{Failures: 3, Successes: 5, Lease: time.Second})
		open(c, t0)
		now := c.Until()
		held, _, _ := c.Enter(now, 0)
		c.Step(Failure, held, now, 0) // two openings
		now = probed(t, c)
		if got := open(c, now.Add(tc.closed)); got < tc.want*4/5 || got > tc.want*6/5 {
			t.Errorf("closed for %v, it then opens for %v, want %v", tc.closed, got, tc.want)
		}
	}
}

// TestAResetThatIsSetStays: people who set it get it.
func TestAResetThatIsSetStays(t *testing.T) {
	c := configured()
	for range 5 {
		if got := open(c, t0); got != settings.Reset {
			t.Fatalf("%v", got)
		}
		probed(t, c)
	}
}

// TestWhatFlapsComesBackSlowly: each relapse within a minute doubles the ramp back; a long black hole, whose probes failed, does not.
func TestWhatFlapsComesBackSlowly(t *testing.T) {
	c := &Circuit{}
	c.Configure(Settings{Failures: 3, Successes: 5, Lease: time.Second, Back: DefaultBack})
	open(c, t0)
	for range 4 { // a black hole
		now := c.Until()
		held, _, _ := c.Enter(now, 0)
		c.Step(Failure, held, now, 0)
	}
	var got []time.Duration
	for range 7 {
		now := probed(t, c)
		got = append(got, c.ramp.over)
		c.Settle(now.Add(c.ramp.over))
		open(c, now.Add(c.ramp.over+time.Second)) // a second after it was all back
	}
	if want := "[5s 10s 20s 40s 1m20s 1m20s 1m20s]"; fmt.Sprint(got) != want {
		t.Errorf("ramps of %v, want %v", got, want)
	}
	now := probed(t, c)
	c.Settle(now.Add(c.ramp.over))
	open(c, now.Add(c.ramp.over+time.Hour))
	if probed(t, c); c.ramp.over != DefaultBack {
		t.Errorf("an hour without trouble later the ramp is %v", c.ramp.over)
	}
	open(c, c.ramp.from.Add(time.Second)) // out of the ramp
	if probed(t, c); c.ramp.over != 2*DefaultBack {
		t.Errorf("failed within its ramp, the next is %v", c.ramp.over)
	}
}

// TestAFlappingProviderGetsLittle: well for 20 s, broken for 10 s, for an hour. What fails while it flaps is a small part of what would fail
// without damping, because it is asked less and less.
func TestAFlappingProviderGetsLittle(t *testing.T) {
	c := &Circuit{}
	c.Configure(Settings{Failures: 3, Successes: 5, Lease: time.Second, Back: DefaultBack})
	failed, calls := 0, 0
	for i := range 50 * 3600 {
		now := t0.Add(time.Duration(i) * 20 * time.Millisecond)
		bad := now.Sub(t0)%(30*time.Second) >= 20*time.Second
		held, _, _ := c.Enter(now, uint64(i)*0x9e3779b97f4a7c15)
		if held == Outside {
			continue
		}
		calls++
		e := Success
		if bad {
			e = Failure
			failed++
		}
		c.Step(e, held, now, uint64(i)*0x9e3779b97f4a7c15)
	}
	t.Logf("of 180,000 calls, a third of which would have failed there, it got %d, and %d of those failed", calls, failed)
	if failed > 500 || calls < 1000 {
		t.Errorf("%d of %d calls failed", failed, calls)
	}
}

// TestShareOfFailures: error percent over a window that slides, with a least number of calls.
func TestShareOfFailures(t *testing.T) {
	s := Settings{Failures: 1000, Successes: 1, Reset: time.Second, Percent: 30, Window: 10 * time.Second, Calls: 20}
	run := func(n int, every time.Duration, bad func(i int) bool) (opened int, last Transition) {
		c := &Circuit{}
		c.Configure(s)
		for i := range n {
			now := t0.Add(time.Duration(i) * every)
			held, _, _ := c.Enter(now, 0)
			e := Success
			if bad(i) {
				e = Failure
			}
			if tr, changed := c.Step(e, held, now, 0); changed {
				return i + 1, tr
			}
		}
		return 0, Transition{}
	}
	if n, _ := run(19, 10*time.Millisecond, func(int) bool { return true }); n != 0 {
		t.Errorf("opened after %d calls, 20 are wanted", n)
	}
	n, tr := run(100, 10*time.Millisecond, func(i int) bool { return i >= 50 })
	if n != 72 || tr.Reason != Percent || tr.Failures != 22 || tr.Calls != 72 || tr.Why() != "22 of the last 72 calls failed" {
		t.Errorf("after %d calls: %+v, %s", n, tr, tr.Why())
	}
	if n, _ := run(1000, 10*time.Millisecond, func(i int) bool { return i%4 == 0 }); n != 0 {
		t.Errorf("a quarter fails, and it opened after %d", n)
	}
	// ten failures, then 15 s without: the old ones have left the window, wherever it began
	for shift := range 20 {
		c := &Circuit{}
		c.Configure(s)
		begin := t0.Add(time.Duration(shift) * 500 * time.Millisecond)
		for i := range 40 {
			now := begin.Add(time.Duration(i) * 10 * time.Millisecond)
			if i >= 10 {
				now = now.Add(15 * time.Second)
			}
			held, _, _ := c.Enter(now, 0)
			e := Success
			if i < 10 || i%5 == 0 {
				e = Failure
			}
			if tr, changed := c.Step(e, held, now, 0); changed {
				t.Fatalf("shifted by %d: %+v", shift, tr)
			}
		}
	}
	c := &Circuit{} // a trickle: each tenth call fails, and what is long ago does not add up
	c.Configure(s)
	for i := range 600 {
		now, e := t0.Add(time.Duration(i)*300*time.Millisecond), Success
		if i%40 == 0 || i < 8 {
			e = Failure
		}
		held, _, _ := c.Enter(now, 0)
		if tr, changed := c.Step(e, held, now, 0); changed {
			t.Fatalf("call %d of a trickle: %+v", i, tr)
		}
	}
	if calls, failed := c.window.sum(); calls < 28 || calls > 34 || failed > 1 {
		t.Errorf("ten seconds of a call each 0.3 s are %d calls, %d failed", calls, failed)
	}
}

// TestWhatIsOnlySlowComesBackAsSoon: slowness costs its callers time, and nothing else: the next ramp back is no longer for it. So it is with a hang whose
// calls were all answered after all; of one that was none it is.
func TestWhatIsOnlySlowComesBackAsSoon(t *testing.T) {
	for _, tc := range []struct {
		name string
		e    Event
		came bool // all calls in flight were answered after all
		want time.Duration
	}{{"slow", Slowed, false, DefaultBack}, {"late", Alarmed, true, DefaultBack}, {"hangs", Alarmed, false, 2 * DefaultBack}} {
		c := &Circuit{}
		c.Configure(Settings{Failures: 3, Successes: 5, Lease: time.Second, Back: DefaultBack})
		open(c, t0)
		now := probed(t, c)
		c.Step(tc.e, Outside, now.Add(time.Second), 0) // out of its ramp
		if c.State() != Open {
			t.Fatalf("%s: %v", tc.name, c.State())
		}
		if tc.came {
			c.NoRelapse()
		}
		if probed(t, c); c.ramp.over != tc.want {
			t.Errorf("%s: the next ramp takes %v, want %v", tc.name, c.ramp.over, tc.want)
		}
		if c.NoRelapse(); c.ramp.over != tc.want || c.flaps.relapses > 1 {
			t.Errorf("%s: told too late: %v", tc.name, c.ramp.over)
		}
	}
}
