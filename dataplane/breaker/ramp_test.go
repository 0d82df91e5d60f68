package breaker

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// onRamp is a circuit that begins to come back at the time.
func onRamp(t *testing.T, s Settings) (*Circuit, time.Time) {
	t.Helper()
	c := &Circuit{}
	c.Configure(s)
	for range c.settings.Failures {
		fail(c, t0, 0)
	}
	return c, probed(t, c)
}

// probed lets an open circuit's probes succeed, and tells when the last one did.
func probed(t *testing.T, c *Circuit) time.Time {
	t.Helper()
	now := c.Until()
	for i := 0; c.State() == Open || c.State() == HalfOpen; i++ {
		held, _, _ := c.Enter(now, 0)
		c.Step(Success, held, now, 0)
		if c.State() == HalfOpen {
			now = now.Add(Spacing)
		}
		if i > 100 {
			t.Fatalf("%v after %d good probes", c.State(), i)
		}
	}
	return now
}

// passing is the share of so many draws that pass.
func passing(c *Circuit, now time.Time, draws int) float64 {
	rng, n := rand.New(rand.NewPCG(7, 7)), 0
	for range draws {
		if c.Gate(now, rng.Uint64()).Pass {
			n++
		}
	}
	return float64(n) / float64(draws)
}

// TestNineTenthsAreBackInFiveSeconds: after the fifth good probe, with the ramp that policies get.
func TestNineTenthsAreBackInFiveSeconds(t *testing.T) {
	s := settings
	s.Back = DefaultBack
	c, now := onRamp(t, s)
	if c.State() != Ramp || c.Away() {
		t.Fatalf("after its probes: %v", c.State())
	}
	if got := passing(c, now, 20_000); math.Abs(got-StartShare) > .01 {
		t.Errorf("it begins with %v", got)
	}
	if got := passing(c, now.Add(DefaultBack/2), 20_000); math.Abs(got-.55) > .015 {
		t.Errorf("half of the way: %v", got)
	}
	if got := passing(c, now.Add(4500*time.Millisecond), 20_000); got < .9 {
		t.Errorf("4.5 s after the fifth good probe %v of its share is back", got)
	}
	tr, changed := c.Settle(now.Add(DefaultBack))
	if !changed || tr.From != Ramp || tr.To != Closed || tr.Reason != RampOver || !c.Since().Equal(now.Add(DefaultBack)) {
		t.Errorf("%+v, closed since %v", tr, c.Since())
	}
	if _, changed := c.Settle(now.Add(DefaultBack)); changed {
		t.Error("it ended twice")
	}
}

// TestARampEndsWithACall: nobody has to watch it.
func TestARampEndsWithACall(t *testing.T) {
	s := settings
	s.Back = DefaultBack
	c, now := onRamp(t, s)
	held, _, changed := c.Enter(now.Add(DefaultBack-1), 0)
	for draw := uint64(1); held == Outside; draw++ { // one that passes
		held, _, changed = c.Enter(now.Add(DefaultBack-1), draw)
	}
	if changed {
		t.Error("it ended early")
	}
	if tr, changed := c.Step(Success, held, now.Add(DefaultBack), 0); !changed || tr.To != Closed {
		t.Errorf("a call from the ramp ended after it: %+v", tr)
	}
	late, _, _ := c.Enter(now.Add(time.Minute), 0)
	if late != held {
		t.Error("the end of a ramp made calls of the ramp worthless")
	}
}

// shares is what two providers of equal weight get when the first is on its ramp and each call goes where the rendezvous says, or on to the
// other one when the ramp refuses it. The rendezvous is the choice's (dataplane/route): the same draw, mixed by splitmix64.
func TestTheRampIsIndependentOfTheChoice(t *testing.T) {
	s := settings
	s.Back, s.Salt = DefaultBack, 0x1234
	c, now := onRamp(t, s)
	now = now.Add(DefaultBack * 4 / 9) // a share of one half
	rng := rand.New(rand.NewPCG(1, 2))
	const n = 200_000
	var won, passed int
	for range n {
		draw := rng.Uint64()
		if splitmix(draw^splitmix(77)) > splitmix(draw^splitmix(99)) {
			won++
			if c.Gate(now, draw).Pass {
				passed++
			}
		}
	}
	if got := float64(passed) / float64(won); math.Abs(got-.5) > .01 {
		t.Errorf("of the calls that would go there, %v passed at a share of a half", got)
	}
	other, _ := onRamp(t, Settings{Failures: 3, Successes: 5, Reset: settings.Reset, Lease: settings.Lease, Back: DefaultBack, Salt: 0x9999})
	both := 0
	for range n {
		if draw := rng.Uint64(); c.Gate(now, draw).Pass && other.Gate(now, draw).Pass {
			both++
		}
	}
	if got := float64(both) / n; math.Abs(got-.25) > .01 {
		t.Errorf("two providers at a half let %v of the same calls pass, a quarter is chance", got)
	}
	sequential := 0
	for draw := range uint64(n) { // ids that count up
		if c.Gate(now, draw).Pass {
			sequential++
		}
	}
	if got := float64(sequential) / n; math.Abs(got-.5) > .01 {
		t.Errorf("of draws that count up %v passed", got)
	}
}

