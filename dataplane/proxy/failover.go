package proxy

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"segue/dataplane/ledger"
	"segue/dataplane/route"
)

// What it takes to conclude something of a failover.
const (
	wellAgain = 5  // calls in a row that were served well by others at once: it is over
	forgotten = 20 // successes in a row at a provider: the failure before them began nothing
)

// recoveryBuckets are those of segue_recovery_seconds: from a few calls at a high rate to an outage.
var recoveryBuckets = []float64{.05, .1, .25, .5, 1, 2, 5, 10, 15, 30, 60, 120, 300}

// failoverMetrics tell how long failovers took, and who has shown that he can take calls over.
type failoverMetrics struct {
	recovery prometheus.Histogram
	proven   *prometheus.GaugeVec
}

func newFailoverMetrics() failoverMetrics {
	return failoverMetrics{
		recovery: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "segue_recovery_seconds", Buckets: recoveryBuckets,
			Help: "Failovers, once for each time that a circuit keeps calls away: from the sending of the provider's first failed attempt to the end of the first of five calls in a row that others served at once.",
		}),
		proven: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "segue_failover_proven_timestamp_seconds",
			Help: "When this provider last served a call in place of another one that failed or whose circuit was open; 0: never.",
		}, []string{"service", "provider"}),
	}
}

// failovers are the troubles of one service's providers, as its callers see them. They outlive a policy.
type failovers struct {
	busy atomic.Bool // there is one: most calls ask no more
	mu   sync.Mutex
	by   map[string]*trouble

	proven map[string]time.Time // by provider: when it last took a call over
}

// trouble is what is known of a provider that fails, or from which calls are kept away.
type trouble struct {
	first time.Time // when the first attempt that failed was sent; zero: none has ended yet
	good  int       // successes in a row since
	left  bool      // its circuit keeps calls away
	well  int       // calls in a row, since it was left, that others served at once
	since time.Time // when the first of them ended
	told  bool
}

func (f *failovers) of(provider string) *trouble {
	t := f.by[provider]
	if t == nil {
		if f.by == nil {
			f.by = map[string]*trouble{}
		}
		t = &trouble{}
		f.by[provider] = t
	}
	f.busy.Store(true)
	return t
}

func (f *failovers) over(provider string) {
	delete(f.by, provider)
	f.busy.Store(len(f.by) > 0)
}

