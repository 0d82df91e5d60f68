package provider

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"segue/controlplane/health"
	"segue/dataplane/ledger"
)

// metrics are the client's. Their labels come from the policy, so their number is bounded by it.
type metrics struct{ seconds *prometheus.HistogramVec }

// newMetrics registers the metrics. Agents that share a process share a registry, and then the histogram too.
func newMetrics(to prometheus.Registerer) (*metrics, error) {
	seconds := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "provider_request_duration_seconds",
		Help:    "Time of one send to a provider until its answer ended, by operation and outcome.",
		Buckets: health.Buckets[:],
	}, []string{"provider", "endpoint", "status"})
	if to == nil {
		return &metrics{seconds}, nil
	}
	err := to.Register(seconds)
	var already prometheus.AlreadyRegisteredError
	if errors.As(err, &already) {
		if shared, ok := already.ExistingCollector.(*prometheus.HistogramVec); ok {
			return &metrics{shared}, nil
		}
	}
	return &metrics{seconds}, err
}

func (m *metrics) observe(provider, operation string, o ledger.Outcome, took time.Duration) {
	m.seconds.WithLabelValues(provider, operation, status(o)).Observe(took.Seconds())
}

// status is the label's word for an outcome: the words that dashboards in the field use.
func status(o ledger.Outcome) string {
	switch o {
	case ledger.Succeeded:
		return "success"
	case ledger.Declined:
		return "declined"
	case ledger.NotSent:
		return "error"
	default:
		return "unknown"
	}
}
