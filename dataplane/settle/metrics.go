package settle

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"segue/controlplane/policy"
)

// metrics count what went wrong although nothing was guessed.
type metrics struct{ late, exposure *prometheus.CounterVec }

func newMetrics(to prometheus.Registerer) *metrics {
	return &metrics{
		late:     Counter(to, "segue_late_duplicates_total", "Attempts that were executed beside the outcome of their transaction; each is taken back or stands before an operator.", "service"),
		exposure: Counter(to, "segue_exposure_total", "Calls that went on to another provider without the first one's proof that it executed nothing: by a settle window, or where duplicates are accepted.", "service"),
	}
}

// serve has both counters there for each service from its first day: what nobody has seen yet is 0 and not missing.
func (m *metrics) serve(services []*policy.Service) {
	for _, svc := range services {
		m.late.WithLabelValues(svc.Name)
		m.exposure.WithLabelValues(svc.Name)
	}
}

func (m *metrics) exposed(service string)   { m.exposure.WithLabelValues(service).Inc() }
func (m *metrics) duplicate(service string) { m.late.WithLabelValues(service).Inc() }

// Counter is a metric of this name that is registered, where there is somewhere to. Agents that share a registry share the metric.
func Counter(to prometheus.Registerer, name, help string, labels ...string) *prometheus.CounterVec {
	v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	if to == nil {
		return v
	}
	var already prometheus.AlreadyRegisteredError
	if err := to.Register(v); errors.As(err, &already) {
		if shared, ok := already.ExistingCollector.(*prometheus.CounterVec); ok {
			return shared
		}
	}
	return v
}
