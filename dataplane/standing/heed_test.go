package standing

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"segue/controlplane/health"
	"segue/controlplane/policy"
	"segue/dataplane/breaker"
	"segue/dataplane/route"
)

func good(t *testing.T, b *Board, svc *policy.Service, n int, now time.Time) {
	t.Helper()
	for i := range n {
		p, _ := choose(t, b, svc, newCall(), now.Add(time.Duration(i)*10*time.Millisecond))
		b.Done(p, health.Sample{Class: health.OK, Latency: 5 * time.Millisecond}, health.Succeeded, now.Add(time.Duration(i)*10*time.Millisecond))
	}
}

func blame(kind health.VerdictKind, region, provider string, since, until time.Time) health.Verdict {
	v := health.Verdict{Kind: kind, Region: region, Since: since, Until: until, Why: "because", Eject: true}
	if provider != "" {
		v.Service, v.Provider = "payments", provider
	}
	return v
}

func stateOf(b *Board, provider string) breaker.State {
	for _, s := range *b.services.Load() {
		if r := s.row(provider); r != nil {
			return r.Circuit.State()
		}
	}
	return 99
}

// TestAProviderVerdictMakesTheOwnTestQuicker: it opens nothing, and fewer failures do.
func TestAProviderVerdictMakesTheOwnTestQuicker(t *testing.T) {
	for _, told := range []bool{false, true} {
		svc := payments("stripe", "adyen")
		svc.Breaker.Failures = 100 // only detectors
		b := boardOf(svc)
		good(t, b, svc, 2000, t0)
		now := t0.Add(time.Minute)
		if told {
			b.Heed([]health.Verdict{blame(health.ProviderFault, "", "stripe", t0, now.Add(time.Minute))}, now)
		}
		if stateOf(b, "stripe") != breaker.Closed {
			t.Fatal("a verdict alone opened the circuit")
		}
		n := 0
		for ; stateOf(b, "stripe") == breaker.Closed && n < 50; n++ {
			fail(t, b, svc, 1, now.Add(time.Duration(n)*100*time.Millisecond))
		}
		if want := map[bool]int{false: 4, true: 1}[told]; n != want {
			t.Errorf("told %t: left after %d failures, want %d", told, n, want)
		}
	}
}

// TestWhatFailsEverywhereIsLeft: nothing succeeds from anywhere, the leader says. The last call here decides; where there is none to learn from,
// that nothing was answered for a while. A region that sees successes keeps sending.
func TestWhatFailsEverywhereIsLeft(t *testing.T) {
	cases := []struct {
		name   string
		before func(b *Board, svc *policy.Service, now time.Time)
		after  func(b *Board, svc *policy.Service, now time.Time) // a second after the verdict
		told   breaker.State                                      // at once
		then   breaker.State                                      // five seconds later
	}{
		{"the last call here failed", func(b *Board, svc *policy.Service, now time.Time) {
			good(t, b, svc, 1, now.Add(-time.Second))
			fail(t, b, svc, 1, now)
		}, nil, breaker.Open, breaker.Open},
		{"no call was answered lately", nil, nil, breaker.Open, breaker.Open},
		{"the last call here succeeded, and then there is none", func(b *Board, svc *policy.Service, now time.Time) { good(t, b, svc, 1, now) }, nil, breaker.Closed, breaker.Open},
		{"and the next one succeeds too", func(b *Board, svc *policy.Service, now time.Time) { good(t, b, svc, 1, now) }, func(b *Board, svc *policy.Service, now time.Time) { good(t, b, svc, 1, now) }, breaker.Closed, breaker.Closed},
		{"and the next one fails", func(b *Board, svc *policy.Service, now time.Time) { good(t, b, svc, 1, now) }, func(b *Board, svc *policy.Service, now time.Time) { fail(t, b, svc, 1, now) }, breaker.Closed, breaker.Open},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			svc := payments("stripe", "adyen")
			svc.Breaker.Failures, svc.Breaker.Reset = 100, time.Minute
			b := boardOf(svc)
			good(t, b, svc, 2000, t0)
			now := t0.Add(time.Minute)
			if tc.before != nil {
				tc.before(b, svc, now.Add(-time.Second))
			}
			v := blame(health.ProviderFault, "", "stripe", t0, now.Add(time.Minute))
			v.All = true
			b.Heed([]health.Verdict{v}, now)
			if got := stateOf(b, "stripe"); got != tc.told {
				t.Errorf("told, it is %v, want %v", got, tc.told)
			}
			if tc.after != nil {
				tc.after(b, svc, now.Add(time.Second))
			}
			b.Tick(now.Add(time.Second + TickEvery))
			b.Heed([]health.Verdict{v}, now.Add(2*time.Second)) // it comes again with every update
			b.Tick(now.Add(5 * time.Second))
			if got := stateOf(b, "stripe"); got != tc.then {
				t.Errorf("five seconds later it is %v, want %v", got, tc.then)
			}
			if e := b.events.take(); tc.then == breaker.Open && (len(e) != 1 || !strings.Contains(e[0].Text, "circuit open")) {
				t.Errorf("%+v", e)
			}
		})
	}
	svc := payments("stripe")
	b := boardOf(svc)
	v := blame(health.ProviderFault, "", "stripe", t0, t0.Add(time.Minute))
	v.All = true
	if b.Heed([]health.Verdict{v}, t0); stateOf(b, "stripe") != breaker.Closed {
		t.Error("the last provider was left because of what others say")
	}
}

