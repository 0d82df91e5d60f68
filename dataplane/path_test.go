package dataplane

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"segue/dataplane/ledger"
	"segue/dataplane/sandbox"
)

func TestChargeIsExecutedOnceAndRecorded(t *testing.T) {
	w := newWorld(t)
	a := w.charge("k1", "o1")
	if a.status != 200 {
		t.Fatalf("got %d %s", a.status, a.body)
	}
	id := a.header.Get("Segue-Transaction")
	for name, want := range map[string]string{
		"Segue-Route": "main;attempt=1;outcome=succeeded;ms=", "Segue-Decision": "main;region=here;policy=1;why=\"first in the order", "Server-Timing": "claim;dur=",
		"Session-Id": "ses_", "Segue-Transaction": "tx_",
	} {
		if !strings.Contains(a.header.Get(name), want) {
			t.Errorf("%s: %q does not say %q", name, a.header.Get(name), want)
		}
	}
	row := w.row("k1")
	if row.State != ledger.DoneSucceeded || row.ID != id || len(row.Attempts) != 1 || row.Version != 2 {
		t.Errorf("the row is %+v", row)
	}
	if got := row.Current(); got.ProviderKey != "k1" || got.SendBy != 2*time.Second || got.Endpoint != w.url("main") || got.Contract == [32]byte{} {
		t.Errorf("the attempt is %+v", got)
	}
	if n := w.executed("o1"); n != 1 {
		t.Errorf("executed %d times", n)
	}
}

func TestReplayIsTheSameAnswerAndNothingIsSent(t *testing.T) {
	w := newWorld(t)
	first := w.charge("k1", "o1")
	w.fault("main", sandbox.Fault{Kind: sandbox.Refuse})
	w.fault("backup", sandbox.Fault{Kind: sandbox.Refuse})
	again := w.charge(`"k1"`, "o1") // quoted and bare are one key
	if again.status != first.status || again.body != first.body || again.header.Get("Idempotent-Replayed") != "true" {
		t.Fatalf("got %d %q %v", again.status, again.body, again.header)
	}
	if again.header.Get("Segue-Transaction") != first.header.Get("Segue-Transaction") || again.header.Get("Segue-Decision") != "" {
		t.Errorf("headers: %v", again.header)
	}
	w.charge("k1", "o2").problem(t, 422, "key-reused")
}

func TestReplayOutlivesARestart(t *testing.T) {
	w := newWorld(t)
	first := w.charge("k1", "o1")
	w.restart()
	if again := w.charge("k1", "o1"); again.body != first.body || again.header.Get("Idempotent-Replayed") != "true" {
		t.Fatalf("got %d %q", again.status, again.body)
	}
	if n := w.executed("o1"); n != 1 {
		t.Errorf("executed %d times", n)
	}
}

func TestDeclineIsFinalAndReplayed(t *testing.T) {
	w := newWorld(t)
	body := "amount=1200&currency=eur&source=tok_chargeDeclined&metadata[order]=o1"
	first := w.do("POST", "/v1/charges", body, "Idempotency-Key", "k1")
	if first.status != 402 || w.row("k1").State != ledger.DoneDeclined {
		t.Fatalf("got %d %s, row %v", first.status, first.body, w.row("k1").State)
	}
	if again := w.do("POST", "/v1/charges", body, "Idempotency-Key", "k1"); again.status != 402 || again.body != first.body {
		t.Errorf("got %d %s", again.status, again.body)
	}
}

func TestRefusedConnectionFailsOver(t *testing.T) {
	w := newWorld(t)
	w.fault("main", sandbox.Fault{Kind: sandbox.Refuse})
	a := w.charge("k1", "o1")
	if a.status != 200 || !strings.Contains(a.header.Get("Segue-Route"), "main;attempt=1;outcome=not_sent;error=connection_refused;ms=") ||
		!strings.Contains(a.header.Get("Segue-Route"), "backup;attempt=2;outcome=succeeded") {
		t.Fatalf("got %d %v %s", a.status, a.header.Get("Segue-Route"), a.body)
	}
	if !strings.HasPrefix(a.header.Get("Segue-Decision"), "backup;") {
		t.Errorf("decision: %s", a.header.Get("Segue-Decision"))
	}
	row := w.row("k1")
	if row.Epoch != 1 || len(row.Attempts) != 2 || row.Attempts[0].Outcome != ledger.NotSent || row.Attempts[1].ProviderKey == "k1" {
		t.Errorf("the row is %+v", row)
	}
	q := w.why(row.ID)
	if q.Sentence != "Charged once, at backup, after main refused the connection." || len(q.Decisions) != 2 || q.Decisions[1].Winner != "backup" {
		t.Errorf("why: %+v", q)
	}
}

