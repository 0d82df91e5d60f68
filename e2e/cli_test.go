package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"segue/controlplane/query"
)

// The exit codes that scripts rely on.
const (
	exitFine     = 0
	exitError    = 1
	exitUsage    = 64
	exitNoLeader = 69
)

// commands finds every command by reading the help as a person does, from the root down.
func commands(t *testing.T, dir string, path ...string) [][]string {
	t.Helper()
	help := command(t, dir, append(path, "--help")...).fine(t).out
	found := [][]string{path}
	_, list, ok := strings.Cut(help, "Available Commands:\n")
	if !ok {
		return found
	}
	for line := range strings.Lines(list) {
		words := strings.Fields(line)
		if len(words) == 0 {
			break
		}
		if words[0] == "help" || words[0] == "completion" {
			continue
		}
		found = append(found, commands(t, dir, append(append([]string{}, path...), words[0])...)...)
	}
	return found
}

// TestHelp wants a help with an example for every command that does something.
func TestHelp(t *testing.T) {
	dir := t.TempDir()
	all := commands(t, dir)
	if len(all) < 15 {
		t.Fatalf("only %d commands found: %v", len(all), all)
	}
	for _, path := range all {
		help := command(t, dir, append(path, "--help")...).fine(t).out
		group := strings.Contains(help, "Available Commands:")
		if len(strings.TrimSpace(help)) == 0 || !group && !strings.Contains(help, "Examples:\n  segue "+strings.Join(path, " ")) && !strings.Contains(help, "segue "+strings.Join(path, " ")) {
			t.Errorf("segue %s --help has no example:\n%s", strings.Join(path, " "), help)
		}
		if !group && !strings.Contains(help, "Examples:") {
			t.Errorf("segue %s --help has no example", strings.Join(path, " "))
		}
	}
}

// TestUsage makes every mistake that a command line can hold: each is exit 64, with a word of what is right, and no stack.
func TestUsage(t *testing.T) {
	dir := t.TempDir()
	for _, args := range [][]string{
		{"nothing"}, {"policy", "aply"}, {"policy", "apply"}, {"policy", "apply", "a", "b"}, {"weight", "set", "payments"},
		{"weight", "set", "payments", "local", "main"}, {"weight", "set", "payments", "local", "main=x"}, {"tx", "show"}, {"drill", "run"},
		{"version", "--nothing"}, {"version", "-o", "xml"}, {"agent", "--region", "r"}, {"agent", "--dir", dir + "/a"}, {"control"},
		{"control", "--dir", dir + "/c", "--peers", "nonsense"}, {"agent", "--region", "r", "--dir", dir + "/a", "--control", "nonsense"},
		{"agent", "--region", "r", "--dir", dir + "/a", "--store", "paper"}, {"dev", "--seed", "x"}, {"dev", "--log", "loud"},
	} {
		r := command(t, dir, args...)
		if r.code != exitUsage || !strings.HasPrefix(r.err, "segue: ") || strings.Contains(r.err, "goroutine") {
			t.Errorf("segue %s: exit %d, want 64: %s", strings.Join(args, " "), r.code, r.err)
		}
	}
}

// TestNoLeader asks where nobody answers, and where a node lives without a leader: exit 69 for changes and reads that need one.
func TestNoLeader(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := command(t, dir, "weight", "set", "payments", "local", "main=100", "--api", "http://127.0.0.1:1")
	if r.code != exitNoLeader || !strings.Contains(r.err, "127.0.0.1:1") {
		t.Errorf("nobody there: exit %d: %s", r.code, r.err)
	}
	w := newWorld(t, plan{regions: []string{"local"}})
	w.nodes[1].kill()
	w.nodes[2].kill()
	eventually(t, 20*time.Second, "one node of three refuses changes", func() error {
		if r := w.segue("weight", "set", "payments", "local", "main=100"); r.code != exitNoLeader {
			return fmt.Errorf("exit %d: %s", r.code, r.err)
		}
		return nil
	})
	w.caller("local").charge("o-without-leader", "").must(t)
	for _, n := range w.nodes[1:] {
		n.start()
	}
	w.nodes[1].ready(w.ports.api[1], 20*time.Second)
	eventually(t, 20*time.Second, "changes are taken again", func() error {
		if r := w.segue("weight", "set", "payments", "local", "main=100"); r.code != exitFine {
			return fmt.Errorf("exit %d: %s", r.code, r.err)
		}
		return nil
	})
}

// TestStaleBase applies a file that was made from an earlier revision: it is refused, and both sides are shown.
func TestStaleBase(t *testing.T) {
	t.Parallel()
	w := newWorld(t, alone())
	file := w.file("mine.yaml", strings.Replace(w.policy(), "main: 100, backup: 0", "main: 80, backup: 20", 1))
	w.segue("weight", "set", "payments", "local", "main=40", "backup=60").fine(t)
	before := w.segue("policy", "get").fine(t).out
	r := w.segue("policy", "apply", file, "--base", "1")
	if r.code != exitError {
		t.Errorf("a stale base: exit %d", r.code)
	}
	for _, want := range []string{"revision 1", "theirs", "60", "yours", "20"} {
		if !strings.Contains(r.err, want) {
			t.Errorf("the refusal does not show %q: %s", want, r.err)
		}
	}
	if after := w.segue("policy", "get").fine(t).out; after != before {
		t.Error("a stale base changed the policy")
	}
	w.segue("policy", "apply", file, "--base", "2").fine(t)
	w.segue("weight", "set", "payments", "local", "main=10", "backup=90", "--base", "3").fine(t)
	if r := w.segue("weight", "set", "payments", "local", "main=20", "backup=80", "--base", "3"); r.code != exitError {
		t.Errorf("weights on a stale base: exit %d", r.code)
	}
}

