package health

import (
	"math"
	"sort"
	"testing"
	"time"
)

// part is one kind of calls in a mixture: its share of the calls, how often it fails, and what a call of it weighs.
type part struct {
	of, p float64
	weight
}

// betweenMixed is between for calls of several kinds in one test: at least how many there are between two false alarms in the mean. The lattice
// divides the alarm into so many units; rises are rounded up to it and declines down.
func betweenMixed(kinds []part, units int) float64 {
	up, down, n := 0, 0, units
	type move struct {
		by   int
		with float64
	}
	var moves []move
	for _, k := range kinds {
		u, d := int(math.Ceil(k.up*float64(n)-1e-9)), int(math.Floor(-k.down*float64(n)+1e-9))
		up, down = max(up, u), max(down, d)
		moves = append(moves, move{u, k.of * k.p}, move{-d, k.of * (1 - k.p)})
	}
	width := down + up + 1
	a, x := make([]float64, n*width), make([]float64, n)
	for i := range n {
		a[i*width+down]++
		for _, m := range moves {
			if to := max(i+m.by, 0); to < n {
				a[i*width+to-i+down] -= m.with
			}
		}
		x[i] = 1
	}
	for i := range n { // Gauss, within the band
		for r := i + 1; r <= i+down && r < n; r++ {
			f := a[r*width+i-r+down] / a[i*width+down]
			if f == 0 {
				continue
			}
			for j := i; j <= i+up && j < n; j++ {
				a[r*width+j-r+down] -= f * a[i*width+j-i+down]
			}
			x[r] -= f * x[i]
		}
	}
	for i := n - 1; i >= 0; i-- {
		for j := i + 1; j <= i+up && j < n; j++ {
			x[i] -= a[i*width+j-i+down] * x[j]
		}
		x[i] /= a[i*width+down]
	}
	return x[0]
}

// TestKindsTogether: reads and effects with other usual shares of failures, in one bank: no more false alarms than each alone promises.
func TestKindsTogether(t *testing.T) {
	pairs, parts := [][2]int{{0, 13}}, []float64{.2}
	if long() {
		pairs, parts = [][2]int{{0, 4}, {0, 13}, {0, 21}, {4, 12}}, []float64{.05, .2, .5, .8}
	}
	for _, pair := range pairs {
		for _, q := range parts {
			rate, first := 0.0, Tests-1 // of the last test six million and a third are to be had
			if long() {
				first = 0
			}
			for i := first; i < Tests; i++ {
				a, b := part{1 - q, usual[pair[0]], shares[pair[0]][i]}, part{q, usual[pair[1]], shares[pair[1]][i]}
				rate += 1 / betweenMixed([]part{a, b}, [Tests]int{30_000, 8000, 2500}[i])
			}
			t.Logf("%4.1f %% of the calls usually fail %.1f %%, the rest %.1f %%: at least %.1f million calls to a false alarm", q*100, usual[pair[1]]*100, usual[pair[0]]*100, 1e-6/rate)
			if 1/rate < 6e6 {
				t.Errorf("%.3g calls to a false alarm", 1/rate)
			}
		}
	}
}

// two is what is known of a provider that is read from and written to.
type two struct {
	of [2]Measure
	Bank
}

func (w *two) observe(kind int, s Sample, now time.Time) Alarm {
	return w.of[kind].Observe(&w.Bank, s, now)
}

// TestReadsAndEffectsAccuseTogether: every fourth call is a read. Failures of both make one test: a brown-out is seen as soon as if all
// calls were of one kind, where each for itself would see only its own.
func TestReadsAndEffectsAccuseTogether(t *testing.T) {
	delay := func(apart bool) int {
		var all []int
		for seed := range 200 {
			p := newProvider(uint64(seed)+1, 50, leastUsual)
			var banks [2]Bank
			var of [2]Measure
			for i := 0; ; i++ {
				if i == 4000 {
					p.fails = .3
					for k := range banks {
						banks[k].Clear()
						of[k].Clear(p.now)
					}
					p.now = p.now.Add(time.Minute)
				}
				kind := int(p.rng.Uint64()) & 3 / 3
				bank := &banks[0]
				if apart {
					bank = &banks[kind]
				}
				s, now := p.call()
				if of[kind].Observe(bank, s, now) == Failing && i >= 4000 {
					all = append(all, i-3999)
					break
				}
			}
		}
		sort.Ints(all)
		return all[len(all)/2]
	}
	apart, together := delay(true), delay(false)
	t.Logf("30 %% instead of 0.5 %%: together after %d calls in the median, each for itself after %d", together, apart)
	if together > 16 || together >= apart {
		t.Error("the kinds do not help each other")
	}
}

// TestAKindThatUsuallyFailsMoreBlursNothing: one call in six of the reads fails, as always. Effects that fail are seen as soon as without them,
// and reads that fail as usual accuse nobody.
func TestAKindThatUsuallyFailsMoreBlursNothing(t *testing.T) {
	for seed := range 20 {
		p := newProvider(uint64(seed)+1, 50, leastUsual)
		var w two
		call := func(reads, effects float64) Alarm {
			kind := int(p.rng.Uint64() & 1)
			p.fails = [2]float64{reads, effects}[kind]
			s, now := p.call()
			return w.observe(kind, s, now)
		}
		for i := range 20_000 {
			if a := call(.15, .002); a == Failing && i > 2000 { // before, who fails so often from the first call on is accused, rightly
				t.Fatalf("seed %d: accused after %d calls of the usual", seed+1, i)
			}
		}
		n := 0
		for call(.15, 1) != Failing {
			n++
		}
		if n > 30 {
			t.Errorf("seed %d: effects that all fail were seen after %d calls", seed+1, n)
		}
	}
}

func TestInARow(t *testing.T) {
	var w two
	now := time.Unix(1_800_000_000, 0)
	for i, class := range []Class{Failure, Failure, Limited, Failure, None, OK, Failure, Slow, Failure, Failure} {
		now = now.Add(time.Second)
		w.observe(i%2, Sample{Class: class, Latency: time.Millisecond}, now)
		if want := [...]int{1, 2, 2, 3, 3, 0, 1, 0, 1, 2}[i]; w.InARow() != want {
			t.Errorf("after %d calls %d in a row, want %d", i+1, w.InARow(), want)
		}
	}
	if got := w.Take(w.of[:]); got.InARow != 2 || got.Failed != 6 || got.Calls != 8 {
		t.Errorf("%+v", got)
	}
}
