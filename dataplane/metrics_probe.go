package dataplane

import (
	"github.com/prometheus/client_golang/prometheus"

	"segue/controlplane/health"
)

// probeMetrics are the gauges of what agents ask providers themselves.
type probeMetrics struct{ state, seconds, left *prometheus.GaugeVec }

func newProbeMetrics(to *prometheus.Registry) (*probeMetrics, error) {
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
	}
	m := &probeMetrics{
		state:   gauge("segue_probe_state", "1 for how an active check or a synthetic stands: good, warn or bad.", "provider", "region", "lane", "check", "state"),
		seconds: gauge("segue_probe_seconds", "What the last run of an active check or a synthetic took.", "provider", "region", "lane", "check"),
		left:    gauge("segue_probe_leftovers", "Runs of synthetics that made something which is not taken away yet.", "provider", "region"),
	}
	for _, g := range []**prometheus.GaugeVec{&m.state, &m.seconds, &m.left} {
		if err := register(to, g); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *probeMetrics) show(rows []health.Row, region string) {
	m.state.Reset()
	m.seconds.Reset()
	m.left.Reset()
	for i := range rows {
		provider, left := rows[i].Provider, -1
		for _, l := range rows[i].Lanes {
			if l.Kind == health.Synthetic {
				left = max(left, 0) + l.Left
			}
			if l.Level != "" {
				m.state.WithLabelValues(provider, region, l.Kind, l.Name, l.Level).Set(1)
				m.seconds.WithLabelValues(provider, region, l.Kind, l.Name).Set(l.MS / 1000)
			}
		}
		if left >= 0 {
			m.left.WithLabelValues(provider, region).Set(float64(left))
		}
	}
}
