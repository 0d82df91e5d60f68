package standing

import (
	"reflect"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"segue/controlplane/health"
	"segue/controlplane/policy"
	"segue/dataplane/route"
)

var t0 = time.Date(2026, 11, 21, 14, 0, 0, 0, time.UTC)

// payments is a service of the given providers, in order of preference.
func payments(providers ...string) *policy.Service {
	svc := &policy.Service{
		Name: "payments", Strategy: policy.Priority, Attempts: policy.Attempts{PerTry: 4 * time.Second},
		Breaker: policy.Breaker{Failures: 3, Successes: 5, Reset: 30 * time.Second},
	}
	for _, p := range providers {
		svc.Candidates = append(svc.Candidates, &policy.Candidate{Provider: p, Weight: 50})
	}
	return svc
}

func snapshot(services ...*policy.Service) *policy.Snapshot {
	return &policy.Snapshot{Region: "us-east", Revision: 7, Services: services}
}

func boardOf(svc *policy.Service) *Board {
	b := New()
	b.Swap(snapshot(svc))
	return b
}

func newCall() *policy.Facts { return &policy.Facts{Pinned: -1, Owner: -1, Draw: 1} }

// choose is one choice that must succeed.
func choose(t *testing.T, b *Board, svc *policy.Service, f *policy.Facts, now time.Time) (route.Permit, *route.Decision) {
	t.Helper()
	d := &route.Decision{}
	p, ok := b.Choose(d, svc, f, now)
	if !ok || !p.Valid() {
		t.Fatalf("nobody was eligible: %v", d.Explain(svc))
	}
	return p, d
}

func fail(t *testing.T, b *Board, svc *policy.Service, n int, now time.Time) {
	t.Helper()
	for range n {
		p, _ := choose(t, b, svc, newCall(), now)
		b.Done(p, health.Sample{Class: health.Failure, Latency: time.Second}, health.Unknown, now)
	}
}

func TestAFailingProviderIsLeft(t *testing.T) {
	svc := payments("stripe", "adyen")
	b := boardOf(svc)
	fail(t, b, svc, 3, t0)
	if _, d := choose(t, b, svc, newCall(), t0); d.Winner != 1 {
		t.Errorf("the fourth call went to %d", d.Winner)
	}
	if _, d := choose(t, b, svc, newCall(), t0.Add(37*time.Second)); d.Winner != 0 || !d.Probe {
		t.Errorf("the probe went to %d", d.Winner)
	}
}

func TestSwapKeepsRowsByName(t *testing.T) {
	svc := payments("stripe", "adyen")
	b := boardOf(svc)
	fail(t, b, svc, 3, t0)
	next := payments("checkout", "adyen", "stripe")
	b.Swap(snapshot(next))
	rows := b.Report(t0).Rows
	if got := []string{rows[0].Provider, rows[1].Provider, rows[2].Provider}; !reflect.DeepEqual(got, []string{"checkout", "adyen", "stripe"}) {
		t.Fatalf("%v", got)
	}
	if rows[2].Breaker != "open" || rows[2].Calls != 3 || rows[0].Breaker != "closed" {
		t.Errorf("stripe lost what was known of it: %+v", rows[2])
	}
}

func TestAPermitOutlivesItsRow(t *testing.T) {
	svc := payments("stripe", "adyen")
	b := boardOf(svc)
	p, _ := choose(t, b, svc, newCall(), t0)
	q, _ := choose(t, b, svc, newCall(), t0)
	b.Swap(snapshot(payments("adyen")))
	b.Done(p, health.Sample{Class: health.OK}, health.Succeeded, t0)
	b.Swap(snapshot())
	b.Release(q)
	if n := p.Row().InFlight; n != 0 {
		t.Errorf("%d in flight in a row that is gone", n)
	}
	b.Call("payments", health.CallEnd{Outcome: health.Succeeded}) // counts nowhere, and harms nobody
}

