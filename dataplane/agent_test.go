package dataplane

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"segue/controlplane/health"
	"segue/controlplane/policy"
	"segue/controlplane/query"
	"segue/dataplane/embedded"
	"segue/dataplane/ledger"
	"segue/dataplane/sandbox"
	"segue/e2e/patience"
)

// doc is the world's policy with the given order of preference.
func (w *world) doc(priority string) string {
	return fmt.Sprintf(document, priority, 2, w.url("main"), w.url("backup"), w.url("legacy"))
}

func (w *world) decidedFor() string {
	w.t.Helper()
	name, _, _ := strings.Cut(w.do("GET", "/v1/balance", "").header.Get("Segue-Decision"), ";")
	return name
}

func TestUpdateIsInForceWhenApplyReturns(t *testing.T) {
	w := newWorld(t)
	must(t, w.agent.Apply(w.update(2, w.doc("backup, main"))))
	if got := w.decidedFor(); got != "backup" {
		t.Errorf("decided for %s", got)
	}
	if r := w.agent.Report(); r.Revision != 2 || r.Agent != "here-1" || r.Addr["payments"] == "" || !strings.HasPrefix(r.Run, "here-1/") {
		t.Errorf("report: %+v", r)
	}
}

func TestRefusedUpdatesChangeNothing(t *testing.T) {
	w := newWorld(t)
	must(t, w.agent.Apply(w.update(2, w.doc("main, backup"))))
	before := readDir(t, filepath.Join(w.cfg.Dir, "generations"))
	old := w.update(3, w.doc("backup, main"))
	old.Index = 1
	if err := w.agent.Apply(old); !errors.Is(err, errOld) {
		t.Errorf("an older update: %v", err)
	}
	broken := w.update(3, strings.Replace(w.doc("backup, main"), "listen: 7101", "listen: many", 1))
	if err := w.agent.Apply(broken); err == nil || !strings.Contains(err.Error(), "listen") {
		t.Errorf("a broken policy: %v", err)
	}
	if got := w.decidedFor(); got != "main" {
		t.Errorf("decided for %s", got)
	}
	if after := readDir(t, filepath.Join(w.cfg.Dir, "generations")); !slices.Equal(before, after) {
		t.Errorf("generations: %v, then %v", before, after)
	}
	restored := w.update(3, w.doc("backup, main")) // after a restore the index begins anew
	restored.Incarnation, restored.Index = "two", 1
	must(t, w.agent.Apply(restored))
	if got := w.decidedFor(); got != "backup" {
		t.Errorf("decided for %s", got)
	}
}

// A port that is taken refuses the whole update: what was served is served still, by the old policy.
func TestPortTakenIsANack(t *testing.T) {
	w := newWorld(t)
	taken, err := listenLoopback("127.0.0.1:0")
	must(t, err)
	defer taken.Close()
	port := strings.TrimPrefix(taken.Addr().String(), "127.0.0.1:")
	w.stop()
	w.cfg.Listen.Any = false
	w.cfg.Dir = patience.Dir(t)
	w.start()
	first := strings.Replace(w.doc("main, backup"), "listen: 7101", "listen: "+freePort(t), 1)
	must(t, w.agent.Apply(w.update(1, first)))
	second := strings.Replace(w.doc("backup, main"), "listen: 7101", "listen: "+port, 1)
	if err := w.agent.Apply(w.update(2, second)); err == nil || !strings.Contains(err.Error(), port) {
		t.Errorf("err %v", err)
	}
	if got := w.decidedFor(); got != "main" {
		t.Errorf("decided for %s", got)
	}
}

func freePort(t *testing.T) string {
	l, err := listenLoopback("127.0.0.1:0")
	must(t, err)
	defer l.Close()
	return strings.TrimPrefix(l.Addr().String(), "127.0.0.1:")
}

