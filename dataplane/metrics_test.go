package dataplane

import (
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"segue/controlplane/policy"
	"segue/dataplane/sandbox"
)

var (
	metricRow  = regexp.MustCompile("(?m)^\\| ([^|]*`(?:segue|provider)_[^|]*) \\| (agents|both) \\|")
	metricName = regexp.MustCompile("`((?:segue|provider)_\\w+)(?:\\{([^}]*)\\})?`")
)

// documented are the agents' metrics and their labels, as the operators' page has them.
func documented(t *testing.T) map[string][]string {
	t.Helper()
	page, err := os.ReadFile("../docs/operators.md")
	must(t, err)
	all := map[string][]string{}
	for _, row := range metricRow.FindAllStringSubmatch(string(page), -1) {
		for _, m := range metricName.FindAllStringSubmatch(row[1], -1) {
			labels := strings.FieldsFunc(m[2], func(r rune) bool { return r == ',' || r == ' ' })
			slices.Sort(labels)
			all[m[1]] = labels
		}
	}
	if len(all) < 30 {
		t.Fatalf("the page names %d metrics", len(all))
	}
	return all
}

// TestMetricsAreTheDocumented: what an agent exports has the names and labels of the operators' page, each series of it, and what the page names
// is there.
func TestMetricsAreTheDocumented(t *testing.T) {
	w := newWorld(t, edited(priced))
	w.fault("main", sandbox.Fault{Kind: sandbox.Refuse})
	w.charge("k1", "o1")
	w.fault("main", sandbox.Fault{Kind: sandbox.Status, Code: 402})
	w.charge("k2", "o2")
	w.fault("main", sandbox.Fault{Kind: sandbox.Refuse})
	w.charge("k3", "o2")
	w.agent.Report()
	families, err := w.agent.cfg.Metrics.Gather()
	must(t, err)
	want, have := documented(t), map[string]bool{}
	for _, f := range families {
		name := f.GetName()
		if !strings.HasPrefix(name, "segue_") && !strings.HasPrefix(name, "provider_") {
			continue
		}
		have[name] = true
		labels, known := want[name]
		if !known {
			t.Errorf("%s is exported, and not in docs/operators.md", name)
		}
		for _, m := range f.GetMetric() {
			var is []string
			for _, l := range m.GetLabel() {
				is = append(is, l.GetName())
			}
			if slices.Sort(is); known && !slices.Equal(is, labels) {
				t.Errorf("%s has the labels %v, and the page says %v", name, is, labels)
			}
		}
	}
	for name := range want {
		if !have[name] && !slices.Contains(asNeeded, name) {
			t.Errorf("docs/operators.md has %s, and nothing exports it", name)
		}
	}
}

// asNeeded are there once a control node was heard, a contract says what answers state, checks run, sessions have fields that are fetched.
var asNeeded = []string{
	"segue_feed_age_seconds", "segue_provider_fees_ratio", "segue_probe_state", "segue_probe_seconds", "segue_session_fetches_total", "segue_session_tokens_total",
	"segue_failover_coverage_ratio", "segue_probe_leftovers",
}

// priced gives main and backup a price.
func priced(doc string) string {
	for _, name := range []string{"main", "backup"} {
		doc = strings.Replace(doc, "  "+name+": {contract: stripe/v1,", "  "+name+": {contract: stripe/v1, cost: {fixed: 0.25 EUR},", 1)
	}
	return doc
}

// TestAFailoverIsProven: who took a call over is known with the time, and who did not is 0.
func TestAFailoverIsProven(t *testing.T) {
	w := newWorld(t)
	proven := func(provider string) float64 {
		m := regexp.MustCompile(`(?m)^segue_failover_proven_timestamp_seconds\{provider="` + provider + `",service="payments"\} (\S+)$`).FindStringSubmatch(w.metrics())
		if m == nil {
			t.Fatalf("no figure for %s", provider)
		}
		v, err := strconv.ParseFloat(m[1], 64)
		must(t, err)
		return v
	}
	w.charge("k0", "o0")
	if at := proven("backup"); at != 0 {
		t.Fatalf("nothing failed, and backup is proven at %v", at)
	}
	w.fault("main", sandbox.Fault{Kind: sandbox.Refuse})
	before := time.Now().Unix()
	w.charge("k1", "o1")
	if at := proven("backup"); at < float64(before) || at > float64(time.Now().Unix()) || proven("main") != 0 {
		t.Fatalf("backup at %v, main at %v", at, proven("main"))
	}
}

// What open outcomes are worth in all is told in the base currency; what has no rate is told by its own currency alone.
func TestWorthInAll(t *testing.T) {
	p, problems := policy.Parse("p.yaml", []byte("segue: v1\nexchange: {base: EUR, rates: {USD: 0.9}}\nservices: {s: {speaks: stripe/v1, listen: 7101, strategy: priority, priority: [p]}}\n"+
		"providers: {p: {contract: stripe/v1, credential: caller}}\n"))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	snap, err := policy.Compile(p, "local", 1)
	must(t, err)
	svc, _ := snap.Service("s")
	for _, c := range []struct {
		of   *policy.Exchange
		what map[string]int64
		want float64
	}{
		{svc.Exchange, map[string]int64{"EUR": 1000, "USD": 2000, "JPY": 5}, 2800},
		{svc.Exchange, nil, 0},
		{nil, map[string]int64{"JPY": 5}, 5},
		{nil, map[string]int64{"JPY": 5, "USD": 1}, 0},
	} {
		if got := inAll(c.of, c.what); got != c.want {
			t.Errorf("%v is worth %v, want %v", c.what, got, c.want)
		}
	}
}
