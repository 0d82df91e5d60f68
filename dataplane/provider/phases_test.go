package provider

import (
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"segue/controlplane/policy"
	"segue/dataplane/ledger"
)

// phase is one line of the table of retry safety: what happens to a send, what that proves, and what the ledger then does with an effect
// whose provider de-duplicates, and with one whose provider does not.
type phase struct {
	says         string
	send         func(t *testing.T) Result
	outcome      ledger.Outcome
	keyed, plain ledger.StepKind
}

// TestPhases walks the table line by line, from a real connection to the next step.
func TestPhases(t *testing.T) {
	const (
		over, on, again, hold = ledger.Elsewhere, ledger.Finish, ledger.Redrive, ledger.Hold
		no, unknown, done     = ledger.NotSent, ledger.Unknown, ledger.Declined
	)
	for _, p := range []phase{
		{"DNS", to("http://nobody.invalid"), no, over, over},
		{"connect refused", to(nobody(t)), no, over, over},
		{"TLS failure", strange, no, over, over},
		{"HTTP/2 REFUSED_STREAM", refusesStream, no, over, over},
		{"429, by default", answers(429, "", ""), no, over, over},
		{"429, where the contract says otherwise", answers(429, `{"error":{"code":"lock_timeout"}}`, ""), unknown, again, hold},
		{"503 with Retry-After, by default", answers(503, "", "1"), unknown, again, hold},
		{"503 with Retry-After, where the contract says that nothing was done", answers(503, `{"error":{"code":"busy"}}`, "1"), no, over, over},
		{"4xx validation", answers(400, `{"error":{"code":"parameter_missing"}}`, ""), done, on, on},
		{"hard decline", answers(402, `{"error":{"code":"card_declined"}}`, ""), done, on, on},
		{"soft decline, where the contract lets it go on", answers(402, `{"error":{"code":"try_again"}}`, ""), no, over, over},
		{"5xx", answers(500, "", ""), unknown, again, hold},
		{"malformed answer", raw("HTTP/1.1 2x0 OK\r\n\r\n", false), unknown, again, hold},
		{"truncated answer", raw("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", false), unknown, again, hold},
		{"reset after the first byte", raw("", true), unknown, again, hold},
		{"EOF after the first byte", raw("", false), unknown, again, hold},
		{"time-out after the first byte", hangs, unknown, again, hold},
		{"an answer", answers(200, "{}", ""), ledger.Succeeded, on, on},
	} {
		t.Run(p.says, func(t *testing.T) {
			t.Parallel()
			r := p.send(t)
			if r.Outcome != p.outcome {
				t.Fatalf("proves %v, want %v: %+v", r.Outcome, p.outcome, r)
			}
			for keyed, want := range map[bool]ledger.StepKind{true: p.keyed, false: p.plain} {
				if step := next(r, keyed, nil); step.Kind != want {
					t.Errorf("keys enforced %v: %v (%s), want %v", keyed, step.Kind, step.Why, want)
				}
			}
			gone := func(_ *ledger.Evidence, c *ledger.Circumstances) { c.Live = false }
			if step := next(r, true, gone); r.Outcome == unknown && step.Kind != hold || step.Kind == over || step.Kind == again {
				t.Errorf("the caller is gone: %v (%s)", step.Kind, step.Why)
			}
			twice := func(_ *ledger.Evidence, c *ledger.Circumstances) { c.Twice = true }
			if step := next(r, false, twice); r.Outcome == unknown && step.Kind != over {
				t.Errorf("duplicates are accepted: %v (%s)", step.Kind, step.Why)
			}
		})
	}
	died := func(e *ledger.Evidence, c *ledger.Circumstances) { e.Kind, c.Live = ledger.FromTimer, false }
	for _, keyed := range []bool{true, false} {
		if step := next(Result{Outcome: unknown}, keyed, died); step.Kind != hold {
			t.Errorf("the agent died after INTENT, keys enforced %v: %v (%s)", keyed, step.Kind, step.Why)
		}
	}
}

// next is what the ledger does with what a first send showed.
func next(r Result, keyed bool, change func(*ledger.Evidence, *ledger.Circumstances)) ledger.Step {
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	tx := ledger.New("tx_1", ledger.Key{App: "shop", Service: "payments", Key: "k"}, "charge", [32]byte{1}, now)
	tx.State, tx.Run, tx.Version = ledger.Intent, "run", 1
	tx.Attempts = []ledger.Attempt{{ID: "at_1", Provider: "main", IntentAt: now, Sends: 1}}
	e := ledger.Evidence{Attempt: "at_1", Kind: r.Kind, Outcome: r.Outcome, Error: r.Error, Status: r.Status}
	c := ledger.Circumstances{
		Now: now.Add(time.Second), Live: true, Deadline: now.Add(10 * time.Second), Enforced: keyed, KeyLife: 24 * time.Hour, MaxTries: 2, MaxSends: 3, Run: "run",
	}
	if change != nil {
		change(&e, &c)
	}
	return ledger.Next(tx, e, c)
}

func to(url string) func(t *testing.T) Result {
	return func(t *testing.T) Result { return newWorld(t, nil).Send(t.Context(), phaseCall(url), &taker{}) }
}

// phaseCall is an effect at a provider whose contract has words for what may go on.
func phaseCall(url string) *Call {
	call := post(url, "amount=100")
	c := call.Candidate.Contract
	c.Statuses = append([]policy.StatusRule{
		{From: 402, To: 402, Code: "try_again", Class: policy.ClassOK, Outcome: policy.OutcomeNotSent},
		{From: 503, To: 503, Code: "busy", Class: policy.ClassLimited, Outcome: policy.OutcomeNotSent},
	}, c.Statuses...)
	return call
}

func strange(t *testing.T) Result {
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.Config.ErrorLog = discard
	s.StartTLS()
	defer s.Close()
	return to(s.URL)(t)
}

func refusesStream(t *testing.T) Result {
	s := newFramed(t, func(f *http2.Framer, _ int64, id uint32) bool {
		return f.WriteRSTStream(id, http2.ErrCodeRefusedStream) == nil
	})
	w := secureWorld(t, s.pool)
	defer w.Close()
	return w.Send(t.Context(), phaseCall(s.url), &taker{})
}

func answers(status int, body, retryAfter string) func(t *testing.T) Result {
	return func(t *testing.T) Result {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if retryAfter != "" {
				w.Header().Set("Retry-After", retryAfter)
			}
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}))
		w := newWorld(t, nil)
		defer func() { w.Close(); s.Close() }()
		return w.Send(t.Context(), phaseCall(s.URL), &taker{})
	}
}

// raw reads the request, says so much and hangs up.
func raw(answer string, reset bool) func(t *testing.T) Result {
	return func(t *testing.T) Result {
		s := newRaw(t, func(c *net.TCPConn, _ *http.Request, _ []byte, _ int64) bool {
			say(c, answer)
			if reset {
				_ = c.SetLinger(0)
			}
			return false
		})
		return to(s.url)(t)
	}
}

// hangs reads the request and says nothing. A machine that is too slow to send it within the time gets more.
func hangs(t *testing.T) Result {
	over := make(chan struct{})
	s := newRaw(t, func(*net.TCPConn, *http.Request, []byte, int64) bool { <-over; return false })
	t.Cleanup(func() { close(over) })
	w, call := newWorld(t, nil), phaseCall(s.url)
	for call.PerTry = 100 * time.Millisecond; ; call.PerTry *= 2 {
		if r := w.Send(t.Context(), call, &taker{}); s.executed.Load() > 0 || call.PerTry > time.Minute {
			return r
		}
	}
}
