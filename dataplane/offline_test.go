package dataplane

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"segue/controlplane/query"
	"segue/controlplane/state"
	"segue/dataplane/embedded"
	"segue/dataplane/ledger"
	"segue/dataplane/sandbox"
	"segue/dataplane/session"
	"segue/e2e/patience"
)

// severed is the way to a store that others share. It can be cut as a whole: nothing gets through then.
type severed struct {
	Store
	cut *atomic.Bool
	off *atomic.Int64 // the store's clock is behind by this

	drops *atomic.Bool // owners are not written, as by an agent that is killed before
}

func (s severed) Time(ctx context.Context) (time.Time, error) {
	if err := s.err(); err != nil {
		return time.Time{}, err
	}
	at, err := s.Store.Time(ctx)
	return at.Add(-time.Duration(s.off.Load())), err
}

func (s severed) err() error {
	if s.cut.Load() {
		return &ledger.NoQuorum{Alive: 0, Needed: 1, Err: errors.New("the way to the store is cut")}
	}
	return nil
}

func (s severed) Close() error              { return nil }
func (s severed) Ledger() ledger.Store      { return severedLedger{s.Store.Ledger(), s} }
func (s severed) Sessions() session.Store   { return farSessions{s.Store.Sessions(), s.cut} }
func (s severed) Runs() ledger.Runs         { return severedRuns{s.Store.Runs(), s} }
func (s severed) Payloads() ledger.Payloads { return s.Store.Payloads() }

type severedRuns struct {
	storeRuns
	s severed
}

func (r severedRuns) Beat(ctx context.Context, run ledger.Run) error {
	if err := r.s.err(); err != nil {
		return err
	}
	return r.storeRuns.Beat(ctx, run)
}

type severedLedger struct {
	ledger.Store
	s severed
}

func (l severedLedger) Claim(ctx context.Context, t *ledger.Transaction) (*ledger.Transaction, bool, error) {
	if err := l.s.err(); err != nil {
		return nil, false, err
	}
	return l.Store.Claim(ctx, t)
}

func (l severedLedger) Advance(ctx context.Context, t *ledger.Transaction) (*ledger.Transaction, ledger.Written, error) {
	if err := l.s.err(); err != nil {
		return nil, 0, err
	}
	return l.Store.Advance(ctx, t)
}

func (l severedLedger) Load(ctx context.Context, k ledger.Key) (*ledger.Transaction, error) {
	if err := l.s.err(); err != nil {
		return nil, err
	}
	return l.Store.Load(ctx, k)
}

func (l severedLedger) Open(ctx context.Context, yield func(*ledger.Transaction) bool) error {
	if err := l.s.err(); err != nil {
		return err
	}
	return l.Store.Open(ctx, yield)
}

func (l severedLedger) Own(ctx context.Context, o ledger.Object) error {
	if err := l.s.err(); err != nil || l.s.drops.Load() {
		return err
	}
	return l.Store.Own(ctx, o)
}

// pinnedPolicy sends charges to main first, in both regions, though backup is preferred; intents have no pin.
const pinnedPolicy = `segue: v1
regions:
  here: {standby: [there]}
  there: {standby: [here]}
services:
  payments:
    speaks: stripe/v1
    listen: 7101
    operations:
      charge: {match: POST /v1/charges, key: required, offline_pin: {provider: main}}
      intent: {match: POST /v1/payment_intents, key: required}
      read: {match: GET /v1/**, follows: path.id}
    strategy: priority
    priority: [backup, main]
    attempts: {max: 2, per_try: 200ms, deadline: %s}
    breaker: {failures: 1000, successes: 1, reset: 1s}
    without_quorum: %s
providers:
  main: {contract: stripe/v1, endpoint: %q, credential: env:SEGUE_TEST_PIN}
  backup: {contract: stripe/v1, endpoint: %q, credential: env:SEGUE_TEST_PIN}
`

// apart are two regions that share a store, each by a way of its own, and providers with books.
type apart struct {
	*world
	t      *testing.T
	store  *embedded.Store
	dir    string
	agents map[string]*Agent
	cut    map[string]*atomic.Bool
	off    atomic.Int64
	drops  atomic.Bool
	way    string // without_quorum
	wait   string // a call's deadline
	index  uint64
}