// An agent starts from its disk without a control plane, past corrupt files, and never serves what was cut.
func TestStartsFromTheNewestGoodGeneration(t *testing.T) {
	w := newWorld(t)
	must(t, w.agent.Apply(w.update(2, w.doc("backup, main"))))
	must(t, w.agent.Apply(w.update(3, w.doc("main, backup"))))
	w.stop()
	dir := filepath.Join(w.cfg.Dir, "generations")
	raw, err := os.ReadFile(filepath.Join(dir, "generation-3"))
	must(t, err)
	whole := string(raw)
	for name, content := range map[string][]byte{
		"generation-3": append(raw[:len(raw)-9], "XXXXXXXXX"...), "generation-4": raw[:len(raw)/2], "generation-5": {}, "generation-6": []byte("{}\n"),
		"generation-8":     []byte(strings.Replace(whole, `"Revision":3`, `"Revision":9`, 1)), // only the checksum tells
		"generation-7.new": raw, "generation-x": raw, "generation-08": raw,
	} {
		must(t, os.WriteFile(filepath.Join(dir, name), content, 0o600))
	}
	begin := time.Now()
	w.start()
	if got := w.decidedFor(); got != "backup" || time.Since(begin) > 15*time.Second {
		t.Errorf("decided for %s after %v", got, time.Since(begin))
	}
	if r := w.agent.Report(); r.Revision != 2 {
		t.Errorf("revision %d", r.Revision)
	}
	for i := range uint64(12) {
		must(t, w.agent.Apply(w.update(4+i, w.doc("main, backup"))))
	}
	names := readDir(t, dir)
	if n := len(w.agent.generations.newestFirst()); n != keptGenerations {
		t.Errorf("%d are kept: %v", n, names)
	}
	w.restart()
	if got := w.decidedFor(); got != "main" {
		t.Errorf("decided for %s", got)
	}
}

func TestAgentWithoutAPolicyIsNotReady(t *testing.T) {
	w := newWorld(t)
	if code := w.admin("/readyz"); code != 200 {
		t.Errorf("readyz %d", code)
	}
	w.stop()
	w.cfg.Dir = patience.Dir(t)
	w.start()
	for path, want := range map[string]int{"/livez": 200, "/readyz": 503, "/metrics": 200, "/version": 200, "/debug/pprof/": 404} {
		if code := w.admin(path); code != want {
			t.Errorf("%s: %d, want %d", path, code, want)
		}
	}
}

func (w *world) admin(path string) int {
	w.t.Helper()
	resp, err := w.http.Get("http://" + w.agent.AdminAddr() + path)
	must(w.t, err)
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	must(w.t, err)
	return resp.StatusCode
}

func TestListensOnLoopbackOnly(t *testing.T) {
	for _, c := range []Config{{Admin: "0.0.0.0:0"}, {Admin: "192.0.2.1:0"}, {Listen: Listen{Host: "0.0.0.0"}}, {Admin: "nonsense"}} {
		c.ID, c.Region, c.Dir = "a", "here", patience.Dir(t)
		a, err := New(c)
		if err == nil {
			_ = a.Stop(context.Background())
			t.Errorf("%+v was taken", c)
		}
	}
}

// A drain keeps new calls away until its end on this agent's clock; owned objects are still reached.
func TestDrain(t *testing.T) {
	w := newWorld(t)
	id, _ := w.charge("k1", "o1").json(t)["id"].(string)
	u := w.update(1, w.doc("main, backup"))
	u.Now = time.Now().Add(-time.Hour) // the sender's clock is an hour behind: only the time left counts
	u.Orders = []policy.Order{
		{ID: "d1", Kind: policy.Drain, Provider: "main", At: u.Now, For: time.Minute},
		{ID: "d2", Kind: policy.Drain, Provider: "backup", Regions: []string{"there"}, At: u.Now, For: time.Minute},
	}
	must(t, w.agent.Apply(u))
	if got := w.decidedFor(); got != "backup" {
		t.Errorf("decided for %s", got)
	}
	if a := w.do("GET", "/v1/charges/"+id, ""); a.status != 200 || !strings.HasPrefix(a.header.Get("Segue-Decision"), "main;") {
		t.Errorf("the owner was not asked: %d %v", a.status, a.header)
	}
	w.restart() // the order goes on
	if got := w.decidedFor(); got != "backup" {
		t.Errorf("after a restart decided for %s", got)
	}
	must(t, w.agent.Apply(w.update(1, w.doc("main, backup"))))
	if got := w.decidedFor(); got != "main" {
		t.Errorf("after its end decided for %s", got)
	}
}

