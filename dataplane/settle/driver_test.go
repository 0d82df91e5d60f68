package settle

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

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

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is a driver between a real store and real HTTP servers.
type rig struct {
	t      *testing.T
	driver *Driver
	store  *embedded.Store
	board  *standing.Board
	svc    *policy.Service
	boot   atomic.Int64
	hits   [2]atomic.Int64 // requests that reached a provider
}

// newRig makes a rig with two providers, each of which answers by its handler.
func newRig(t *testing.T, enforced bool, handlers ...http.HandlerFunc) *rig {
	t.Helper()
	r := &rig{t: t, board: standing.New()}
	keys := policy.Keys{Header: "Idempotency-Key", Enforced: enforced, Life: 24 * time.Hour, InUse: 409}
	r.svc = &policy.Service{Name: "payments", Strategy: policy.Priority, Attempts: policy.Attempts{Max: 2, PerTry: time.Second, Deadline: 3 * time.Second}}
	for i, h := range handlers {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			r.hits[i].Add(1)
			h(w, q)
		}))
		t.Cleanup(s.Close)
		r.svc.Candidates = append(r.svc.Candidates, &policy.Candidate{
			Provider: fmt.Sprintf("p%d", i), Account: fmt.Sprintf("p%d", i), Endpoint: s.URL, SpeaksNative: true,
			Credential: policy.Credential{Kind: policy.CredentialCaller},
			Contract: &policy.Contract{Name: "test/v1", ObjectID: "id", Keys: keys, Statuses: []policy.StatusRule{
				{From: 200, To: 299, Class: policy.ClassOK, Outcome: policy.OutcomeSucceeded},
				{From: 429, To: 429, Class: policy.ClassLimited, Outcome: policy.OutcomeNotSent},
				{From: 400, To: 499, Class: policy.ClassOK, Outcome: policy.OutcomeDeclined},
			}},
		})
	}
	r.svc.Breaker = policy.Breaker{Failures: 1000, Successes: 1, Reset: time.Second}
	r.board.Swap(&policy.Snapshot{Region: "here", Services: []*policy.Service{r.svc}})
	var err error
	if r.store, err = embedded.Open(patience.Dir(t), embedded.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.store.Close() })
	r.driver = r.newDriver("one")
	return r
}

func (r *rig) newDriver(run string) *Driver {
	r.t.Helper()
	client, err := provider.New(provider.Config{Region: "here"})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(client.Close)
	key, err := seal.NewKey("k", make([]byte, seal.KeySize))
	if err != nil {
		r.t.Fatal(err)
	}
	return New(Config{
		Store: r.store.Ledger(), Board: r.board, Client: client, Vault: NewVault(key, []byte("secret")), Agent: "a", Run: "a/" + run, Region: "here",
		Now: time.Now, Boot: func() time.Duration { return time.Duration(r.boot.Load()) }, Log: slog.New(slog.DiscardHandler),
	})
}

// caller takes what a drive passes on.
type caller struct {
	status  int
	body    strings.Builder
	cut     error
	decided []string
	ended   []ledger.Outcome
	beside  func(*ledger.Transaction) error
	svc     *policy.Service
}

func (c *caller) Begin(status int, _ message.Header) error { c.status = status; return nil }
func (c *caller) Write(p []byte) error                     { c.body.Write(p); return nil }
func (c *caller) End(cut error) error                      { c.cut = cut; return nil }

func (c *caller) Decided(d *route.Decision) {
	if d.Winner >= 0 {
		c.decided = append(c.decided, c.svc.Candidates[d.Winner].Provider)
	}
}

func (c *caller) Ended(a *ledger.Attempt, _ time.Duration, _ time.Time) {
	c.ended = append(c.ended, a.Outcome)
}

func (c *caller) Beside(_ context.Context, t *ledger.Transaction) error {
	if c.beside != nil {
		return c.beside(t)
	}
	return nil
}

