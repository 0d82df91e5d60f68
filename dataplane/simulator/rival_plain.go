package simulator

import (
	"segue/controlplane/policy"
)

// failTimeout is nginx's max_fails=1 fail_timeout=10s: one failure keeps away for ten seconds; if all are kept away, all are asked.
type failTimeout struct{ until [MaxProviders]int64 }

const nginxFail = int64(10e9)

func (f *failTimeout) note(p int, now int64, ok bool) {
	if !ok {
		f.until[p] = now + nginxFail
	}
}

func (f *failTimeout) gated(p int, now int64) bool { return now < f.until[p] }

// well are the providers that were not tried and are not kept away; if there is none, those that were not tried.
func (f *failTimeout) well(n int, tried policy.Set, now int64) policy.Set {
	var open, left policy.Set
	for p := range n {
		if tried.Has(p) {
			continue
		}
		left = left.With(p)
		if !f.gated(p, now) {
			open = open.With(p)
		}
	}
	if open == 0 {
		return left
	}
	return open
}

type roundRobin struct {
	failTimeout
	n, last int
}

func newRoundRobin(n int, _ Source) rival { return &roundRobin{n: n, last: n - 1} }

func (r *roundRobin) pick(tried policy.Set, now int64) int {
	well := r.well(r.n, tried, now)
	for i := 1; i <= r.n; i++ {
		if p := (r.last + i) % r.n; well.Has(p) {
			r.last = p
			return p
		}
	}
	return -1
}

func (*roundRobin) start(int, int64) {}

func (r *roundRobin) end(p int, now, _ int64, ok bool) { r.note(p, now, ok) }

type priority struct{ n int }

func newPriority(n int, _ Source) rival { return &priority{n} }

func (r *priority) pick(tried policy.Set, _ int64) int {
	for p := range r.n {
		if !tried.Has(p) {
			return p
		}
	}
	return -1
}

func (*priority) start(int, int64) {}

func (*priority) end(int, int64, int64, bool) {}

// gobreaker is sony/gobreaker's two-step breaker with its default Settings.
type gobreaker struct {
	row   int // failures
	until int64
	half  bool
	out   bool // the one call of half-open is under way
}

const (
	gobreakerRow  = 5 // more than so many failures in a row
	gobreakerOpen = int64(60e9)
)

func (b *gobreaker) ready(now int64) bool {
	switch {
	case b.until == 0:
		return true
	case now < b.until:
		return false
	default:
		return !b.out
	}
}

func (b *gobreaker) start(now int64) {
	if b.until != 0 && now >= b.until {
		b.half, b.out = true, true
	}
}

func (b *gobreaker) end(now, sent int64, ok bool) {
	switch {
	case b.half && sent < b.until: // a late answer of the closed time: another generation
	case b.half && ok:
		*b = gobreaker{}
	case b.half:
		*b = gobreaker{until: now + gobreakerOpen}
	case b.until != 0: // the same, while it is open
	case ok:
		b.row = 0
	default:
		if b.row++; b.row > gobreakerRow {
			*b = gobreaker{until: now + gobreakerOpen}
		}
	}
}

type priorityBreaker struct {
	n int
	b [MaxProviders]gobreaker
}

func newPriorityBreaker(n int, _ Source) rival { return &priorityBreaker{n: n} }

func (r *priorityBreaker) pick(tried policy.Set, now int64) int {
	for p := range r.n {
		if !tried.Has(p) && r.b[p].ready(now) {
			return p
		}
	}
	return -1
}

func (r *priorityBreaker) start(p int, now int64) { r.b[p].start(now) }

func (r *priorityBreaker) end(p int, now, took int64, ok bool) { r.b[p].end(now, now-took, ok) }

func (r *priorityBreaker) gated(p int, _ int64) bool { return r.b[p].until != 0 }

// leastTime is NGINX Plus' least_time.
type leastTime struct {
	failTimeout
	n    int
	mean [MaxProviders]float64
	open [MaxProviders]int
}

func newLeastTime(n int, _ Source) rival { return &leastTime{n: n} }

func (r *leastTime) pick(tried policy.Set, now int64) int {
	well, best := r.well(r.n, tried, now), -1
	for p := range r.n {
		if well.Has(p) && (best < 0 || r.load(p) < r.load(best)) {
			best = p
		}
	}
	return best
}

func (r *leastTime) load(p int) float64 { return r.mean[p] * float64(r.open[p]+1) }

func (r *leastTime) start(p int, _ int64) { r.open[p]++ }

func (r *leastTime) end(p int, now, took int64, ok bool) {
	r.open[p]--
	r.note(p, now, ok)
	if r.mean[p] == 0 {
		r.mean[p] = float64(took)
		return
	}
	r.mean[p] += (float64(took) - r.mean[p]) / 16
}