func newApart(t *testing.T, way, wait string) *apart {
	t.Helper()
	t.Setenv("SEGUE_TEST_PIN", "sk_test_pin")
	box, err := sandbox.New(sandbox.Config{Providers: []sandbox.ProviderConfig{
		{Name: "main", Latency: sandbox.Latency{Median: -1}}, {Name: "backup", Latency: sandbox.Latency{Median: -1}},
	}})
	must(t, err)
	must(t, box.Start())
	a := &apart{t: t, dir: patience.Dir(t), way: way, wait: wait, agents: map[string]*Agent{}, cut: map[string]*atomic.Bool{"here": {}, "there": {}}}
	a.world = &world{t: t, box: box, http: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Minute}}
	a.store, err = embedded.Open(filepath.Join(a.dir, "store"), embedded.Options{Reserve: 1, Log: quiet(t)})
	must(t, err)
	t.Cleanup(func() {
		for _, one := range a.agents {
			halt(t, one)
		}
		must(t, a.store.Close())
		a.world.close()
	})
	for region := range a.cut {
		a.begin(region)
	}
	return a
}

// begin starts the agent of a region.
func (a *apart) begin(region string) {
	a.t.Helper()
	agent, err := New(Config{
		ID: region + "-1", Region: region, Dir: filepath.Join(a.dir, region), KeysDir: filepath.Join(a.dir, "keys"), Listen: Listen{Any: true},
		Store: severed{a.store, a.cut[region], &a.off, &a.drops}, Log: quiet(a.t),
	})
	must(a.t, err)
	must(a.t, agent.Start(context.Background()))
	a.agents[region] = agent
	a.index++
	must(a.t, agent.Apply(state.Update{
		Position: state.Position{Incarnation: "one", Index: a.index}, Revision: a.index, Now: time.Now(),
		Policy: fmt.Appendf(nil, pinnedPolicy, a.wait, a.way, a.url("main"), a.url("backup")),
	}))
}

func (a *apart) post(region, path, key, order string, header ...string) *answer {
	a.t.Helper()
	got, err := a.callAt(context.Background(), a.agents[region].Addr("payments"), "POST", path, charge(order), append([]string{"Idempotency-Key", key}, header...)...)
	must(a.t, err)
	return got
}

func (a *apart) pay(region, key, order string, header ...string) *answer {
	a.t.Helper()
	return a.post(region, "/v1/charges", key, order, header...)
}

// stored is what the ledger has under a key, or nil.
func (a *apart) stored(key string) *ledger.Transaction {
	a.t.Helper()
	t, err := a.store.Ledger().Load(context.Background(), ledger.Key{App: application, Service: "payments", Key: key})
	if errors.Is(err, ledger.ErrNotFound) {
		return nil
	}
	must(a.t, err)
	return t
}

func (a *apart) at(provider, order string) int {
	return a.box.Provider(provider).Books().Executed(order)
}

func (a *apart) hints(region string) query.HintLog { return hintLogOf(a.t, a.agents[region], nil) }

// whole waits until everything that a region kept is in the store.
func (a *apart) whole(region string) {
	a.t.Helper()
	soon(a.t, "the hints of "+region+" are in the store", 20*time.Second, func() bool {
		l := a.hints(region)
		if l.Held > 0 {
			a.t.Fatalf("hints wait for a person: %+v", l.Hints)
		}
		return l.Waiting == 0 && !l.Away
	})
}