func TestCallsAroundASwap(t *testing.T) {
	old, next := payments("stripe", "adyen"), payments("adyen", "checkout")
	b := boardOf(old)
	b.Swap(snapshot(next))
	if p, d := choose(t, b, old, newCall(), t0); d.Winner != 0 || p.Row().Provider != "stripe" {
		t.Errorf("by the policy before, index 0 is stripe; got %s", p.Row().Provider)
	}
	f := newCall()
	f.Pinned = 1
	p, _ := choose(t, b, old, f, t0)
	if p.Row().Provider != "adyen" || b.Report(t0).Rows[0].InFlight != 1 {
		t.Error("the provider that stayed is another row for a call from before")
	}
	gone := payments("stripe")
	gone.Name = "gone"
	q, _ := choose(t, b, gone, newCall(), t0)
	b.Done(q, health.Sample{Class: health.OK}, health.Succeeded, t0)
}

func TestNewSettingsHoldForOldRows(t *testing.T) {
	svc := payments("stripe", "adyen")
	b := boardOf(svc)
	fail(t, b, svc, 1, t0)
	next := payments("stripe", "adyen")
	next.Breaker.Failures = 2
	b.Swap(snapshot(next))
	fail(t, b, next, 1, t0)
	if got := b.Report(t0).Rows[0].Breaker; got != "open" {
		t.Errorf("after two failures of two: %s", got)
	}
}

func TestAProbesLeaseIsTheTryAndASecond(t *testing.T) {
	svc := payments("stripe")
	b := boardOf(svc)
	fail(t, b, svc, 3, t0)
	now := t0.Add(time.Minute)
	choose(t, b, svc, newCall(), now) // the probe hangs
	if _, ok := b.Choose(&route.Decision{}, svc, newCall(), now.Add(5*time.Second-1)); ok {
		t.Error("a second probe within the lease")
	}
	choose(t, b, svc, newCall(), now.Add(5*time.Second))
}

func TestDrains(t *testing.T) {
	svc := payments("stripe", "adyen")
	b := boardOf(svc)
	until := t0.Add(time.Minute)
	b.Drain("stripe", until)
	if _, d := choose(t, b, svc, newCall(), t0); d.Winner != 1 {
		t.Error("a drained provider got a call")
	}
	b.Swap(snapshot(svc))
	if got := b.Report(t0).Rows[0].Drained; !got.Equal(until) {
		t.Errorf("after a swap drained until %v", got)
	}
	if got := b.Report(until).Rows[0].Drained; !got.IsZero() {
		t.Errorf("a drain that ended is reported: %v", got)
	}
	if _, d := choose(t, b, svc, newCall(), until); d.Winner != 0 {
		t.Error("a drain does not end by itself")
	}
	b.Drains(map[string]time.Time{"adyen": until, "later": until})
	if _, d := choose(t, b, svc, newCall(), t0); d.Winner != 0 || d.Scores[1].Gate != route.Drained {
		t.Error("Drains does not replace")
	}
	next := payments("later", "adyen", "stripe")
	b.Swap(snapshot(next))
	if _, d := choose(t, b, next, newCall(), t0); d.Winner != 2 {
		t.Error("a provider that came later is not drained")
	}
	b.Drain("later", time.Time{})
	if _, d := choose(t, b, next, newCall(), t0); d.Winner != 0 {
		t.Error("a drain was not lifted")
	}
}

func TestPreviewTakesNothing(t *testing.T) {
	svc := payments("stripe")
	svc.Candidates[0].Limits.InFlight = 1
	b := boardOf(svc)
	for range 3 {
		d := &route.Decision{}
		if b.Preview(d, svc, newCall(), t0); d.Winner != 0 {
			t.Fatal(d.Explain(svc))
		}
	}
	if r := b.Report(t0).Rows[0]; r.InFlight != 0 || r.Sessions != 0 {
		t.Errorf("%+v", r)
	}
}

