package health

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"segue/controlplane/policy"
)

// fleet is a region's agents at one provider in virtual time: each with the measure that it ships with, calls by chance at a low rate, a
// report each second at a phase of its own, and verdicts that reach it a moment after they are judged.
type fleet struct {
	*rand.Rand
	w       *Window
	now     time.Time
	rate    float64
	regions []*outpost
	begins  time.Time // from when on every call fails
	verdict time.Time // when there was one
	all     time.Time // when it said that nothing succeeds anywhere
}

type outpost struct {
	name   string
	m      lone
	next   time.Time // its next call
	told   time.Time // its next report
	seq    uint64
	row    Row
	inARow int
	off    time.Time // when its own test alarmed, or its circuit counted as many failures in a row as it does by default
	armed  time.Time
	good   time.Time // the last call that did not fail
}

const wayDown = 100 * time.Millisecond // through log and feed, generously

func newFleet(seed uint64, rate float64, n int, known time.Duration) *fleet {
	f := &fleet{Rand: rand.New(rand.NewPCG(seed, 7)), w: NewWindow(), now: t0, rate: rate, begins: t0.Add(40 * time.Second)}
	for i := range n {
		o := &outpost{name: string(rune('a' + i)), told: t0.Add(time.Duration(f.Int64N(int64(time.Second))))}
		o.next = t0.Add(f.gap())
		for at := t0.Add(-known); at.Before(t0); at = at.Add(f.gap()) {
			o.m.Observe(Sample{Class: OK, Latency: 50 * time.Millisecond}, at)
		}
		o.m.Take()
		f.regions = append(f.regions, o)
	}
	return f
}

func (f *fleet) gap() time.Duration {
	return time.Duration(f.ExpFloat64() / f.rate * float64(time.Second))
}

// run goes on in steps of ten milliseconds until every region is off the provider, and tells how long that took from the first failure.
func (f *fleet) run(t *testing.T, seed uint64) (took time.Duration, calls int) {
	var first time.Time
	for range 15_000 {
		f.now = f.now.Add(10 * time.Millisecond)
		off := 0
		for _, o := range f.regions {
			for !o.next.After(f.now) {
				failed := o.call(f)
				if failed && first.IsZero() {
					first = f.now
				}
				if failed && f.now.Sub(first) > 5*time.Second {
					calls++
				}
			}
			if !o.told.After(f.now) {
				o.report(t, f)
			}
			if !o.off.IsZero() {
				off++
			}
		}
		if f.now.UnixMilli()%250 == 0 {
			f.judge()
		}
		if off == len(f.regions) {
			return f.now.Sub(first), calls
		}
	}
	t.Fatalf("seed %d: not every region left it", seed)
	return 0, 0
}

// call makes one call, unless the region is off; a call that fails is seen at once.
func (o *outpost) call(f *fleet) (failed bool) {
	o.next = o.next.Add(f.gap())
	if !o.off.IsZero() {
		return false
	}
	s := Sample{Class: OK, Latency: 50 * time.Millisecond}
	if !f.now.Before(f.begins) {
		s.Class = Failure
	}
	o.row.Attempt(s, Succeeded)
	if o.inARow++; s.Class != Failure {
		o.inARow, o.good = 0, f.now
	}
	if o.m.Observe(s, f.now) != NoAlarm || o.inARow >= policy.DefaultFailures {
		o.off = f.now
	}
	return s.Class == Failure
}

func (o *outpost) report(t *testing.T, f *fleet) {
	o.told = o.told.Add(time.Second)
	o.seq++
	o.row.Service, o.row.Provider, o.row.Breaker, o.row.Evidence = "payments", "main", "closed", o.m.Take()
	if !o.off.IsZero() {
		o.row.Breaker = "open"
	}
	spare := Row{Service: "payments", Provider: "backup", Condition: Condition{Breaker: "closed"}}
	put(t, f.w, Report{Agent: o.name, Region: o.name, Run: "r", Seq: o.seq, At: f.now, Rows: []Row{o.row, spare}}, f.now)
	o.row.Traffic = Traffic{}
}

// judge asks the window; a verdict arms the measures a moment later, as an agent that heeds it does.
func (f *fleet) judge() {
	for _, v := range f.w.Judge(f.now) {
		if v.Kind != ProviderFault || !v.Eject {
			continue
		}
		if f.verdict.IsZero() {
			f.verdict = f.now
		}
		if f.all.IsZero() && v.All {
			f.all = f.now
		}
	}
	for _, o := range f.regions {
		if o.armed.IsZero() && !f.verdict.IsZero() && f.now.Sub(f.verdict) >= wayDown {
			o.m.Arm(f.now)
			o.armed = f.now
		}
		// as route.Standings.Follow: the last call here decides, or that none was answered for a while
		if o.off.IsZero() && !f.all.IsZero() && f.now.Sub(f.all) >= wayDown && o.good.Before(f.all.Add(wayDown)) && (o.m.InARow() > 0 || f.now.Sub(o.good) >= 4*time.Second) {
			o.off = f.now
		}
	}
}

// TestAtLowRatesAllRegionsLeaveWithinFiveSeconds: two calls a second in each of three regions, by chance, and the provider answers none of
// them. No region sends there later than five seconds after the first failure anywhere, of a provider that is well known or met just now.
func TestAtLowRatesAllRegionsLeaveWithinFiveSeconds(t *testing.T) {
	for _, known := range []time.Duration{0, 10 * time.Minute} {
		allLeave(t, 2, known)
	}
}

// allLeave runs many seeds with providers that were known for so long.
func allLeave(t *testing.T, rate float64, known time.Duration) {
	runs := size(200, 1000)
	var took, blamed []time.Duration
	late, calls := 0, 0
	for seed := range uint64(runs) {
		f := newFleet(seed, rate, 3, known)
		d, n := f.run(t, seed)
		took = append(took, d)
		if d > 5*time.Second {
			late++
		}
		calls += n
		if !f.verdict.IsZero() {
			blamed = append(blamed, f.verdict.Sub(f.begins))
		}
	}
	slices.Sort(took)
	slices.Sort(blamed)
	t.Logf("known for %v, %d seeds: all regions off after %v in the median, %v in 99 %%, at most %v; %d runs over 5 s, %d calls later than that; %d verdicts, the median %v after the begin",
		known, runs, took[runs/2], took[runs*99/100], took[runs-1], late, calls, len(blamed), blamed[len(blamed)/2])
	if took[runs/2] > 3*time.Second || late > 0 {
		t.Errorf("%d of %d runs took over 5 s, at most %v", late, runs, took[runs-1])
	}
}
