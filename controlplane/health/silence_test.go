package health

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

const lookEvery = 50 * time.Millisecond

// hear lets ticks pass, each with so many bits and answers, and tells after how many it was said to be silent; 0: it was not.
func hear(s *Silence, at *time.Duration, usual time.Duration, ticks, bits, answers int) int {
	for k := range ticks {
		*at += lookEvery
		for range answers {
			s.Answered()
		}
		if s.Listen(bits, usual, *at) {
			return k + 1
		}
	}
	return 0
}

func TestSilence(t *testing.T) {
	for _, c := range []struct {
		name          string
		usual         time.Duration
		bits, answers int
		said          int // after so many ticks of 50 ms; 0: not in a hundred
	}{
		{"nothing is due", 0, 0, 0, 0},
		{"answers come as ever", 0, 10, 8, 0},
		{"the first tick that is silent begins it", 0, 64, 0, 2},
		{"few calls take longer to say it", 0, 8, 0, 4},
		{"one call a tick, a bit each", 0, 1, 0, 25},
		{"it takes longer than it usually takes to answer", 600 * time.Millisecond, 64, 0, 6},
		{"one of twenty is answered", 0, 100, 1, 2},
		{"as many are answered as wait for ever: slow, not silent", 0, 64, 9, 0},
	} {
		s, at := Silence{}, time.Duration(0)
		hear(&s, &at, c.usual, 10, 0, 3)
		if got := hear(&s, &at, c.usual, 100, c.bits, c.answers); got != c.said {
			t.Errorf("%s: said after %d ticks, want %d", c.name, got, c.said)
		}
	}
}

// TestAnAnswerTakesItsBits: one outweighs half of a call that waits for ever; what is more than 64 is not kept, so that few answers clear it.
func TestAnAnswerTakesItsBits(t *testing.T) {
	s, at := Silence{}, time.Duration(0)
	for range 1000 {
		at += lookEvery
		s.Listen(24, 0, at)
		s.Hush(at)
	}
	if hear(&s, &at, 0, 1, 24, 0) != 0 || hear(&s, &at, 0, 20, 0, 0) != 0 {
		t.Error("24 bits are no alarm")
	}
	hear(&s, &at, 0, 1, 0, 6) // 24 bits less 24
	if s.sum != 0 {
		t.Errorf("after six answers it is at %d bits", s.sum)
	}
	hear(&s, &at, time.Hour, 50, 400, 0)
	hear(&s, &at, time.Hour, 1, 0, mostLoud/answered)
	if s.sum != 0 {
		t.Errorf("after sixteen answers it is at %d bits", s.sum)
	}
}

// TestALullIsLearnt: a silence that ended by itself has to be outlasted by half, for an hour; and it teaches no more than 300 ms.
func TestALullIsLearnt(t *testing.T) {
	for _, c := range []struct {
		lull  time.Duration
		after time.Duration
		said  int
	}{
		{0, 0, 2}, {130 * time.Millisecond, 0, 4}, {10 * time.Second, 0, 9}, {10 * time.Second, 59 * time.Minute, 9}, {10 * time.Second, time.Hour, 2}, {-time.Second, 0, 2},
	} {
		s, at := Silence{}, time.Hour
		s.Came(c.lull, at)
		at += c.after
		hear(&s, &at, 0, 1, 0, 1)
		if got := hear(&s, &at, 0, 100, 64, 0); got != c.said {
			t.Errorf("a lull of %v, %v ago: said after %d ticks, want %d", c.lull, c.after, got, c.said)
		}
	}
}

// TestQuietTellsWhatWasHeard: the numbers behind it, and what was excused.
func TestQuietTellsWhatWasHeard(t *testing.T) {
	s, at := Silence{}, time.Second
	hear(&s, &at, time.Hour, 1, 0, 5)
	hear(&s, &at, time.Hour, 4, 30, 1)
	if q := s.Quiet(at); q.For != 4*lookEvery || q.Answered != 4 {
		t.Errorf("%+v", q)
	}
	s.Excuse(lookEvery)
	if q := s.Quiet(at); q.For != 3*lookEvery {
		t.Errorf("%+v", q)
	}
	if !s.Half(0) {
		t.Error("64 bits are no half of an alarm")
	}
	s.Hush(at)
	if s.Half(12) || !s.Half(13) {
		t.Error("half is 13 bits")
	}
	if q := s.Quiet(at); q != (Quiet{}) {
		t.Errorf("%+v", q)
	}
}

