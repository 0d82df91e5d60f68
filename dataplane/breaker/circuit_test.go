package breaker

import (
	"testing"
	"time"
)

var (
	t0       = time.Date(2026, 11, 21, 14, 0, 0, 0, time.UTC)
	settings = Settings{Failures: 3, Successes: 5, Reset: 30 * time.Second, Lease: 5 * time.Second}
)

func configured() *Circuit {
	c := &Circuit{}
	c.Configure(settings)
	return c
}

// fail lets one call in and fails it.
func fail(c *Circuit, now time.Time, draw uint64) (Transition, bool) {
	held, _, _ := c.Enter(now, draw)
	return c.Step(Failure, held, now, draw)
}

func opened(t *testing.T) *Circuit {
	t.Helper()
	c := configured()
	for range settings.Failures {
		fail(c, t0, 0)
	}
	if c.State() != Open {
		t.Fatalf("after %d failures: %v", settings.Failures, c.State())
	}
	return c
}

func TestFailuresInARowOpen(t *testing.T) {
	cases := []struct {
		name   string
		events []Event
		want   State
	}{
		{"three in a row", []Event{Failure, Failure, Failure}, Open},
		{"two", []Event{Failure, Failure}, Closed},
		{"a success between ends the row", []Event{Failure, Failure, Success, Failure, Failure}, Closed},
		{"an abandoned call neither ends nor grows it", []Event{Failure, Abandoned, Failure, Abandoned}, Closed},
		{"and the third failure after it opens", []Event{Failure, Failure, Abandoned, Failure}, Open},
		{"an event that nobody knows proves nothing", []Event{99, 99, 99, 0}, Closed},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			c := configured()
			for _, e := range tc.events {
				held, _, _ := c.Enter(t0, 0)
				c.Step(e, held, t0, 0)
			}
			if c.State() != tc.want {
				t.Errorf("got %v, want %v", c.State(), tc.want)
			}
		})
	}
}

func TestTransitionCarriesItsEvidence(t *testing.T) {
	c := configured()
	fail(c, t0, 0)
	fail(c, t0, 0)
	got, changed := fail(c, t0.Add(time.Second), 0)
	want := Transition{From: Closed, To: Open, At: t0.Add(time.Second), Reason: InARow, Failures: 3}
	if !changed || got != want {
		t.Errorf("got %+v, %v; want %+v", got, changed, want)
	}
	if c.Since() != want.At || c.Failures() != 3 {
		t.Errorf("since %v, %d failures", c.Since(), c.Failures())
	}
}

// TestSinceIsTheFirstOpening: probes that fail do not make an hour of trouble look like ten seconds.
func TestSinceIsTheFirstOpening(t *testing.T) {
	c := opened(t)
	for range 4 {
		now := c.Until()
		held, _, _ := c.Enter(now, 0)
		if c.State() != HalfOpen || !c.Since().Equal(t0) {
			t.Fatalf("%v since %v, the trouble began at %v", c.State(), c.Since(), t0)
		}
		c.Step(Failure, held, now, 0)
		if c.State() != Open || !c.Since().Equal(t0) {
			t.Fatalf("%v since %v after a failed probe, the trouble began at %v", c.State(), c.Since(), t0)
		}
	}
	now := c.Until()
	for ; c.State() != Closed; now = now.Add(Spacing) {
		held, _, _ := c.Enter(now, 0)
		c.Step(Success, held, now, 0)
	}
	if closed := now.Add(-Spacing); !c.Since().Equal(closed) {
		t.Errorf("closed since %v, not %v", c.Since(), closed)
	}
	for now = now.Add(time.Hour); c.State() == Closed; {
		fail(c, now, 0)
	}
	if !c.Since().Equal(now) {
		t.Errorf("the next trouble began at %v, not %v", c.Since(), now)
	}
}