// claim makes the row and takes the permit, as the proxy does.
func (r *rig) claim(key string, c *caller) *Job {
	r.t.Helper()
	c.svc = r.svc
	now := time.Now()
	j := &Job{
		Service: r.svc, Operation: "charge", RequestID: "req", Facts: policy.Facts{Pinned: -1, Owner: -1}, Deadline: now.Add(3 * time.Second), Caller: c,
		Request: &message.Request{Method: "POST", Path: "/v1/charges", Body: []byte("amount=1"), Header: message.Header{{Name: "Content-Type", Value: "application/x-www-form-urlencoded"}}},
	}
	var d route.Decision
	permit, ok := r.board.Choose(&d, r.svc, &j.Facts, now)
	if !ok {
		r.t.Fatal("nobody is eligible")
	}
	j.Candidate, j.Permit = int(d.Winner), permit
	j.Tx = ledger.New(r.driver.NewID(now), ledger.Key{App: "default", Service: "payments", Key: key}, "charge", [32]byte{1}, now)
	var err error
	if j.Begun, err = r.driver.Intend(j.Tx, r.svc.Candidates[d.Winner], j.Request, now); err != nil {
		r.t.Fatal(err)
	}
	if other, err := r.driver.Claim(context.Background(), j.Tx); err != nil || other != nil {
		r.t.Fatal(other, err)
	}
	return j
}

func (r *rig) row(key string) *ledger.Transaction {
	r.t.Helper()
	t, err := r.store.Ledger().Load(context.Background(), ledger.Key{App: "default", Service: "payments", Key: key})
	if err != nil {
		r.t.Fatal(err)
	}
	return t
}

// inFlight sums the slots that are taken: every permit must come back.
func (r *rig) inFlight() (n int32) {
	rep := r.board.Report(time.Now())
	for i := range rep.Rows {
		n += rep.Rows[i].InFlight
	}
	return n
}

func ok(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write([]byte(`{"id":"ch_1"}`))
}

func reset(w http.ResponseWriter, _ *http.Request) {
	c, _, err := http.NewResponseController(w).Hijack()
	if err == nil {
		_ = c.Close()
	}
}

func limited(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(429) }

// A sender that was paused between its INTENT and the first byte sends nothing; what it does next has an INTENT of its own.
func TestPausedSenderSendsNothing(t *testing.T) {
	r := newRig(t, false, ok, ok)
	c := &caller{}
	j := r.claim("k", c)
	r.boot.Add(int64(SendBy + time.Millisecond)) // the machine slept: only this clock saw it
	end := r.driver.Run(context.Background(), j)
	row := r.row("k")
	if len(row.Attempts) != 2 || row.Attempts[0].Outcome != ledger.NotSent || row.Attempts[0].Error != "stale_send" {
		t.Fatalf("attempts: %+v", row.Attempts)
	}
	if end.Kind != ledger.Finish || row.State != ledger.DoneSucceeded || r.hits[0].Load()+r.hits[1].Load() != 1 {
		t.Errorf("end %v, state %v, %d requests left", end.Kind, row.State, r.hits[0].Load()+r.hits[1].Load())
	}
	if row.Attempts[1].Provider != "p0" {
		t.Errorf("a pause accused the provider: %s", row.Attempts[1].Provider)
	}
}

// Without a boot clock, or one that runs backwards, nothing is sent.
func TestBrokenClockSendsNothing(t *testing.T) {
	r := newRig(t, true, ok)
	r.svc.Attempts.Max = 1
	j := r.claim("k", &caller{})
	j.Begun = time.Hour
	if end := r.driver.Run(context.Background(), j); end.Kind != ledger.Refuse || r.hits[0].Load() != 0 {
		t.Errorf("end %v, %d requests left", end.Kind, r.hits[0].Load())
	}
}