// What 429, 503, a reset and a hang mean for an effect, at providers of both classes.
func TestEffectsUnderFaults(t *testing.T) {
	for _, c := range []struct {
		name     string
		fault    sandbox.Fault
		priority string
		status   int
		problem  string
		state    ledger.State
		attempts int
		executed int
	}{
		{"limited goes elsewhere", sandbox.Fault{Kind: sandbox.Limit}, "legacy, backup", 200, "", ledger.DoneSucceeded, 2, 1},
		{"503 where keys are ignored", sandbox.Fault{Kind: sandbox.Status, Code: 503}, "legacy, backup", 504, "outcome-unknown", ledger.Held, 1, 0},
		{"reset where keys are ignored", sandbox.Fault{Kind: sandbox.Reset}, "legacy, backup", 504, "outcome-unknown", ledger.Held, 1, 0},
		{"executed, then reset, ignored", sandbox.Fault{Kind: sandbox.Reset, Executed: true}, "legacy, backup", 504, "outcome-unknown", ledger.Held, 1, 1},
		{"hang where keys are ignored", sandbox.Fault{Kind: sandbox.Hang}, "legacy, backup", 504, "outcome-unknown", ledger.Held, 1, 0},
		{"cut body, ignored", sandbox.Fault{Kind: sandbox.CutBody}, "legacy, backup", 504, "outcome-unknown", ledger.Held, 1, 1},
		{"cut headers, ignored", sandbox.Fault{Kind: sandbox.CutHeaders}, "legacy, backup", 504, "outcome-unknown", ledger.Held, 1, 1},
		{"reset once where keys are enforced", sandbox.Fault{Kind: sandbox.Reset, Count: 1}, "main, backup", 200, "", ledger.DoneSucceeded, 1, 1},
		{"executed, then reset once, enforced", sandbox.Fault{Kind: sandbox.Reset, Executed: true, Count: 1}, "main, backup", 200, "", ledger.DoneSucceeded, 1, 1},
		{"hang once where keys are enforced", sandbox.Fault{Kind: sandbox.Hang, Count: 1}, "main, backup", 200, "", ledger.DoneSucceeded, 1, 1},
		{"resets for ever, enforced", sandbox.Fault{Kind: sandbox.Reset}, "main, backup", 504, "outcome-unknown", ledger.Held, 1, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, priority(c.priority))
			first, _, _ := strings.Cut(c.priority, ",")
			w.fault(first, c.fault)
			a := w.charge("k1", "o1")
			row := w.row("k1")
			if a.status != c.status || row.State != c.state || len(row.Attempts) != c.attempts {
				t.Fatalf("got %d %s; row %v with %d attempts: %+v", a.status, a.body, row.State, len(row.Attempts), row.Current())
			}
			if c.problem != "" {
				p := a.problem(t, c.status, c.problem)
				if p["executed"] != "unknown" || p["retry"] != "same-key" || p["next_check"] != nil || a.header.Get("Stripe-Should-Retry") != "false" {
					t.Errorf("problem: %v %v", p, a.header)
				}
			}
			if n := w.executed("o1"); n != c.executed {
				t.Errorf("executed %d times, want %d", n, c.executed)
			}
		})
	}
}

// The reply is lost after the charge was executed, 200 times, over warm and cold connections.
func TestLostRepliesChargeNobodyTwice(t *testing.T) {
	for _, first := range []string{"main", "legacy"} {
		t.Run(first, func(t *testing.T) {
			w := newWorld(t, priority(first+", backup"))
			w.fault(first, sandbox.Fault{Kind: sandbox.Lose, Operation: sandbox.Effects, Share: 0.5},
				sandbox.Fault{Kind: sandbox.Lose, Operation: sandbox.Effects, End: sandbox.Abort, Share: 0.5})
			var calls sync.WaitGroup
			told := make([]string, 200)
			slots := make(chan struct{}, 8)
			for i := range told {
				slots <- struct{}{}
				calls.Go(func() {
					defer func() { <-slots }()
					told[i] = w.lost(i)
				})
			}
			calls.Wait()
			for i, said := range told {
				n := w.executed(fmt.Sprintf("o%d", i))
				if n > 1 || n == 0 && said != "unknown" || said == "failed" {
					t.Errorf("order %d was executed %d times, and told %s", i, n, said)
				}
			}
		})
	}
}

