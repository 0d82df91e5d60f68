package proxy

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"segue/controlplane/policy"
	"segue/dataplane/ledger"
	"segue/dataplane/route"
	"segue/dataplane/settle"
)

func types() []Type {
	return []Type{
		OutcomeUnknown, InProgress, NoQuorum, NoEligibleProvider, Overloaded, DeadlineTooShort, KeyReused, KeyMissing, KeyMalformed,
		UnknownOperation, UnknownService, HeaderMalformed, BodyTooLarge, AnswerNotKept,
	}
}

func row(attempts ...ledger.Attempt) *ledger.Transaction {
	return &ledger.Transaction{ID: "tx_1", Created: time.Unix(1700000000, 0), Attempts: attempts}
}

// refusedThere is a row whose outcome a lookup proved: the provider declined.
func refusedThere() *ledger.Transaction {
	t := row(ledger.Attempt{Provider: "main", Outcome: ledger.Declined, Sends: 1})
	t.State = ledger.DoneDeclined
	return t
}

// A retry that takes an open row over and cannot go on denies nothing: the call before it may have been executed.
func TestEarlierCallIsNotDenied(t *testing.T) {
	for _, c := range []struct {
		w    work
		open bool
	}{{work{}, false}, {work{old: true}, false}, {work{old: true, redrive: true}, true}, {work{old: true, resume: true}, true},
		{work{old: true, resume: true, end: settle.End{Kind: ledger.Refuse, Tx: row()}}, false}} {
		if c.w.earlier() != c.open {
			t.Errorf("%+v: %v", c.w, !c.open)
		}
	}
}

func accepted(p *Problem) *Problem {
	p.Accepted = true
	return p
}

// The table of interfaces.md, row by row.
func TestProblemsSayWhatTheTableSays(t *testing.T) {
	svc := &policy.Service{Name: "payments", Candidates: []*policy.Candidate{{Provider: "main"}, {Provider: "backup"}}}
	op := &policy.Operation{OperationSpec: policy.OperationSpec{Name: "charge"}}
	full := route.Decision{N: 2, Winner: -1}
	full.Scores[0].Gate, full.Scores[1].Gate, full.Scores[0].Wait = route.AtCapacity, route.AtRate, 1500*time.Millisecond
	gated := full
	gated.Scores[0].Gate = route.CircuitOpen
	late := full
	late.Scores[0].Gate, late.Scores[1].Gate = route.NoTime, route.Tried
	for _, c := range []struct {
		p               *Problem
		kind            Type
		status          int
		executed, retry string
		again           bool
		wait            string
		members         []string
	}{
		{unknown(row(ledger.Attempt{Provider: "main", Outcome: ledger.Unknown, Error: "http_response_timeout", Sends: 2}), time.Time{}), OutcomeUnknown, 504, "unknown", "same-key", false, "", []string{"attempts", "transaction", "instance"}},
		{unknown(row(ledger.Attempt{Provider: "main", Outcome: ledger.Unknown, Sends: 1}), time.Unix(1, 0)), OutcomeUnknown, 504, "unknown", "same-key", false, "", []string{"attempts", "next_check"}},
		{accepted(unknown(row(ledger.Attempt{Provider: "main", Outcome: ledger.Unknown, Sends: 1}), time.Unix(1, 0))), OutcomeUnknown, 202, "unknown", "same-key", false, "", []string{"attempts", "next_check"}},
		{inProgress(row()), InProgress, 409, "unknown", "same-key", true, "1", []string{"transaction"}},
		{inProgress(nil), InProgress, 409, "unknown", "same-key", true, "1", nil},
		{unwritable(errors.New("full")), NoQuorum, 503, "no", "same-key", false, "1", []string{"alive", "needed"}},
		{refused(&gated, svc), NoEligibleProvider, 503, "no", "same-key", false, "2", []string{"candidates"}},
		{refused(&full, svc), Overloaded, 503, "no", "same-key", false, "2", []string{"limit", "candidates"}},
		{refused(&late, svc), DeadlineTooShort, 504, "no", "same-key", false, "", []string{"needed"}},
		{tooShort(time.Millisecond, minimum), DeadlineTooShort, 504, "no", "same-key", false, "", []string{"needed"}},
		{exhausted([]TriedProvider{{Provider: "main", Outcome: "not_sent", Error: "dns_error"}}), NoEligibleProvider, 503, "no", "same-key", false, "", []string{"attempts"}},
		{keyExhausted(row()), NoEligibleProvider, 503, "no", "same-key", false, "", []string{"transaction"}},
		{ownerGone(ledger.Object{ID: "ch_1", Provider: "gone"}), NoEligibleProvider, 503, "no", "same-key", false, "", []string{"candidates"}},
		{keyReused(row()), KeyReused, 422, "no", "new-key", false, "", []string{"first_seen"}},
		{keyMissing(op), KeyMissing, 400, "no", "new-key", false, "", []string{"example"}},
		{keyUnderived(op, errors.New("body.order")), KeyMissing, 400, "no", "new-key", false, "", []string{"example"}},
		{keyMalformed(errors.New("empty")), KeyMalformed, 400, "no", "new-key", false, "", []string{"example"}},
		{noOperation(svc, "POST", "/x"), UnknownOperation, 404, "no", "never", false, "", nil},
		{NoService("shop.example"), UnknownService, 404, "no", "never", false, "", nil},
		{BadHeader("Session-Id", "it is empty"), HeaderMalformed, 400, "no", "never", false, "", nil},
		{TooLarge(1 << 20), BodyTooLarge, 413, "no", "never", false, "", []string{"limit"}},
		{notKept(row(), "it was larger"), AnswerNotKept, 409, "yes", "never", false, "", []string{"transaction"}},
		{notKept(refusedThere(), noAnswer), AnswerNotKept, 409, "no", "new-key", false, "", []string{"transaction"}},
	} {
		t.Run(string(c.p.Type)+" "+c.p.Detail, func(t *testing.T) {
			a := c.p.Answer(policy.Stripe)
			var m map[string]any
			if err := json.Unmarshal(a.Body, &m); err != nil {
				t.Fatal(err)
			}
			if c.p.Type != c.kind || a.Status != c.status || c.p.Status() != c.status || m["executed"] != c.executed || m["retry"] != c.retry {
				t.Errorf("got %s", a.Body)
			}
			for _, name := range append(c.members, "type", "title", "status", "detail", "code", "message") {
				if m[name] == nil && (name != "title" || c.kind != UnknownService) {
					t.Errorf("no member %s in %s", name, a.Body)
				}
			}
			h := a.Header
			if h.Get("Content-Type") != "application/problem+json" || h.Get("Retry-After") != c.wait ||
				h.Get("Stripe-Should-Retry") != strconv.FormatBool(c.again) || h.Get("X-Should-Retry") != strconv.FormatBool(c.again) {
				t.Errorf("headers %v", h)
			}
		})
	}
}

