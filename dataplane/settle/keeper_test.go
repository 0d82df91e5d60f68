package settle

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"segue/controlplane/policy"
	"segue/controlplane/seal"
	"segue/dataplane/embedded"
	"segue/dataplane/ledger"
	"segue/dataplane/message"
	"segue/dataplane/provider"
	"segue/dataplane/route"
	"segue/dataplane/standing"
	"segue/e2e/patience"
)

// bank is a provider with books of its own, by our reference. How it treats a charge is a script.
type bank struct {
	mu       sync.Mutex
	script   func(n int) string // of the nth charge: ok | lost | dropped | limited
	charges  int
	executed map[string]int // by reference
	voided   map[string]bool
	keys     map[string]string // by key: the reference that it was executed under
	enforced bool
	mute     bool   // lookups are not answered
	onCancel func() // before a cancel is heeded
	onFind   func() // before a lookup is
	cancels  int
	url      string
}

func newBank(t *testing.T, script func(n int) string) *bank {
	t.Helper()
	b := &bank{script: script, executed: map[string]int{}, voided: map[string]bool{}, keys: map[string]string{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/charges", b.charge)
	mux.HandleFunc("GET /v1/charges/by/{reference}", b.find)
	mux.HandleFunc("POST /v1/charges/by/{reference}/cancel", b.cancel)
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	b.url = s.URL
	return b
}

func (b *bank) charge(w http.ResponseWriter, q *http.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	_ = q.ParseForm()
	reference, key := q.PostForm.Get("reference"), q.Header.Get("Idempotency-Key")
	how := b.script(b.charges)
	b.charges++
	switch {
	case how == "limited" || b.voided[reference]:
		w.WriteHeader(429)
		return
	case how == "ok" || how == "lost":
		if _, known := b.keys[key]; !known || !b.enforced {
			b.executed[reference]++
			b.keys[key] = reference
		}
	}
	if how != "ok" {
		reset(w, q)
		return
	}
	b.show(w, reference)
}

func (b *bank) show(w http.ResponseWriter, reference string) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]string{"id": "ch_" + reference, "reference": reference, "status": b.status(reference)})
}

func (b *bank) status(reference string) string {
	switch {
	case b.voided[reference]:
		return "voided"
	case b.executed[reference] > 0:
		return "succeeded"
	default:
		return ""
	}
}

func (b *bank) find(w http.ResponseWriter, q *http.Request) {
	if b.onFind != nil {
		b.onFind()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	reference := q.PathValue("reference")
	switch {
	case b.mute:
		w.WriteHeader(503)
	case b.status(reference) == "":
		w.WriteHeader(404)
	default:
		b.show(w, reference)
	}
}

func (b *bank) cancel(w http.ResponseWriter, q *http.Request) {
	if b.onCancel != nil {
		b.onCancel()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.cancels++
	reference := q.PathValue("reference")
	if b.executed[reference] > 0 {
		w.WriteHeader(409)
		return
	}
	b.voided[reference] = true
	w.WriteHeader(200)
}

// sum is how often anything was executed there.
func (b *bank) sum() (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range b.executed {
		n += e
	}
	return n
}

func (b *bank) set(change func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change()
}

// fleet is some agents that share a store, and two banks.
type fleet struct {
	t     *testing.T
	store *embedded.Store
	banks []*bank
	svc   *policy.Service
	mu    sync.Mutex
	skip  time.Duration // the clocks are ahead by this
}

func (f *fleet) now() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return time.Now().Add(f.skip)
}

func (f *fleet) forward(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.skip += d
}

const testFence = time.Second

func newFleet(t *testing.T, change func(*policy.Contract), banks ...*bank) *fleet {
	t.Helper()
	f := &fleet{t: t, banks: banks}
	f.svc = &policy.Service{
		Name: "payments", Strategy: policy.Priority, Attempts: policy.Attempts{Max: 2, PerTry: time.Second, Deadline: 3 * time.Second},
		Breaker: policy.Breaker{Failures: 1000, Successes: 1, Reset: time.Second},
	}
	for i, b := range banks {
		c := &policy.Contract{
			Name: "test/v1", ObjectID: "id", Keys: policy.Keys{Header: "Idempotency-Key", Enforced: b.enforced, Life: 24 * time.Hour},
			Statuses: []policy.StatusRule{
				{From: 200, To: 299, Class: policy.ClassOK, Outcome: policy.OutcomeSucceeded},
				{From: 429, To: 429, Class: policy.ClassLimited, Outcome: policy.OutcomeNotSent},
			},
			Recourse: policy.Recourse{Lookup: policy.Lookup{
				Match: "GET /v1/charges/by/{reference}", By: policy.Field{In: "body", Name: "reference"}, Strong: true, Horizon: 48 * time.Hour,
				Found: policy.Found{Reference: "reference", ID: "id", Absent: []int{404}, Answer: 200, States: policy.States{
					In: []string{"status"}, Succeeded: []string{"succeeded"}, Voided: []string{"voided"},
				}},
			}},
		}
		if change != nil {
			change(c)
		}
		f.svc.Candidates = append(f.svc.Candidates, &policy.Candidate{
			Provider: fmt.Sprintf("p%d", i), Account: fmt.Sprintf("p%d", i), Endpoint: b.url, SpeaksNative: true,
			Credential: policy.Credential{Kind: policy.CredentialEnv, Ref: "NOTHING_SECRET"}, Contract: c,
		})
	}
	var err error
	if f.store, err = embedded.Open(patience.Dir(t), embedded.Options{Reserve: 1}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.store.Close() })
	return f
}

