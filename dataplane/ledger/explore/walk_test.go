package explore

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// What is too large to be gone through whole is walked through at random: providers of two kinds, two clients with one key.
var mixed = []class{
	{name: "G and F", kinds: [2]kind{keys, fences}, attempts: 3, sends: 2},
	{name: "F and G", kinds: [2]kind{fences, keys}, attempts: 3, sends: 2},
	{name: "T and F", kinds: [2]kind{lookups, fences}, leave: moves, attempts: 3, sends: 1},
	{name: "G with a cancel and T", kinds: [2]kind{keysFenced, lookups}, leave: moves, attempts: 3, sends: 2},
	{name: "N and F", kinds: [2]kind{{}, fences}, attempts: 3, sends: 1},
	{name: "T and N", kinds: [2]kind{lookups, {}}, leave: moves, attempts: 3, sends: 1},
	{name: "G that forgets and F", kinds: [2]kind{forgetting, fences}, attempts: 3, sends: 2, kept: true},
}

// walk goes from the start through steps moves, each drawn from all that are possible, and returns what was broken on the way, as the
// way there.
func (x *explorer) walk(rng *rand.Rand, steps int) string {
	type move struct {
		label string
		to    state
	}
	var possible []move
	x.emit = func(label string, s state) { possible = append(possible, move{label, s}) }
	s := state{ag: [2]agent{{up: true}, {up: true}}}
	var way []string
	broken := func(why string) string {
		return fmt.Sprintf("%s: %s, after %d moves:\n%s\n%s", x.name, why, len(way), strings.Join(way, "\n"), s.String())
	}
	for range steps {
		possible = possible[:0]
		for i := range s.ag {
			x.agent(&s, i)
		}
		x.world(&s)
		if x.fault != "" {
			return broken(x.fault)
		}
		if len(possible) == 0 {
			return ""
		}
		m := possible[rng.IntN(len(possible))]
		if (m.label == "crash" || m.label == "deadline") && rng.IntN(4) > 0 { // else few ways get far
			continue
		}
		s = m.to
		way = append(way, m.label)
		if why := x.holds(&s); why != "" {
			return broken(why)
		}
	}
	return ""
}

// TestWalk walks; SEGUE_SEED repeats one seed, SEGUE_WALK walks for so long.
func TestWalk(t *testing.T) {
	for _, c := range mixed {
		c.retries, c.two = true, true
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			walkFor(t, c)
		})
	}
}

func walkFor(t *testing.T, c class) {
	t.Helper()
	const steps = 400
	seed, walks := uint64(20261121), 800
	if testing.Short() {
		walks = 100
	}
	if n, err := strconv.ParseUint(os.Getenv("SEGUE_SEED"), 10, 64); err == nil {
		seed = n
	}
	limit, _ := time.ParseDuration(os.Getenv("SEGUE_WALK")) // none: so many walks
	begun, n := time.Now(), 0
	for ; n < walks || time.Since(begun) < limit; n++ {
		x := explorer{class: c}
		if broken := x.walk(rand.New(rand.NewPCG(seed, uint64(n))), steps); broken != "" {
			t.Fatalf("seed %d, walk %d: %s", seed, n, broken)
		}
	}
	t.Logf("%s, two clients: seed %d, %d walks of up to %d moves in %v", c.name, seed, n, steps, time.Since(begun).Round(time.Millisecond))
}