// A drill refuses what it should; its end comes by this agent's clock even if no update ever says so.
func TestDrill(t *testing.T) {
	w := newWorld(t)
	u := w.update(1, w.doc("main, backup"))
	u.Orders = []policy.Order{{ID: "x", Kind: policy.Drill, Provider: "main", At: u.Now, For: 300 * time.Millisecond, Fault: policy.Fault{Kind: policy.FaultRefuse, Share: 1}}}
	must(t, w.agent.Apply(u))
	if a := w.charge("k1", "o1"); a.status != 200 || !strings.HasPrefix(a.header.Get("Segue-Route"), "main;attempt=1;outcome=not_sent;error=connection_refused") {
		t.Errorf("got %d %v", a.status, a.header)
	}
	eventually(t, "the drill's end", func() bool {
		return w.decidedFor() == "main" && w.do("GET", "/v1/balance", "").header.Get("Segue-Route")[:4] == "main" &&
			!strings.Contains(w.do("GET", "/v1/balance", "").header.Get("Segue-Route"), "backup")
	})
}

func TestRegionEndpoint(t *testing.T) {
	w := newWorld(t)
	a := w.do("GET", "/.segue/region", "")
	if m := a.json(t); a.status != 200 || m["region"] != "here" || m["serves"] != true || fmt.Sprint(m["standby"]) != "[there]" {
		t.Errorf("got %d %s", a.status, a.body)
	}
	w.agent.stopping.Store(true)
	if a := w.do("GET", "/.segue/region", ""); a.status != 503 || a.json(t)["serves"] != false {
		t.Errorf("stopping: %d %s", a.status, a.body)
	}
	w.do("GET", "/.segue/nothing", "").problem(t, 404, "unknown-operation")
}

func TestTransactionEndpointShowsOnesOwn(t *testing.T) {
	w := newWorld(t)
	id := w.charge("k1-long-enough-to-be-cut", "o1").header.Get("Segue-Transaction")
	a := w.do("GET", "/.segue/v1/transactions/"+id, "")
	m := a.json(t)
	if a.status != 200 || m["sentence"] != "Charged once, at main." || strings.Contains(a.body, `"ProviderKey":"k1-long-enough-to-be-cut"`) {
		t.Errorf("got %d %s", a.status, a.body)
	}
	w.do("GET", "/.segue/v1/transactions/tx_none", "").problem(t, 404, "unknown-operation")
	row := w.row("k1-long-enough-to-be-cut").Clone()
	other := ledger.New("tx_other", ledger.Key{App: "another", Service: "payments", Key: "k"}, "charge", row.Fingerprint, time.Now())
	other.Attempts, other.State, other.Version, other.Run = row.Attempts, ledger.Intent, 1, "x/y"
	_, _, err := w.agent.store.Ledger().Claim(context.Background(), other)
	must(t, err)
	w.do("GET", "/.segue/v1/transactions/tx_other", "").problem(t, 404, "unknown-operation")
}

