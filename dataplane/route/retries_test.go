package route

import (
	"testing"
	"time"

	"segue/controlplane/policy"
)

// TestRetriesAgainstALog: ten seconds' calls and retries, counted from a list.
var usual = policy.RetryBudget{Ratio: .2, Floor: 3}

func TestRetriesAgainstALog(t *testing.T) {
	r := seeded(t, 4)
	var b retries
	b.turn(t0)
	var calls, used []time.Duration
	recent := func(log []time.Duration, at time.Duration) (n int) {
		for _, x := range log {
			if x/time.Second > at/time.Second-retrySeconds {
				n++
			}
		}
		return n
	}
	at, refused, given := time.Duration(0), 0, 0
	for k := range 20_000 {
		pace := 40 * time.Millisecond
		if k%5000 > 4000 {
			pace = 4 * time.Second // quiet hours: whole stretches are skipped
		}
		at += time.Duration(r.Int64N(int64(pace)))
		if r.IntN(3) > 0 {
			b.call(t0.Add(at))
			calls = append(calls, at)
			continue
		}
		want := 5*(recent(used, at)+1) <= recent(calls, at)+150
		if got := b.left(usual, t0.Add(at)); got != want {
			t.Fatalf("at %v: %v, want %v", at, got, want)
		}
		if want {
			b.retry(t0.Add(at))
			used, given = append(used, at), given+1
		} else {
			refused++
		}
	}
	if refused < 100 || given < 100 {
		t.Errorf("%d refused, %d given", refused, given)
	}
}

// TestAStormIsHeldToAFifth: every call wants a retry.
func TestAStormIsHeldToAFifth(t *testing.T) {
	var b retries
	sent := 0
	const n = 60_000 // a minute at 1,000/s
	for k := range n {
		now := t0.Add(time.Duration(k) * time.Millisecond)
		b.call(now)
		sent++
		if b.left(usual, now) {
			b.retry(now)
			sent++
		}
	}
	if most := n*12/10 + 3*70; sent > most || sent < n*12/10-1 {
		t.Errorf("%d sends for %d calls, at most %d", sent, n, most)
	}
}

// TestAClockThatGoesBackGivesNothing: time is monotonic where it matters, but nothing may break where it is not.
func TestAClockThatGoesBackGivesNothing(t *testing.T) {
	var b retries
	for range 1000 {
		b.call(t0)
	}
	for b.left(usual, t0) {
		b.retry(t0)
	}
	if b.left(usual, t0.Add(-time.Hour)) {
		t.Error("an hour back there was room")
	}
	if b.left(usual, t0) {
		t.Error("and then here")
	}
}

func TestValuesTellHighFromLow(t *testing.T) {
	var v values
	if v.above(5) != 0 {
		t.Error("without a past nothing is low")
	}
	for range 10_000 { // also over a halving
		v.note(1_000_000)
		v.note(100_000_000)
		v.note(0)
	}
	for _, tc := range []struct {
		value    int64
		from, to float64
	}{{0, 0, 0}, {1, .999, 1}, {1_000_000, .48, .52}, {100_000_000, 0, 0}, {1 << 62, 0, 0}, {-5, 0, 0}} {
		if got := v.above(tc.value); got < tc.from || got > tc.to {
			t.Errorf("%.3f are worth more than %d", got, tc.value)
		}
	}
	last := 0
	for x := int64(1); x > 0; x = x + x/7 + 1 {
		if k := class(x); k < last || k >= len(v.counts) {
			t.Fatalf("class %d of %d after %d", k, x, last)
		} else {
			last = k
		}
	}
}