// TestAPathVerdictOpensHereAlone, and only where nothing succeeds.
func TestAPathVerdictOpensHereAlone(t *testing.T) {
	cases := []struct {
		name   string
		region string
		good   time.Duration // before the verdict a call succeeded
		eject  bool
		only   bool // there is no other provider
		want   breaker.State
	}{
		{"nothing is known here", "us-east", 0, true, false, breaker.Open},
		{"no call succeeded lately", "us-east", time.Minute, true, false, breaker.Open},
		{"calls succeed here", "us-east", time.Second, true, false, breaker.Closed},
		{"another region's path", "eu-west", time.Minute, true, false, breaker.Closed},
		{"what is left cannot carry it", "us-east", time.Minute, false, false, breaker.Closed},
		{"the last provider", "us-east", time.Minute, true, true, breaker.Closed},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			svc := payments("stripe", "adyen")
			if tc.only {
				svc = payments("stripe")
			}
			b := boardOf(svc)
			now := t0.Add(time.Hour)
			if tc.good > 0 {
				good(t, b, svc, 1, now.Add(-tc.good))
			}
			v := blame(health.PathFault, tc.region, "stripe", t0, now.Add(time.Minute))
			v.Eject = tc.eject
			b.Heed([]health.Verdict{v}, now)
			if got := stateOf(b, "stripe"); got != tc.want {
				t.Errorf("%v, want %v", got, tc.want)
			}
			if e := b.events.take(); tc.want == breaker.Open && (len(e) != 1 || e[0].Level != "bad" || !strings.Contains(e[0].Text, "path from here")) {
				t.Errorf("%+v", e)
			}
		})
	}
}

// TestOursFreezesDetectors: while it holds detectors turn nothing, failures in a row still do; it ends by itself.
func TestOursFreezesDetectors(t *testing.T) {
	slowly := func(b *Board, svc *policy.Service, from time.Time) int { // every second call fails: never two in a row
		for i := range 400 {
			now := from.Add(time.Duration(i) * 10 * time.Millisecond)
			p, d := choose(t, b, svc, newCall(), now)
			if d.Winner != 0 {
				return i
			}
			s := health.Sample{Class: health.OK, Latency: 5 * time.Millisecond}
			if i%2 == 0 {
				s.Class = health.Failure
			}
			b.Done(p, s, health.Unknown, now)
		}
		return 400
	}
	ours := []health.Verdict{blame(health.OursFault, "", "", t0, t0.Add(time.Minute))}
	svc := payments("stripe", "adyen")
	b := boardOf(svc)
	good(t, b, svc, 2000, t0.Add(-time.Hour))
	b.Heed(ours, t0)
	if n := slowly(b, svc, t0); n != 400 {
		t.Errorf("frozen, a detector opened after %d calls", n)
	}
	next := payments("later", "stripe", "adyen") // a policy that comes meanwhile freezes its new rows too
	b.Swap(snapshot(next))
	b.Heed(ours, t0.Add(5*time.Second))
	fail(t, b, next, 3, t0.Add(10*time.Second))
	if stateOf(b, "later") != breaker.Open {
		t.Error("frozen, three failures in a row opened nothing")
	}
	b.Swap(snapshot(svc))
	if n := slowly(b, svc, t0.Add(2*time.Minute)); n > 100 {
		t.Errorf("a minute after its end it took %d calls", n)
	}
}

// TestARegionIsLostOnlyWhereItIs: the leader's word and this agent's own circuits, both.
func TestARegionIsLostOnlyWhereItIs(t *testing.T) {
	svc := payments("stripe", "adyen")
	svc.Breaker.Failures = 1
	b := boardOf(svc)
	lost := []health.Verdict{blame(health.RegionFault, "us-east", "", t0, t0.Add(time.Minute))}
	b.Heed(lost, t0)
	if b.Lost(t0) {
		t.Error("a verdict alone sends everybody away")
	}
	fail(t, b, svc, 1, t0)
	fail(t, b, svc, 1, t0)
	if !b.Lost(t0.Add(time.Second)) {
		t.Error("every circuit is open here, and the leader says so")
	}
	if b.Lost(t0.Add(time.Minute)) {
		t.Error("it does not end by itself")
	}
	b.Heed([]health.Verdict{blame(health.RegionFault, "eu-west", "", t0, t0.Add(time.Minute))}, t0)
	if b.Lost(t0) {
		t.Error("another region's verdict")
	}
	b.Heed(nil, t0)
	if b.Lost(t0) {
		t.Error("none is in force")
	}
}