// TestOfflinePin: without a quorum an operation with an offline pin goes on there and nowhere else, its caller is told so, and the ledger has what was
// done when it is back. Whatever another region sends meanwhile meets it there.
func TestOfflinePin(t *testing.T) {
	a := newApart(t, "offline_pin", "10s")
	a.cut["here"].Store(true)

	first := a.pay("here", "k1", "o1")
	if first.status != 200 || !strings.HasPrefix(first.header.Get("Segue-Decision"), "main;") || !strings.HasSuffix(first.header.Get("Segue-Decision"), ";offline") {
		t.Fatalf("without a quorum: %d %v %s", first.status, first.header, first.body)
	}
	if again := a.pay("here", "k1", "o1"); again.status != 200 || again.header.Get("Idempotent-Replayed") != "true" || again.body != first.body {
		t.Errorf("the same once more: %d %v %s", again.status, again.header, again.body)
	}
	a.pay("here", "k1", "another").problem(t, 422, "key-reused")
	if a.stored("k1") != nil {
		t.Error("the ledger has a row that nobody could write")
	}
	p := a.post("here", "/v1/payment_intents", "k2", "o2").problem(t, 503, "no-quorum")
	if p["alive"] != 0.0 || p["needed"] != 1.0 || a.at("main", "o2")+a.at("backup", "o2") != 0 {
		t.Errorf("an operation without a pin: %v", p)
	}
	if there := a.pay("there", "k1", "o1"); there.status != 200 || there.json(t)["id"] != first.json(t)["id"] {
		t.Errorf("the same key in a region with a quorum: %d %s, not %s", there.status, there.body, first.body)
	}
	if n := a.at("main", "o1"); n != 1 || a.at("backup", "o1") != 0 {
		t.Errorf("executed %d times at the pin, %d elsewhere", n, a.at("backup", "o1"))
	}
	if online := a.pay("there", "k3", "o3"); online.status != 200 || a.at("main", "o3") != 1 || a.at("backup", "o3") != 0 || strings.Contains(online.header.Get("Segue-Decision"), "offline") {
		t.Errorf("a region with a quorum sends the first attempt to the pin, too: %d %v", online.status, online.header)
	}
	if alone := a.pay("here", "k4", "o4"); alone.status != 200 {
		t.Errorf("another: %d %s", alone.status, alone.body)
	}

	a.cut["here"].Store(false)
	a.whole("here")
	for _, key := range []string{"k1", "k4"} {
		row := a.stored(key)
		if row == nil || row.State != ledger.DoneSucceeded || len(row.Attempts) != 1 || row.Attempts[0].Provider != "main" {
			t.Errorf("the ledger has %s as %+v", key, row)
		}
	}
	if told := a.pay("there", "k4", "o4"); told.status != 200 || told.header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("what was told without a quorum, elsewhere: %d %v", told.status, told.header)
	}
}

// TestOfflinePinGoesNowhereElse: what the pin does not take, or does not answer, goes nowhere else, with a quorum or without: a region that nobody hears
// of may have sent it there. It ends when the pin answers, executed once.
func TestOfflinePinGoesNowhereElse(t *testing.T) {
	a := newApart(t, "offline_pin", "800ms")
	a.cut["here"].Store(true)
	for i, f := range []sandbox.Fault{{Kind: sandbox.Refuse}, {Kind: sandbox.Limit}, {Kind: sandbox.Lose}, {Kind: sandbox.Hang, Executed: true}} {
		a.fault("main", f)
		for _, region := range []string{"here", "there"} {
			key := fmt.Sprintf("%s-%d", region, i)
			p := a.pay(region, key, key, "Prefer", "respond-async").json(t)
			if kind := p["type"]; kind != "/problems/outcome-unknown" && kind != "/problems/no-eligible-provider" && kind != "/problems/overloaded" || p["executed"] != "unknown" || p["retry"] != "same-key" {
				t.Errorf("%s in %s: %v", f.Kind, region, p)
			}
			if region == "here" && p["status"] == 202.0 {
				t.Errorf("%s: accepted, and nothing of it is on a quorum: %v", f.Kind, p)
			}
			if n := a.at("backup", key); n != 0 {
				t.Errorf("%s in %s: it went to another provider", f.Kind, region)
			}
		}
		must(t, a.box.Provider("main").SetFaults())
		for _, region := range []string{"here", "there"} {
			key := fmt.Sprintf("%s-%d", region, i)
			soon(t, key+" ends for its caller's retry", 20*time.Second, func() bool { return a.pay(region, key, key).status == 200 })
			if n := a.at("main", key); n != 1 {
				t.Errorf("%s was executed %d times", key, n)
			}
		}
	}
	a.cut["here"].Store(false)
	a.whole("here")
}

