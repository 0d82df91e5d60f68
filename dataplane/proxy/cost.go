package proxy

import (
	"github.com/prometheus/client_golang/prometheus"

	"segue/controlplane/policy"
	"segue/dataplane/ledger"
)

func newCostCounter() *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "segue_provider_cost_minor_total",
		Help: "What calls cost at providers by the fees of the policy, in the smallest unit of its base currency. What was not sent costs nothing.",
	}, []string{"provider", "currency"})
}

// costs are the counters of one service's providers, and how many millionths of the base currency its smallest unit has. Nil where the
// policy speaks of no money.
type costs struct {
	by    map[string]prometheus.Counter
	minor float64
}

func newCosts(of *prometheus.CounterVec, svc *policy.Service) *costs {
	if svc.Exchange == nil || svc.Exchange.Base == "" {
		return nil
	}
	c := &costs{by: map[string]prometheus.Counter{}, minor: svc.Exchange.Minor()}
	for _, who := range svc.Candidates {
		if who.Cost.Known {
			c.by[who.Provider] = of.WithLabelValues(who.Provider, svc.Exchange.Base)
		}
	}
	return c
}

// cost counts what an attempt cost.
func (x *Exchange) cost(provider string, o ledger.Outcome) {
	c := x.svc.handles.costs
	if c == nil || o == ledger.NotSent {
		return
	}
	counter, at := c.by[provider], x.candidate(provider)
	if counter == nil || at < 0 {
		return
	}
	counter.Add(float64(x.svc.Price(int(at), &x.facts)) / c.minor)
}
