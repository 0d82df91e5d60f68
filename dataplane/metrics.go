package dataplane

import (
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"segue/controlplane/health"
	"segue/controlplane/policy"
)

// metrics are the gauges that each report sets. Labels come from the policy; what the policy does not have any more is not shown.
type metrics struct {
	region        string
	unknown       *prometheus.GaugeVec
	unknownOldest *prometheus.GaugeVec
	unknownValue  *prometheus.GaugeVec
	unknownBy     *prometheus.GaugeVec
	breaker       *prometheus.GaugeVec
	weight        *prometheus.GaugeVec
	revision      *prometheus.GaugeVec
	feedAge       *prometheus.GaugeVec
	coverage      *prometheus.GaugeVec
	fees          *prometheus.GaugeVec
	probes        *probeMetrics
}

func newMetrics(to *prometheus.Registry, region string) (*metrics, error) {
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
	}
	m := &metrics{
		region:        region,
		unknown:       gauge("segue_unknown_transactions", "Transactions whose outcome is not known.", "service"),
		unknownOldest: gauge("segue_unknown_oldest_seconds", "Age of the oldest transaction whose outcome is not known.", "service"),
		unknownValue:  gauge("segue_unknown_value_minor", "What the transactions whose outcome is not known are worth in all, where calls say so, in the smallest unit of the policy's base currency.", "service"),
		unknownBy:     gauge("segue_unknown_currency_value_minor", "The same by the currency that calls name, in its smallest unit: also where the policy says no rate.", "service", "currency"),
		breaker:       gauge("segue_breaker_state", "1 for the state that a circuit is in.", "provider", "region", "state"),
		weight:        gauge("segue_weight_ratio", "Share of new sessions: as configured, and as it was in the last second.", "service", "region", "provider", "kind"),
		revision:      gauge("segue_policy_revision", "Revision of the policy in force.", "region"),
		feedAge:       gauge("segue_feed_age_seconds", "Time since a control node was heard.", "region"),
		fees:          gauge("segue_provider_fees_ratio", "What answers state of fees, learned, over what the policy says of the same calls.", "provider", "region"),
		coverage:      gauge("segue_failover_coverage_ratio", "Share of the sessions in use that could go on at another provider now.", "service", "region"),
	}
	for _, g := range []**prometheus.GaugeVec{&m.unknown, &m.unknownOldest, &m.unknownValue, &m.unknownBy, &m.breaker, &m.weight, &m.revision, &m.feedAge, &m.coverage, &m.fees} {
		if err := register(to, g); err != nil {
			return nil, err
		}
	}
	var err error
	if m.probes, err = newProbeMetrics(to); err != nil {
		return nil, err
	}
	return m, nil
}

// register registers g. Agents that share a registry share the metric.
func register(to *prometheus.Registry, g **prometheus.GaugeVec) error {
	err := to.Register(*g)
	var already prometheus.AlreadyRegisteredError
	if errors.As(err, &already) {
		if shared, ok := already.ExistingCollector.(*prometheus.GaugeVec); ok {
			*g = shared
			return nil
		}
	}
	if err != nil {
		return fmt.Errorf("dataplane: metrics: %w", err)
	}
	return nil
}

// worth sets what a service's unknown outcomes are worth: in all, and by currency. What is settled is worth nothing any more:
// where there is nothing stands 0 of XXX, which is ISO 4217's word for no currency.
func (m *metrics) worth(service string, of *policy.Exchange, byCurrency map[string]int64) {
	m.unknownBy.DeletePartialMatch(prometheus.Labels{"service": service})
	if len(byCurrency) == 0 {
		m.unknownBy.WithLabelValues(service, "XXX").Set(0)
	}
	for currency, minor := range byCurrency {
		m.unknownBy.WithLabelValues(service, currency).Set(float64(minor))
	}
	m.unknownValue.WithLabelValues(service).Set(inAll(of, byCurrency))
}

// inAll is what amounts come to, in the smallest unit of the base currency. What has no rate is not in it; but where the policy speaks of no
// money at all, amounts of one currency need no rate.
func inAll(of *policy.Exchange, byCurrency map[string]int64) float64 {
	if of == nil || of.Base == "" {
		if len(byCurrency) == 1 {
			for _, minor := range byCurrency {
				return float64(minor)
			}
		}
		return 0
	}
	var sum policy.Money
	for currency, minor := range byCurrency {
		if m, known := of.Money(policy.Value{Minor: minor, Currency: currency}); known {
			sum = min(sum+m, policy.MaxMoney)
		}
	}
	return float64(sum) / of.Minor()
}

// show sets the gauges from a report.
func (m *metrics) show(r *health.Report, age time.Duration) {
	m.revision.WithLabelValues(m.region).Set(float64(r.Revision))
	if age >= 0 {
		m.feedAge.WithLabelValues(m.region).Set(age.Seconds())
	}
	for i := range r.Services {
		s := &r.Services[i]
		m.unknown.WithLabelValues(s.Service).Set(float64(s.UnknownOpen))
		oldest := 0.0
		if !s.OldestUnknown.IsZero() {
			oldest = r.At.Sub(s.OldestUnknown).Seconds()
		}
		m.unknownOldest.WithLabelValues(s.Service).Set(oldest)
		if s.InUse > 0 {
			m.coverage.WithLabelValues(s.Service, m.region).Set(float64(s.Could) / float64(s.InUse))
		} else { // what nobody uses has no share
			m.coverage.DeleteLabelValues(s.Service, m.region)
		}
	}
	m.probes.show(r.Rows, m.region)
	m.breaker.Reset()
	m.weight.Reset()
	m.fees.Reset()
	sessions := map[string]uint32{}
	for i := range r.Rows {
		sessions[r.Rows[i].Service] += r.Rows[i].Sessions
	}
	for i := range r.Rows {
		row := &r.Rows[i]
		m.breaker.WithLabelValues(row.Provider, m.region, row.Breaker).Set(1)
		if row.Fees > 0 {
			m.fees.WithLabelValues(row.Provider, m.region).Set(float64(row.Fees))
		}
		m.weight.WithLabelValues(row.Service, m.region, row.Provider, "configured").Set(row.Weight / 100)
		if all := sessions[row.Service]; all > 0 {
			m.weight.WithLabelValues(row.Service, m.region, row.Provider, "effective").Set(float64(row.Sessions) / float64(all))
		}
	}
}
