package health

import (
	"math"
	"time"
)

// Buckets are the upper bounds, in seconds, of every latency histogram; the last is open.
var Buckets = [...]float64{.005, .01, .025, .05, .1, .3, .5, .7, 1, 3, 5, 10, 30}

// FineBuckets are those of Segue's own part of a call, which is mostly far below the first of Buckets.
var FineBuckets = [...]float64{.00005, .0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .5, 1}

// Histogram counts latencies by Buckets, the last entry being everything above.
type Histogram [len(Buckets) + 1]uint32

// FineHistogram counts by FineBuckets, the last entry being everything above.
type FineHistogram [len(FineBuckets) + 1]uint32

// Observe counts d. A negative time (a clock that was set back) counts as none.
func (h *Histogram) Observe(d time.Duration) { add(&h[bucket(bounds[:], d)], 1) }

// Merge puts o's counts on top.
func (h *Histogram) Merge(o *Histogram) { merge(h[:], o[:]) }

// Count is how many were observed.
func (h *Histogram) Count() uint64 { return count(h[:]) }

// Quantile is the time that share q of the observations stayed below, straight between the bounds of its bucket; in the open
// bucket it is the last bound. False: nothing was observed.
func (h *Histogram) Quantile(q float64) (time.Duration, bool) { return quantile(Buckets[:], h[:], q) }

// Observe counts d.
func (h *FineHistogram) Observe(d time.Duration) { add(&h[bucket(fineBounds[:], d)], 1) }

// Merge puts o's counts on top.
func (h *FineHistogram) Merge(o *FineHistogram) { merge(h[:], o[:]) }

// Count is how many were observed.
func (h *FineHistogram) Count() uint64 { return count(h[:]) }

// Quantile is as for Histogram.
func (h *FineHistogram) Quantile(q float64) (time.Duration, bool) {
	return quantile(FineBuckets[:], h[:], q)
}

// The bounds as durations: each call is counted by them.
var (
	bounds     = durations(Buckets)
	fineBounds = durations(FineBuckets)
)

func durations(seconds [len(Buckets)]float64) (list [len(Buckets)]time.Duration) {
	for i, s := range seconds {
		list[i] = time.Duration(math.Round(s * float64(time.Second)))
	}
	return list
}

func bucket(bounds []time.Duration, d time.Duration) int {
	for i, b := range bounds {
		if d <= b {
			return i
		}
	}
	return len(bounds)
}

func merge(to, from []uint32) {
	for i := range to {
		add(&to[i], from[i])
	}
}

func count(h []uint32) uint64 {
	var n uint64
	for _, c := range h {
		n += uint64(c)
	}
	return n
}

func quantile(bounds []float64, h []uint32, q float64) (time.Duration, bool) {
	n := count(h)
	if n == 0 {
		return 0, false
	}
	if !(q > 0) { // NaN too
		q = 0
	}
	want := min(q, 1) * float64(n)
	slack := want * 1e-12 // 0.07 × 100 is a little more than 7, and must not be the 8th
	var below float64
	for i, b := range bounds {
		c := float64(h[i])
		if c > 0 && below+c >= want-slack {
			low := 0.0
			if i > 0 {
				low = bounds[i-1]
			}
			return seconds(low + (b-low)*min(max(want-below, 0)/c, 1)), true
		}
		below += c
	}
	return seconds(bounds[len(bounds)-1]), true
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