// agent makes an agent whose run has begun; its background sleeps until start.
func (f *fleet) agent(name, run string) *Driver {
	f.t.Helper()
	board := standing.New()
	snap := &policy.Snapshot{Region: "here", Services: []*policy.Service{f.svc}}
	board.Swap(snap)
	client, err := provider.New(provider.Config{Region: "here", Clock: f.now, Env: func(string) (string, bool) { return "secret", true }})
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(client.Close)
	key, err := seal.NewKey("k", make([]byte, seal.KeySize))
	if err != nil {
		f.t.Fatal(err)
	}
	d := New(Config{
		Store: f.store.Ledger(), Beside: Beside{Runs: f.store.Runs(), Payloads: f.store.Payloads(), Watches: f.store.Watches()}, Board: board, Client: client, Vault: NewVault(key, []byte("secret")),
		Agent: name, Run: name + "/" + run, Region: "here", Fence: testFence, Now: f.now, Boot: Boot, Log: slog.New(slog.DiscardHandler),
	})
	d.Swap(snap)
	if _, err := d.Adopt(context.Background()); err != nil {
		f.t.Fatal(err)
	}
	return d
}

func (f *fleet) start(d *Driver) {
	d.Start()
	f.t.Cleanup(d.Stop)
}

// claim makes a call's row at the first bank, as the proxy does.
func (f *fleet) claim(d *Driver, key string, leave policy.Leave) *Job {
	f.t.Helper()
	now := f.now()
	c := &caller{svc: f.svc}
	j := &Job{
		Service: f.svc, Operation: "charge", Leave: leave, RequestID: "req", Facts: policy.Facts{Pinned: -1, Owner: -1}, Deadline: now.Add(3 * time.Second), Caller: c,
		Request: &message.Request{Method: "POST", Path: "/v1/charges", Body: []byte("amount=1"), Header: message.Header{{Name: "Content-Type", Value: "application/x-www-form-urlencoded"}}},
	}
	var dec route.Decision
	permit, ok := d.cfg.Board.Choose(&dec, f.svc, &j.Facts, now)
	if !ok {
		f.t.Fatal("nobody is eligible")
	}
	j.Candidate, j.Permit = int(dec.Winner), permit
	j.Tx = ledger.New(d.NewID(now), ledger.Key{App: "default", Service: "payments", Key: key}, "charge", [32]byte{1}, now)
	op := &policy.Operation{OperationSpec: policy.OperationSpec{Name: "charge", Leave: leave}}
	if d.Keeps(op, f.svc.Candidates[j.Candidate], j.Request) {
		j.Tx.Kept, j.Tx.ExecuteBy = true, now.Add(time.Hour)
		if err := d.Keep(context.Background(), j.Tx, j.Request); err != nil {
			f.t.Fatal(err)
		}
	}
	var err error
	if j.Begun, err = d.Intend(j.Tx, f.svc.Candidates[j.Candidate], j.Request, now); err != nil {
		f.t.Fatal(err)
	}
	if other, err := d.Claim(context.Background(), j.Tx); err != nil || other != nil {
		f.t.Fatal(other, err)
	}
	return j
}

