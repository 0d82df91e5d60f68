package transfer

import (
	"github.com/prometheus/client_golang/prometheus"

	"segue/dataplane/settle"
)

// metrics count what is fetched from providers, and the tokens of conversations.
type metrics struct{ fetches, tokens *prometheus.CounterVec }

func newMetrics(to prometheus.Registerer) *metrics {
	return &metrics{
		fetches: settle.Counter(to, "segue_session_fetches_total", "Fields of sessions that were fetched from a provider, and what came of it.", "service", "provider", "result"),
		tokens:  settle.Counter(to, "segue_session_tokens_total", "Tokens that providers were asked for, for a conversation, and what came of it.", "service", "provider", "result"),
	}
}

func (m *metrics) fetched(service, provider, result string) {
	m.fetches.WithLabelValues(service, provider, result).Inc()
}

func (m *metrics) token(service, provider, result string) {
	m.tokens.WithLabelValues(service, provider, result).Inc()
}
