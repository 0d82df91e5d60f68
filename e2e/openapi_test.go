package e2e

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"segue/e2e/patience"
)

// TestTheDocumentIsServed wants the document from every process that has it, as it stands in the sources.
func TestTheDocumentIsServed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, alone())
	want, err := os.ReadFile("../web/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	got := newCaller(t, "http://"+w.ports.api[0]).do(ask{method: http.MethodGet, path: "/openapi.json"}).must(t)
	if !bytes.Equal(got.body, want) {
		t.Errorf("%d bytes are served, %d are in the sources", len(got.body), len(want))
	}
}

// TestEveryOperation calls what no other test calls; TestMain then wants every operation of the document to have answered well.
func TestEveryOperation(t *testing.T) {
	t.Parallel()
	p := alone()
	p.edit = func(policy string) string {
		return strings.Replace(policy, "  main: {", "  main: {checks: {active: GET /v1/balance every 10s}, ", 1)
	}
	w := newWorld(t, p)
	paid := w.caller("local").charge("o-operations", "").must(t)
	id := paid.header.Get("Segue-Transaction")
	talk := paid.header.Get("Session-Id")
	mine := w.caller("local").get("/.segue/v1/transactions/"+id, "").must(t)
	if !strings.Contains(string(mine.body), id) {
		t.Errorf("the application's own transaction: %s", mine.body)
	}
	if foreign := w.caller("local").get("/.segue/v1/transactions/tx_none", ""); foreign.status != http.StatusNotFound || foreign.problem() == "" {
		t.Errorf("another's transaction: %v", foreign)
	}
	for _, path := range []string{
		"/policy", "/policy/revisions", "/policy/revisions/1", "/providers", "/providers/main", "/regions", "/regions/local", "/transactions?limit=5", "/transactions/" + id,
		"/transactions/" + id + "/why", "/drills", "/cluster", "/feed/local", "/contracts", "/contracts/stripe%2Fv1", "/hints",
		"/sessions", "/sessions/" + talk + "?limit=5", "/sessions/" + talk + "/verify",
	} {
		w.operation(http.MethodGet, path, nil)
	}
	newCaller(t, "http://"+w.ports.api[0]).get("/api/v1/cluster/backup", "").must(t)
	for _, path := range []string{"/health", "/cluster/agents"} { // once a report has come
		eventually(t, 10*time.Second, path, func() error {
			if a := w.api(0, http.MethodGet, path, "", "", nil); a.status != http.StatusOK {
				return errors.New(a.String())
			}
			return nil
		})
	}
	w.operation(http.MethodPatch, "/services/payments/weights/local", map[string]int{"main": 60, "backup": 40, "legacy": 0})
	var begun struct{ Shifts []struct{ ID string } }
	raw := w.operation(http.MethodPost, "/services/payments/shifts", map[string]any{"from": "main", "to": "backup", "by": 10, "every": "10m"})
	if err := json.Unmarshal(raw.body, &begun); err != nil || len(begun.Shifts) != 1 {
		t.Fatal(err, raw)
	}
	w.operation(http.MethodGet, "/shifts", nil)
	w.operation(http.MethodGet, "/shifts/"+begun.Shifts[0].ID, nil)
	for _, act := range []string{"stop", "go", "finish", "back"} {
		w.operation(http.MethodPost, "/shifts/"+begun.Shifts[0].ID+"/"+act, nil)
	}
	w.operation(http.MethodPost, "/policy/rollback", map[string]int{"revision": 1})
	w.operation(http.MethodPost, "/providers/backup/drain", map[string]string{"for": "1m"})
	w.operation(http.MethodPost, "/providers/backup/resume", nil)
	w.operation(http.MethodPost, "/providers/main/probe", nil)
	var given struct{ Order string }
	raw = w.operation(http.MethodPost, "/drills", map[string]string{"fault": "slow", "provider": "legacy", "for": "10m"})
	if err := json.Unmarshal(raw.body, &given); err != nil {
		t.Fatal(err)
	}
	w.operation(http.MethodGet, "/drills/"+given.Order, nil)
	w.operation(http.MethodDelete, "/drills/"+given.Order, nil)
	w.operation(http.MethodPost, "/hints/throttle", map[string]any{"rate": 10, "for": "1m"})
	w.operation(http.MethodDelete, "/hints/throttle", nil)
	w.operation(http.MethodPost, "/hints/replay", map[string]bool{"dry_run": true})
	w.unknownOperations()
	w.operation(http.MethodPost, "/reports", map[string]any{"Agent": "by-hand", "Region": "local", "Run": "r1", "Seq": 1, "At": time.Now()})
	c := newCaller(t, "http://"+w.ports.api[0])
	plan := c.document(http.MethodPost, "/api/v1/policy/plan", w.policy())
	put := c.document(http.MethodPut, "/api/v1/policy", w.policy())
	if plan.status != http.StatusOK || put.status != http.StatusOK {
		t.Errorf("plan: %v\nput: %v", plan, put)
	}
}

