package health

import (
	"encoding/binary"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// between is at least how many calls there are between two false alarms of a test, in the mean, when each call is a bad one with probability
// p. It walks the statistic on a lattice, as a Markov chain, and solves for the mean time to absorption. Rises are rounded up to the lattice
// and declines down: the chain is never below the test, so its time is a bound from below and no estimate.
func between(p float64, w weight) float64 {
	down := 1
	for down < 20 && w.h/(-w.down/float64(down)) < 4000 {
		down++
	}
	unit := -w.down / float64(down)
	up, n := int(math.Ceil(w.up/unit-1e-9)), max(int(math.Ceil(w.h/unit-1e-9)), 1)
	width := down + up + 1 // row i holds columns i−down … i+up
	a, x := make([]float64, n*width), make([]float64, n)
	for i := range n {
		a[i*width+down]++
		a[i*width+max(i-down, 0)-i+down] -= 1 - p
		if i+up < n {
			a[i*width+down+up] -= p
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

// TestThresholds proves what the thresholds promise: with failures at p0, at least so many calls to a false alarm in the mean.
func TestThresholds(t *testing.T) {
	step := 8
	switch {
	case long():
		step = 1
	case testing.Short():
		step = usualRows
	}
	promised := [Tests]float64{50e6, 50e6, 8e6}
	for row := 0; row < usualRows; row += step {
		rate := 0.0
		for i, w := range weights[row] {
			n := between(usual[row], w)
			if rate += 1 / n; n < promised[i]*.999 {
				t.Errorf("usual %.4f, test %d: %.3g calls to a false alarm, %.3g are promised", usual[row], i, n, promised[i])
			}
		}
		t.Logf("usual failures %5.2f %%: all tests together, at least %.1f million calls to a false alarm", usual[row]*100, 1e-6/rate)
		if 1/rate < 6e6 {
			t.Errorf("usual %.4f: %.3g calls to a false alarm", usual[row], 1/rate)
		}
	}
	for i, w := range slowly {
		if n := between(usualSlow, w); n < 99e6 {
			t.Errorf("slowness test %d: %.3g calls to a false alarm", i, n)
		}
	}
}

func TestLn(t *testing.T) {
	for x := 1e-6; x < 1e6; x *= 1.01 {
		if got, want := ln(x), math.Log(x); math.Abs(got-want) > 4e-15*max(1, math.Abs(want)) {
			t.Fatalf("ln %v is %v, not %v", x, got, want)
		}
	}
}

func TestFading(t *testing.T) {
	for n := uint64(0); n < 70*steps; n += 7 {
		want := math.Exp2(-float64(n) / steps)
		if got := fading(n); math.Abs(got-want) > 1e-13*want && n < 64*steps || got < 0 {
			t.Fatalf("after %d steps %v, want %v", n, got, want)
		}
	}
	if fading(math.MaxUint64) != 0 || fading(0) != 1 || fading(steps) != .5 {
		t.Error("the ends")
	}
	r := rate{calls: 100, failed: 10, at: 1}
	for range 1024 { // in many steps as in one
		r.fade(r.at+int64(30*time.Second)/1024, fastStep)
	}
	if math.Abs(r.calls-50) > 1e-9 || math.Abs(r.failed-5) > 1e-9 {
		t.Errorf("after a half-life: %+v", r)
	}
}

// TestReplaysBitForBit: the same calls leave the same bits on every machine. The number was written on amd64; a fused multiply-add or another
// logarithm anywhere would change it.
func TestReplaysBitForBit(t *testing.T) {
	var m lone
	h, x := fnv.New64a(), uint64(42)
	write := func(f float64) { _ = binary.Write(h, binary.LittleEndian, math.Float64bits(f)) }
	now := time.Unix(1_800_000_000, 0)
	for i := range 20_000 {
		x = x*6364136223846793005 + 1442695040888963407
		now = now.Add(time.Duration(x >> 34))
		s := Sample{Class: OK, Latency: time.Duration(1<<27 + x>>36)}
		if x>>32%100 == 0 || i > 19_990 {
			s.Class = Failure
		}
		write(float64(m.Observe(s, now)))
		mean, lower := m.Success(now)
		for _, f := range []float64{mean, lower, m.mean, m.base.calls, m.base.failed, m.tests[0].s, m.tests[1].s, m.tests[2].s, m.slowing[0].s, float64(m.sketch.limit), float64(m.sketch.over)} {
			write(f)
		}
	}
	for _, n := range m.Take().Nats {
		write(n)
	}
	if got := h.Sum64(); got != golden {
		t.Errorf("%#x, and it was %#x", got, uint64(golden))
	}
}

const golden = 0xaa6f2ea8ecfae04e

// TestWhatIsLittleKnownIsNotTheUsual: p0 is hardly ever below the truth, however few calls it is made of; and not far above when there are many.
func TestWhatIsLittleKnownIsNotTheUsual(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 1))
	for _, n := range []int{500, 5000, 50_000} {
		below, p := 0, .01
		for range 400 {
			r := rate{calls: float64(n)}
			for range n {
				if rng.Float64() < p {
					r.failed++
				}
			}
			if r.atMost() < p {
				below++
			}
		}
		if below > 400*4/100 {
			t.Errorf("of %d calls: below the truth %d times in 400", n, below)
		}
	}
	if got := (&rate{calls: 50_000, failed: 500}).atMost(); got > .0112 {
		t.Errorf("1 %% of 50,000 calls: at most %v", got)
	}
}