// lost charges, and says what it was told: an empty body too, now and then.
func (w *world) lost(i int) string {
	a, err := w.call(context.Background(), "POST", "/v1/charges", charge(fmt.Sprintf("o%d", i)), "Idempotency-Key", fmt.Sprintf("k%d", i))
	switch {
	case err != nil:
		return "failed"
	case a.status == 200:
		return "succeeded"
	case a.status == 504 && strings.Contains(a.body, "outcome-unknown"):
		return "unknown"
	default:
		return "failed"
	}
}

// After an unknown outcome the caller's retry with the same key re-drives where keys are enforced, and is told "unknown" where not.
func TestRetryAfterUnknown(t *testing.T) {
	t.Run("enforced", func(t *testing.T) {
		w := newWorld(t)
		w.fault("main", sandbox.Fault{Kind: sandbox.Lose})
		w.charge("k1", "o1").problem(t, 504, "outcome-unknown")
		if got := w.agent.parts.driver.Unknowns()["payments"]; got.Open != 1 || got.Oldest.IsZero() {
			t.Errorf("unknown: %+v", got)
		}
		w.box.Provider("main").ClearFaults()
		a := w.charge("k1", "o1")
		if a.status != 200 || w.executed("o1") != 1 || w.row("k1").State != ledger.DoneSucceeded || len(w.row("k1").Attempts) != 1 {
			t.Fatalf("got %d %s; %+v", a.status, a.body, w.row("k1"))
		}
		if got := w.agent.parts.driver.Unknowns()["payments"]; got.Open != 0 {
			t.Errorf("still unknown: %+v", got)
		}
	})
	t.Run("ignored", func(t *testing.T) {
		w := newWorld(t, priority("legacy, backup"))
		w.fault("legacy", sandbox.Fault{Kind: sandbox.Lose})
		w.charge("k1", "o1").problem(t, 504, "outcome-unknown")
		w.box.Provider("legacy").ClearFaults()
		for range 3 {
			w.charge("k1", "o1").problem(t, 504, "outcome-unknown")
		}
		if n := w.executed("o1"); n != 1 {
			t.Errorf("executed %d times", n)
		}
	})
	t.Run("another endpoint", func(t *testing.T) { // the same provider by another address is not proven to know the key
		w := newWorld(t)
		w.fault("main", sandbox.Fault{Kind: sandbox.Lose})
		w.charge("k1", "o1").problem(t, 504, "outcome-unknown")
		w.box.Provider("main").ClearFaults()
		moved := fmt.Sprintf(document, "main, backup", 2, w.url("backup"), w.url("backup"), w.url("legacy"))
		must(t, w.agent.Apply(w.update(2, moved)))
		w.charge("k1", "o1").problem(t, 504, "outcome-unknown")
		if n := w.executed("o1"); n != 1 {
			t.Errorf("executed %d times", n)
		}
	})
}

// What every attempt of was refused may be tried again under the same key, in a new epoch.
func TestRefusedIsReopened(t *testing.T) {
	w := newWorld(t)
	w.fault("main", sandbox.Fault{Kind: sandbox.Refuse})
	w.fault("backup", sandbox.Fault{Kind: sandbox.Refuse})
	p := w.charge("k1", "o1").problem(t, 503, "no-eligible-provider")
	if p["executed"] != "no" || p["retry"] != "same-key" || len(p["attempts"].([]any)) != 2 {
		t.Errorf("problem: %v", p)
	}
	if s := w.row("k1").State; s != ledger.Refused {
		t.Fatalf("state %v", s)
	}
	w.box.Provider("backup").ClearFaults()
	if a := w.charge("k1", "o1"); a.status != 200 || len(w.row("k1").Attempts) != 4 || w.executed("o1") != 1 {
		t.Fatalf("got %d %s; %+v", a.status, a.body, w.row("k1").Attempts)
	}
}