// TestLyingVerdictsTakeNearlyNothing: a control plane that is wrong says all there is to say, anew each second for ten minutes, about a
// provider that is well. It keeps nearly all of its traffic: in one run of four its circuit opens, by two failures in a row where the
// verdict is believed for as long, and half a minute is a twentieth of a run; so what counts is the mean of 20. The seed is printed.
func TestLyingVerdictsTakeNearlyNothing(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	calls, kept := 0, 0
	for run := range uint64(20) {
		n := keptUnderLies(t, rand.New(rand.NewPCG(seed, run)))
		calls, kept = calls+12_000, kept+n
	}
	share := float64(kept) / float64(calls)
	t.Logf("seed %d: %.2f %% of %d calls", seed, 100*share, calls)
	if share < .95 {
		t.Errorf("a healthy provider kept %.1f %% of its traffic", 100*share)
	}
}

// keptUnderLies is how many of the 12,000 calls of ten minutes go to the provider that is lied about.
func keptUnderLies(t *testing.T, draw *rand.Rand) (kept int) {
	t.Helper()
	svc := payments("stripe", "adyen")
	b := boardOf(svc)
	now, d, f := t0, &route.Decision{}, newCall()
	for second := range 600 {
		until := now.Add(time.Minute)
		all := blame(health.ProviderFault, "", "stripe", now, until)
		all.All = true
		b.Heed([]health.Verdict{
			blame(health.OursFault, "", "", now, until), blame(health.RegionFault, "us-east", "", now, until),
			all, blame(health.PathFault, "us-east", "stripe", now, until),
			blame(health.PathFault, "us-east", fmt.Sprint("none", second), now, until),
		}[second%2:], now) // frozen in every other second
		if b.Lost(now) {
			t.Fatal("applications were sent away")
		}
		for range 20 {
			now = now.Add(50 * time.Millisecond)
			f.Draw = draw.Uint64()
			p, ok := b.Choose(d, svc, f, now)
			if !ok {
				t.Fatal("nobody was eligible")
			}
			if d.Winner == 0 {
				kept++
			}
			s := health.Sample{Class: health.OK, Latency: 5 * time.Millisecond}
			if draw.IntN(200) == 0 { // as it does on a good day
				s.Class = health.Failure
			}
			b.Done(p, s, health.Succeeded, now)
		}
	}
	return kept
}

// TestVerdictsAreBoundedInTime: one that nobody ends is over by itself, and one that is told again does nothing again.
func TestVerdictsAreBoundedInTime(t *testing.T) {
	svc := payments("stripe", "adyen")
	b := boardOf(svc)
	v := blame(health.PathFault, "us-east", "stripe", t0, t0.Add(time.Minute))
	b.Heed([]health.Verdict{v}, t0.Add(2*time.Minute))
	if stateOf(b, "stripe") != breaker.Closed {
		t.Error("a verdict that has ended was heeded")
	}
	b.Heed([]health.Verdict{v}, t0)
	if stateOf(b, "stripe") != breaker.Open {
		t.Fatal("not heeded")
	}
	events := len(b.events.take())
	now := t0
	for range 50 { // it stands for a minute, and comes with every update
		now = now.Add(time.Second)
		b.Heed([]health.Verdict{v}, now)
		b.Tick(now)
		if p, ok := b.Choose(&route.Decision{}, svc, newCall(), now); ok {
			b.Done(p, health.Sample{Class: health.OK, Latency: time.Millisecond}, health.Succeeded, now)
		}
	}
	if got := stateOf(b, "stripe"); got == breaker.Open || got == breaker.HalfOpen || events != 1 {
		t.Errorf("the provider answers, and 50 s later its circuit is %v", got)
	}
}

// TestAPathIsLeftOnceInHalfAMinute: a leader that finds the same trouble anew each second does not keep a provider out that answers.
func TestAPathIsLeftOnceInHalfAMinute(t *testing.T) {
	svc := payments("stripe", "adyen")
	svc.Breaker.Reset = time.Second
	b := boardOf(svc)
	heed := func(now time.Time) breaker.State {
		b.Heed([]health.Verdict{blame(health.PathFault, "us-east", "stripe", now, now.Add(time.Minute))}, now)
		return stateOf(b, "stripe")
	}
	if heed(t0) != breaker.Open {
		t.Fatal("not heeded")
	}
	now := t0
	for ; now.Sub(t0) < 20*time.Second; now = now.Add(500 * time.Millisecond) { // its probes succeed
		b.Tick(now)
		p, d := choose(t, b, svc, newCall(), now)
		class := health.OK
		if d.Winner == 1 {
			class = health.None
		}
		b.Done(p, health.Sample{Class: class, Latency: time.Millisecond}, health.Succeeded, now)
	}
	b.Tick(now)
	if got := stateOf(b, "stripe"); got != breaker.Closed && got != breaker.Ramp {
		t.Fatalf("20 s later it is %v", got)
	}
	if got := heed(t0.Add(28 * time.Second)); got == breaker.Open {
		t.Error("left again within half a minute")
	}
	if got := heed(t0.Add(40 * time.Second)); got != breaker.Open {
		t.Errorf("after that a new verdict counts again: %v", got)
	}
}