func (f *fleet) row(key string) *ledger.Transaction {
	f.t.Helper()
	t, err := f.store.Ledger().Load(context.Background(), ledger.Key{App: "default", Service: "payments", Key: key})
	if err != nil {
		f.t.Fatal(err)
	}
	return t
}

// until waits for a row.
func (f *fleet) until(key, what string, is func(*ledger.Transaction) bool) *ledger.Transaction {
	f.t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		t := f.row(key)
		if is(t) {
			return t
		}
		if time.Now().After(end) {
			f.t.Fatalf("the row did not become %s: %+v", what, t)
		}
	}
}

func always(how string) func(int) string { return func(int) string { return how } }

func isState(s ledger.State) func(*ledger.Transaction) bool {
	return func(t *ledger.Transaction) bool { return t.State == s }
}

// A lost reply is looked up while the caller waits: he gets the answer that the create would have given.
func TestLookupAnswersTheCaller(t *testing.T) {
	b := newBank(t, always("lost"))
	f := newFleet(t, nil, b)
	d := f.agent("a", "1")
	end := d.Run(context.Background(), f.claim(d, "k", policy.Leave{}))
	row := f.row("k")
	if end.Kind != ledger.Finish || end.Answer == nil || !strings.Contains(string(end.Answer.Body), "succeeded") || row.State != ledger.DoneSucceeded || b.sum() != 1 || b.charges != 1 {
		t.Fatalf("end %+v, row %+v, %d executed of %d", end, row, b.sum(), b.charges)
	}
	if !row.Answer.Kept || !strings.HasPrefix(row.Answer.ObjectID, "ch_tx_") {
		t.Errorf("stored: %+v", row.Answer)
	}
}

// What is unknown is held, found by the background once the provider answers again, and replayed: nothing is sent twice.
func TestHeldIsVerifiedByLookup(t *testing.T) {
	b := newBank(t, always("lost"))
	b.mute = true
	f := newFleet(t, nil, b)
	d := f.agent("a", "1")
	j := f.claim(d, "k", policy.Leave{})
	j.Deadline = f.now().Add(300 * time.Millisecond)
	if end := d.Run(context.Background(), j); end.Kind != ledger.Hold || f.row("k").State != ledger.Held || end.Err != nil {
		t.Fatalf("end %+v", end)
	}
	if next := d.NextCheck(f.row("k")).Sub(f.now()); next <= 0 || next > 6*time.Second {
		t.Errorf("the next check is in %v", next)
	}
	f.start(d)
	b.set(func() { b.mute = false })
	f.forward(7 * time.Second)
	row := f.until("k", "succeeded", isState(ledger.DoneSucceeded))
	body, err := d.cfg.Vault.Open(row)
	if err != nil || !strings.Contains(string(body), "succeeded") || b.charges != 1 || b.sum() != 1 {
		t.Errorf("stored %q %v; %d charges, %d executed", body, err, b.charges, b.sum())
	}
	if n := d.Unknowns()["payments"].Open; n != 0 {
		t.Errorf("%d count as unknown", n)
	}
	if o, err := f.store.Ledger().Owner(context.Background(), "default", "payments", row.Answer.ObjectID); err != nil || o.Provider != "p0" {
		t.Errorf("the owner is %+v: %v", o, err)
	}
}

// A check that shows nothing writes nothing, and the next one comes later: a provider that is mute is not asked every five seconds for ever.
func TestFruitlessChecksBackOff(t *testing.T) {
	b := newBank(t, always("lost"))
	b.mute = true
	f := newFleet(t, nil, b)
	d := f.agent("a", "1")
	j := f.claim(d, "k", policy.Leave{})
	j.Deadline = f.now().Add(300 * time.Millisecond)
	if end := d.Run(t.Context(), j); end.Kind != ledger.Hold {
		t.Fatalf("end %+v", end)
	}
	held := f.row("k")
	last := time.Duration(0)
	for i := range 5 {
		in := d.NextCheck(held).Sub(f.now())
		if in <= last {
			t.Errorf("check %d comes after %v, the one before it came after %v", i, in, last)
		}
		last = in / 10 * 8 // each has its own tenth more or less
		if i > 2 {
			last = 30 * time.Second
		}
		f.forward(in + time.Millisecond)
		d.check(t.Context(), held.Key)
		if row := f.row("k"); row.Version != held.Version || row.State != ledger.Held {
			t.Fatalf("check %d wrote version %d over %d: %v", i, row.Version, held.Version, row.State)
		}
	}
}

