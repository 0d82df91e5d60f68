package transfer

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics count what is fetched from providers, and the tokens of conversations.
type metrics struct{ fetches, tokens *prometheus.CounterVec }

func newMetrics(to prometheus.Registerer) *metrics {
	counter := func(name, help string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{"service", "provider", "result"})
		if to == nil {
			return v
		}
		var already prometheus.AlreadyRegisteredError
		if err := to.Register(v); errors.As(err, &already) { // agents that share a registry share the metric
			if shared, ok := already.ExistingCollector.(*prometheus.CounterVec); ok {
				return shared
			}
		}
		return v
	}
	return &metrics{
		fetches: counter("segue_session_fetches_total", "Fields of sessions that were fetched from a provider, and what came of it."),
		tokens:  counter("segue_session_tokens_total", "Tokens that providers were asked for, for a conversation, and what came of it."),
	}
}

func (m *metrics) fetched(service, provider, result string) {
	m.fetches.WithLabelValues(service, provider, result).Inc()
}

func (m *metrics) token(service, provider, result string) {
	m.tokens.WithLabelValues(service, provider, result).Inc()
}