// chosen takes what a choice saw of the circuits: one that is closed again ends its trouble.
func (f *failovers) chosen(svc *service, d *route.Decision) {
	if !f.busy.Load() && !shut(d) {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, c := range svc.Candidates {
		switch {
		case d.Shut(i):
			f.of(c.Provider).left = true
		case d.Closed(i) && f.by[c.Provider] != nil && f.by[c.Provider].left:
			f.over(c.Provider)
		}
	}
}

// shut tells whether a circuit keeps calls away.
func shut(d *route.Decision) bool {
	for i := range d.N {
		if d.Shut(int(i)) {
			return true
		}
	}
	return false
}

// ended takes how an attempt ended that was sent at that time. A 429 accuses nobody.
func (f *failovers) ended(provider string, o ledger.Outcome, status int, sent time.Time) {
	failed := (o == ledger.NotSent || o == ledger.Unknown) && status != 429
	if !failed && !f.busy.Load() {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if failed {
		t := f.of(provider)
		if t.good = 0; t.first.IsZero() || sent.Before(t.first) {
			t.first = sent
		}
		return
	}
	if t := f.by[provider]; t != nil && !t.left {
		if t.good++; t.good >= forgotten {
			f.over(provider)
		}
	}
}

// call takes how a call ended for its caller: well is served at its first attempt. It returns how long the failovers took that are over by it.
func (f *failovers) call(well bool, by string, now time.Time) (took []time.Duration) {
	if !f.busy.Load() {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for provider, t := range f.by {
		switch {
		case !t.left || t.told || provider == by: // its own probes say nothing of the others
			continue
		case !well:
			if t.well < wellAgain { // what was over stays so: calls that are still on their way to it end later
				t.well = 0
			}
			continue
		}
		if t.well++; t.well == 1 {
			t.since = now
		}
		if t.well >= wellAgain && !t.first.IsZero() {
			t.told = true
			took = append(took, max(0, t.since.Sub(t.first)))
		}
	}
	return took
}

// keep forgets providers that the policy does not have any more.
func (f *failovers) keep(svc *service) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for provider := range f.by {
		known := false
		for _, c := range svc.Candidates {
			known = known || c.Provider == provider
		}
		if !known {
			f.over(provider)
		}
	}
}

// instead tells whether the winner takes the call in the place of one that would have been chosen, and whose circuit keeps it away.
func instead(d *route.Decision) bool {
	if d.Winner < 0 || d.Reason == route.ByPin && !d.Moved || d.Reason == route.ByOwner {
		return false
	}
	rank, fallback := d.Scores[d.Winner].Rank, d.Reason == route.ByFallback
	for i := range d.N {
		s := &d.Scores[i]
		if (s.Gate == route.CircuitOpen || s.Gate == route.CircuitProbing) && (fallback || s.Rank > rank) {
			return true
		}
	}
	return false
}

// recovers counts what the call says of failovers.
func (x *Exchange) recovers() {
	if x.told.nobody {
		x.svc.failovers.call(false, "", x.clock.answered)
	}
	if len(x.trail) == 0 || x.op == nil || !x.op.Read && x.work.entry == nil { // its row answered: nothing was sent
		return
	}
	last, m := &x.trail[len(x.trail)-1], &x.proxy.metrics.failover
	fine := x.told.outcome == ledger.Succeeded || x.told.outcome == ledger.Declined
	for _, took := range x.svc.failovers.call(fine && len(x.trail) == 1, last.provider, x.clock.answered) {
		m.recovery.Observe(took.Seconds())
	}
	if x.told.outcome == ledger.Succeeded && (x.told.instead || x.failedOver()) {
		x.svc.failovers.prove(last.provider, x.clock.answered)
		m.proven.WithLabelValues(x.svc.Name, last.provider).Set(float64(x.clock.answered.Unix()))
	}
}

// show sets the gauges of the policy's providers by what is known of them.
func (f *failovers) show(to *prometheus.GaugeVec, svc *service) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range svc.Candidates {
		if at, known := f.proven[c.Provider]; known {
			to.WithLabelValues(svc.Name, c.Provider).Set(float64(at.Unix()))
		}
	}
}

func (f *failovers) prove(provider string, at time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.proven == nil {
		f.proven = map[string]time.Time{}
	}
	f.proven[provider] = at.Truncate(time.Minute) // what is kept on the disk need not change with each call of an outage
}

// Proven is when a provider last took a call over: what a run of the agent leaves to the next one.
type Proven struct {
	Service, Provider string
	At                time.Time
}

// Proven are all that are known.
func (p *Proxy) Proven() []Proven {
	var all []Proven
	for name, svc := range p.view.Load().services {
		svc.failovers.mu.Lock()
		for provider, at := range svc.failovers.proven {
			all = append(all, Proven{name, provider, at.UTC()})
		}
		svc.failovers.mu.Unlock()
	}
	slices.SortFunc(all, func(a, b Proven) int {
		return cmp.Or(cmp.Compare(a.Service, b.Service), cmp.Compare(a.Provider, b.Provider))
	})
	return all
}

// Remember takes over what an earlier run left, before the first Swap.
func (p *Proxy) Remember(all []Proven) {
	p.failovers = map[string]*failovers{}
	for _, one := range all {
		f := p.failovers[one.Service]
		if f == nil {
			f = &failovers{}
			p.failovers[one.Service] = f
		}
		f.prove(one.Provider, one.At)
	}
}
