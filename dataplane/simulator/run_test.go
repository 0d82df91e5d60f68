package simulator

import (
	"math/rand/v2"
	"reflect"
	"testing"
)

func streams(seed uint64) Streams {
	return Streams{rand.NewPCG(seed, 1), rand.NewPCG(seed, 2), rand.NewPCG(seed, 3)}
}

func play(t testing.TB, scenario, player string, rate float64, seed uint64) *Tally {
	t.Helper()
	s, ok := Find(scenario)
	if !ok {
		t.Fatalf("no scenario %q", scenario)
	}
	tally, err := Run(Config{Scenario: s, Rate: rate, Seed: seed, Streams: streams(seed)}, player)
	if err != nil {
		t.Fatal(err)
	}
	return tally
}

// TestTheSameSeedIsTheSameRun plays two runs of a seed and wants the same to the last bit; another seed differs.
func TestTheSameSeedIsTheSameRun(t *testing.T) {
	for _, player := range Players() {
		first, second, other := play(t, "ambiguous", player, 5, 7), play(t, "ambiguous", player, 5, 7), play(t, "ambiguous", player, 5, 8)
		if !reflect.DeepEqual(first, second) {
			t.Errorf("%s: two runs of seed 7 differ: %+v and %+v", player, first.Counts, second.Counts)
		}
		if reflect.DeepEqual(first.Counts, other.Counts) {
			t.Errorf("%s: seeds 7 and 8 are the same run", player)
		}
	}
}

// TestEverybodyMeetsTheSameWorld wants the same wishes for every player: what one draws changes nothing for another.
func TestEverybodyMeetsTheSameWorld(t *testing.T) {
	want := play(t, "black-hole", Oracle, 5, 3).Wishes
	for _, player := range Players() {
		if got := play(t, "black-hole", player, 5, 3).Wishes; got != want || want == 0 {
			t.Errorf("%s met %d wishes, the oracle %d", player, got, want)
		}
	}
}

// TestSegueExecutesNothingTwice holds the promise of the classes G and F in every story.
func TestSegueExecutesNothingTwice(t *testing.T) {
	for _, s := range Scenarios() {
		for _, player := range []string{Segue, SeguePriority, SegueWeighted, Oracle} {
			for seed := range uint64(2) {
				if x := play(t, s.Name, player, 10, seed); x.Duplicates != 0 || x.Calls < x.Wishes {
					t.Errorf("%s, %s: %d duplicates, %d of %d wishes ended; replay: segue simulate --players %s --scenario %s --rate 10 --seed %d --seeds 1",
						s.Name, player, x.Duplicates, x.Calls, x.Wishes, player, s.Name, seed)
				}
			}
		}
	}
}

// TestRivalsDoExecuteTwice shows that the world can tell: who retries elsewhere without proof is seen to.
func TestRivalsDoExecuteTwice(t *testing.T) {
	for _, r := range Rivals() {
		if x := play(t, "ambiguous", r.Name, 50, 1); x.Duplicates == 0 {
			t.Errorf("%s executed nothing twice with a fifth of the answers missing", r.Name)
		}
	}
}

// BenchmarkRun says how many simulated calls a second of one core is worth.
func BenchmarkRun(b *testing.B) {
	for _, player := range []string{Segue, "peak-ewma", Oracle} {
		b.Run(player, func(b *testing.B) {
			calls := uint64(0)
			for i := range b.N {
				calls += play(b, "brownout-30", player, 200, uint64(i)).Calls
			}
			b.ReportMetric(float64(calls)/b.Elapsed().Seconds(), "calls/s")
		})
	}
}