func TestOpenForResetWithinTwentyPercent(t *testing.T) {
	low, high := 24*time.Second, 36*time.Second
	seen := map[time.Duration]bool{}
	for draw := uint64(0); draw < 1<<63; draw = draw*3 + 1 {
		c := configured()
		for range 3 {
			fail(c, t0, draw)
		}
		wait := c.Gate(t0, draw).Wait
		if wait < low || wait > high {
			t.Fatalf("draw %d: open for %v", draw, wait)
		}
		seen[wait] = true
		if g := c.Gate(t0.Add(wait-1), draw); g.Pass {
			t.Fatalf("draw %d: passed a nanosecond early", draw)
		}
		if g := c.Gate(t0.Add(wait), draw); !g.Pass || !g.Probe {
			t.Fatalf("draw %d: %+v when the time was over", draw, g)
		}
	}
	if len(seen) < 20 {
		t.Errorf("the draw made only %d different times", len(seen))
	}
}

func TestGateChangesNothing(t *testing.T) {
	c := opened(t)
	before := *c
	c.Gate(t0.Add(time.Hour), 1)
	if *c != before {
		t.Error("Gate changed the circuit")
	}
}

func TestOneProbeAtATimeHalfASecondApart(t *testing.T) {
	c := opened(t)
	now := t0.Add(time.Minute)
	held, tr, changed := c.Enter(now, 0)
	if !changed || tr.From != Open || tr.To != HalfOpen || c.State() != HalfOpen {
		t.Fatalf("the first probe: %+v %v", tr, changed)
	}
	if g := c.Gate(now.Add(time.Second), 0); g.Pass || g.Wait != settings.Lease-time.Second {
		t.Errorf("a second probe beside the first: %+v", g)
	}
	c.Step(Success, held, now.Add(100*time.Millisecond), 0)
	if g := c.Gate(now.Add(100*time.Millisecond), 0); g.Pass || g.Wait != 400*time.Millisecond {
		t.Errorf("a probe 100 ms after the last: %+v", g)
	}
	if g := c.Gate(now.Add(Spacing), 0); !g.Pass || !g.Probe {
		t.Errorf("a probe 500 ms after the last: %+v", g)
	}
}

func TestProbesInARowClose(t *testing.T) {
	c, now := opened(t), t0.Add(time.Minute)
	for i := 1; i <= settings.Successes; i++ {
		held, _, _ := c.Enter(now, 0)
		tr, changed := c.Step(Success, held, now, 0)
		if got, need := c.Probes(); got != i || need != settings.Successes {
			t.Fatalf("probe %d counted as %d of %d", i, got, need)
		}
		if changed != (i == settings.Successes) {
			t.Fatalf("probe %d: %+v %v", i, tr, changed)
		}
		now = now.Add(Spacing)
	}
	if c.State() != Closed || c.Failures() != 0 {
		t.Errorf("%v with %d failures", c.State(), c.Failures())
	}
}

func TestAFailedProbeOpensAgainAndStartsTheRowAnew(t *testing.T) {
	c, now := opened(t), t0.Add(time.Minute)
	for range settings.Successes - 1 {
		held, _, _ := c.Enter(now, 0)
		c.Step(Success, held, now, 0)
		now = now.Add(Spacing)
	}
	tr, changed := fail(c, now, 0)
	if !changed || tr.To != Open || tr.Failures != 4 {
		t.Fatalf("%+v %v", tr, changed)
	}
	if got, _ := c.Probes(); got != 0 {
		t.Errorf("%d probes of the last time still count", got)
	}
}

func TestALeaseRunsOutAndItsLateAnswerIsDropped(t *testing.T) {
	c, now := opened(t), t0.Add(time.Minute)
	old, _, _ := c.Enter(now, 0) // hangs
	if g := c.Gate(now.Add(settings.Lease-1), 0); g.Pass {
		t.Fatal("passed before the lease ran out")
	}
	now = now.Add(settings.Lease)
	fresh, _, _ := c.Enter(now, 0)
	if fresh == Outside || fresh == old {
		t.Fatalf("the next probe holds %d after %d", fresh, old)
	}
	if _, changed := c.Step(Failure, old, now, 0); changed || c.State() != HalfOpen {
		t.Error("the older probe's late failure counted")
	}
	if c.Gate(now.Add(Spacing), 0).Pass {
		t.Error("the older probe's end gave the newer lease back")
	}
	c.Step(Success, fresh, now, 0)
	if got, _ := c.Probes(); got != 1 {
		t.Errorf("%d probes", got)
	}
}