// TestNoTwoCallsGetTheLastSlot runs choices against each other, across swaps: the limit holds and everything comes back.
func TestNoTwoCallsGetTheLastSlot(t *testing.T) {
	const limit = 3
	limited := func() *policy.Service {
		svc := payments("stripe")
		svc.Candidates[0].Limits.InFlight = limit
		return svc
	}
	svc := limited()
	b := boardOf(svc)
	var wg sync.WaitGroup
	var mu sync.Mutex
	out, most := 0, 0
	for range 8 {
		wg.Go(func() {
			for range 2000 {
				p, ok := b.Choose(&route.Decision{}, svc, newCall(), t0)
				if !ok {
					continue
				}
				mu.Lock()
				out++
				most = max(most, out)
				mu.Unlock()
				runtime.Gosched()
				mu.Lock()
				out-- // before the slot is free: counted late, the next one would seem too many
				mu.Unlock()
				b.Done(p, health.Sample{Class: health.OK}, health.Succeeded, t0)
			}
		})
	}
	wg.Go(func() {
		for range 200 {
			b.Swap(snapshot(limited()))
			b.Report(t0)
			b.Drain("nobody", t0)
		}
	})
	wg.Wait()
	if most > limit {
		t.Errorf("%d in flight at a limit of %d", most, limit)
	}
	if got := b.Report(t0).Rows[0].InFlight; got != 0 {
		t.Errorf("%d in flight at the end", got)
	}
}

