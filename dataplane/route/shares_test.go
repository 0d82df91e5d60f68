package route

import (
	"math"
	"math/rand/v2"
	"testing"

	"segue/controlplane/policy"
)

// within3Sigma holds a count of n draws against a share.
func within3Sigma(t *testing.T, i, got, n int, share float64) {
	t.Helper()
	mean, sigma := float64(n)*share, math.Sqrt(float64(n)*share*(1-share))
	if math.Abs(float64(got)-mean) > 3*sigma {
		t.Errorf("candidate %d got %d of %d; %.0f ± %.0f would be its share", i, got, n, mean, 3*sigma)
	}
}

// seeded is a source whose seed the test's output names. The seed is fixed: three sigma are left once in a few hundred seeds by chance.
func seeded(t *testing.T, seed uint64) *rand.Rand {
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

func TestSharesHold(t *testing.T) {
	const n = 100_000
	for _, weights := range [][]float64{{70, 30}, {50, 50}, {99, 1}, {60, 0, 40}, {40, 50, 10}, {25, 25, 25, 25}, {0.5, 99.5}} {
		r, w := seeded(t, 7), newWorld(policy.Weighted, weights...)
		total, got := 0.0, make([]int, len(weights))
		for _, x := range weights {
			total += x
		}
		for range n {
			w.f.Draw = r.Uint64()
			got[w.decide().Winner]++
		}
		for i, x := range weights {
			within3Sigma(t, i, got[i], n, x/total)
		}
	}
}

// TestSharesHoldForPoorDraws: the draw is somebody else's hash; that it only counts up must not matter.
func TestSharesHoldForPoorDraws(t *testing.T) {
	w, got := newWorld(policy.Weighted, 70, 30), [2]int{}
	for draw := range uint64(100_000) {
		w.f.Draw = draw << 40
		got[w.decide().Winner]++
	}
	within3Sigma(t, 0, got[0], 100_000, .7)
}

func TestTheNextThousandAfterAMove(t *testing.T) {
	r, w := seeded(t, 3), newWorld(policy.Weighted, 70, 30)
	w.svc.Candidates[0].Weight, w.svc.Candidates[1].Weight = 40, 60
	got := 0
	for range 1000 {
		if w.f.Draw = r.Uint64(); w.decide().Winner == 0 {
			got++
		}
	}
	within3Sigma(t, 0, got, 1000, .4)
}

// TestAMoveMovesOnlyWhatItMust: nobody comes to a provider whose weight fell, nobody leaves one whose weight rose, and with two
// providers exactly the difference moves.
func TestAMoveMovesOnlyWhatItMust(t *testing.T) {
	const n = 50_000
	cases := []struct {
		from, to []float64
		moves    float64 // share of all; < 0: not foretold
	}{
		{[]float64{70, 30}, []float64{40, 60}, .3},
		{[]float64{100, 0}, []float64{0, 100}, 1},
		{[]float64{100, 0}, []float64{99, 1}, .01},
		{[]float64{60, 30, 10}, []float64{60, 30, 10}, 0},
		{[]float64{60, 30, 10}, []float64{30, 60, 10}, -1},
		{[]float64{25, 25, 25, 25}, []float64{10, 40, 25, 25}, -1},
	}
	for _, tc := range cases {
		r, before, after, moved := seeded(t, 11), newWorld(policy.Weighted, tc.from...), newWorld(policy.Weighted, tc.to...), 0
		for range n {
			draw := r.Uint64()
			before.f.Draw, after.f.Draw = draw, draw
			a, b := before.decide().Winner, after.decide().Winner
			if a == b {
				continue
			}
			moved++
			if tc.to[b] < tc.from[b] || tc.to[a] > tc.from[a] {
				t.Fatalf("%v → %v: draw %d moved from %d to %d", tc.from, tc.to, draw, a, b)
			}
		}
		if tc.moves >= 0 {
			within3Sigma(t, 0, moved, n, tc.moves)
		}
	}
}

// TestALossMovesOnlyItsOwn: when a provider is gated, the sessions of the others do not notice.
func TestALossMovesOnlyItsOwn(t *testing.T) {
	r, well, ill := seeded(t, 5), newWorld(policy.Weighted, 50, 30, 20), newWorld(policy.Weighted, 50, 30, 20)
	ill.open(1, 3)
	for range 10_000 {
		draw := r.Uint64()
		well.f.Draw, ill.f.Draw = draw, draw
		if a, b := well.decide().Winner, ill.decide().Winner; a != b && a != 1 {
			t.Fatalf("draw %d moved from %d to %d", draw, a, b)
		}
	}
}

// TestPlaceInTheDocumentDoesNotMatter: another order of the same providers sends every draw where it went.
func TestPlaceInTheDocumentDoesNotMatter(t *testing.T) {
	w, v := newWorld(policy.Weighted, 50, 30, 20), newWorld(policy.Weighted, 50, 30, 20)
	c, rows := v.svc.Candidates, v.st.Rows
	c[0], c[2], rows[0], rows[2] = c[2], c[0], rows[2], rows[0]
	for draw := range uint64(5000) {
		w.f.Draw, v.f.Draw = draw, draw
		a, b := w.decide().Winner, v.decide().Winner
		if w.svc.Candidates[a].Provider != c[b].Provider {
			t.Fatalf("draw %d", draw)
		}
	}
}

func TestMinusLn(t *testing.T) {
	r := seeded(t, 1)
	check := func(n uint64) {
		want := -math.Log((float64(n) + .5) / (1 << 52))
		got := minusLn(n)
		if !(got > 0) || math.Abs(got-want) > 1e-9*math.Max(want, 1e-6) && n < 1<<51 {
			t.Fatalf("−ln of %d: %v, want %v", n, got, want)
		}
		if math.Abs(got-want) > 1e-10 {
			t.Fatalf("−ln of %d: %v, want %v", n, got, want)
		}
	}
	for _, n := range []uint64{0, 1, 2, 1<<52 - 1, 1<<52 - 2, 1 << 51, 1<<51 - 1, 6369051672525772 >> 1} {
		check(n)
	}
	for range 200_000 {
		check(r.Uint64() >> 12)
		check(r.Uint64() >> (12 + r.UintN(52)))
	}
}

// TestRendezvousBits holds the bits themselves: a change of the arithmetic moves sessions and breaks the replay of old records.
func TestRendezvousBits(t *testing.T) {
	got := []uint64{
		salt("stripe"), mix(42),
		math.Float64bits(rendezvous(42, salt("stripe"), 70)), math.Float64bits(rendezvous(^uint64(0), salt("adyen"), .5)),
	}
	want := []uint64{0xa8a9a1c7935e1e07, 0xbdd732262feb6e95, 0x4040587e57f62f25, 0x3fe623b95b79267a}
	for i := range got {
		if got[i] != want[i] {
			t.Errorf("%d: %#x, want %#x", i, got[i], want[i])
		}
	}
}

// TestMinusLnBits does the same for the logarithm, where its series is longest (u near √½ and √2 times a power of two) and at both ends.
func TestMinusLnBits(t *testing.T) {
	want := []uint64{
		0x40425e4f7b2737fa, 0x3ca0000000000000, 0x3fd62e42fefa5995, 0x3fd62e42fefa599c, 0x3ff0a2b23f3ba388, 0x3fe194670f68bcad, 0x3fb1ddeb53819971,
	}
	for i, n := range []uint64{0, 1<<52 - 1, 3184525836262886, 3184525836262885, 1592262918131443, 2600000000000000, 4200000000000000} {
		if got := math.Float64bits(minusLn(n)); i >= len(want) || got != want[i] {
			t.Errorf("%#x,", got)
		}
	}
}