func TestLimitedEverywhereIsTheProvidersOwnAnswer(t *testing.T) {
	w := newWorld(t)
	w.fault("main", sandbox.Fault{Kind: sandbox.Limit, RetryAfter: 7 * time.Second})
	w.fault("backup", sandbox.Fault{Kind: sandbox.Limit, RetryAfter: 7 * time.Second})
	a := w.charge("k1", "o1")
	if a.status != 429 || a.header.Get("Retry-After") != "7" || strings.Contains(a.body, "/problems/") || w.row("k1").State != ledger.Refused {
		t.Fatalf("got %d %v %s", a.status, a.header, a.body)
	}
}

func TestSecondCallWhileTheFirstIsLive(t *testing.T) {
	w := newWorld(t)
	w.fault("main", sandbox.Fault{Kind: sandbox.Slow, Delay: 250 * time.Millisecond})
	var first *answer
	var call sync.WaitGroup
	call.Go(func() { first = w.charge("k1", "o1") })
	eventually(t, "the claim", func() bool {
		_, err := w.agent.store.Ledger().Load(context.Background(), ledger.Key{App: application, Service: "payments", Key: "k1"})
		return err == nil
	})
	a := w.charge("k1", "o1")
	a.problem(t, 409, "in-progress")
	if a.header.Get("Retry-After") != "1" || a.header.Get("Stripe-Should-Retry") != "true" || a.header.Get("X-Should-Retry") != "true" {
		t.Errorf("headers: %v", a.header)
	}
	call.Wait()
	if first.status != 200 || w.executed("o1") != 1 {
		t.Errorf("first: %d %s", first.status, first.body)
	}
}

// The caller's leaving stops nothing that began.
func TestCallerLeaves(t *testing.T) {
	w := newWorld(t)
	w.fault("main", sandbox.Fault{Kind: sandbox.Slow, Delay: 200 * time.Millisecond})
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if _, err := w.call(ctx, "POST", "/v1/charges", charge("o1"), "Idempotency-Key", "k1"); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("err %v", err)
	}
	eventually(t, "the outcome", func() bool { return w.row("k1").State == ledger.DoneSucceeded })
	if a := w.charge("k1", "o1"); a.status != 200 || a.header.Get("Idempotent-Replayed") != "true" || w.executed("o1") != 1 {
		t.Errorf("got %d %s", a.status, a.body)
	}
}

func TestDryRunDecidesAndSendsNothing(t *testing.T) {
	w := newWorld(t)
	a := w.charge("k1", "o1", "Segue-Dry-Run", "?1")
	m := a.json(t)
	if a.status != 200 || m["provider"] != "main" || m["dry_run"] != true || len(m["candidates"].([]any)) != 2 {
		t.Fatalf("got %d %s", a.status, a.body)
	}
	if _, err := w.agent.store.Ledger().Load(context.Background(), ledger.Key{App: application, Service: "payments", Key: "k1"}); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("a row was written: %v", err)
	}
	if n := w.executed("o1"); n != 0 {
		t.Errorf("executed %d times", n)
	}
}

func TestRefusalsOfWhatIsAsked(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		name, method, path, kind string
		status                   int
		header                   []string
		member                   string
	}{
		{"unknown operation", "POST", "/v1/chargess", "unknown-operation", 404, []string{"Idempotency-Key", "k"}, "nearest"},
		{"key missing", "POST", "/v1/charges", "key-missing", 400, nil, "example"},
		{"key empty", "POST", "/v1/charges", "key-malformed", 400, []string{"Idempotency-Key", `""`}, "example"},
		{"two keys", "POST", "/v1/charges", "key-malformed", 400, []string{"Idempotency-Key", "a", "Idempotency-Key", "b"}, "example"},
		{"bad session", "GET", "/v1/balance", "header-malformed", 400, []string{"Session-Id", "a b"}, "detail"},
		{"deadline too short", "GET", "/v1/balance", "deadline-too-short", 504, []string{"X-Stainless-Timeout", "0.001"}, "needed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := w.do(c.method, c.path, "", c.header...).problem(t, c.status, c.kind)
			if p[c.member] == nil || p[c.member] == "" || p["executed"] != "no" {
				t.Errorf("problem: %v", p)
			}
		})
	}
}

