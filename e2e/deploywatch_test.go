package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

// watch runs Prometheus with deploy/prometheus as it stands, only faster.
func (x *example) watch() {
	x.file("segue.rules.yml", deployed(x.t, "prometheus/segue.rules.yml"))
	config := strings.ReplaceAll(shifted(deployed(x.t, "prometheus/prometheus.yml"), x.offset), "interval: 15s", "interval: 1s")
	file := x.file("prometheus.yml", config)
	x.prom = x.at(9090)
	x.tool(x.t, "prometheus", "--config.file="+file, "--storage.tsdb.path="+filepath.Join(x.dir, "tsdb"), "--web.listen-address="+x.prom, "--log.level=warn")
}

// labels are those of one series.
type labels map[string]string

// ask asks Prometheus: query for an expression, series for a selector.
func (x *example) ask(what, name, text string) ([]labels, error) {
	client := http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}} // nothing of Segue's API: not for the witness
	resp, err := client.Get("http://" + x.prom + "/api/v1/" + what + "?" + url.Values{name: {text}}.Encode())
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	var answer struct {
		Status, Error string
		Data          json.RawMessage
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || answer.Status != "success" {
		return nil, fmt.Errorf("%s: %s %w", text, answer.Error, err)
	}
	if what == "series" {
		var list []labels
		return list, json.Unmarshal(answer.Data, &list)
	}
	var data struct{ Result []struct{ Metric labels } }
	if err := json.Unmarshal(answer.Data, &data); err != nil {
		return nil, err
	}
	var list []labels
	for _, r := range data.Result {
		list = append(list, r.Metric)
	}
	return list, nil
}

// some wants an expression to have a result.
func (x *example) some(expr string) error {
	found, err := x.ask("query", "query", expr)
	if err == nil && len(found) == 0 {
		err = fmt.Errorf("%s finds nothing", expr)
	}
	return err
}

// shown makes one of everything happen, and wants every query of the dashboard to have a result, with each label that its legend names,
// and every selector and label of the alerts to be there.
func (x *example) shown(t *testing.T) {
	x.box.Provider(mainProvider).Kill() // failovers, and a circuit that opens; it stays so
	load := x.caller(t, 7101)
	x.segue(t, 1, "shift", "begin", "payments", "eu-west", "main=5", "backup=95", "--reason", "e2e").fine(t)
	n := 0
	call := func() { n++; load.charge(fmt.Sprint("o-shown-", n), "").must(t) }
	for _, q := range queries(t) {
		if strings.Contains(q.expr, "segue_session_fetches_total") || strings.Contains(q.expr, "segue_session_tokens_total") ||
			strings.Contains(q.expr, "segue_provider_cost_minor_total") || strings.Contains(q.expr, "segue_provider_fees_ratio") {
			continue // no contract of the example gives fields back, or lets in by tokens, and its policy names no costs
		}
		eventually(t, 40*time.Second, q.expr, func() error {
			call() // the share of new sessions is that of the last second
			found, err := x.ask("query", "query", q.expr)
			if err != nil {
				return err
			}
			return labelled(found, q.labels)
		})
	}
	for _, a := range alerts(t) {
		x.sighted(t, a)
	}
	for _, metric := range []string{"segue_", "provider_"} {
		for name := range x.metrics(t, metric) {
			if !strings.Contains(deployed(t, "grafana/segue.json"), name) {
				t.Errorf("the dashboard does not show %s", name)
			}
		}
	}
}

// metrics are the names that begin so, as Prometheus has scraped them.
func (x *example) metrics(t *testing.T, prefix string) map[string]bool {
	t.Helper()
	all, err := x.ask("series", "match[]", `{__name__=~"`+prefix+`.+"}`)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, l := range all {
		name := l["__name__"]
		if strings.HasSuffix(name, "_sum") || strings.HasSuffix(name, "_count") {
			continue // of a histogram, whose buckets stand for it
		}
		names[name] = true
	}
	if len(names) < 3 && prefix == "segue_" {
		t.Fatalf("only %v are scraped", names)
	}
	return names
}

// labelled wants a result in which each label is found.
func labelled(found []labels, want []string) error {
	if len(found) == 0 {
		return errors.New("it finds nothing")
	}
	for _, l := range found {
		for _, name := range want {
			if l[name] == "" {
				return fmt.Errorf("a result has no label %s: %v", name, l)
			}
		}
	}
	return nil
}

// shownQuery is one of the dashboard.
type shownQuery struct {
	expr   string
	labels []string
}

var legend = regexp.MustCompile(`\{\{\s*(\w+)\s*\}\}`)