// unknownOperations has a call end unknown, where nothing can be asked, and a person say what became of it.
func (w *world) unknownOperations() {
	w.t.Helper()
	w.operation(http.MethodPatch, "/services/payments/weights/local", map[string]int{"main": 0, "backup": 0, "legacy": 100})
	w.operation(http.MethodPost, "/drills", map[string]string{"fault": "lost-reply", "provider": "legacy", "for": "10m"})
	var id string
	eventually(w.t, 20*time.Second, "a charge whose outcome nobody knows", func() error {
		a := w.caller("local").charge("o-"+rand.Text(), "")
		if id = a.header.Get("Segue-Transaction"); a.problem() != "outcome-unknown" {
			return fmt.Errorf("%v", a)
		}
		return nil
	})
	w.operation(http.MethodPost, "/transactions/"+id+"/verify", nil)
	if would := w.operation(http.MethodPost, "/transactions/verify", map[string]bool{"dry_run": true}); !bytes.Contains(would.body, []byte(id)) {
		w.t.Errorf("what would be looked for: %v", would)
	}
	var all struct{ Order string }
	if given := w.operation(http.MethodPost, "/transactions/verify", map[string]string{"service": "payments"}); json.Unmarshal(given.body, &all) != nil {
		w.t.Errorf("%v", given)
	}
	w.operation(http.MethodGet, "/transactions/verify/"+all.Order, nil)
	if a := w.api(0, http.MethodPost, "/transactions/"+id+"/resolve", "", "", map[string]string{"outcome": "succeeded"}); a.status/100 != 4 {
		w.t.Errorf("resolved without evidence: %v", a)
	}
	done := w.operation(http.MethodPost, "/transactions/"+id+"/resolve", map[string]string{"outcome": "succeeded", "evidence": "line 7 of the statement"})
	if !strings.Contains(string(done.body), `"succeeded"`) {
		w.t.Errorf("%s", done.body)
	}
}

// operation calls one that must answer well.
func (w *world) operation(method, path string, body any) told {
	w.t.Helper()
	a := w.api(0, method, path, "", "", body)
	if a.err != nil || a.status/100 != 2 {
		w.t.Errorf("%s %s: %v", method, path, a)
	}
	return a
}