// Elsewhere only after proof: the table of evidence, each with what the second provider may see of it.
func TestElsewhereOnlyAfterProof(t *testing.T) {
	for _, c := range []struct {
		name          string
		enforced      bool
		first         http.HandlerFunc
		kind          ledger.StepKind
		state         ledger.State
		first_, other int64
	}{
		{"answered", false, ok, ledger.Finish, ledger.DoneSucceeded, 1, 0},
		{"declined", false, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(402) }, ledger.Finish, ledger.DoneDeclined, 1, 0},
		{"limited", false, limited, ledger.Finish, ledger.DoneSucceeded, 1, 1},
		{"500", false, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }, ledger.Hold, ledger.Held, 1, 0},
		{"reset", false, reset, ledger.Hold, ledger.Held, 1, 0},
		{"reset, enforced", true, reset, ledger.Hold, ledger.Held, maxSends, 0},
		{"500, enforced", true, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }, ledger.Hold, ledger.Held, maxSends, 0},
		{"in use, enforced", true, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(409) }, ledger.Hold, ledger.Held, maxSends, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, c.enforced, c.first, ok)
			end := r.driver.Run(context.Background(), r.claim("k", &caller{}))
			if end.Kind != c.kind || r.row("k").State != c.state || end.Err != nil {
				t.Errorf("end %v (%v), row %v", end.Kind, end.Err, r.row("k").State)
			}
			if a, b := r.hits[0].Load(), r.hits[1].Load(); a != c.first_ || b != c.other {
				t.Errorf("the providers saw %d and %d requests", a, b)
			}
			if n := r.inFlight(); n != 0 {
				t.Errorf("%d permits did not come back", n)
			}
		})
	}
}

// A re-drive is the same request: same key and bytes, same provider. Its "limited" says nothing of the send before it.
func TestRedriveIsTheSameRequest(t *testing.T) {
	var keys, bodies []string
	r := newRig(t, true, func(w http.ResponseWriter, q *http.Request) {
		b := make([]byte, 64)
		n, _ := q.Body.Read(b)
		keys, bodies = append(keys, q.Header.Get("Idempotency-Key")), append(bodies, string(b[:n]))
		switch len(keys) {
		case 1:
			reset(w, q)
		case 2:
			limited(w, q)
		default:
			ok(w, q)
		}
	}, ok)
	end := r.driver.Run(context.Background(), r.claim("k", &caller{}))
	if end.Kind != ledger.Finish || r.hits[1].Load() != 0 || r.row("k").Current().Sends != 3 {
		t.Fatalf("end %v, the other saw %d, row %+v", end.Kind, r.hits[1].Load(), r.row("k").Current())
	}
	for i := range keys {
		if keys[i] != "k" || bodies[i] != "amount=1" {
			t.Errorf("send %d had key %q and body %q", i+1, keys[i], bodies[i])
		}
	}
}

// Nothing leaves before the row says so, and nothing is answered before the row says how it ended.
func TestRowIsWrittenBeforeTheByteAndBeforeTheAnswer(t *testing.T) {
	var r *rig
	var atSend ledger.State
	var besideRan bool
	r = newRig(t, false, func(w http.ResponseWriter, q *http.Request) {
		atSend = r.row("k").State
		ok(w, q)
	})
	c := &caller{beside: func(t *ledger.Transaction) error { besideRan = t.Answer.ObjectID == "ch_1"; return nil }}
	end := r.driver.Run(context.Background(), r.claim("k", c))
	if atSend != ledger.Intent || end.Tx.State != ledger.DoneSucceeded || r.row("k").Version != end.Tx.Version || !besideRan {
		t.Errorf("at the send %v, at the end %v, beside %v", atSend, end.Tx.State, besideRan)
	}
	if c.status != 0 {
		t.Error("the driver answered by itself")
	}
	body, err := r.driver.cfg.Vault.Open(r.row("k"))
	if err != nil || string(body) != `{"id":"ch_1"}` {
		t.Errorf("stored %q: %v", body, err)
	}
}