// A fence comes before a move: the row says Cancelling before the cancel leaves, a lookup shows that it holds, and only then somebody else is
// asked.
func TestCancelIsWrittenBeforeItLeaves(t *testing.T) {
	b, other := newBank(t, always("dropped")), newBank(t, always("ok"))
	f := newFleet(t, func(c *policy.Contract) {
		c.Recourse.Cancel = policy.Cancel{Match: "POST /v1/charges/by/{reference}/cancel", State: policy.CancelFinal, Blocks: true}
	}, b, other)
	var at ledger.State
	b.onCancel = func() { at = f.row("k").State }
	d := f.agent("a", "1")
	f.start(d)
	end := d.Run(context.Background(), f.claim(d, "k", policy.Leave{}))
	row := f.row("k")
	if at != ledger.Cancelling || b.cancels != 1 {
		t.Errorf("when the cancel came, the row was %v (%d cancels)", at, b.cancels)
	}
	if end.Kind != ledger.Finish || b.sum() != 0 || other.sum() != 1 || len(row.Attempts) != 2 || row.Attempts[0].How != ledger.ByCancel {
		t.Fatalf("end %v, executed %d and %d, row %+v", end.Kind, b.sum(), other.sum(), row)
	}
}

// A run that stood still is fenced, and what it left is taken over. When it wakes up it sends nothing and writes over nothing, and goes on as
// a new run.
func TestFrozenRunWakes(t *testing.T) {
	b := newBank(t, always("ok"))
	f := newFleet(t, nil, b)
	frozen, taker := f.agent("a", "1"), f.agent("b", "1")
	j := f.claim(frozen, "k", policy.Leave{})
	f.start(taker)
	row := f.until("k", "taken over", func(t *ledger.Transaction) bool { return t.Run == "b/1" })
	if row.State != ledger.Held || row.Current().Error != "proxy_internal_error" {
		t.Errorf("taken over as %+v", row)
	}
	j.Begun = Boot() // as if its INTENT were young: the lease alone must hold it back
	end := frozen.Run(context.Background(), j)
	if end.Kind != ledger.Hold || b.charges != 0 {
		t.Errorf("it woke up and %v; %d charges", end.Kind, b.charges)
	}
	if after := f.row("k"); after.Run != "b/1" {
		t.Errorf("it wrote over the row: %+v", after)
	}
	if err := frozen.beat(context.Background()); err != nil || frozen.RunID() == "a/1" || frozen.Lease() != nil {
		t.Fatalf("it goes on as %s: %v, %v", frozen.RunID(), err, frozen.Lease())
	}
	if end := frozen.Run(context.Background(), f.claim(frozen, "k2", policy.Leave{})); end.Kind != ledger.Finish || b.sum() != 1 {
		t.Errorf("as a new run it ended %v, %d executed", end.Kind, b.sum())
	}
}

// What a dead run had sent is found out by whoever took it over.
func TestTakeoverFindsTheOutcome(t *testing.T) {
	b := newBank(t, always("ok"))
	f := newFleet(t, nil, b)
	dead, taker := f.agent("a", "1"), f.agent("b", "1")
	j := f.claim(dead, "k", policy.Leave{})
	b.set(func() { b.executed[j.Tx.Current().Reference] = 1 }) // it was sent, and then its agent died
	f.start(taker)
	row := f.until("k", "succeeded", isState(ledger.DoneSucceeded))
	if row.Run != "b/1" || b.charges != 0 {
		t.Errorf("%+v, %d charges", row, b.charges)
	}
}