// document sends a policy.
func (c *caller) document(method, path, text string) told {
	r, err := http.NewRequest(method, c.base+path, strings.NewReader(text))
	if err != nil {
		c.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/yaml")
	r.Header.Set("Segue-Reason", "e2e")
	resp, err := c.http.Do(r)
	if err != nil {
		return told{err: err}
	}
	defer func() { _ = resp.Body.Close() }()
	var b bytes.Buffer
	_, err = b.ReadFrom(resp.Body)
	return told{status: resp.StatusCode, header: resp.Header, body: b.Bytes(), err: err}
}

// sandboxOperations calls what only segue dev has.
func sandboxOperations(t *testing.T, addr string) {
	t.Helper()
	w := &world{t: t, ports: ports{api: []string{addr}}}
	w.operation(http.MethodGet, "/sandbox/books", nil)
	w.operation(http.MethodGet, "/sandbox/faults", nil)
	slow := map[string]string{"fault": "slow", "provider": "backup", "for": "10m"}
	first := w.api(0, http.MethodPost, "/sandbox/faults", "fault-1", "", slow)
	again := w.api(0, http.MethodPost, "/sandbox/faults", "fault-1", "", slow)
	var f struct{ ID string }
	if err := json.Unmarshal(first.body, &f); err != nil || f.ID == "" || !bytes.Equal(first.body, again.body) {
		t.Errorf("a fault: %v, again: %v", first, again)
	}
	if stale := w.api(0, http.MethodDelete, "/sandbox/faults/"+f.ID, "", `"999"`, nil); stale.status != http.StatusPreconditionFailed {
		t.Errorf("made for another revision: %v", stale)
	}
	for range 2 { // a repeat is answered as the first was
		if a := w.api(0, http.MethodDelete, "/sandbox/faults/"+f.ID, "fault-2", "", nil); a.status != http.StatusOK {
			t.Errorf("ending it: %v", a)
		}
	}
}

// TestTheExamplesRun runs every command line of docs/api.md, in its order.
func TestTheExamplesRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t, alone())
	page, err := os.ReadFile("../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	addr, ran := passage(w.ports.api[0]), 0
	eventually(t, 10*time.Second, "reports came", func() error { return wants(http.StatusOK, "http://"+w.ports.api[0]+"/api/v1/health") })
	for _, block := range strings.Split(string(page), "```sh\n")[1:] {
		block, _, _ = strings.Cut(block, "```")
		for line := range strings.Lines(block) {
			ctx, cancel := patience.Context(t.Context(), 20*time.Second)
			script := `curl() { command curl -f "$@"; }; ` + strings.ReplaceAll(line, "127.0.0.1:7070", addr)
			out, err := exec.CommandContext(ctx, "sh", "-c", script).CombinedOutput()
			cancel()
			if ran++; err != nil || len(out) == 0 {
				t.Errorf("%s%v: %.300s", line, err, out)
			}
		}
	}
	if ran < 10 {
		t.Errorf("only %d examples were found", ran)
	}
}

// heard is one message of the stream of events.
type heard struct {
	id, event, data string
	what            struct{ ID, Kind, Text string }
}

