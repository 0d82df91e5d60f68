package ledger_test

import (
	"fmt"
	"testing"
	"time"

	"segue/dataplane/ledger"
)

var now = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)

// row is a transaction with n attempts, the last under way at "here".
func row(n, sends int, s ledger.State, o ledger.Outcome) *ledger.Transaction {
	t := ledger.New("tx_1", ledger.Key{App: "default", Service: "payments", Key: "k"}, "charge", [32]byte{1}, now)
	for i := range n {
		t.Attempts = append(t.Attempts, ledger.Attempt{ID: fmt.Sprint("at_", i+1), Provider: "here", IntentAt: now, Sends: 1, Outcome: ledger.NotSent})
	}
	if n > 0 {
		t.Current().Sends, t.Current().Outcome = sends, o
	}
	t.State, t.Run, t.Version = s, "run", 1
	return t
}

func circumstances() ledger.Circumstances {
	return ledger.Circumstances{
		Now: now.Add(time.Second), Live: true, Deadline: now.Add(10 * time.Second), Enforced: true, KeyLife: 24 * time.Hour, MaxTries: 3, MaxSends: 4, Run: "run",
	}
}

func TestNext(t *testing.T) {
	type c = ledger.Circumstances
	for _, test := range []struct {
		name    string
		outcome ledger.Outcome
		change  func(r *ledger.Transaction, e *ledger.Evidence, c *c)
		want    ledger.StepKind
	}{
		{"an answer that succeeded", ledger.Succeeded, nil, ledger.Finish},
		{"a decline", ledger.Declined, nil, ledger.Finish},
		{"evidence of an outcome from anybody", ledger.Succeeded, func(_ *ledger.Transaction, _ *ledger.Evidence, c *c) { c.Run, c.Live = "other", false }, ledger.Finish},
		{"an outcome for a held row", ledger.Declined, func(r *ledger.Transaction, _ *ledger.Evidence, _ *c) { r.State = ledger.Held }, ledger.Finish},
		{"an outcome after all sends and past the deadline", ledger.Succeeded, func(r *ledger.Transaction, _ *ledger.Evidence, c *c) {
			r.Current().Sends = 9
			c.Now = c.Now.Add(time.Hour)
		}, ledger.Finish},
		{"an outcome of a re-drive", ledger.Succeeded, func(r *ledger.Transaction, e *ledger.Evidence, _ *c) { r.Current().Sends, e.Redrive = 2, true }, ledger.Finish},
		{"an execution that comes to light after a refusal", ledger.Succeeded, func(r *ledger.Transaction, _ *ledger.Evidence, _ *c) { r.State = ledger.Refused }, ledger.Finish},

		{"not sent", ledger.NotSent, nil, ledger.Elsewhere},
		{"a stale send", ledger.NotSent, func(_ *ledger.Transaction, e *ledger.Evidence, _ *c) { e.Kind = ledger.FromStaleSend }, ledger.Elsewhere},
		{"not sent at a provider that ignores keys", ledger.NotSent, func(_ *ledger.Transaction, _ *ledger.Evidence, c *c) { c.Enforced = false }, ledger.Elsewhere},
		{"not sent and the caller left", ledger.NotSent, func(_ *ledger.Transaction, _ *ledger.Evidence, c *c) { c.Live = false }, ledger.Refuse},
		{"not sent and no time left", ledger.NotSent, func(_ *ledger.Transaction, _ *ledger.Evidence, c *c) { c.Now = c.Deadline }, ledger.Refuse},
		{"not sent and a nanosecond left", ledger.NotSent, func(_ *ledger.Transaction, _ *ledger.Evidence, c *c) { c.Now = c.Deadline.Add(-1) }, ledger.Elsewhere},
		{"not sent at the last try", ledger.NotSent, func(_ *ledger.Transaction, _ *ledger.Evidence, c *c) { c.MaxTries = 1 }, ledger.Refuse},
		{"not sent at the last try, but others were an earlier call's", ledger.NotSent, func(r *ledger.Transaction, e *ledger.Evidence, c *c) {
			*r = *row(3, 1, ledger.Intent, ledger.Open)
			e.Attempt, c.Before = "at_3", 2
		}, ledger.Elsewhere},
		{"not sent and no room for an attempt", ledger.NotSent, func(r *ledger.Transaction, e *ledger.Evidence, c *c) {
			*r = *row(ledger.MaxAttempts, 1, ledger.Intent, ledger.Open)
			e.Attempt, c.Before = fmt.Sprint("at_", ledger.MaxAttempts), ledger.MaxAttempts-1
		}, ledger.Refuse},
		{"not sent, says somebody who does not drive", ledger.NotSent, func(_ *ledger.Transaction, _ *ledger.Evidence, c *c) { c.Run = "other" }, ledger.Hold},
		{"not sent, of a row that was refused", ledger.NotSent, func(r *ledger.Transaction, _ *ledger.Evidence, _ *c) { r.State = ledger.Refused }, ledger.Refuse},
		{"a re-drive was not sent", ledger.NotSent, func(_ *ledger.Transaction, e *ledger.Evidence, _ *c) { e.Redrive = true }, ledger.Redrive},
		{"a re-drive was not sent, and the evidence does not say that it was one", ledger.NotSent, func(r *ledger.Transaction, _ *ledger.Evidence, _ *c) { r.Current().Sends = 2 }, ledger.Redrive},
		{"the last re-drive was not sent", ledger.NotSent, func(r *ledger.Transaction, e *ledger.Evidence, _ *c) { r.Current().Sends, e.Redrive = 4, true }, ledger.Hold},

		{"unknown where keys are enforced", ledger.Unknown, nil, ledger.Redrive},
		{"unknown of a held row that the caller retries", ledger.Unknown, func(r *ledger.Transaction, _ *ledger.Evidence, _ *c) { r.State = ledger.Held }, ledger.Redrive},
		{"unknown where keys are ignored", ledger.Unknown, func(_ *ledger.Transaction, _ *ledger.Evidence, c *c) { c.Enforced = false }, ledger.Hold},
		{"unknown and the caller left", ledger.Unknown, func(_ *ledger.Transaction, _ *ledger.Evidence, c *c) { c.Live = false }, ledger.Hold},
		{"unknown and no time left", ledger.Unknown, func(_ *ledger.Transaction, _ *ledger.Evidence, c *c) { c.Now = c.Deadline }, ledger.Hold},
		{"unknown and no sends left", ledger.Unknown, func(r *ledger.Transaction, _ *ledger.Evidence, _ *c) { r.Current().Sends = 4 }, ledger.Hold},
		{"unknown, says somebody who does not drive", ledger.Unknown, func(_ *ledger.Transaction, _ *ledger.Evidence, c *c) { c.Run = "other" }, ledger.Hold},
		{"unknown with a young enough key", ledger.Unknown, func(_ *ledger.Transaction, _ *ledger.Evidence, c *c) { c.KeyLife = 1112 * time.Millisecond }, ledger.Redrive},
		{"unknown with a key at nine tenths of its life", ledger.Unknown, func(_ *ledger.Transaction, _ *ledger.Evidence, c *c) { c.KeyLife = 1110 * time.Millisecond }, ledger.Hold},
		{"unknown with a key whose life nobody knows", ledger.Unknown, func(_ *ledger.Transaction, _ *ledger.Evidence, c *c) { c.KeyLife = 0 }, ledger.Hold},
		{"unknown of an attempt from the future", ledger.Unknown, func(r *ledger.Transaction, _ *ledger.Evidence, c *c) {
			r.Current().IntentAt = c.Now.Add(2 * time.Second)
		}, ledger.Hold},
		{"unknown of a row that was refused", ledger.Unknown, func(r *ledger.Transaction, _ *ledger.Evidence, _ *c) { r.State = ledger.Refused }, ledger.Refuse},

		{"evidence that shows nothing", ledger.Open, nil, ledger.Hold},
		{"an outcome that nobody knows", 77, nil, ledger.Redrive},
		{"success of another attempt", ledger.Succeeded, func(_ *ledger.Transaction, e *ledger.Evidence, _ *c) { e.Attempt = "at_9" }, ledger.Hold},
		{"not sent of another attempt", ledger.NotSent, func(_ *ledger.Transaction, e *ledger.Evidence, _ *c) { e.Attempt = "" }, ledger.Hold},
		{"anything of a final row", ledger.Unknown, func(r *ledger.Transaction, _ *ledger.Evidence, _ *c) { r.State = ledger.DoneDeclined }, ledger.Finish},
		{"anything of a row without attempts", ledger.Succeeded, func(r *ledger.Transaction, _ *ledger.Evidence, _ *c) { r.Attempts = nil }, ledger.Hold},
	} {
		r, e, c := row(1, 1, ledger.Intent, ledger.Open), ledger.Evidence{Attempt: "at_1", Kind: ledger.FromAnswer, Outcome: test.outcome}, circumstances()
		if test.change != nil {
			test.change(r, &e, &c)
		}
		if got := ledger.Next(r, e, c); got.Kind != test.want || got.Why == "" {
			t.Errorf("%s: %s (%s), want %s", test.name, got.Kind, got.Why, test.want)
		}
	}
}

