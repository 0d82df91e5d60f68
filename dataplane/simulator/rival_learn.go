package simulator

import (
	"math"
	"slices"

	"segue/controlplane/policy"
)

// prequal is Prequal's replica selection, with looks at the client's own figures.
type prequal struct {
	n      int
	chance Source
	open   [MaxProviders]int
	last   [MaxProviders][16]int64 // latencies
	seen   [MaxProviders]int
	pool   []look
	rifs   [64]int // recent ones, of which the threshold is a quantile
	rifAt  int
	worst  bool // which look goes next: the worst or the oldest
}

// look is one entry of the pool.
type look struct {
	p, rif  int
	latency int64
	at      int64
}

const (
	prequalPool  = 16
	prequalLooks = 3
	prequalAge   = int64(1e9)
	prequalRIF   = .84 // 2 to the power of -0.25
)

func newPrequal(n int, chance Source) rival { return &prequal{n: n, chance: chance} }

func (r *prequal) pick(tried policy.Set, now int64) int {
	for range prequalLooks {
		r.look(int(r.chance.Uint64()%uint64(r.n)), now)
	}
	r.drop(now)
	hot := r.threshold()
	best := -1
	for i := range r.pool {
		if !tried.Has(r.pool[i].p) && (best < 0 || r.pool[i].better(&r.pool[best], hot)) {
			best = i
		}
	}
	if best < 0 || len(r.pool) < 2 {
		return r.random(tried)
	}
	p := r.pool[best].p
	r.pool = slices.Delete(r.pool, best, best+1)
	return p
}

// better is the hot-cold rule: the fastest of the cold, else the least busy of the hot.
func (l *look) better(o *look, hot int) bool {
	mine, others := l.rif > hot, o.rif > hot
	switch {
	case mine != others:
		return others
	case mine:
		return l.rif < o.rif
	default:
		return l.latency < o.latency
	}
}

func (r *prequal) look(p int, now int64) {
	r.rifs[r.rifAt%len(r.rifs)] = r.open[p]
	r.rifAt++
	if len(r.pool) == prequalPool {
		r.pool = slices.Delete(r.pool, 0, 1)
	}
	r.pool = append(r.pool, look{p: p, rif: r.open[p], latency: r.median(p), at: now})
}

// drop takes out what is too old, and one look each time: the oldest and the worst in turn.
func (r *prequal) drop(now int64) {
	r.pool = slices.DeleteFunc(r.pool, func(l look) bool { return now-l.at > prequalAge })
	if len(r.pool) <= prequalLooks {
		return
	}
	i := 0
	if r.worst = !r.worst; r.worst {
		hot := r.threshold()
		for j := range r.pool {
			if r.pool[i].better(&r.pool[j], hot) {
				i = j
			}
		}
	}
	r.pool = slices.Delete(r.pool, i, i+1)
}

func (r *prequal) threshold() int {
	n := min(r.rifAt, len(r.rifs))
	sorted := r.rifs
	slices.Sort(sorted[:n])
	return sorted[min(n-1, int(prequalRIF*float64(n)))]
}

func (r *prequal) median(p int) int64 {
	n := min(r.seen[p], len(r.last[p]))
	if n == 0 {
		return 0
	}
	sorted := r.last[p]
	slices.Sort(sorted[:n])
	return sorted[n/2]
}

func (r *prequal) random(tried policy.Set) int {
	var left policy.Set
	for p := range r.n {
		if !tried.Has(p) {
			left = left.With(p)
		}
	}
	a, _ := drawn(r.chance, left, r.n)
	return a
}

func (r *prequal) start(p int, _ int64) { r.open[p]++ }

func (r *prequal) end(p int, _, took int64, ok bool) {
	r.open[p]--
	if !ok { // error aversion: a provider that fails quickly must not look fast
		took = max(took, int64(perTry))
	}
	r.last[p][r.seen[p]%len(r.last[p])] = took
	r.seen[p]++
}

// bandit is discounted Thompson sampling over success rates.
type bandit struct {
	n      int
	chance Source
	good   [MaxProviders]float64
	bad    [MaxProviders]float64
	stamp  [MaxProviders]int64
}

const banditHalf = 30 * second

func newBandit(n int, chance Source) rival { return &bandit{n: n, chance: chance} }

func (r *bandit) fade(p int, now int64) {
	w := math.Exp2(-float64(now-r.stamp[p]) / banditHalf)
	r.good[p] *= w
	r.bad[p] *= w
	r.stamp[p] = now
}

func (r *bandit) pick(tried policy.Set, now int64) int {
	best, top := -1, 0.0
	for p := range r.n {
		if tried.Has(p) {
			continue
		}
		r.fade(p, now)
		a, b := r.gamma(r.good[p]+1), r.gamma(r.bad[p]+1)
		if x := a / (a + b); best < 0 || x > top {
			best, top = p, x
		}
	}
	return best
}

// gamma draws from a gamma distribution of that shape, by Marsaglia and Tsang.
func (r *bandit) gamma(shape float64) float64 {
	d := shape - 1.0/3
	c := 1 / math.Sqrt(9*d)
	for {
		x := normal(unit(r.chance.Uint64()))
		v := 1 + c*x
		if v <= 0 {
			continue
		}
		v = v * v * v
		if math.Log(unit(r.chance.Uint64())) < float64(x*x/2)+float64(d*(1-v+math.Log(v))) {
			return d * v
		}
	}
}

func (*bandit) start(int, int64) {}

func (r *bandit) end(p int, now, _ int64, ok bool) {
	r.fade(p, now)
	if ok {
		r.good[p]++
	} else {
		r.bad[p]++
	}
}