// Twilio's SDKs raise the error that applications catch only where one of type, title, status and code is missing. Where no service is
// known, theirs may be the call.
func TestTwilioIsToldNoTitle(t *testing.T) {
	for _, k := range types() {
		for _, dialect := range []policy.Dialect{policy.Plain, policy.Stripe, policy.OpenAI, policy.Twilio} {
			var m map[string]any
			if err := json.Unmarshal((&Problem{Type: k, Detail: "It is so."}).Answer(dialect).Body, &m); err != nil {
				t.Fatal(err)
			}
			if titled := m["title"] != nil; titled == (dialect == policy.Twilio || k == UnknownService) || m["message"] != "It is so." {
				t.Errorf("%s in %s: %v", k, dialect, m)
			}
		}
	}
}

// Every type throws in Stripe's SDKs: they look for error.type and error.message.
func TestEveryTypeHasItsDialect(t *testing.T) {
	for _, k := range types() {
		p := &Problem{Type: k, Detail: "It is so."}
		var m struct {
			Status, Code int
			Message      string
			Error        *struct{ Type, Code, Message string }
		}
		if err := json.Unmarshal(p.Answer(policy.Stripe).Body, &m); err != nil {
			t.Fatal(err)
		}
		if m.Error == nil || m.Error.Message != "It is so." || m.Error.Type == "" || m.Error.Code != "segue_"+strings.ReplaceAll(string(k), "-", "_") {
			t.Errorf("%s: %+v", k, m.Error)
		}
		if m.Status < 400 || m.Code != codeBase+m.Status {
			t.Errorf("%s: %+v", k, m)
		}
		if strings.Contains(string(p.Answer(policy.Plain).Body), `"error"`) {
			t.Errorf("%s: a plain dialect has Stripe's member", k)
		}
	}
	if k := Type("from-the-future").says(); k.executed != "unknown" || k.retry != "same-key" {
		t.Errorf("an unknown type says %+v", k)
	}
}

// Whose sender was paused is not told that a provider gave no answer: nothing left.
func TestAPausedSenderSaysSo(t *testing.T) {
	a := ledger.Attempt{Provider: "main", Outcome: ledger.NotSent, Error: ledger.StaleSend}
	p := unknown(&ledger.Transaction{Attempts: []ledger.Attempt{a}}, time.Time{})
	if p.Type != OutcomeUnknown || !strings.Contains(p.Detail, "nothing left it for main") || strings.Contains(p.Detail, "answer") {
		t.Errorf("it says %q", p.Detail)
	}
	a.Outcome, a.Error = ledger.Unknown, "connection_reset"
	if p = unknown(&ledger.Transaction{Attempts: []ledger.Attempt{a}}, time.Time{}); !strings.Contains(p.Detail, "main gave no whole answer") {
		t.Errorf("it says %q", p.Detail)
	}
}