// Without a beat that was taken, nothing is claimed and no byte leaves.
func TestNoLeaseNoSend(t *testing.T) {
	b := newBank(t, always("ok"))
	f := newFleet(t, nil, b)
	d := f.agent("a", "1")
	j := f.claim(d, "k", policy.Leave{})
	boot := Boot()
	d.cfg.Boot = func() time.Duration { return boot + d.leaseTime() + time.Millisecond }
	j.Begun = d.cfg.Boot()
	if err := d.Lease(); !errors.Is(err, ErrNoLease) {
		t.Errorf("the lease is %v", err)
	}
	if end := d.Run(context.Background(), j); end.Kind != ledger.Hold || b.charges != 0 {
		t.Errorf("end %v, %d charges", end.Kind, b.charges)
	}
}

// A sender that lost its lease while it was paused sent nothing and may not say so itself. Nobody can be asked, and nobody needs to: the
// background closes the row by the proof that stands in it, and no operator has to.
func TestPausedSenderIsClosed(t *testing.T) {
	b := newBank(t, always("ok"))
	f := newFleet(t, func(c *policy.Contract) { c.Recourse = policy.Recourse{} }, b)
	d := f.agent("a", "1")
	j := f.claim(d, "k", policy.Leave{})
	boot := Boot()
	d.cfg.Boot = func() time.Duration { return boot + d.leaseTime() + time.Millisecond }
	j.Begun = d.cfg.Boot()
	if end := d.Run(context.Background(), j); end.Kind != ledger.Hold {
		t.Fatalf("end %v", end.Kind)
	}
	d.cfg.Boot = Boot
	f.start(d)
	row := f.until("k", "closed", func(t *ledger.Transaction) bool { return t.State != ledger.Held && t.State != ledger.Intent })
	if row.State != ledger.Refused || b.charges != 0 {
		t.Errorf("%v, %d charges", row.State, b.charges)
	}
}

// TestPausedSendersCallerComesBack: before the background has closed the row, the caller's retry finds the proof in it, and is sent, once, to the
// provider that nobody may accuse.
func TestPausedSendersCallerComesBack(t *testing.T) {
	b := newBank(t, always("ok"))
	f := newFleet(t, func(c *policy.Contract) { c.Recourse = policy.Recourse{} }, b)
	d := f.agent("a", "1")
	j := f.claim(d, "k", policy.Leave{})
	boot := Boot()
	d.cfg.Boot = func() time.Duration { return boot + d.leaseTime() + time.Millisecond }
	j.Begun = d.cfg.Boot()
	if end := d.Run(context.Background(), j); end.Kind != ledger.Hold || b.charges != 0 {
		t.Fatalf("end %v, %d charges", end.Kind, b.charges)
	}
	d.cfg.Boot = Boot
	row := f.row("k")
	d.Resume(row, f.now())
	if err := d.Put(context.Background(), row); err != nil {
		t.Fatal(err)
	}
	again := *j
	again.Tx, again.Resume, again.Permit, again.Facts.Owner, again.Deadline = row, true, route.Permit{}, int8(j.Candidate), f.now().Add(3*time.Second)
	end := d.Run(context.Background(), &again)
	if row = f.row("k"); end.Kind != ledger.Finish || row.State != ledger.DoneSucceeded || b.charges != 1 {
		t.Errorf("end %v, %v, %d charges, %+v", end.Kind, row.State, b.charges, row.Attempts)
	}
}

// A kept request is sent again by the background: the same bytes under the same key, once executed. Then it is forgotten.
func TestKeptRequestIsRedriven(t *testing.T) {
	b := newBank(t, func(n int) string {
		if n < maxSends {
			return "dropped"
		}
		return "ok"
	})
	b.enforced = true
	f := newFleet(t, func(c *policy.Contract) { c.Recourse = policy.Recourse{} }, b)
	d := f.agent("a", "1")
	if end := d.Run(context.Background(), f.claim(d, "k", policy.Leave{Keep: true})); end.Kind != ledger.Hold {
		t.Fatalf("end %+v", end)
	}
	f.start(d)
	f.forward(7 * time.Second)
	row := f.until("k", "succeeded", isState(ledger.DoneSucceeded))
	if b.sum() != 1 || b.charges != maxSends+1 || b.keys["k"] == "" && len(b.keys) != 1 {
		t.Errorf("%d executed of %d, keys %v", b.sum(), b.charges, b.keys)
	}
	for end := time.Now().Add(time.Minute); d.kept(context.Background(), row) != nil; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the request is still kept")
		}
	}
}

