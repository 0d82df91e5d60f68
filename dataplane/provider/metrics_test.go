package provider

import (
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"segue/controlplane/health"
	"segue/dataplane/ledger"
)

// TestMetrics: the histogram has the name, labels and buckets that dashboards expect; agents in one process share it.
func TestMetrics(t *testing.T) {
	registry := prometheus.NewRegistry()
	share := func(c *Config) { c.Metrics = registry }
	s := newRaw(t, func(c *net.TCPConn, _ *http.Request, _ []byte, _ int64) bool { say(c, fine); return true })
	for range 2 {
		newWorld(t, share).Send(t.Context(), post(s.url, ""), &taker{})
	}
	families, err := registry.Gather()
	if err != nil || len(families) != 1 || families[0].GetName() != "provider_request_duration_seconds" {
		t.Fatalf("%v %v", families, err)
	}
	m := families[0].Metric[0]
	var labels []string
	for _, l := range m.Label {
		labels = append(labels, l.GetName()+"="+l.GetValue())
	}
	if got := strings.Join(labels, " "); got != "endpoint=charge provider=main status=success" {
		t.Errorf("labels %s", got)
	}
	if m.Histogram.GetSampleCount() != 2 || len(m.Histogram.Bucket) != len(health.Buckets) {
		t.Errorf("%v", m.Histogram)
	}
}

// TestMetricsTaken: a name that another metric has is an error, not a panic.
func TestMetricsTaken(t *testing.T) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(prometheus.NewGauge(prometheus.GaugeOpts{Name: "provider_request_duration_seconds", Help: "Another."}))
	if _, err := New(Config{Metrics: registry}); err == nil {
		t.Fatal("taken")
	}
}

func TestStatusWords(t *testing.T) {
	for o, want := range map[ledger.Outcome]string{ledger.Succeeded: "success", ledger.Declined: "declined", ledger.NotSent: "error", ledger.Unknown: "unknown", ledger.Open: "unknown", 99: "unknown"} {
		if got := status(o); got != want {
			t.Errorf("%d: %s", o, got)
		}
	}
}