// TestNextNeverGuesses goes through every combination of what Next can be told and holds the answer against rule 10 and rule 5.
func TestNextNeverGuesses(t *testing.T) {
	n := 0
	each(func(r *ledger.Transaction, e ledger.Evidence, c ledger.Circumstances) {
		n++
		before := fmt.Sprintf("%+v", *r)
		step := ledger.Next(r, e, c)
		if after := fmt.Sprintf("%+v", *r); after != before {
			t.Fatalf("Next changed its row:\n%s\n%s", before, after)
		}
		about := e.Attempt == r.Current().ID
		driver := c.Run == r.Run
		once := r.Current().Sends == 1 && !e.Redrive
		ok := false
		switch step.Kind {
		case ledger.Finish:
			ok = r.Final() || about && (e.Outcome == ledger.Succeeded || e.Outcome == ledger.Declined)
		case ledger.Elsewhere:
			ok = about && driver && once && e.Outcome == ledger.NotSent && c.Live && c.Now.Before(c.Deadline) && r.Pending()
		case ledger.Refuse:
			ok = r.State == ledger.Refused || about && driver && once && e.Outcome == ledger.NotSent && !r.Final()
		case ledger.Redrive:
			ok = about && driver && c.Enforced && c.Live && r.Pending() && e.Outcome != ledger.Succeeded && (e.Outcome != ledger.Declined || !once && e.Status == 401)
		case ledger.Hold:
			ok = !r.Final() && r.State != ledger.Refused
		default:
		}
		if !ok {
			t.Fatalf("%s (%s) for\n%s\n%+v\n%+v", step.Kind, step.Why, before, e, c)
		}
	})
	if n < 50_000 {
		t.Errorf("only %d combinations", n)
	}
}