// TestOfflinePinRefuses: with a pin and without_quorum: refuse, the first attempt goes to the pin, and nothing is sent without a quorum.
func TestOfflinePinRefuses(t *testing.T) {
	a := newApart(t, "refuse", "10s")
	if got := a.pay("here", "k1", "o1"); got.status != 200 || a.at("main", "o1") != 1 {
		t.Errorf("with a quorum: %d %s", got.status, got.body)
	}
	a.cut["here"].Store(true)
	a.pay("here", "k2", "o2").problem(t, 503, "no-quorum")
	if n := a.at("main", "o2") + a.at("backup", "o2"); n != 0 {
		t.Errorf("sent %d times without a quorum", n)
	}
}

// TestReplayRecordsTheOwner: an agent was killed between the outcome and the owner of what was made. Whoever tells the answer again makes up for it.
func TestReplayRecordsTheOwner(t *testing.T) {
	a := newApart(t, "refuse", "10s")
	a.drops.Store(true)
	first := a.pay("here", "k1", "o1")
	id, _ := first.json(t)["id"].(string)
	owner := func() (ledger.Object, error) {
		return a.store.Ledger().Owner(t.Context(), application, "payments", id)
	}
	if o, err := owner(); first.status != 200 || !errors.Is(err, ledger.ErrNotFound) {
		t.Fatalf("before: %d, %+v, %v", first.status, o, err)
	}
	a.drops.Store(false)
	a.pay("there", "k1", "o1")
	if o, err := owner(); err != nil || o.Provider != "main" {
		t.Errorf("after a replay: %+v, %v", o, err)
	}
}

// TestClockOff: a machine whose clock is too far from the ledger's claims nothing, with a quorum or without, and says so.
func TestClockOff(t *testing.T) {
	a := newApart(t, "offline_pin", "800ms")
	a.off.Store(int64(5 * time.Second))
	ready := func() int {
		r, err := http.Get("http://" + a.agents["here"].AdminAddr() + "/readyz")
		must(t, err)
		must(t, r.Body.Close())
		return r.StatusCode
	}
	soon(t, "the agent sees that its clock is off", 20*time.Second, func() bool { return ready() == 503 })
	for _, cut := range []bool{false, true} {
		a.cut["here"].Store(cut)
		p := a.pay("here", fmt.Sprint("k", cut), "o1").problem(t, 503, "no-quorum")
		if !strings.Contains(fmt.Sprint(p["detail"]), "clock") || a.at("main", "o1")+a.at("backup", "o1") != 0 {
			t.Errorf("cut %v: %v", cut, p)
		}
	}
	a.cut["here"].Store(false)
	a.off.Store(0)
	soon(t, "it goes on when its clock is right", 20*time.Second, func() bool { return ready() == 200 && a.pay("here", "k", "o2").status == 200 })
}

// TestOfflinePinRestart: what was sent without a quorum and had no outcome when the agent ended stands in the ledger when that is back, open, and ends by its
// caller's retry, executed once.
func TestOfflinePinRestart(t *testing.T) {
	a := newApart(t, "offline_pin", "800ms")
	a.cut["here"].Store(true)
	a.fault("main", sandbox.Fault{Kind: sandbox.Lose})
	a.pay("here", "k1", "o1").problem(t, 504, "outcome-unknown")
	halt(t, a.agents["here"])
	a.begin("here")
	if l := a.hints("here"); l.Waiting == 0 {
		t.Errorf("the disk lost it: %+v", l)
	}
	a.cut["here"].Store(false)
	soon(t, "the ledger has it, open", 20*time.Second, func() bool {
		row := a.stored("k1")
		return row != nil && row.Pending()
	})
	must(t, a.box.Provider("main").SetFaults())
	soon(t, "its caller's retry is answered", 30*time.Second, func() bool { return a.pay("here", "k1", "o1").status == 200 })
	if n := a.at("main", "o1"); n != 1 || a.stored("k1").State != ledger.DoneSucceeded {
		t.Errorf("executed %d times; the ledger has %+v", n, a.stored("k1"))
	}
}
