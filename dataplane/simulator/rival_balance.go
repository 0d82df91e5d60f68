package simulator

import (
	"math"

	"segue/controlplane/policy"
)

// drawn are two different providers of a set; the second is -1 where there is only one.
func drawn(chance Source, from policy.Set, n int) (int, int) {
	var list [MaxProviders]int
	k := 0
	for p := range n {
		if from.Has(p) {
			list[k] = p
			k++
		}
	}
	switch k {
	case 0:
		return -1, -1
	case 1:
		return list[0], -1
	}
	u := chance.Uint64()
	i := int(u % uint64(k))
	j := int((u >> 32) % uint64(k-1))
	if j >= i {
		j++
	}
	return list[i], list[j]
}

// outlier is Envoy's least-request balancer with its outlier detection.
type outlier struct {
	n      int
	chance Source
	open   [MaxProviders]int
	row    [MaxProviders]int
	times  [MaxProviders]int64 // ejections, less one for each interval without
	since  [MaxProviders]int64 // 0: not ejected
	swept  int64
}

const (
	envoyRow      = 5
	envoyInterval = int64(10e9)
	envoyBase     = int64(30e9)
	envoyLongest  = int64(300e9)
)

func newOutlier(n int, chance Source) rival { return &outlier{n: n, chance: chance} }

// sweep is what Envoy does each interval: who has been away for long enough comes back.
func (r *outlier) sweep(now int64) {
	for ; r.swept+envoyInterval <= now; r.swept += envoyInterval {
		for p := range r.n {
			switch {
			case r.since[p] == 0:
				r.times[p] = max(0, r.times[p]-1)
			case r.swept+envoyInterval >= r.since[p]+min(envoyLongest, envoyBase*r.times[p]):
				r.since[p], r.row[p] = 0, 0
			}
		}
	}
}

func (r *outlier) pick(tried policy.Set, now int64) int {
	r.sweep(now)
	var well, left policy.Set
	for p := range r.n {
		if !tried.Has(p) {
			left = left.With(p)
			if r.since[p] == 0 {
				well = well.With(p)
			}
		}
	}
	if well == 0 {
		well = left
	}
	a, b := drawn(r.chance, well, r.n)
	if b >= 0 && r.open[b] < r.open[a] {
		return b
	}
	return a
}

func (r *outlier) start(p int, _ int64) { r.open[p]++ }

func (r *outlier) end(p int, now, _ int64, ok bool) {
	r.sweep(now)
	r.open[p]--
	if ok {
		r.row[p] = 0
		return
	}
	if r.row[p]++; r.row[p] < envoyRow || r.since[p] != 0 {
		return
	}
	for q := range r.n { // 10 % of four is one: never more than one at a time
		if r.since[q] != 0 {
			return
		}
	}
	r.since[p] = now
	r.times[p]++
}

func (r *outlier) gated(p int, _ int64) bool { return r.since[p] != 0 }

// peakEWMA is Finagle's balancer with its failure accrual.
type peakEWMA struct {
	n      int
	chance Source
	cost   [MaxProviders]float64
	stamp  [MaxProviders]int64
	open   [MaxProviders]int
	well   [MaxProviders]accrual
}

const (
	peakDecay   = 10 * second
	peakPenalty = 65535 * second
)

func newPeakEWMA(n int, chance Source) rival { return &peakEWMA{n: n, chance: chance} }

func (r *peakEWMA) observe(p int, now int64, took float64) {
	w := math.Exp(-float64(now-r.stamp[p]) / peakDecay)
	r.stamp[p] = now
	if took > r.cost[p] {
		r.cost[p] = took
		return
	}
	r.cost[p] = float64(r.cost[p]*w) + float64(took*(1-w))
}

func (r *peakEWMA) load(p int, now int64) float64 {
	r.observe(p, now, 0)
	if r.cost[p] == 0 && r.open[p] != 0 {
		return peakPenalty + float64(r.open[p])
	}
	return r.cost[p] * float64(r.open[p]+1)
}

func (r *peakEWMA) pick(tried policy.Set, now int64) int {
	var well, left policy.Set
	for p := range r.n {
		if !tried.Has(p) {
			left = left.With(p)
			if r.well[p].ready(now) {
				well = well.With(p)
			}
		}
	}
	if well == 0 {
		well = left
	}
	a, b := drawn(r.chance, well, r.n)
	if b >= 0 && r.load(b, now) < r.load(a, now) {
		return b
	}
	return a
}

func (r *peakEWMA) start(p int, now int64) {
	r.open[p]++
	r.well[p].start(now)
}

func (r *peakEWMA) end(p int, now, took int64, ok bool) {
	r.open[p]--
	r.observe(p, now, float64(took))
	r.well[p].end(now, ok, r.chance)
}

func (r *peakEWMA) gated(p int, _ int64) bool { return r.well[p].until != 0 }

// accrual is Finagle's FailureAccrualFactory with the hybrid policy.
type accrual struct {
	row   int
	rate  float64
	any   bool
	stamp int64
	seen  int
	until int64
	wait  float64
	probe bool
}

func (a *accrual) ready(now int64) bool { return a.until == 0 || now >= a.until && !a.probe }

func (a *accrual) start(now int64) {
	if a.until != 0 && now >= a.until {
		a.probe = true
	}
}

func (a *accrual) end(now int64, ok bool, chance Source) {
	if a.until != 0 {
		switch {
		case !a.probe:
		case ok:
			*a = accrual{stamp: now}
		default:
			a.die(now, chance)
		}
		return
	}
	x := 0.0
	if ok {
		a.row, x = 0, 1
	} else {
		a.row++
	}
	w := math.Exp(-float64(now-a.stamp) / (30 * second))
	if a.stamp = now; !a.any {
		a.rate, a.any = x, true
	} else {
		a.rate = float64(a.rate*w) + float64(x*(1-w))
	}
	a.seen++
	if a.row >= 5 || !ok && a.seen >= 5 && a.rate < .8 {
		a.die(now, chance)
	}
}

// die is the equal jittered backoff: half of it is certain, half drawn.
func (a *accrual) die(now int64, chance Source) {
	a.wait = math.Min(math.Max(5*second, 2*a.wait), 300*second)
	a.until = now + int64(a.wait/2+unit(chance.Uint64())*a.wait/2)
	a.probe = false
}
