package dataplane

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"segue/controlplane/query"
	"segue/controlplane/state"
	"segue/dataplane/ledger"
	"segue/dataplane/sandbox"
	"segue/e2e/patience"
)

// document is the policy of the tests: main and backup enforce keys, legacy ignores them.
const document = `segue: v1
regions:
  here: {standby: [there]}
  there: {standby: [here]}
services:
  payments:
    speaks: stripe/v1
    listen: 7101
    strategy: priority
    priority: [%s]
    attempts: {max: %d, per_try: 300ms, deadline: 2s}
    breaker: {failures: 1000, successes: 1, reset: 1s}
providers:
  main: {contract: stripe/v1, endpoint: %q, credential: caller}
  backup: {contract: stripe/v1, endpoint: %q, credential: caller}
  legacy: {contract: keyless/v1, endpoint: %q, credential: caller}
contracts:
  keyless/v1:
    like: stripe/v1
    keys: {enforced: false}
`

// world is an agent with its simulated providers.
type world struct {
	t     testing.TB
	box   *sandbox.Sandbox
	agent *Agent
	cfg   Config
	index uint64
	http  *http.Client
}

type option func(*worldConfig)

type worldConfig struct {
	priority string
	attempts int
	document func(string) string
	tokens   sandbox.TokenRules // of main and backup
}

func priority(names string) option { return func(c *worldConfig) { c.priority = names } }

func edited(change func(string) string) option { return func(c *worldConfig) { c.document = change } }

func newWorld(t testing.TB, options ...option) *world {
	t.Helper()
	c := worldConfig{priority: "main, backup", attempts: 2, document: func(s string) string { return s }}
	for _, o := range options {
		o(&c)
	}
	box, err := sandbox.New(sandbox.Config{Providers: []sandbox.ProviderConfig{
		{Name: "main", Latency: sandbox.Latency{Median: -1}, Tokens: c.tokens}, {Name: "backup", Latency: sandbox.Latency{Median: -1}, Tokens: c.tokens},
		{Name: "legacy", Keys: sandbox.Ignored, Latency: sandbox.Latency{Median: -1}},
	}})
	must(t, err)
	must(t, box.Start())
	w := &world{t: t, box: box, http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}, Timeout: time.Minute}}
	w.cfg = Config{ID: "here-1", Region: "here", Dir: patience.Dir(t), Listen: Listen{Any: true}, Log: quiet(t)}
	w.start()
	doc := c.document(fmt.Sprintf(document, c.priority, c.attempts, w.url("main"), w.url("backup"), w.url("legacy")))
	must(t, w.agent.Apply(w.update(1, doc)))
	t.Cleanup(w.close)
	return w
}

// quiet shows the log of a test that failed.
func quiet(t testing.TB) *slog.Logger {
	var b safeBuffer
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(b.String())
		}
	})
	return slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{Level: slog.LevelInfo}))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (w *world) url(provider string) string { return w.box.Provider(provider).URL() }

func (w *world) update(revision uint64, doc string) state.Update {
	w.index++
	return state.Update{Position: state.Position{Incarnation: "one", Index: w.index}, Revision: revision, Policy: []byte(doc), Now: time.Now()}
}

func (w *world) start() {
	w.t.Helper()
	var err error
	w.agent, err = New(w.cfg)
	must(w.t, err)
	must(w.t, w.agent.Start(context.Background()))
}

// restart ends the agent and starts it again from its directory.
func (w *world) restart() {
	w.t.Helper()
	w.stop()
	w.start()
}

func (w *world) stop() {
	w.t.Helper()
	if w.agent == nil {
		return
	}
	w.http.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	must(w.t, w.agent.Stop(ctx))
	w.agent = nil
}

func (w *world) close() {
	w.stop()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	must(w.t, w.box.Stop(ctx))
	w.http.CloseIdleConnections()
}

func (w *world) fault(provider string, f ...sandbox.Fault) {
	w.t.Helper()
	must(w.t, w.box.Provider(provider).SetFaults(f...))
}

func (w *world) executed(order string) int {
	n := 0
	for _, b := range w.box.Books() {
		n += b.Executed(order)
	}
	return n
}

// answer is what a caller got.
type answer struct {
	status int
	header http.Header
	body   string
}

func (a *answer) json(t testing.TB) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(a.body), &m); err != nil {
		t.Fatalf("%d %q: %v", a.status, a.body, err)
	}
	return m
}

// problem checks that the answer is the problem document of a type, and returns it.
func (a *answer) problem(t testing.TB, status int, kind string) map[string]any {
	t.Helper()
	if a.status != status || a.header.Get("Content-Type") != "application/problem+json" {
		t.Fatalf("got %d %q %s, want the problem %s with %d", a.status, a.header.Get("Content-Type"), a.body, kind, status)
	}
	m := a.json(t)
	if m["type"] != "/problems/"+kind {
		t.Fatalf("got %v, want %s: %s", m["type"], kind, a.body)
	}
	if e, _ := m["error"].(map[string]any); e["message"] == "" || e["type"] == "" || e["code"] != "segue_"+strings.ReplaceAll(kind, "-", "_") {
		t.Fatalf("the dialect's error is %v", m["error"])
	}
	return m
}

func (w *world) call(ctx context.Context, method, path, body string, header ...string) (*answer, error) {
	return w.callAt(ctx, w.agent.Addr("payments"), method, path, body, header...)
}

func (w *world) callAt(ctx context.Context, addr, method, path, body string, header ...string) (*answer, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+addr+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer sk_test_one")
	if body != "" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Content-Type" || header[i] == "Authorization" {
			req.Header.Del(header[i])
		}
		req.Header.Add(header[i], header[i+1])
	}
	resp, err := w.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return &answer{resp.StatusCode, resp.Header, string(b)}, err
}

func (w *world) do(method, path, body string, header ...string) *answer {
	w.t.Helper()
	a, err := w.call(context.Background(), method, path, body, header...)
	must(w.t, err)
	return a
}

func charge(order string) string {
	return "amount=1200&currency=eur&source=tok_visa&metadata[order]=" + order
}

func (w *world) charge(key, order string, header ...string) *answer {
	w.t.Helper()
	return w.do("POST", "/v1/charges", charge(order), append([]string{"Idempotency-Key", key}, header...)...)
}

func (w *world) row(key string) *ledger.Transaction {
	w.t.Helper()
	t, err := w.agent.store.Ledger().Load(context.Background(), ledger.Key{App: application, Service: "payments", Key: key})
	must(w.t, err)
	return t
}

// why asks as the control plane does.
func (w *world) why(id string) query.Why {
	w.t.Helper()
	body, err := w.agent.Answer(context.Background(), query.Question{Kind: query.One, Transaction: id})
	must(w.t, err)
	var q query.Why
	must(w.t, json.Unmarshal(body, &q))
	return q
}

// safeBuffer takes a log from many goroutines.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// eventually polls until ok, for a minute at most.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	end := time.Now().Add(time.Minute)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		if time.Now().After(end) {
			t.Fatalf("not within a minute: %s", what)
		}
		<-tick.C
	}
}

func readDir(t testing.TB, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}
