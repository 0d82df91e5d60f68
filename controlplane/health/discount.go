package health

import (
	"math"
	"time"
)

// A count fades in steps of 1/1024 of its half-life. A factor is made by multiplying entries of tables, which are made by square roots and
// halving: both are exact to the last bit on every machine, and math.Exp is not.
const steps = 1024

var (
	fadeFine   [32]float64 // 2^(−i/1024)
	fadeCoarse [32]float64 // 2^(−i/32)
	fadeWhole  [64]float64 // 2^−i
)

var _ = func() bool {
	r := 0.5
	for range 10 {
		r = math.Sqrt(r) // 2^(−1/1024)
	}
	fill(fadeFine[:], r)
	fill(fadeCoarse[:], fadeFine[31]*r)
	fill(fadeWhole[:], 0.5)
	return true
}()

func fill(table []float64, r float64) {
	table[0] = 1
	for i := 1; i < len(table); i++ {
		table[i] = table[i-1] * r
	}
}

// fading is 2^(−n/steps).
func fading(n uint64) float64 {
	if n >= uint64(len(fadeWhole))*steps {
		return 0
	}
	return fadeWhole[n/steps] * fadeCoarse[n%steps/32] * fadeFine[n%32]
}

// setBack is how far back a clock has to go to be believed: what is less is two calls that took the lock in another order than the time.
const setBack = int64(time.Minute)

// rate is how many calls there were and how many of them failed, the older the less.
type rate struct {
	calls, failed float64
	at            int64 // the time up to which it has faded
}

// fade lets what is older fade to now. It tells whether anything changed.
func (r *rate) fade(now, step int64) bool {
	if r.at == 0 || wentBack(r.at, now) {
		r.at = now
		return false
	}
	gone := elapsed(r.at, now)
	if now < r.at || gone < uint64(step) {
		return false
	}
	n := gone / uint64(step)
	f := fading(n)
	r.calls, r.failed = r.calls*f, r.failed*f
	r.at += int64(n * uint64(step)) // wraps where a wild clock made it wrap before
	return true
}

// at as it would be now, without a change.
func (r rate) faded(now, step int64) rate {
	r.fade(now, step)
	return r
}

// elapsed is to − from for from ≤ to: it does not overflow.
func elapsed(from, to int64) uint64 { return uint64(to) - uint64(from) }

// wentBack tells whether the clock was set back since then.
func wentBack(then, now int64) bool { return now < then && elapsed(now, then) > uint64(setBack) }

func (r *rate) count(failed bool) {
	r.calls++
	if failed {
		r.failed++
	}
}