// An answer too large to be kept: the outcome is written first, then the whole answer passes.
func TestLargeAnswerPassesAfterItsOutcome(t *testing.T) {
	large := strings.Repeat("x", 3*ledger.MaxAnswer)
	for _, cut := range []bool{false, true} {
		t.Run(fmt.Sprint("cut ", cut), func(t *testing.T) {
			r := newRig(t, false, func(w http.ResponseWriter, q *http.Request) {
				if cut {
					w.Header().Set("Content-Length", fmt.Sprint(len(large)+1))
				}
				_, _ = w.Write([]byte(large))
				if cut {
					_ = http.NewResponseController(w).Flush()
					panic(http.ErrAbortHandler)
				}
			})
			c := &caller{}
			end := r.driver.Run(context.Background(), r.claim("k", c))
			row := r.row("k")
			if !end.Streamed || row.State != ledger.DoneSucceeded || row.Answer.Kept || len(row.Answer.Sealed) != 0 {
				t.Errorf("end %+v, row %+v", end, row.Answer)
			}
			if c.status != 200 || cut != (c.cut != nil) || !cut && c.body.Len() != len(large) {
				t.Errorf("passed on: %d, %d bytes, cut %v", c.status, c.body.Len(), c.cut)
			}
		})
	}
}

// A large answer that proves nothing is not passed on.
func TestLargeFailureIsHeld(t *testing.T) {
	r := newRig(t, false, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(500)
		_, _ = w.Write([]byte(strings.Repeat("x", 2*ledger.MaxAnswer)))
	})
	c := &caller{}
	if end := r.driver.Run(context.Background(), r.claim("k", c)); end.Kind != ledger.Hold || c.status != 0 || end.Answer != nil {
		t.Errorf("end %+v, passed on %d", end, c.status)
	}
}

// What an earlier run of this agent left open is recorded as unknown and not sent. Neighbours' rows are not touched.
func TestAdoptSendsNothing(t *testing.T) {
	r := newRig(t, true, ok)
	r.claim("mine", &caller{})
	neighbour := r.claim("other", &caller{}).Tx
	neighbour.Run = "b/one"
	r.driver.Stamp(neighbour, time.Now())
	if err := r.driver.Put(context.Background(), neighbour); err != nil {
		t.Fatal(err)
	}
	next := r.newDriver("two")
	n, err := next.Adopt(context.Background())
	if err != nil || n != 1 {
		t.Fatal(n, err)
	}
	row := r.row("mine")
	if row.State != ledger.Held || row.Run != "a/two" || row.Current().Outcome != ledger.Unknown || row.Current().Error != "proxy_internal_error" {
		t.Errorf("row %+v", row)
	}
	if o := r.row("other"); o.State != ledger.Intent || o.Run != "b/one" {
		t.Errorf("the neighbour's row is %+v", o)
	}
	if u := next.Unknowns()["payments"]; u.Open != 1 || r.hits[0].Load() != 0 {
		t.Errorf("unknown %+v, %d requests left", u, r.hits[0].Load())
	}
}

// A panic on the way gives the permit back and leaves the row open: it counts as unknown.
func TestPanicGivesThePermitBack(t *testing.T) {
	r := newRig(t, false, ok)
	j := r.claim("k", &caller{beside: func(*ledger.Transaction) error { return nil }})
	j.Request = nil // the client cannot but fail on this
	func() {
		defer func() { _ = recover() }()
		r.driver.Run(context.Background(), j)
	}()
	if n := r.inFlight(); n != 0 {
		t.Errorf("%d permits did not come back", n)
	}
	if r.row("k").State != ledger.Intent || r.driver.Unknowns()["payments"].Open != 1 {
		t.Errorf("row %v, unknown %+v", r.row("k").State, r.driver.Unknowns())
	}
	if err := r.driver.Wait(context.Background()); err != nil {
		t.Error(err)
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	reached, release := make(chan struct{}), make(chan struct{})
	r := newRig(t, false, func(w http.ResponseWriter, q *http.Request) { close(reached); <-release; ok(w, q) })
	j := r.claim("k", &caller{})
	done := make(chan End)
	go func() { done <- r.driver.Run(context.Background(), j) }()
	<-reached
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := r.driver.Wait(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	close(release)
	<-done
	if err := r.driver.Wait(context.Background()); err != nil {
		t.Error(err)
	}
}