// A policy that takes the provider away leaves its rows to people; one that brings it back has them looked at again, by itself.
func TestThoseOfAProviderThatIsBackAreLookedAt(t *testing.T) {
	b := newBank(t, always("lost"))
	b.mute = true
	f := newFleet(t, nil, b)
	d := f.agent("a", "1")
	with := d.policy.Load()
	j := f.claim(d, "k", policy.Leave{})
	j.Deadline = f.now().Add(300 * time.Millisecond)
	if end := d.Run(context.Background(), j); end.Kind != ledger.Hold {
		t.Fatalf("end %+v", end)
	}
	f.start(d)
	d.Swap(&policy.Snapshot{Region: "here"})
	f.forward(7 * time.Second)
	f.until("k", "one that nobody can be asked about", func(row *ledger.Transaction) bool { return d.NextCheck(row).IsZero() })
	b.set(func() { b.mute = false })
	d.Swap(with)
	f.until("k", "succeeded", isState(ledger.DoneSucceeded))
	if b.sum() != 1 || b.charges != 1 {
		t.Errorf("%d executed of %d", b.sum(), b.charges)
	}
}

// Without the policy's word nothing is kept, and the background sends nothing.
func TestNothingIsKeptByDefault(t *testing.T) {
	b := newBank(t, always("dropped"))
	b.enforced = true
	f := newFleet(t, func(c *policy.Contract) { c.Recourse = policy.Recourse{} }, b)
	d := f.agent("a", "1")
	d.Run(context.Background(), f.claim(d, "k", policy.Leave{}))
	if at := d.NextCheck(f.row("k")); !at.IsZero() {
		t.Errorf("a next check is promised: %v", at)
	}
	if _, err := f.store.Payloads().Fetch(context.Background(), f.row("k").Key, requestPart); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("something is kept: %v", err)
	}
}

// What comes to light late is taken back by a transaction of its own, once, whoever is told and however often.
func TestLateExecutionIsCompensated(t *testing.T) {
	b, other := newBank(t, always("ok")), newBank(t, always("ok"))
	f := newFleet(t, nil, b, other)
	d := f.agent("a", "1")
	j := f.claim(d, "k", policy.Leave{})
	moved := j.Tx.Clone()
	moved.Current().Outcome, moved.Current().How = ledger.NotSent, ledger.ByWindow
	if _, err := d.Intend(moved, f.svc.Candidates[1], j.Request, f.now()); err != nil {
		t.Fatal(err)
	}
	moved.Note(ledger.Evidence{Attempt: moved.Current().ID, Kind: ledger.FromAnswer, Outcome: ledger.Succeeded}, ledger.Circumstances{})
	if err := errors.Join(moved.Close(ledger.Finish), d.Put(context.Background(), moved)); err != nil {
		t.Fatal(err)
	}
	first := moved.Attempts[0]
	for range 3 {
		if err := d.Learn(context.Background(), moved.ID, ledger.Evidence{Attempt: At("p0", first.Reference), Kind: ledger.FromWebhook, Outcome: ledger.Succeeded}, nil); err != nil {
			t.Fatal(err)
		}
	}
	row := f.row("k")
	if !row.Attempts[0].Late || row.State != ledger.DoneSucceeded {
		t.Fatalf("row %+v", row)
	}
	back, err := f.store.Ledger().Load(context.Background(), row.CompensationKey(0))
	if err != nil || back.State != ledger.Held || back.Compensates != first.ID || back.Current().Provider != "p0" {
		t.Fatalf("the compensation is %+v: %v", back, err)
	}
	if d.Unknowns()["payments"].Open != 1 || b.charges+other.charges != 0 {
		t.Errorf("unknown %+v, %d charges", d.Unknowns(), b.charges+other.charges)
	}
}