func TestChooseAndDoneNeedNoMemory(t *testing.T) {
	svc := payments("a", "b", "c", "d")
	svc.Strategy = policy.Weighted
	b, d, f := boardOf(svc), &route.Decision{}, newCall()
	n := testing.AllocsPerRun(1000, func() {
		f.Draw++
		p, _ := b.Choose(d, svc, f, t0)
		b.Done(p, health.Sample{Class: health.OK, Latency: time.Millisecond}, health.Succeeded, t0)
		b.Call("payments", health.CallEnd{Outcome: health.Succeeded, Overhead: time.Microsecond})
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkChooseDone(b *testing.B) {
	svc := payments("a", "b", "c", "d")
	svc.Strategy = policy.Weighted
	board := boardOf(svc)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		d, f := &route.Decision{}, newCall()
		for pb.Next() {
			f.Draw++
			p, _ := board.Choose(d, svc, f, t0)
			board.Done(p, health.Sample{Class: health.OK, Latency: time.Millisecond}, health.Succeeded, t0)
		}
	})
}

func TestABoardWithoutPolicyRefusesNobodyItKnows(t *testing.T) {
	b := New()
	if rep := b.Report(t0); len(rep.Rows) != 0 || rep.Seq != 1 {
		t.Errorf("%+v", rep)
	}
	b.Done(route.Permit{}, health.Sample{}, health.Open, t0)
	b.Release(route.Permit{})
	showed(b, "stripe", true)
	if _, ok := b.Choose(&route.Decision{}, payments(), newCall(), t0); ok {
		t.Error("a permit from a service without providers")
	}
}

// hang begins calls that nobody answers at providers that were well.
func hang(t *testing.T, b *Board, svc *policy.Service, at []int8, now time.Time) {
	t.Helper()
	for _, i := range at {
		f := newCall()
		f.Owner = i
		for k := range 500 {
			p, _ := choose(t, b, svc, f, now.Add(time.Duration(k-600)*100*time.Millisecond))
			b.Done(p, health.Sample{Class: health.OK, Latency: 80 * time.Millisecond}, health.Succeeded, now.Add(time.Duration(k-599)*100*time.Millisecond))
		}
		for range 20 {
			p, _ := choose(t, b, svc, f, now)
			b.Sent(&p, now)
		}
	}
}

// TestAHangShowsByTheTick: nobody asks any more, and no call has ended.
func TestAHangShowsByTheTick(t *testing.T) {
	svc := payments("stripe", "adyen", "checkout")
	b := boardOf(svc)
	hang(t, b, svc, []int8{0}, t0)
	for now := t0; now.Before(t0.Add(5 * time.Second)); now = now.Add(TickEvery) {
		b.Tick(now)
		if !b.Closed("payments", "stripe") {
			return
		}
	}
	t.Error("it did not show")
}

// TestWhoSleepsAccusesNobody: this process was paused, or all providers are late at once; no circuit opens for that.
func TestWhoSleepsAccusesNobody(t *testing.T) {
	svc := payments("stripe", "adyen", "checkout")
	b := boardOf(svc)
	hang(t, b, svc, []int8{0}, t0)
	for k := range 40 { // each tick comes seconds too late
		b.tick(t0.Add(time.Duration(k)*3*time.Second), 3*time.Second)
	}
	if !b.Closed("payments", "stripe") {
		t.Error("it slept, and blamed stripe")
	}
	b = boardOf(svc)
	hang(t, b, svc, []int8{0, 1, 2}, t0)
	for k := range 100 {
		b.Tick(t0.Add(time.Duration(k) * TickEvery))
	}
	if !b.Closed("payments", "stripe") || !b.Closed("payments", "adyen") {
		t.Error("all of them hang, and one was blamed")
	}
}

// busy keeps providers answering calls of 20 ms, each 100 times a second, until then; the silent answer none from that moment on. It ticks as the
// agent does, each tick late by so much.
func busy(t *testing.T, b *Board, svc *policy.Service, calls []int8, silent []int8, lasts, late time.Duration) {
	t.Helper()
	type open struct {
		p    route.Permit
		sent time.Time
	}
	var under []open
	tick := t0
	for now := t0; now.Before(t0.Add(20*time.Second + lasts)); now = now.Add(10 * time.Millisecond) {
		hangs := !now.Before(t0.Add(20 * time.Second))
		for len(under) > 0 && now.Sub(under[0].sent) >= 20*time.Millisecond {
			b.Done(under[0].p, health.Sample{Class: health.OK, Latency: 20 * time.Millisecond}, health.Succeeded, now)
			under = under[1:]
		}
		for _, i := range calls {
			f := newCall()
			f.Owner = i
			p, _ := choose(t, b, svc, f, now)
			b.Sent(&p, now)
			if !hangs || !slices.Contains(silent, i) {
				under = append(under, open{p, now})
			}
		}
		if !now.Before(tick) {
			by := time.Duration(0)
			if hangs {
				by = late
			}
			b.tick(now, by)
			tick = tick.Add(TickEvery + by)
		}
	}
}

// TestWhoHearsNobodyWaitsLonger: that nothing comes from anywhere may be ours, so a silence has to last twice as long where nobody else was heard.
// Where all are silent, and where the agent itself is late, nobody is blamed for it. Calls stay too young to count by themselves.
func TestWhoHearsNobodyWaitsLonger(t *testing.T) {
	for _, c := range []struct {
		name          string
		calls, silent []int8
		lasts, late   time.Duration
		closed        bool
	}{
		{"another is heard", []int8{0, 1}, []int8{0}, 145 * time.Millisecond, 0, false},
		{"nobody else is heard", []int8{0}, []int8{0}, 145 * time.Millisecond, 0, true},
		{"all are silent", []int8{0, 1}, []int8{0, 1}, 400 * time.Millisecond, 0, true},
		{"ticks come late", []int8{0, 1}, []int8{0}, 145 * time.Millisecond, 10 * time.Millisecond, true},
	} {
		svc := payments("stripe", "adyen")
		b := boardOf(svc)
		busy(t, b, svc, c.calls, c.silent, c.lasts, c.late)
		if got := b.Closed("payments", "stripe"); got != c.closed {
			t.Errorf("%s: closed is %v", c.name, got)
		}
		if !b.Closed("payments", "adyen") {
			t.Errorf("%s: adyen was blamed", c.name)
		}
	}
}
