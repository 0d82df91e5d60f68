package proxy

import (
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"segue/controlplane/health"
	"segue/controlplane/policy"
	"segue/dataplane/ledger"
)

// metrics are the proxy's. Their labels come from the policy and from closed sets, so that their number is bounded. Handles are
// looked up once per policy, not once per call.
type metrics struct {
	region    string
	calls     *prometheus.CounterVec
	attempts  *prometheus.CounterVec
	failovers *prometheus.CounterVec
	moves     *prometheus.CounterVec
	overhead  *prometheus.HistogramVec
	store     storeSeconds
	worth     worthMetrics
	failover  failoverMetrics
	costs     *prometheus.CounterVec
}

// storeSeconds is how long the ledger's writes take.
type storeSeconds struct{ claim, final prometheus.Observer }

func newMetrics(to prometheus.Registerer, region, level string) (*metrics, error) {
	m := &metrics{
		region: region, worth: newWorthMetrics(), failover: newFailoverMetrics(), costs: newCostCounter(),
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "segue_calls_total", Help: "Calls as they ended for their callers.",
		}, []string{"service", "region", "outcome"}),
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "segue_attempts_total", Help: "Sends to providers, by what they proved.",
		}, []string{"service", "provider", "region", "outcome"}),
		failovers: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "provider_failovers_total", Help: "Calls that went on to another provider, and why.",
		}, []string{"from_provider", "to_provider", "reason"}),
		moves: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "segue_sessions_moved_total", Help: "Sessions that went on at another provider, and what became of their fields.",
		}, []string{"service", "result"}),
		overhead: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "segue_overhead_seconds", Help: "Segue's own part of a call: path is all but the claim's write.", Buckets: health.FineBuckets[:],
		}, []string{"service", "step"}),
	}
	store := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "segue_store_seconds", Help: "Time of one write to the ledger.", Buckets: health.FineBuckets[:],
	}, []string{"op", "consistency"})
	for _, err := range []error{
		register(to, &m.calls), register(to, &m.attempts), register(to, &m.failovers), register(to, &m.moves), register(to, &m.overhead), register(to, &store),
		register(to, &m.costs), register(to, &m.failover.recovery), register(to, &m.failover.proven),
	} {
		if err != nil {
			return nil, err
		}
	}
	if err := m.worth.register(to); err != nil {
		return nil, err
	}
	m.store = storeSeconds{claim: store.WithLabelValues("claim", level), final: store.WithLabelValues("final", level)}
	return m, nil
}

// register registers c. Agents that share a registry share the metric too.
func register[C prometheus.Collector](to prometheus.Registerer, c *C) error {
	if to == nil {
		return nil
	}
	err := to.Register(*c)
	var already prometheus.AlreadyRegisteredError
	if errors.As(err, &already) {
		if shared, ok := already.ExistingCollector.(C); ok {
			*c = shared
			return nil
		}
	}
	if err != nil {
		return fmt.Errorf("proxy: metrics: %w", err)
	}
	return nil
}

// view is a policy with the handles of its metrics: what a call is served by from its beginning to its end.
type view struct {
	snap     *policy.Snapshot
	services map[string]*service
}

// service is a compiled service and its handles.
type service struct {
	*policy.Service
	dialect policy.Dialect
	handles handles
	past    *history

	failovers *failovers
}

const outcomes = int(ledger.Unknown) + 1

// handles are the metrics of one service.
type handles struct {
	calls     [outcomes]prometheus.Counter
	attempts  map[string]*[outcomes]prometheus.Counter
	path      prometheus.Observer
	claim     prometheus.Observer
	failovers *prometheus.CounterVec
	moves     [len(results)]prometheus.Counter
	covered   prometheus.Counter
	costs     *costs
}

func (m *metrics) view(snap *policy.Snapshot) *view {
	v := &view{snap: snap, services: make(map[string]*service, len(snap.Services))}
	for _, svc := range snap.Services {
		s := &service{Service: svc, dialect: policy.Stripe}
		if svc.Speaks != nil {
			s.dialect = svc.Speaks.Dialect
		}
		s.handles = handles{
			attempts: make(map[string]*[outcomes]prometheus.Counter, len(svc.Candidates)), failovers: m.failovers,
			covered: m.worth.covered.WithLabelValues(svc.Name, m.region),
			path:    m.overhead.WithLabelValues(svc.Name, "path"), claim: m.overhead.WithLabelValues(svc.Name, "claim"),
		}
		s.handles.costs = newCosts(m.costs, svc)
		for i, result := range results {
			s.handles.moves[i] = m.moves.WithLabelValues(svc.Name, result)
		}
		for o := range outcomes {
			s.handles.calls[o] = m.calls.WithLabelValues(svc.Name, m.region, ledger.Outcome(o).String())
		}
		for _, c := range svc.Candidates {
			row := &[outcomes]prometheus.Counter{}
			for o := range outcomes {
				row[o] = m.attempts.WithLabelValues(svc.Name, c.Provider, m.region, ledger.Outcome(o).String())
			}
			s.handles.attempts[c.Provider] = row
			m.failover.proven.WithLabelValues(svc.Name, c.Provider)
		}
		v.services[svc.Name] = s
	}
	return v
}

// call counts one call.
func (h *handles) call(o ledger.Outcome, overhead, claim time.Duration) {
	h.calls[index(o)].Inc()
	h.path.Observe((overhead - claim).Seconds())
	if claim > 0 {
		h.claim.Observe(claim.Seconds())
	}
}

func (h *handles) attempt(provider string, o ledger.Outcome) {
	if row := h.attempts[provider]; row != nil {
		row[index(o)].Inc()
	}
}

func (h *handles) failedOver(from, to, reason string) {
	h.failovers.WithLabelValues(from, to, reason).Inc()
}

// index is an outcome's place; one that nobody knows is unknown.
func index(o ledger.Outcome) int {
	if int(o) >= outcomes {
		return int(ledger.Unknown)
	}
	return int(o)
}