// A refund and a GET go to the provider that owns the charge, also after a restart, and nowhere else.
func TestFollowsTheOwner(t *testing.T) {
	w := newWorld(t)
	w.fault("main", sandbox.Fault{Kind: sandbox.Refuse})
	id, _ := w.charge("k1", "o1").json(t)["id"].(string)
	w.box.Provider("main").ClearFaults()
	w.restart()
	if a := w.do("GET", "/v1/charges/"+id, ""); a.status != 200 || !strings.HasPrefix(a.header.Get("Segue-Decision"), "backup;") {
		t.Fatalf("got %d %s %v", a.status, a.body, a.header)
	}
	a := w.do("POST", "/v1/refunds", "charge="+id+"&metadata[order]=o1", "Idempotency-Key", "r1")
	if a.status != 200 || !strings.HasPrefix(a.header.Get("Segue-Decision"), "backup;") {
		t.Fatalf("got %d %s %v", a.status, a.body, a.header)
	}
	w.fault("backup", sandbox.Fault{Kind: sandbox.Refuse})
	w.do("POST", "/v1/refunds", "charge="+id+"&metadata[order]=o1", "Idempotency-Key", "r2").problem(t, 503, "no-eligible-provider")
}

// A session stays at its provider, over a restart too, and moves when that provider is gone.
func TestSessionIsPinned(t *testing.T) {
	w := newWorld(t)
	w.fault("main", sandbox.Fault{Kind: sandbox.Refuse})
	w.charge("k1", "o1", "Session-Id", "s1")
	w.box.Provider("main").ClearFaults()
	w.restart()
	a := w.do("GET", "/v1/balance", "", "Session-Id", "s1")
	if !strings.HasPrefix(a.header.Get("Segue-Decision"), "backup;") || a.header.Get("Session-Id") != "s1" {
		t.Fatalf("got %v", a.header)
	}
	if a := w.do("GET", "/v1/balance", ""); !strings.HasPrefix(a.header.Get("Segue-Decision"), "main;") {
		t.Errorf("a new session went to %v", a.header)
	}
	w.fault("backup", sandbox.Fault{Kind: sandbox.Refuse})
	w.do("GET", "/v1/balance", "", "Session-Id", "s1")
	w.box.Provider("backup").ClearFaults()
	if a := w.do("GET", "/v1/balance", "", "Session-Id", "s1"); !strings.HasPrefix(a.header.Get("Segue-Decision"), "main;") {
		t.Errorf("the moved session went to %v", a.header)
	}
}

// Whatever the first provider does to a read, the second answers.
func TestReadsFailOver(t *testing.T) {
	for _, f := range []sandbox.Fault{
		{Kind: sandbox.Refuse}, {Kind: sandbox.Reset}, {Kind: sandbox.Status, Code: 503}, {Kind: sandbox.Status, Code: 500}, {Kind: sandbox.Limit},
		{Kind: sandbox.Hang}, {Kind: sandbox.CutHeaders}, {Kind: sandbox.Lose},
	} {
		t.Run(string(f.Kind), func(t *testing.T) {
			w := newWorld(t)
			w.fault("main", f)
			a := w.do("GET", "/v1/balance", "")
			if a.status != 200 || !strings.Contains(a.header.Get("Segue-Route"), "backup;attempt=2;outcome=succeeded") {
				t.Fatalf("got %d %s %v", a.status, a.body, a.header)
			}
			if strings.Contains(a.header.Get("Segue-Transaction"), "tx_") {
				t.Error("a read has a transaction")
			}
		})
	}
}

func TestReadThatNobodyAnswersWell(t *testing.T) {
	w := newWorld(t)
	w.fault("main", sandbox.Fault{Kind: sandbox.Status, Code: 503})
	w.fault("backup", sandbox.Fault{Kind: sandbox.Refuse})
	if a := w.do("GET", "/v1/balance", ""); a.status != 503 || strings.Contains(a.body, "/problems/") {
		t.Errorf("the provider's own answer did not pass: %d %s", a.status, a.body)
	}
	w.fault("main", sandbox.Fault{Kind: sandbox.Refuse})
	p := w.do("GET", "/v1/balance", "").problem(t, 503, "no-eligible-provider")
	if !strings.Contains(p["detail"].(string), "connection_refused") {
		t.Errorf("detail: %v", p["detail"])
	}
}

// A cut after the first byte is an error to the caller, never a clean end, and nobody else is asked.
func TestReadCutMidway(t *testing.T) {
	w := newWorld(t)
	w.fault("main", sandbox.Fault{Kind: sandbox.CutBody})
	a, err := w.call(context.Background(), http.MethodGet, "/v1/balance", "")
	if err == nil {
		t.Fatalf("a cut answer ended cleanly: %d %s", a.status, a.body)
	}
}