func TestAbandonedGivesTheLeaseBack(t *testing.T) {
	c, now := opened(t), t0.Add(time.Minute)
	held, _, _ := c.Enter(now, 0)
	if _, changed := c.Step(Abandoned, held, now, 0); changed {
		t.Error("no evidence, and yet a change")
	}
	if g := c.Gate(now.Add(Spacing), 0); !g.Pass || !g.Probe {
		t.Errorf("%+v", g)
	}
}

func TestCallsFromBeforeAreDropped(t *testing.T) {
	c := configured()
	early, _, _ := c.Enter(t0, 0) // still out when all the rest happens
	for range 3 {
		fail(c, t0, 0)
	}
	now := t0.Add(time.Minute)
	for _, e := range []Event{Success, Failure} {
		if _, changed := c.Step(e, early, now, 0); changed || c.State() != Open {
			t.Fatalf("event %d of an older call moved an open circuit", e)
		}
	}
	for range settings.Successes {
		held, _, _ := c.Enter(now, 0)
		c.Step(Success, held, now, 0)
		now = now.Add(Spacing)
	}
	c.Step(Failure, early, now, 0)
	if c.Failures() != 0 {
		t.Error("a failure from before the circuit opened counts after it closed")
	}
}

func TestATicketEndsOnce(t *testing.T) {
	c, now := opened(t), t0.Add(time.Minute)
	held, _, _ := c.Enter(now, 0)
	for range 10 {
		c.Step(Success, held, now, 0)
	}
	if got, _ := c.Probes(); got != 1 {
		t.Errorf("one probe counted %d times", got)
	}
}

func TestOutsideProvesNothing(t *testing.T) {
	c := opened(t)
	held, _, changed := c.Enter(t0, 0)
	if held != Outside || changed {
		t.Fatalf("a call through an open circuit holds %d", held)
	}
	before := *c
	for _, e := range []Event{Success, Failure, Abandoned} {
		c.Step(e, held, t0.Add(time.Hour), 0)
	}
	if *c != before {
		t.Error("it changed the circuit")
	}
}

func TestConfigureKeepsWhatIsKnown(t *testing.T) {
	c := opened(t)
	c.Configure(Settings{Failures: 10, Successes: 1, Reset: time.Second})
	if c.State() != Open || c.Failures() != 3 || c.Until().Before(t0.Add(24*time.Second)) {
		t.Errorf("%v, %d failures, until %v", c.State(), c.Failures(), c.Until())
	}
	c.Configure(Settings{Failures: -1, Successes: -1, Reset: -1, Lease: -1})
	if c.settings != (Settings{Failures: 1, Successes: 1}) {
		t.Errorf("senseless settings were taken: %+v", c.settings)
	}
}

func TestZeroCircuitIsClosed(t *testing.T) {
	var c Circuit
	if g := c.Gate(t0, 0); !g.Pass || g.Probe {
		t.Errorf("%+v", g)
	}
	if _, changed := fail(&c, t0, 0); !changed {
		t.Error("unconfigured, it does not open on a failure")
	}
}

func TestAStateThatNobodyKnowsIsNotTrusted(t *testing.T) {
	c := configured()
	c.state = 99
	if c.Gate(t0, 0).Pass || c.State().String() != "unknown" {
		t.Error("it passed")
	}
}

func TestWords(t *testing.T) {
	for _, s := range []State{Closed, Open, HalfOpen} {
		text, err := s.MarshalText()
		var back State = 77
		if err != nil || back.UnmarshalText(text) != nil || back != s {
			t.Errorf("%v went out as %q and came back as %v", s, text, back)
		}
	}
	var s State
	if s.UnmarshalText([]byte("ajar")) == nil {
		t.Error("a word that is no state was taken")
	}
}

func BenchmarkGateEnterStep(b *testing.B) {
	c := configured()
	b.ReportAllocs()
	for b.Loop() {
		if c.Gate(t0, 1).Pass {
			held, _, _ := c.Enter(t0, 1)
			c.Step(Success, held, t0, 1)
		}
	}
}