func TestAnswersQuestions(t *testing.T) {
	w := newWorld(t)
	w.charge("k1", "o1")
	w.fault("main", sandbox.Fault{Kind: sandbox.Lose})
	w.fault("backup", sandbox.Fault{Kind: sandbox.Refuse})
	w.charge("k2", "o2").problem(t, 504, "outcome-unknown")
	list := func(q query.Question) (out []query.Transaction) {
		q.Kind = query.Transactions
		body, err := w.agent.Answer(context.Background(), q)
		must(t, err)
		must(t, json.Unmarshal(body, &out))
		return out
	}
	if got := list(query.Question{}); len(got) != 2 || got[0].Key != "k2" || got[0].State != "held" || got[1].Object == "" {
		t.Errorf("all: %+v", got)
	}
	if got := list(query.Question{State: "succeeded", Limit: 1}); len(got) != 1 || got[0].Key != "k1" {
		t.Errorf("succeeded: %+v", got)
	}
	q := w.why(w.row("k2").ID)
	if !strings.HasPrefix(q.Sentence, "Nobody knows whether it was executed: main gave no whole answer") || len(q.Decisions) != 1 || len(q.Timeline) < 4 {
		t.Errorf("why: %+v", q)
	}
	if d := q.Decisions[0]; d.Winner != "main" || len(d.Candidates) != 2 || !d.Candidates[0].Chosen || len(d.Record) == 0 || d.Revision != 1 {
		t.Errorf("decision: %+v", d)
	}
	for _, q := range []query.Question{{Kind: "weather"}, {Kind: query.One, Transaction: "tx_none"}, {Kind: query.Transactions, State: "lost"}} {
		if _, err := w.agent.Answer(context.Background(), q); err == nil {
			t.Errorf("%+v was answered", q)
		}
	}
	w.restart()
	if q := w.why(w.row("k1").ID); len(q.Decisions) != 0 || !strings.Contains(q.Sentence, "not known any more") {
		t.Errorf("after a restart: %+v", q)
	}
	if r := w.agent.Report(); r.Services[0].UnknownOpen != 1 || r.Services[0].OldestUnknown.IsZero() {
		t.Errorf("after a restart: %+v", r.Services)
	}
}

// Agents that share a store speak for their own rows, replay each other's answers, and do not touch each other's open ones.
func TestSharedStore(t *testing.T) {
	w := newWorld(t)
	store, err := embedded.Open(patience.Dir(t), embedded.Options{})
	must(t, err)
	w.stop()
	w.cfg.Store, w.cfg.KeysDir, w.cfg.Dir = store, patience.Dir(t), patience.Dir(t)
	w.start()
	must(t, w.agent.Apply(w.update(1, w.doc("main, backup"))))
	first := w.agent
	a := w.charge("k1", "o1")
	w.cfg.ID, w.cfg.Dir = "here-2", patience.Dir(t)
	w.start()
	second := w.agent
	must(t, second.Apply(w.update(1, w.doc("main, backup"))))
	if b := w.charge("k1", "o1"); b.body != a.body || b.header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("the neighbour answered %d %s", b.status, b.body)
	}
	for agent, want := range map[*Agent]int{first: 1, second: 0} {
		body, err := agent.Answer(context.Background(), query.Question{Kind: query.Transactions})
		must(t, err)
		var rows []query.Transaction
		must(t, json.Unmarshal(body, &rows))
		if len(rows) != want {
			t.Errorf("%s tells of %d rows", agent.cfg.ID, len(rows))
		}
	}
	ctx := context.Background()
	w.http.CloseIdleConnections()
	must(t, first.Stop(ctx))
	must(t, second.Stop(ctx))
	w.agent = nil
	must(t, store.Close())
}