// follow opens a node's stream and hands out its messages; the channel closes with the stream.
func (w *world) follow(node int, query, last string) (<-chan heard, context.CancelFunc) {
	w.t.Helper()
	ctx, cancel := context.WithCancel(w.t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+w.ports.api[node]+"/api/v1/events"+query, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Accept", "text/event-stream")
	if last != "" {
		r.Header.Set("Last-Event-ID", last)
	}
	resp, err := watched(0).Do(r)
	if err != nil || resp.StatusCode != http.StatusOK {
		w.t.Fatalf("events at node %d: %v %v", node, resp, err)
	}
	out := make(chan heard, 1000)
	go func() {
		defer close(out)
		defer func() { _ = resp.Body.Close() }()
		lines := bufio.NewScanner(resp.Body)
		var m heard
		for lines.Scan() {
			name, value, _ := strings.Cut(lines.Text(), ": ")
			switch {
			case lines.Text() == "" && m.data != "":
				_ = json.Unmarshal([]byte(m.data), &m.what)
				out <- m
				m = heard{}
			case name == "id":
				m.id = value
			case name == "event":
				m.event = value
			case name == "data":
				m.data = value
			}
		}
	}()
	w.t.Cleanup(cancel)
	return out, cancel
}

// until reads messages until one has the text, and returns them all.
func until(t testing.TB, from <-chan heard, within time.Duration, text string) []heard {
	t.Helper()
	var all []heard
	end, cancel := patience.Context(t.Context(), within)
	defer cancel()
	for {
		select {
		case m, ok := <-from:
			if !ok {
				t.Fatalf("the stream ended before it said %q; it said %v", text, all)
			}
			if all = append(all, m); strings.Contains(m.data, text) {
				return all
			}
		case <-end.Done():
			t.Fatalf("the stream did not say %q within %v; it said %v", text, within, all)
		}
	}
}

// changes are the ids of people's changes among messages.
func changes(all []heard) (ids []string) {
	for _, m := range all {
		if strings.HasPrefix(m.what.ID, "change-") {
			ids = append(ids, m.what.ID)
		}
	}
	return ids
}

// TestEventsResume follows what happens, breaks off, and comes back to another node with the last id: nothing is lost or repeated; and so it is
// when the leader was killed between, but for what agents told it: that is said.
func TestEventsResume(t *testing.T) {
	t.Parallel()
	w := newWorld(t, plan{})
	change := func(node int, why string) {
		if a := w.api(node, http.MethodPost, "/providers/backup/drain", why, "", map[string]string{"for": "10m"}); a.status != http.StatusOK {
			t.Fatalf("%s: %v", why, a)
		}
		w.drained(node, why)
	}
	all, stop := w.follow(0, "", "")
	until(t, all, 10*time.Second, "revision 1")
	change(0, "first")
	seen := until(t, all, 10*time.Second, "first")
	stop()
	last := seen[len(seen)-1].id
	for i := range 5 {
		change(1, fmt.Sprintf("between-%d", i))
	}
	for node := range 3 {
		again, stop := w.follow(node, "", last)
		got := until(t, again, 10*time.Second, "between-4")
		stop()
		if len(changes(got)) != 10 || slices.ContainsFunc(got, func(m heard) bool { return m.event == "reset" }) { // each drain begins and is ended
			t.Errorf("node %d: %d changes, want 10: %v", node, len(changes(got)), got)
		}
	}
	dead := w.leader(10 * time.Second)
	w.nodes[dead].kill()
	alive := (dead + 1) % 3
	w.leaderBy(alive)
	eventually(t, 20*time.Second, "changes are taken again", func() error {
		if a := w.api(alive, http.MethodPost, "/providers/backup/resume", "", "", nil); a.status != http.StatusOK {
			return errors.New(a.String())
		}
		return nil
	})
	change(alive, "at last")
	again, _ := w.follow(alive, "", last)
	got := until(t, again, 15*time.Second, "at last")
	ids := changes(got)
	if slices.Sort(ids); len(ids) < 11 || len(slices.Compact(slices.Clone(ids))) != len(ids) {
		t.Errorf("after the leader died: %v", ids)
	}
	for _, m := range got {
		if m.event == "reset" && !strings.Contains(m.data, "another control node leads") {
			t.Errorf("it says: %s", m.data)
		}
	}
}

// drained ends the drain that was given, so that the next can be.
func (w *world) drained(node int, why string) {
	w.t.Helper()
	r, err := http.NewRequest(http.MethodPost, "http://"+w.ports.api[node]+"/api/v1/providers/backup/resume", nil)
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Segue-Reason", why)
	resp, err := watched(time.Minute).Do(r)
	if err != nil || resp.StatusCode != http.StatusOK {
		w.t.Fatalf("resume: %v %v", resp, err)
	}
	_ = resp.Body.Close()
}

// TestPull pulls at followers: at once, again when something changes, and not when nothing does.
func TestPull(t *testing.T) {
	t.Parallel()
	w := newWorld(t, plan{})
	type update struct {
		Incarnation string
		Index       uint64
		Revision    uint64
		Policy      string
		Orders      []struct{ ID, Provider string }
	}
	pull := func(node int, query, tag string) (told, update) {
		t.Helper()
		a := newCaller(t, "http://"+w.ports.api[node]).do(ask{method: http.MethodGet, path: "/api/v1/feed/" + query, header: map[string]string{"If-None-Match": tag}, timeout: 2 * time.Minute})
		var u update
		_ = json.Unmarshal(a.body, &u)
		return a, u
	}
	follower := (w.leader(10*time.Second) + 1) % 3
	first, u := pull(follower, "eu-west?wait=10s", "")
	tag := first.must(t).header.Get("ETag")
	if tag == "" || u.Revision != 1 || !strings.Contains(u.Policy, "eu-west") || strings.Contains(u.Policy, "  ap-south: {standby") && !strings.Contains(u.Policy, "payments") {
		t.Errorf("the first: %s %+v", tag, u)
	}
	if same, _ := pull(follower, "eu-west?wait=300ms", tag); same.status != http.StatusNotModified || same.header.Get("ETag") != tag {
		t.Errorf("nothing changed: %v", same)
	}
	waited := make(chan told, 1)
	go func() {
		a, _ := pull(follower, "eu-west?wait=1m", tag)
		waited <- a
	}()
	w.segue("weight", "set", "payments", "eu-west", "main=50", "backup=50").fine(t)
	began := time.Now()
	late, cancel := patience.Context(t.Context(), time.Minute)
	defer cancel()
	select {
	case a := <-waited:
		var got update
		if err := json.Unmarshal(a.must(t).body, &got); err != nil || got.Index <= u.Index || got.Revision != 2 {
			t.Errorf("the next: %v, want revision 2 behind %d", a, u.Index)
		}
		t.Logf("a pull was answered %v after the command", time.Since(began))
	case <-late.Done():
		t.Error("a change did not answer the pull that waited")
	}
	for query, status := range map[string]int{"moon": 404, "eu-west?wait=5m": 422, "eu-west?wait=soon": 422} {
		if a, _ := pull(follower, query, ""); a.status != status || a.document().Type == "" {
			t.Errorf("%s: %v, want %d", query, a, status)
		}
	}
}

// TestTwoAgentsOfOneName starts a second agent under an id that is taken: it is said where agents are listed, and counted.
func TestTwoAgentsOfOneName(t *testing.T) {
	t.Parallel()
	w := newWorld(t, alone())
	twin := newProcess(t, w.dir, "twin", "agent", "--region", "local", "--id", "local-1", "--dir", w.dir+"/twin", "--control", w.ports.api[0], "--admin", w.spare(15), "--port-offset", "9")
	taken := w.agents["local"]
	eventually(t, 10*time.Second, "the first is known", func() error { return w.agentProblem("local-1", "") })
	twin.start()
	eventually(t, 40*time.Second, "both are told", func() error { return w.agentProblem("local-1", "another process reports under this id too") })
	metrics := string(newCaller(t, "http://"+w.ports.api[0]).get("/metrics", "").must(t).body)
	if _, rest, ok := strings.Cut(metrics, "\nsegue_agent_twin_reports_total "); !ok || strings.HasPrefix(rest, "0\n") {
		t.Error("the metric does not count it")
	}
	if log := w.nodes[0].said(); !strings.Contains(log, "two runs report under one agent's id") {
		t.Error("the log does not say it")
	}
	taken.kill()
	eventually(t, 60*time.Second, "one is left", func() error { return w.agentProblem("local-1", "") })
}

// agentProblem wants one agent with that problem, or none with "".
func (w *world) agentProblem(id, problem string) error {
	a := w.api(0, http.MethodGet, "/cluster/agents", "", "", nil)
	var list []struct{ ID, Problem string }
	if a.err != nil || json.Unmarshal(a.body, &list) != nil || len(list) != 1 || list[0].ID != id {
		return errors.New(a.String())
	}
	if problem == "" && list[0].Problem != "" || !strings.Contains(list[0].Problem, problem) {
		return fmt.Errorf("its problem is %q", list[0].Problem)
	}
	return nil
}