func each(visit func(*ledger.Transaction, ledger.Evidence, ledger.Circumstances)) {
	bools := []bool{false, true}
	for state := ledger.Intent; state <= ledger.Refused; state++ {
		for was := ledger.Open; was <= ledger.Unknown; was++ {
			for outcome := ledger.Open; outcome <= ledger.Unknown+1; outcome++ {
				for bits := range 1 << 10 {
					on := func(i int) bool { return bools[bits>>i&1] }
					r, e, c := row(1, 1, state, was), ledger.Evidence{Attempt: "at_1", Kind: ledger.FromAnswer, Outcome: outcome}, circumstances()
					c.Live, c.Enforced, e.Redrive = on(0), on(1), on(2)
					if on(3) {
						c.Run = "other"
					}
					if on(4) {
						e.Attempt = "at_0"
					}
					if on(5) {
						r.Current().Sends = 2
					}
					if on(6) {
						c.Now = c.Deadline
					}
					if on(7) {
						c.KeyLife = time.Second
					}
					if on(8) {
						c.MaxTries, c.MaxSends = 1, 1
					}
					if on(9) {
						e.Status = 401
					}
					visit(r, e, c)
				}
			}
		}
	}
}

// A re-drive that is refused before its key is looked at proves nothing of the send before it: a credential may have been revoked between
// the two.
func TestARedriveThatIsTurnedAwayDecidesNothing(t *testing.T) {
	for _, status := range []int{401, 403, 404, 405} {
		row := ledger.New("tx_1", ledger.Key{App: "a", Service: "s", Key: "k"}, "charge", [32]byte{}, time.Unix(1000, 0))
		if err := row.Begin(ledger.Attempt{ID: "at_1", Provider: "main", IntentAt: time.Unix(1000, 0)}, "r/1"); err != nil {
			t.Fatal(err)
		}
		c := ledger.Circumstances{Now: time.Unix(1001, 0), Deadline: time.Unix(1010, 0), Live: true, Enforced: true, KeyLife: time.Hour, MaxTries: 2, MaxSends: 4, Run: "r/1"}
		declined := ledger.Evidence{Attempt: "at_1", Kind: ledger.FromAnswer, Outcome: ledger.Declined, Status: status}
		if step := ledger.Next(row, declined, c); step.Kind != ledger.Finish {
			t.Errorf("%d to a first send: %v; it is the provider's answer", status, step)
		}
		row.Current().Sends++
		declined.Redrive = true
		if step := ledger.Next(row, declined, c); step.Kind == ledger.Finish {
			t.Errorf("%d to a re-drive: %v; the first send may have been executed", status, step)
		}
		row.Settle(declined)
		if row.Current().Outcome != ledger.Unknown {
			t.Errorf("%d to a re-drive is noted as %v", status, row.Current().Outcome)
		}
	}
}