// TestRepeats makes changes again with the same request id, at every node: nothing changes a second time.
func TestRepeats(t *testing.T) {
	t.Parallel()
	w := newWorld(t, plan{regions: []string{"local"}})
	body := map[string]float64{mainProvider: 30, backupProvider: 70}
	var first struct{ Revision uint64 }
	for round := range 6 {
		a := w.api(round%3, http.MethodPatch, "/services/payments/weights/local", "e2e-repeat", "", body).must(t)
		var now struct{ Revision uint64 }
		if err := json.Unmarshal(a.body, &now); err != nil {
			t.Fatal(err)
		}
		if round == 0 {
			first = now
		}
		if now != first || now.Revision != 2 {
			t.Errorf("repeat %d gave revision %d, the first gave %d", round, now.Revision, first.Revision)
		}
	}
	w.wholeLog(1)
	for what, call := range map[string]told{
		"another site": w.foreign("Origin", "https://elsewhere.example"),
		"another name": w.foreign("Host", "elsewhere.example"),
	} {
		if call.status/100 != 4 {
			t.Errorf("a change from %s: %v", what, call)
		}
	}
	w.wholeLog(1)
}

// foreign tries a change as a page from elsewhere would.
func (w *world) foreign(header, value string) told {
	w.t.Helper()
	r, err := http.NewRequest(http.MethodPatch, "http://"+w.ports.api[0]+"/api/v1/services/payments/weights/local", strings.NewReader(`{"main":1,"backup":99}`))
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json")
	r.Header.Set(header, value)
	if header == "Host" {
		r.Host = value
	} else {
		r.Header.Set("Sec-Fetch-Site", "cross-site")
	}
	resp, err := watched(time.Minute).Do(r)
	if err != nil {
		return told{err: err}
	}
	_ = resp.Body.Close()
	return told{status: resp.StatusCode, header: resp.Header}
}

// TestOutputs reads what the commands print as machines do, and finds a transaction and its reasons.
func TestOutputs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, alone())
	done := w.caller("local").charge("o-outputs", "").must(t)
	id := done.header.Get("Segue-Transaction")
	var version map[string]string
	w.segue("version", "-o", "json").decode(t, &version)
	if version["version"] == "" || version["go"] == "" {
		t.Errorf("version: %v", version)
	}
	var why query.Why
	w.segue("tx", "why", id, "-o", "json").decode(t, &why)
	if why.Transaction.ID != id || why.Sentence == "" || len(why.Decisions) == 0 || len(why.Decisions[0].Record) == 0 || why.Decisions[0].Winner != mainProvider {
		t.Errorf("tx why: %+v", why)
	}
	table := w.segue("tx", "why", id).fine(t).out
	for _, want := range []string{id, "decided main", "o-outputs", "succeeded"} {
		if !strings.Contains(table, want) {
			t.Errorf("tx why does not show %q:\n%s", want, table)
		}
	}
	if out := w.segue("tx", "list", "--state", "succeeded").fine(t).out; !strings.Contains(out, id) {
		t.Errorf("tx list: %s", out)
	}
	if r := w.segue("tx", "show", "tx_00000000"); r.code != exitError || strings.TrimSpace(r.err) == "" {
		t.Errorf("an unknown transaction: exit %d, %s", r.code, r.err)
	}
	yaml := w.segue("policy", "get").fine(t).out
	if file := w.file("got.yaml", yaml); w.segue("policy", "validate", file).code != exitFine {
		t.Error("what policy get prints is not a valid policy")
	}
	var valid struct{ Valid bool }
	w.segue("policy", "validate", w.file("good.yaml", w.policy()), "-o", "json").decode(t, &valid)
	if !valid.Valid {
		t.Error("a good policy is not valid")
	}
}

// TestOwnListeners asks each process how it is, and for its metrics.
func TestOwnListeners(t *testing.T) {
	t.Parallel()
	w := newWorld(t, alone())
	w.caller("local").charge("o-metrics", "").must(t)
	for _, p := range []*process{w.nodes[0], w.agents["local"]} {
		for _, addr := range listening(t, p.pid()) {
			if !addr.IP.IsLoopback() {
				t.Errorf("%s listens on %v, which is not loopback", p.name, addr)
			}
		}
	}
	for name, addr := range map[string]string{"agent": w.admin("local"), "control": w.ports.api[0]} {
		for _, path := range []string{"/livez", "/readyz", "/version", "/metrics"} {
			if err := wants(http.StatusOK, "http://"+addr+path); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	metrics := ""
	eventually(t, 10*time.Second, "the agent's metrics are there", func() error { // some come with the report of each second
		metrics = string(newCaller(t, "http://"+w.admin("local")).get("/metrics", "").must(t).body)
		for _, want := range []string{
			`provider_request_duration_seconds_count{endpoint="charge",provider="main",status="success"} 1`, "segue_calls_total{", "segue_attempts_total{",
			"segue_overhead_seconds", "segue_store_seconds", "segue_breaker_state{", "segue_policy_revision", "segue_feed_age_seconds", "segue_weight_ratio{",
		} {
			if !strings.Contains(metrics, want) {
				return fmt.Errorf("no %s", want)
			}
		}
		return nil
	})
	for line := range strings.Lines(metrics) {
		if strings.Contains(line, "o-metrics") || strings.Contains(line, "tx_") {
			t.Errorf("an id is a label: %s", line)
		}
	}
	if err := wants(http.StatusNotFound, w.url("local")+"/metrics"); err != nil {
		t.Errorf("a service's listener: %v", err)
	}
}