func splitmix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

func TestWhoPassedOnceGoesOnPassing(t *testing.T) {
	s := settings
	s.Back = DefaultBack
	c, now := onRamp(t, s)
	for draw := range uint64(500) {
		passed := false
		for d := time.Duration(0); d <= DefaultBack; d += DefaultBack / 50 {
			g := c.Gate(now.Add(d), draw)
			if passed && !g.Pass {
				t.Fatalf("draw %d passed before %v and is refused then", draw, d)
			}
			passed = g.Pass
		}
	}
}

func TestFailuresInTheRampSendItBack(t *testing.T) {
	s := settings
	s.Back = DefaultBack
	pass := func(c *Circuit, now time.Time) Ticket {
		for draw := uint64(0); ; draw++ {
			if held, _, _ := c.Enter(now, draw); held != Outside {
				return held
			}
		}
	}
	c, now := onRamp(t, s)
	if _, changed := c.Step(Failure, pass(c, now), now, 0); changed {
		t.Error("one failure of three sent it back")
	}
	tr, changed := c.Step(Failure, pass(c, now), now, 0)
	if !changed || tr.From != Ramp || tr.To != Open || tr.Reason != InARow || tr.Failures != 2 {
		t.Errorf("two in a row: %+v", tr)
	}
	c, now = onRamp(t, s)
	if tr, changed := c.Step(Alarmed, Outside, now, 0); !changed || tr.To != Open || tr.Reason != Detected {
		t.Errorf("an alarm: %+v", tr)
	}
	c, now = onRamp(t, s)
	if tr, changed := c.Step(Slowed, Outside, now, 0); !changed || tr.To != Open || tr.Reason != TooSlow {
		t.Errorf("slow: %+v", tr)
	}
}

func TestASlowProviderIsLeftGently(t *testing.T) {
	s := settings
	s.Away = 10 * time.Second
	c := &Circuit{}
	c.Configure(s)
	held, _, _ := c.Enter(t0, 0)
	tr, changed := c.Step(Slowed, Outside, t0, 0)
	if !changed || tr.To != Ramp || !c.Away() || tr.Reason != TooSlow || !c.Since().Equal(t0) {
		t.Fatalf("%+v, away %v", tr, c.Away())
	}
	if got := passing(c, t0.Add(5*time.Second), 20_000); math.Abs(got-.5) > .015 {
		t.Errorf("half of the way %v pass", got)
	}
	if _, changed := c.Step(Slowed, Outside, t0.Add(time.Second), 0); changed {
		t.Error("told again that it is slow, it changed")
	}
	failing := *c
	if tr, changed := failing.Step(Alarmed, Outside, t0.Add(time.Second), 0); !changed || tr.To != Open || tr.Reason != Detected {
		t.Errorf("it fails, on the ramp away: %+v", tr)
	}
	after := t0.Add(11 * time.Second)
	if g := c.Gate(after, 0); g.Pass || g.Share != 0 || g.Wait <= 0 {
		t.Errorf("after the ramp, which nobody has ended: %+v", g)
	}
	tr, changed = c.Step(Success, held, after, 0)
	if !changed || tr.To != Open || c.Until().Sub(t0) < s.Away+s.Reset*4/5 || c.Until().Sub(t0) > s.Away+s.Reset*6/5 {
		t.Errorf("%+v, until %v", tr, c.Until())
	}
	if now := probed(t, c); c.State() != Closed || now.Before(after) {
		t.Errorf("%v", c.State())
	}
}

func TestSlowWithoutARampAway(t *testing.T) {
	c := configured()
	if tr, changed := c.Step(Slowed, Outside, t0, 0); !changed || tr.To != Open || tr.Reason != TooSlow {
		t.Errorf("%+v", tr)
	}
}

// TestSlowProbes: one slow answer in a few is what well providers give too; two are none that came back.
func TestSlowProbes(t *testing.T) {
	c, now := opened(t), t0.Add(time.Minute)
	for i := range 2 {
		held, _, _ := c.Enter(now, 0)
		tr, changed := c.Step(Slowed, held, now, 0)
		if changed != (i == 1) || changed && (tr.To != Open || tr.Reason != TooSlow) {
			t.Errorf("slow probe %d: %+v %v", i+1, tr, changed)
		}
		now = now.Add(Spacing)
	}
}

// TestDetectorsDoNotDecideHalfOpen: there the probes do.
func TestDetectorsDoNotDecideHalfOpen(t *testing.T) {
	c, now := opened(t), t0.Add(time.Minute)
	before := *c
	for _, e := range []Event{Alarmed, Slowed} {
		if _, changed := c.Step(e, Outside, t0, 0); changed || *c != before {
			t.Error("an alarm moved an open circuit")
		}
	}
	c.Enter(now, 0)
	before = *c
	for _, e := range []Event{Alarmed, Slowed} {
		if _, changed := c.Step(e, Outside, now, 0); changed || *c != before {
			t.Error("an alarm moved a half-open circuit")
		}
	}
}