// queries are all of the dashboard's, its variables among them, as Grafana would send them for "All".
func queries(t *testing.T) []shownQuery {
	t.Helper()
	var board struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr, LegendFormat string }
		}
		Templating struct {
			List []struct{ Type, Definition string }
		}
	}
	unmarshal(t, []byte(deployed(t, "grafana/segue.json")), &board)
	var list []shownQuery
	for _, p := range board.Panels {
		for _, target := range p.Targets {
			q := shownQuery{expr: strings.NewReplacer("$__rate_interval", "1m", "$region", ".*", "$service", ".*").Replace(target.Expr)}
			if strings.Contains(q.expr, "$") {
				t.Errorf("%s: a variable is left in %s", p.Title, q.expr)
			}
			for _, m := range legend.FindAllStringSubmatch(target.LegendFormat, -1) {
				q.labels = append(q.labels, m[1])
			}
			list = append(list, q)
		}
	}
	for _, v := range board.Templating.List {
		if m := regexp.MustCompile(`^label_values\((\w+), (\w+)\)$`).FindStringSubmatch(v.Definition); m != nil {
			list = append(list, shownQuery{expr: m[1], labels: []string{m[2]}})
		} else if v.Type == "query" {
			t.Errorf("the variable %q is none that the test can read", v.Definition)
		}
	}
	if len(list) < 20 {
		t.Fatalf("the dashboard has %d queries", len(list))
	}
	return list
}

// alert is a rule.
type alert struct {
	Alert, Expr, For string
	Labels           labels
	Annotations      labels
}

func alerts(t *testing.T) []alert {
	t.Helper()
	var file struct{ Groups []struct{ Rules []alert } }
	if err := yaml.Unmarshal([]byte(deployed(t, "prometheus/segue.rules.yml")), &file); err != nil {
		t.Fatal(err)
	}
	var all []alert
	for _, g := range file.Groups {
		all = append(all, g.Rules...)
	}
	if len(all) < 10 {
		t.Fatalf("there are %d alerts", len(all))
	}
	return all
}

var (
	selector = regexp.MustCompile(`\b(?:up|(?:segue|provider)_\w+)\b(?:\{[^}]*\})?`)
	grouping = regexp.MustCompile(`\b(?:by|on|without) \(([^)]*)\)`)
	inText   = regexp.MustCompile(`\$labels\.(\w+)`)
)

// sighted wants a series for every selector of an alert, and every label that it groups by or names in its text on one of them.
func (x *example) sighted(t *testing.T, a alert) {
	t.Helper()
	have := map[string]bool{}
	for _, s := range selector.FindAllString(a.Expr, -1) {
		var found []labels
		eventually(t, 90*time.Second, a.Alert+": "+s, func() (err error) { // a synthetic runs twice a minute
			if found, err = x.ask("series", "match[]", s); err == nil && len(found) == 0 {
				err = errors.New("there is no series")
			}
			return err
		})
		for _, l := range found {
			for name := range l {
				have[name] = true
			}
		}
	}
	var names []string
	for _, m := range grouping.FindAllStringSubmatch(a.Expr, -1) {
		names = append(names, strings.FieldsFunc(m[1], func(r rune) bool { return r == ',' || r == ' ' })...)
	}
	for _, text := range a.Annotations {
		for _, m := range inText.FindAllStringSubmatch(text, -1) {
			names = append(names, m[1])
		}
	}
	for _, name := range names {
		if !have[name] {
			t.Errorf("%s goes by the label %s, which none of its series has", a.Alert, name)
		}
	}
}

// TestDeployRules runs the alerts' unit tests, and wants of every alert a test, a severity, its three sentences and a section of the operators' page.
func TestDeployRules(t *testing.T) {
	folder := filepath.Join(moduleRoot(t), "deploy/prometheus")
	for _, args := range [][]string{{"check", "config", "prometheus.yml"}, {"check", "rules", "segue.rules.yml"}, {"test", "rules", "segue.rules_test.yml"}} {
		cmd := exec.Command("promtool", args...)
		cmd.Dir = folder
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v (./.ci/deploy installs it)\n%s", strings.Join(args, " "), err, out)
		}
	}
	page, err := os.ReadFile(filepath.Join(moduleRoot(t), "docs/operators.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, runbook, found := strings.Cut(string(page), "\n## When an alert fires\n")
	if !found {
		t.Fatal("the operators' page has no section for alerts")
	}
	var sections, names []string
	for _, m := range regexp.MustCompile(`(?m)^### (\w+)\n\n\S`).FindAllStringSubmatch(runbook, -1) {
		sections = append(sections, m[1])
	}
	tests := deployed(t, "prometheus/segue.rules_test.yml")
	for _, a := range alerts(t) {
		names = append(names, a.Alert)
		if !slices.Contains([]string{"warning", "critical"}, a.Labels["severity"]) {
			t.Errorf("%s has the severity %q", a.Alert, a.Labels["severity"])
		}
		if a.Annotations["summary"] == "" || a.Annotations["means"] == "" || a.Annotations["do"] == "" {
			t.Errorf("%s does not say what it is, what it means and what to do: %v", a.Alert, a.Annotations)
		}
		if want := "docs/operators.md#" + strings.ToLower(a.Alert); a.Annotations["runbook"] != want {
			t.Errorf("%s sends people to %q, want %s", a.Alert, a.Annotations["runbook"], want)
		}
		for _, way := range []string{"alertname: " + a.Alert + "\n        exp_alerts:\n", "alertname: " + a.Alert + ", exp_alerts: []"} {
			if !strings.Contains(tests, way) {
				t.Errorf("no unit test has %q", way)
			}
		}
	}
	slices.Sort(sections)
	slices.Sort(names)
	if !slices.Equal(sections, names) {
		t.Errorf("the operators' page has sections for %v, the alerts are %v", sections, names)
	}
}
