package dataplane

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"segue/controlplane/health"
	"segue/dataplane/ledger"
	"segue/e2e/patience"

	"github.com/prometheus/client_golang/prometheus"
)

func TestSentences(t *testing.T) {
	main := func(o ledger.Outcome, err string, status, sends int) ledger.Attempt {
		return ledger.Attempt{Provider: "main", Outcome: o, Error: err, Status: status, Sends: sends}
	}
	backup := ledger.Attempt{Provider: "backup", Outcome: ledger.Succeeded, Status: 200, Sends: 1}
	for want, c := range map[string]*ledger.Transaction{
		"Charged once, at backup, after main refused the connection.": {Operation: "charge", State: ledger.DoneSucceeded, Attempts: []ledger.Attempt{main(ledger.NotSent, "connection_refused", 0, 1), backup}},
		"Refunded once, at main, sent 3 times under one key.":         {Operation: "refund", State: ledger.DoneSucceeded, Attempts: []ledger.Attempt{main(ledger.Succeeded, "", 200, 3)}},
		"Captured once, at main.":                                     {Operation: "intent-capture", State: ledger.DoneSucceeded, Attempts: []ledger.Attempt{main(ledger.Succeeded, "", 200, 1)}},
		"Executed once, at main.":                                     {Operation: "intent", State: ledger.DoneSucceeded, Attempts: []ledger.Attempt{main(ledger.Succeeded, "", 200, 1)}},
		"Declined by main.":                                           {State: ledger.DoneDeclined, Attempts: []ledger.Attempt{main(ledger.Declined, "", 402, 1)}},
		"Not executed: main was at its limit (429), then main gave no whole answer (dns_error).":              {State: ledger.Refused, Attempts: []ledger.Attempt{main(ledger.NotSent, "", 429, 1), main(ledger.NotSent, "dns_error", 0, 1)}},
		"Nobody knows whether it was executed: main did not answer in time. It is not sent again on a guess.": {State: ledger.Held, Attempts: []ledger.Attempt{main(ledger.Unknown, "http_response_timeout", 0, 1)}},
		"Nobody knows whether it was executed: main answered 503. It is not sent again on a guess.":           {State: ledger.Held, Attempts: []ledger.Attempt{main(ledger.Unknown, "", 503, 1)}},
		"Under way at main: it may have been sent.":                                                           {State: ledger.Intent, Attempts: []ledger.Attempt{main(ledger.Open, "", 0, 1)}},
		"Charged once, at backup, after the sender was paused, so that nothing left for main.":                {Operation: "charge", State: ledger.DoneSucceeded, Attempts: []ledger.Attempt{main(ledger.NotSent, "stale_send", 0, 1), backup}},
		"Nothing was sent.":                           {},
		"In a state that this version does not know.": {State: 99, Attempts: []ledger.Attempt{backup}},
	} {
		if got := sentence(c); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	if got := what(&ledger.Attempt{Provider: "main"}); got != "main has not answered yet" {
		t.Error(got)
	}
}

// A provider's key is never shown whole.
func TestShownHidesKeys(t *testing.T) {
	q := shown(&ledger.Transaction{Attempts: []ledger.Attempt{{ProviderKey: "segue-0123456789abcdef"}}, Answer: &ledger.StoredAnswer{Status: 200, ObjectID: "ch_1"}})
	if q.Attempts[0].ProviderKey != "segue-0123…" || q.Status != 200 || q.Object != "ch_1" {
		t.Errorf("%+v", q)
	}
}

// The secrets are made once, for their owner alone, and never replaced when they are damaged.
func TestKeysAreMadeOnce(t *testing.T) {
	dir := filepath.Join(patience.Dir(t), "keys")
	v, ring, err := openVault(dir, time.Now)
	must(t, err)
	_, err = ring.Today()
	must(t, err)
	again, _, err := openVault(dir, time.Now)
	must(t, err)
	if string(v.Secret()) != string(again.Secret()) || len(v.Secret()) != secretSize {
		t.Error("another secret")
	}
	for _, name := range readDir(t, dir) {
		info, err := os.Stat(filepath.Join(dir, name))
		must(t, err)
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", name, info.Mode())
		}
	}
	must(t, os.WriteFile(filepath.Join(dir, "provider-keys"), []byte("short"), 0o600))
	if _, _, err := openVault(dir, time.Now); err == nil || !strings.Contains(err.Error(), "5 bytes, not 32") {
		t.Errorf("a damaged key was taken: %v", err)
	}
}

func TestGaugesFollowTheReport(t *testing.T) {
	registry := prometheus.NewRegistry()
	m, err := newMetrics(registry, "here")
	must(t, err)
	if _, err := newMetrics(registry, "there"); err != nil {
		t.Errorf("a second agent in the process: %v", err)
	}
	at := time.Unix(1000, 0)
	m.show(&health.Report{Revision: 4, At: at, Services: []health.ServiceRow{{Service: "p", UnknownOpen: 2, OldestUnknown: at.Add(-90 * time.Second)}}, Rows: []health.Row{
		{Service: "p", Provider: "a", Traffic: health.Traffic{Sessions: 3}, Condition: health.Condition{Breaker: "open", Weight: 70, Fees: 1.5, Lanes: []health.Lane{
			{Kind: health.Active, Name: "tcp", Level: health.Bad, MS: 1500}, {Kind: health.Synthetic, Name: "void", Level: health.Good, MS: 20, Left: 2}, {Kind: health.Active, Name: "tls"},
		}}},
		{Service: "p", Provider: "b", Traffic: health.Traffic{Sessions: 1}, Condition: health.Condition{Breaker: "closed", Weight: 30}},
	}}, 2*time.Second)
	families, err := registry.Gather()
	must(t, err)
	got := map[string]float64{}
	for _, f := range families {
		for _, x := range f.GetMetric() {
			name := f.GetName()
			for _, l := range x.GetLabel() {
				name += " " + l.GetValue()
			}
			got[name] = x.GetGauge().GetValue()
		}
	}
	for name, want := range map[string]float64{
		"segue_unknown_transactions p": 2, "segue_unknown_oldest_seconds p": 90, "segue_policy_revision here": 4, "segue_feed_age_seconds here": 2, "segue_provider_fees_ratio a here": 1.5,
		"segue_breaker_state a here open": 1, "segue_probe_state tcp active a here bad": 1, "segue_probe_seconds tcp active a here": 1.5, "segue_probe_state void synthetic a here good": 1, "segue_probe_leftovers a here": 2,
		"segue_weight_ratio configured a here p": 0.7, "segue_weight_ratio effective a here p": 0.75,
	} {
		if v, ok := got[name]; !ok || v != want {
			t.Errorf("%s is %v (%v)", name, v, got)
		}
	}
}