// While the second attempt is open it is fenced, and the late one becomes the outcome.
func TestLateExecutionIsAdopted(t *testing.T) {
	b, other := newBank(t, always("ok")), newBank(t, always("ok"))
	f := newFleet(t, func(c *policy.Contract) {
		c.Recourse.Cancel = policy.Cancel{Match: "POST /v1/charges/by/{reference}/cancel", State: policy.CancelFinal, Blocks: true}
	}, b, other)
	d := f.agent("a", "1")
	j := f.claim(d, "k", policy.Leave{})
	moved := j.Tx.Clone()
	moved.Current().Outcome, moved.Current().How = ledger.NotSent, ledger.ByWindow
	if _, err := d.Intend(moved, f.svc.Candidates[1], j.Request, f.now()); err != nil {
		t.Fatal(err)
	}
	moved.Current().Outcome = ledger.Unknown
	if err := errors.Join(moved.Close(ledger.Hold), d.Put(context.Background(), moved)); err != nil {
		t.Fatal(err)
	}
	d.unknowns.add(moved, f.now().Add(time.Hour))
	f.start(d)
	if err := d.Learn(context.Background(), moved.ID, ledger.Evidence{Attempt: moved.Attempts[0].ID, Kind: ledger.FromWebhook, Outcome: ledger.Succeeded}, nil); err != nil {
		t.Fatal(err)
	}
	row := f.until("k", "succeeded", isState(ledger.DoneSucceeded))
	if row.Adopted != 1 || other.cancels == 0 || other.sum() != 0 {
		t.Errorf("row %+v, %d cancels", row, other.cancels)
	}
}

// An operator's word needs evidence and a reason, is kept with the transaction, and ends it.
func TestResolve(t *testing.T) {
	for _, c := range []struct {
		outcome string
		want    ledger.State
	}{{"succeeded", ledger.DoneSucceeded}, {"declined", ledger.DoneDeclined}, {"not_sent", ledger.Refused}} {
		b := newBank(t, always("dropped"))
		f := newFleet(t, func(c *policy.Contract) { c.Recourse = policy.Recourse{} }, b)
		d := f.agent("a", "1")
		id := d.Run(context.Background(), f.claim(d, "k", policy.Leave{})).Tx.ID
		good := Resolution{Order: "o1", Transaction: id, Outcome: c.outcome, Actor: "ann", Reason: "asked them", Evidence: "their log, line 7"}
		for name, spoil := range map[string]func(*Resolution){
			"no evidence": func(r *Resolution) { r.Evidence = " \n" }, "no reason": func(r *Resolution) { r.Reason = "" },
			"a guess": func(r *Resolution) { r.Outcome = "unknown" }, "nothing": func(r *Resolution) { r.Transaction = "tx_nobody" },
		} {
			bad := good
			spoil(&bad)
			if err := d.Resolve(context.Background(), bad); err == nil || f.row("k").State != ledger.Held {
				t.Errorf("%s was taken: %v", name, err)
			}
		}
		if err := d.Resolve(context.Background(), good); err != nil {
			t.Fatal(err)
		}
		row := f.row("k")
		kept, ok := d.Resolved(context.Background(), row)
		if row.State != c.want || !ok || kept.Evidence != good.Evidence || len(kept.Hash) != 64 || kept.Actor != "ann" {
			t.Errorf("%s: row %v, kept %+v", c.outcome, row.State, kept)
		}
		if err := d.Resolve(context.Background(), good); !errors.Is(err, ErrNotOpen) {
			t.Errorf("resolved twice: %v", err)
		}
		if n := d.Unknowns()["payments"].Open; n != 0 {
			t.Errorf("%d count as unknown", n)
		}
	}
}

// hinting is a store that is out of reach for outcomes: they are on this agent's disk alone.
type hinting struct{ ledger.Store }

func (h hinting) Advance(ctx context.Context, t *ledger.Transaction) (*ledger.Transaction, ledger.Written, error) {
	if t.Final() {
		return t, ledger.Hinted, nil
	}
	return h.Store.Advance(ctx, t)
}