// TestBitsAreNoMoreThanChanceAllows: of later answers no more than 1 in 2ᵏ is as late as k bits say, whatever the distribution, however few are
// known. Then the bits of a call less the four that its answer takes are a bet that pays 5/16 in the mean, and 25 of them are come to by chance
// once in 2²⁵ calls at most.
func TestBitsAreNoMoreThanChanceAllows(t *testing.T) {
	draws := map[string]func(*rand.Rand) float64{
		"lognormal":     func(r *rand.Rand) float64 { return 80e6 * math.Exp(.5*r.NormFloat64()) },
		"narrow":        func(r *rand.Rand) float64 { return 80e6 * math.Exp(.05*r.NormFloat64()) },
		"wide":          func(r *rand.Rand) float64 { return 20e6 * math.Exp(1.2*r.NormFloat64()) },
		"two kinds":     func(r *rand.Rand) float64 { return float64(10+390*r.IntN(2)) * 1e6 * math.Exp(.2*r.NormFloat64()) },
		"a third late":  func(r *rand.Rand) float64 { return 12e6 + float64(max(r.IntN(3)-1, 0))*1e9*r.ExpFloat64() },
		"all the same":  func(*rand.Rand) float64 { return 50e6 },
		"exponential":   func(r *rand.Rand) float64 { return 30e6 * r.ExpFloat64() },
		"at the bottom": func(r *rand.Rand) float64 { return 10 * r.ExpFloat64() },
	}
	worst := 0.0
	for name, draw := range draws {
		for _, calls := range []int{50, 64, 200, 1000, 4000} {
			pays, runs := 0.0, 0
			for seed := range uint64(40) {
				r := rand.New(rand.NewPCG(seed, uint64(calls)))
				var m lone
				now := time.Unix(1_800_000_000, 0)
				for range calls {
					now = now.Add(20 * time.Millisecond)
					m.sketch.take(int64(draw(r)), now.UnixNano())
				}
				m.sketch.derive(now.UnixNano())
				for range 500 {
					pays += math.Exp2(float64(m.Bits(time.Duration(draw(r))) - answered))
					runs++
				}
			}
			mean := pays / float64(runs)
			worst = max(worst, mean)
			if mean > .45 { // 5/16, and what chance adds to the mean of so few
				t.Errorf("%s, %d known: %v in the mean", name, calls, mean)
			}
		}
	}
	t.Logf("at most %.3f in the mean", worst)
}

// TestLittleKnownTellsNothing: with fewer than 50 answers no call tells anything; with few, little.
func TestLittleKnownTellsNothing(t *testing.T) {
	var m lone
	now := time.Unix(1_800_000_000, 0)
	for k := range 1000 {
		switch most := m.Bits(time.Hour); {
		case k < known && (most != 0 || m.Usually() != 0):
			t.Fatalf("%d known: %d bits", k, most)
		case k == known && (most < 2 || most > 4), k == 999 && most != MostBits:
			t.Errorf("%d known: %d bits", k, most)
		}
		m.Observe(Sample{Class: OK, Latency: 50 * time.Millisecond}, now)
		now = now.Add(10 * time.Millisecond)
	}
	if u := m.Usually(); u < 60*time.Millisecond || u > 70*time.Millisecond {
		t.Errorf("usually %v", u)
	}
	for _, age := range []time.Duration{-time.Hour, 0, 55 * time.Millisecond} {
		if m.Bits(age) != 0 {
			t.Errorf("a call of %v tells %d bits", age, m.Bits(age))
		}
	}
}

// TestTheFirstToBeAnsweredAreTheQuickOnes: at a thousand calls a second, after two seconds no answer is known that took longer. What is too late is
// not concluded from that; a minute later it is known, and it is not what those two seconds told.
func TestTheFirstToBeAnsweredAreTheQuickOnes(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	begin := time.Unix(1_800_000_000, 0)
	type call struct{ ends, took time.Duration }
	calls := make([]call, 100_000)
	all := make([]time.Duration, len(calls))
	for i := range calls {
		took := time.Duration(400e6 * math.Exp(r.NormFloat64()))
		calls[i], all[i] = call{time.Duration(i)*time.Millisecond + took, took}, took
	}
	slices.SortFunc(calls, func(a, b call) int { return cmp.Compare(a.ends, b.ends) })
	slices.Sort(all)
	var m lone
	early := true
	for _, c := range calls {
		m.Observe(Sample{Class: OK, Latency: c.took}, begin.Add(c.ends))
		if early = early && c.ends < 2*time.Second; early && (m.Limit() < StartLimit || m.Slow(5*time.Second)) {
			t.Fatalf("after %v a call of %v is too late, and 5 s are slow: %v", c.ends, m.Limit(), m.Slow(5*time.Second))
		}
	}
	truth := all[len(all)*999/1000]
	if got := m.Quantile(.999); got < truth*4/5 || got > truth*3/2 {
		t.Errorf("p99.9 is %v, the truth is %v", got, truth)
	}
}