func TestMetricsHaveTheirNames(t *testing.T) {
	w := newWorld(t)
	w.fault("main", sandbox.Fault{Kind: sandbox.Refuse})
	w.charge("k1", "o1")
	w.agent.Report()
	resp, err := http.Get("http://" + w.agent.AdminAddr() + "/metrics")
	must(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	must(t, err)
	for _, want := range []string{
		`provider_failovers_total{from_provider="main",reason="connection_refused",to_provider="backup"} 1`,
		`segue_calls_total{outcome="succeeded",region="here",service="payments"} 1`,
		`segue_attempts_total{outcome="not_sent",provider="main",region="here",service="payments"} 1`,
		`segue_overhead_seconds_count{service="payments",step="claim"} 1`, `segue_store_seconds_count{consistency="fsync",op="claim"} 1`,
		`segue_policy_revision{region="here"} 1`, `segue_breaker_state{provider="main",region="here",state="closed"} 1`,
		`segue_late_duplicates_total{service="payments"} 0`, `segue_exposure_total{service="payments"} 0`,
		`segue_unknown_transactions{service="payments"} 0`, `segue_unknown_value_minor{service="payments"} 0`, `segue_unknown_currency_value_minor{currency="XXX",service="payments"} 0`, `segue_unknown_oldest_seconds{service="payments"} 0`,
		`provider_request_duration_seconds_count{endpoint="charge",provider="backup",status="success"} 1`,
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %s", want)
		}
	}
	http.DefaultClient.CloseIdleConnections()
}

// Agents that start at once with one directory of keys have the same keys.
func TestKeysAreShared(t *testing.T) {
	dir := patience.Dir(t)
	secrets := make([][]byte, 8)
	var group sync.WaitGroup
	for i := range secrets {
		group.Go(func() {
			v, ring, err := openVault(dir, time.Now)
			if err != nil {
				t.Error(err)
				return
			}
			secrets[i] = v.Secret()
			if _, err := ring.Today(); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	for _, s := range secrets {
		if !bytes.Equal(s, secrets[0]) || len(s) != secretSize {
			t.Fatalf("two agents have two keys: %x, %x", s, secrets[0])
		}
	}
	if left, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(left) < 2 { // and a key of the day, or one of each that came first
		t.Errorf("the directory holds %v: %v", left, err)
	}
}

// reluctant is a store that takes no claims for now.
type reluctant struct {
	Store
	why error
}

func (s reluctant) Refused() error { return s.why }

// An agent whose store takes no claims says so, with the reason, and its region serves on.
func TestReadyz(t *testing.T) {
	w := newWorld(t)
	ask := func(want int, says string) {
		t.Helper()
		r, err := http.Get("http://" + w.agent.AdminAddr() + "/readyz")
		must(t, err)
		defer r.Body.Close()
		body, err := io.ReadAll(r.Body)
		must(t, err)
		if r.StatusCode != want || !strings.Contains(string(body), says) {
			t.Errorf("%d %s, want %d %s", r.StatusCode, body, want, says)
		}
		http.DefaultClient.CloseIdleConnections()
	}
	ask(200, "ok")
	good := w.agent.store
	w.agent.store = reluctant{good, errors.New("commitlog_sync is periodic")}
	ask(503, "effects are refused: commitlog_sync is periodic")
	w.agent.store = good
	ask(200, "ok")
}

// TestVerdictsAreNotKept: they are heeded, with their end by this agent's clock and held to what one may last, and a restart begins without
// them. A change of nothing else makes no generation.
func TestVerdictsAreNotKept(t *testing.T) {
	w := newWorld(t)
	must(t, w.agent.Apply(w.update(2, w.doc("main, backup"))))
	before := readDir(t, filepath.Join(w.cfg.Dir, "generations"))
	u := w.update(2, w.doc("main, backup"))
	u.Index++
	far := u.Now.Add(1000 * time.Hour) // the sender's clock is what counts, and no verdict holds for so long
	u.Verdicts = []health.Verdict{{Kind: health.PathFault, Region: "here", Service: "payments", Provider: "main", Since: u.Now, Until: far, Why: "because", Eject: true}}
	must(t, w.agent.Apply(u))
	if got := w.decidedFor(); got != "backup" {
		t.Errorf("decided for %s: a path that nothing speaks for is left", got)
	}
	if after := readDir(t, filepath.Join(w.cfg.Dir, "generations")); !slices.Equal(before, after) {
		t.Errorf("generations: %v, then %v", before, after)
	}
	w.restart()
	if got := w.decidedFor(); got != "main" {
		t.Errorf("after a restart decided for %s", got)
	}
}
