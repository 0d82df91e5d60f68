package dataplane

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"segue/controlplane/health"
	"segue/dataplane/sandbox"
)

func (w *world) metrics() string {
	w.t.Helper()
	resp, err := w.http.Get("http://" + w.agent.AdminAddr() + "/metrics")
	must(w.t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	must(w.t, err)
	return string(text)
}

func (w *world) wantMetrics(want ...string) {
	w.t.Helper()
	text := w.metrics()
	for _, line := range want {
		if !strings.Contains(text, line+"\n") {
			w.t.Errorf("no %s in\n%s", line, relevant(text))
		}
	}
}

func relevant(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		if strings.Contains(line, "declines") || strings.Contains(line, "saved") || strings.Contains(line, "covered") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}

// What second providers are good for: calls saved and what they were worth, calls that had one, and declines that another provider did not
// share.
func TestWorthOfASecondProvider(t *testing.T) {
	w := newWorld(t)
	w.fault("main", sandbox.Fault{Kind: sandbox.Refuse})
	if a := w.charge("key-1", "order-1"); a.status != 200 { // refused by main, made by backup
		t.Fatalf("answered %d %s", a.status, a.body)
	}
	w.fault("main", sandbox.Fault{Kind: sandbox.Status, Code: 402})
	if a := w.charge("key-2", "order-2"); a.status != 402 {
		t.Fatalf("answered %d %s", a.status, a.body)
	}
	if a := w.charge("key-2", "order-2"); a.status != 402 || a.header.Get("Idempotent-Replayed") == "" { // its answer again: no second decline
		t.Fatalf("answered %d %s", a.status, a.body)
	}
	w.fault("main", sandbox.Fault{Kind: sandbox.Refuse})
	if a := w.charge("key-3", "order-2"); a.status != 200 { // the same, asked anew: backup accepts it
		t.Fatalf("answered %d %s", a.status, a.body)
	}
	w.wantMetrics(
		`segue_declines_total{first_choice="true",provider="main"} 1`,
		`segue_false_declines_total{provider="main"} 1`,
		`segue_value_saved_minor_total{currency="EUR",service="payments"} 2400`,
		`segue_covered_calls_total{region="here",service="payments"} 3`,
	)
	r := w.agent.Report()
	row := r.Services[0]
	if row.Covered != 3 || row.Elsewhere != 1 || row.Saved != 2 {
		t.Errorf("%+v", row)
	}
	window := health.NewWindow()
	must(t, window.Put(r, time.Now()))
	total := window.World(time.Now()).Total
	if total.Gains.Saved != 2 || total.Gains.Elsewhere != 1 || total.Covered < 74 || total.Covered > 76 { // the repeat had no choice
		t.Errorf("%+v, covered %v", total.Gains, total.Covered)
	}
	w.http.CloseIdleConnections()
}

// The same request that a provider declined and then accepted itself, or that came an hour later, or that another session made, is no false
// decline.
func TestWhatIsNoFalseDecline(t *testing.T) {
	w := newWorld(t)
	w.fault("main", sandbox.Fault{Kind: sandbox.Status, Code: 402, Count: 2})
	w.charge("key-1", "order-1")
	w.charge("key-2", "order-2", "Session-Id", "one")
	w.charge("key-3", "order-1") // main accepts it now
	w.fault("main", sandbox.Fault{Kind: sandbox.Refuse})
	w.charge("key-4", "order-2", "Session-Id", "two")
	if text := w.metrics(); strings.Contains(text, "segue_false_declines_total{") {
		t.Error(relevant(text))
	}
	http.DefaultClient.CloseIdleConnections()
}