// An outcome that is only hinted is told where the provider can be asked for exactly this outcome again, and else is unknown.
func TestHintedOutcome(t *testing.T) {
	for _, c := range []struct {
		name  string
		bare  bool
		fence bool
		want  ledger.StepKind
	}{{"a lookup shows it", false, false, ledger.Finish}, {"nothing shows it", true, false, ledger.Hold}, {"it may be cancelled, and the lease is young", false, true, ledger.Finish}} {
		b := newBank(t, always("ok"))
		f := newFleet(t, func(k *policy.Contract) {
			if c.bare {
				k.Recourse = policy.Recourse{}
			}
			if c.fence {
				k.Recourse.Cancel = policy.Cancel{Match: "POST /v1/charges/by/{reference}/cancel", State: policy.CancelFinal, Blocks: true}
			}
		}, b)
		d := f.agent("a", "1")
		d.cfg.Store = hinting{f.store.Ledger()}
		end := d.Run(context.Background(), f.claim(d, "k", policy.Leave{}))
		if end.Kind != c.want || (end.Kind == ledger.Finish) != (end.Answer != nil) {
			t.Errorf("%s: %v, %v", c.name, end.Kind, end.Err)
		}
		if n := d.Unknowns()["payments"].Open; n != 1 {
			t.Errorf("%s: %d count as open until the row says so", c.name, n)
		}
	}
}

// Duplicates that are accepted are sent on at once, and counted as exposure by how their attempt was closed.
func TestAcceptedDuplicatesGoOn(t *testing.T) {
	b, other := newBank(t, always("lost")), newBank(t, always("ok"))
	f := newFleet(t, func(c *policy.Contract) { c.Recourse = policy.Recourse{} }, b, other)
	d := f.agent("a", "1")
	end := d.Run(context.Background(), f.claim(d, "k", policy.Leave{Duplicates: true}))
	if row := f.row("k"); end.Kind != ledger.Finish || row.Attempts[0].How != ledger.ByPolicy || other.sum() != 1 {
		t.Errorf("end %v, row %+v", end.Kind, row)
	}
}

// Behind the settle window two lookups that find nothing are proof where the policy says so, and nowhere else.
func TestTracedEndsBehindTheWindow(t *testing.T) {
	for _, traced := range []bool{true, false} {
		b := newBank(t, always("dropped"))
		f := newFleet(t, func(c *policy.Contract) { c.Recourse.Settle = time.Second }, b)
		f.svc.Operations = []*policy.Operation{{OperationSpec: policy.OperationSpec{Name: "charge", Leave: policy.Leave{Traced: traced}}}}
		d := f.agent("a", "1")
		if end := d.Run(context.Background(), f.claim(d, "k", policy.Leave{Traced: traced})); end.Kind != ledger.Hold {
			t.Fatalf("end %v", end.Kind)
		}
		f.start(d)
		f.forward(time.Minute)
		if traced {
			row := f.until("k", "not_sent", isState(ledger.Refused))
			if row.Current().How != ledger.ByWindow {
				t.Errorf("closed by %v", row.Current().How)
			}
			continue
		}
		version := f.row("k").Version
		f.forward(10 * time.Minute)
		d.nudge()
		f.until("k", "held", isState(ledger.Held))
		if row := f.row("k"); row.State != ledger.Held || row.Version > version+2 {
			t.Errorf("row %+v", row)
		}
	}
}

// A settle window that is longer than the pause between two checks closes: a check that shows nothing does not move its begin.
func TestALongWindowCloses(t *testing.T) {
	b := newBank(t, always("dropped"))
	f := newFleet(t, func(c *policy.Contract) { c.Recourse.Settle = 2 * time.Minute }, b)
	f.svc.Operations = []*policy.Operation{{OperationSpec: policy.OperationSpec{Name: "charge", Leave: policy.Leave{Traced: true}}}}
	d := f.agent("a", "1")
	if end := d.Run(t.Context(), f.claim(d, "k", policy.Leave{Traced: true})); end.Kind != ledger.Hold {
		t.Fatalf("end %v", end.Kind)
	}
	begun := f.now()
	for f.row("k").State == ledger.Held {
		next := d.NextCheck(f.row("k"))
		if next.IsZero() || next.Sub(begun) > 10*time.Minute {
			t.Fatalf("the window has not closed after %v; the next check is at %v", f.now().Sub(begun), next)
		}
		f.forward(next.Sub(f.now()) + time.Millisecond)
		d.check(t.Context(), f.row("k").Key)
	}
	if row := f.row("k"); row.State != ledger.Refused || row.Current().How != ledger.ByWindow || f.now().Sub(begun) < 2*time.Minute {
		t.Errorf("%v, closed by %v, after %v", row.State, row.Current().How, f.now().Sub(begun))
	}
}
