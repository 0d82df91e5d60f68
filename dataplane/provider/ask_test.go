package provider

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"segue/controlplane/policy"
	"segue/dataplane/ledger"
	"segue/dataplane/message"
)

// asked is a provider that keeps what it was asked, and answers what it is told.
type asked struct {
	*rawServer
	mu      sync.Mutex
	seen    []*http.Request
	bodies  []string
	answers []string // the last one again and again
}

func newAsked(t *testing.T, answers ...string) *asked {
	a := &asked{answers: answers}
	a.rawServer = newRaw(t, func(c *net.TCPConn, r *http.Request, body []byte, _ int64) bool {
		a.mu.Lock()
		a.seen, a.bodies = append(a.seen, r), append(a.bodies, string(body))
		text := a.answers[0]
		if len(a.answers) > 1 {
			a.answers = a.answers[1:]
		}
		a.mu.Unlock()
		say(c, text)
		return true
	})
	return a
}

func spoken(status, body string) string {
	return "HTTP/1.1 " + status + "\r\nContent-Type: application/json\r\nContent-Length: " + digits(len(body)) + "\r\n\r\n" + body
}

func digits(n int) string {
	b, _ := json.Marshal(n)
	return string(b)
}

// askable is a contract with every aid.
func askable() *policy.Contract {
	c := contract()
	c.ObjectID = "id"
	c.Recourse = policy.Recourse{
		Lookup: policy.Lookup{Match: "GET /v1/found?ref={reference}", By: policy.Field{In: "body", Name: "reference"}, Strong: true, Of: []string{"charge"},
			Found: policy.Found{Items: "data", Absent: []int{404}, Answer: 201,
				States: policy.States{In: []string{"status"}, Succeeded: []string{"paid"}, Declined: []string{"refused"}, Voided: []string{"void"}, InProgress: []string{"open"}}}},
		Cancel: policy.Cancel{Match: "POST /v1/cancel", Body: `{"ref":"{reference}","account":"{account}"}`, State: policy.CancelFinal,
			Answers: []policy.CancelRule{{From: 409, To: 409, Means: policy.ShowsTooLate}, {From: 404, To: 404, Means: policy.ShowsAbsent}, {From: 202, To: 202, Means: policy.ShowsQueued}}},
	}
	return c
}

func question(endpoint string) *Question {
	c := candidate(endpoint)
	c.Contract, c.Account = askable(), "acct"
	c.Credential = policy.Credential{Kind: policy.CredentialEnv, Ref: "K"}
	return &Question{Candidate: c, Service: "payments", Operation: "charge", Attempt: &ledger.Attempt{
		ID: "at_1", Provider: "main", Account: "acct", Endpoint: endpoint, Reference: "tx_1-0", Contract: c.Digest,
	}}
}

func withSecret(c *Config) { c.Env = func(string) (string, bool) { return "sk_ours", true } }

// What a lookup is answered is read by the contract, and nothing but an item of ours proves an outcome.
func TestALookupProvesOnlyWhatItShows(t *testing.T) {
	mine := func(status string) string {
		return spoken("200 OK", `{"data":[{"id":"ch_1","reference":"tx_1-0","status":"`+status+`"}]}`)
	}
	for _, c := range []struct {
		name, answer string
		outcome      ledger.Outcome
		finding      ledger.Finding
		answered     bool
	}{
		{"paid", mine("paid"), ledger.Succeeded, ledger.NoFinding, true},
		{"refused", mine("refused"), ledger.Declined, ledger.NoFinding, false},
		{"voided", mine("void"), ledger.Unknown, ledger.Voided, false},
		{"open", mine("open"), ledger.Unknown, ledger.InProgress, false},
		{"odd", mine("odd"), ledger.Unknown, ledger.NoFinding, false},
		{"nothing", spoken("200 OK", `{"data":[]}`), ledger.Unknown, ledger.Absent, false},
		{"not found", spoken("404 Not Found", ``), ledger.Unknown, ledger.Absent, false},
		{"another's", spoken("200 OK", `{"data":[{"id":"ch_2","reference":"tx_2-0","status":"paid"}]}`), ledger.Unknown, ledger.NoFinding, false},
		{"elsewhere", "HTTP/1.1 307 Temporary Redirect\r\nLocation: /v1/found\r\nContent-Length: 0\r\n\r\n", ledger.Unknown, ledger.NoFinding, false},
		{"refused to say", spoken("401 Unauthorized", ``), ledger.Unknown, ledger.NoFinding, false},
		{"limited", spoken("429 Too Many Requests", `{"data":[]}`), ledger.Unknown, ledger.NoFinding, false},
		{"broken", spoken("500 Oops", `{"data":[]}`), ledger.Unknown, ledger.NoFinding, false},
		{"cut", "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{\"data\":[]}", ledger.Unknown, ledger.NoFinding, false},
		{"too much", spoken("200 OK", `{"data":[],"pad":"`+strings.Repeat("x", maxAnswer)+`"}`), ledger.Unknown, ledger.NoFinding, false},
	} {
		a := newAsked(t, c.answer)
		if c.name == "cut" {
			a.rawServer = newRaw(t, func(n *net.TCPConn, _ *http.Request, _ []byte, _ int64) bool { say(n, c.answer); return false })
		}
		w := newWorld(t, withSecret)
		q := question(a.url)
		f := w.LookUp(t.Context(), q)
		e := f.Evidence
		if e.Outcome != c.outcome || e.Finding != c.finding || e.Kind != ledger.FromLookup || e.Attempt != "at_1" || e.Begun.IsZero() || (f.Answer != nil) != c.answered {
			t.Errorf("%s: %+v", c.name, f)
		}
		if c.answered && (f.Answer.Status != 201 || string(f.Answer.Body) != `{"id":"ch_1","reference":"tx_1-0","status":"paid"}` || f.ObjectID != "ch_1") {
			t.Errorf("%s: the answer is %d %s", c.name, f.Answer.Status, f.Answer.Body)
		}
		if a.executed.Load() != 1 {
			t.Errorf("%s: asked %d times", c.name, a.executed.Load())
		}
		if len(a.seen) == 1 && (a.seen[0].Method != "GET" || a.seen[0].RequestURI != "/v1/found?ref=tx_1-0" || a.seen[0].Header.Get("Authorization") != "Bearer sk_ours") {
			t.Errorf("%s: asked %s %s", c.name, a.seen[0].Method, a.seen[0].RequestURI)
		}
	}
}

// Absent is read by today's contract: of an attempt that was sent under another one it proves nothing, but what is found is found.
func TestAbsentUnderAnotherContractProvesNothing(t *testing.T) {
	a := newAsked(t, spoken("200 OK", `{"data":[]}`), spoken("200 OK", `{"data":[{"id":"x","reference":"tx_1-0","status":"paid"}]}`))
	w := newWorld(t, withSecret)
	q := question(a.url)
	q.Attempt.Contract = [32]byte{1}
	if f := w.LookUp(t.Context(), q); f.Evidence.Finding != ledger.NoFinding {
		t.Errorf("%+v", f)
	}
	if f := w.LookUp(t.Context(), q); f.Evidence.Outcome != ledger.Succeeded {
		t.Errorf("%+v", f)
	}
}

// Where the question would not be the attempt's, it is not asked.
func TestWhatCannotBeAskedIsNotAsked(t *testing.T) {
	a := newAsked(t, spoken("200 OK", `{"data":[]}`))
	w := newWorld(t, withSecret)
	for name, change := range map[string]func(*Question){
		"another endpoint":  func(q *Question) { q.Attempt.Endpoint = "http://elsewhere" },
		"another account":   func(q *Question) { q.Attempt.Account = "other" },
		"another provider":  func(q *Question) { q.Attempt.Provider = "other" },
		"no reference":      func(q *Question) { q.Attempt.Reference = "" },
		"another operation": func(q *Question) { q.Operation = "refund" },
		"no lookup":         func(q *Question) { q.Candidate.Contract.Recourse.Lookup = policy.Lookup{} },
		"a caller who left": func(q *Question) { q.Candidate.Credential.Kind = policy.CredentialCaller },
		"another caller's key": func(q *Question) {
			callers(q, "Bearer mine")
			q.Header = message.Header{{Name: "Authorization", Value: "Bearer other"}}
		},
	} {
		q := question(a.url)
		change(q)
		f := w.LookUp(t.Context(), q)
		if !errors.Is(f.Err, ErrCannotAsk) || f.Evidence.Outcome != ledger.Unknown || f.Evidence.Finding != ledger.NoFinding {
			t.Errorf("%s: %+v", name, f)
		}
	}
	if a.executed.Load() != 0 {
		t.Errorf("%d questions were asked", a.executed.Load())
	}
	q := question(a.url)
	callers(q, "Bearer mine")
	if f := w.LookUp(t.Context(), q); f.Evidence.Finding != ledger.Absent || a.seen[0].Header.Get("Authorization") != "Bearer mine" {
		t.Errorf("%+v", f)
	}
}

// callers makes the credential that of a caller, who sent the attempt with it.
func callers(q *Question, secret string) {
	q.Candidate.Credential.Kind = policy.CredentialCaller
	q.Header = message.Header{{Name: "Authorization", Value: secret}}
	q.Attempt.Account = ledger.Account(q.Candidate, q.Header)
}

func TestACancelIsReadByItsContract(t *testing.T) {
	for answer, want := range map[string]ledger.Finding{
		spoken("200 OK", "{}"): ledger.Voided, spoken("409 Conflict", "{}"): ledger.TooLate, spoken("202 Accepted", "{}"): ledger.InProgress,
		spoken("404 Not Found", "{}"): ledger.NoFinding, spoken("500 Oops", "{}"): ledger.NoFinding, spoken("401 No", ""): ledger.NoFinding,
	} {
		a := newAsked(t, answer)
		w := newWorld(t, withSecret)
		f := w.Cancel(t.Context(), question(a.url))
		if f.Evidence.Finding != want || f.Evidence.Kind != ledger.FromCancel || f.Evidence.Outcome != ledger.Unknown {
			t.Errorf("%.20s: %+v", answer, f)
		}
		if a.executed.Load() != 1 || a.bodies[0] != `{"ref":"tx_1-0","account":"acct"}` || a.seen[0].Header.Get("Content-Type") != "application/json" {
			t.Errorf("%.20s: %d calls, %q", answer, a.executed.Load(), a.bodies)
		}
		for name := range a.seen[0].Header {
			if strings.EqualFold(name, "Idempotency-Key") {
				t.Error("a cancel carries a key: its first answer could be told again for ever")
			}
		}
	}
}

// A cancel by id asks for the id first; without one nothing is cancelled.
func TestACancelByIDFindsTheIDFirst(t *testing.T) {
	a := newAsked(t, spoken("200 OK", `{"data":[{"id":"ch/1","reference":"tx_1-0","status":"paid"}]}`), spoken("200 OK", `{}`), spoken("200 OK", `{"data":[]}`))
	w := newWorld(t, withSecret)
	q := question(a.url)
	q.Candidate.Contract.Recourse.Cancel = policy.Cancel{Match: "POST /v1/charges/{id}/void", State: policy.CancelFinal}
	if f := w.Cancel(t.Context(), q); f.Evidence.Finding != ledger.Voided || a.seen[1].RequestURI != "/v1/charges/ch%2F1/void" {
		t.Errorf("%+v", f)
	}
	if f := w.Cancel(t.Context(), q); f.Err == nil || f.Evidence.Finding != ledger.NoFinding || f.Evidence.Kind != ledger.FromCancel || a.executed.Load() != 3 {
		t.Errorf("%+v after %d calls", f, a.executed.Load())
	}
}

// A provider that says nothing is left in time, whatever the caller's own deadline.
func TestAQuestionEnds(t *testing.T) {
	hold := make(chan struct{})
	defer close(hold)
	s := newRaw(t, func(*net.TCPConn, *http.Request, []byte, int64) bool { <-hold; return false })
	w := newWorld(t, withSecret)
	ctx, cancel := contextWithTimeout(t, 500*time.Millisecond)
	defer cancel()
	f := w.LookUp(ctx, question(s.url))
	if f.Err == nil || f.Evidence.Error != "http_response_timeout" || f.Evidence.Outcome != ledger.Unknown {
		t.Errorf("%+v", f)
	}
}

// The reference stands in the request that is sent, and nowhere in what the caller gave.
func TestTheReferenceIsInTheRequest(t *testing.T) {
	w := newWorld(t, nil)
	send := func(change func(*Call)) string {
		call := post("http://x", `{"amount": 1}`)
		call.Candidate.Contract = askable()
		call.Reference = "tx_1-0"
		call.Request.Header = message.Header{{Name: "Content-Type", Value: "application/json"}}
		if change != nil {
			change(call)
		}
		before := string(call.Request.Body)
		r, token, err := w.request(t.Context(), call, time.Now())
		if string(call.Request.Body) != before {
			t.Error("the caller's bytes were changed")
		}
		if err != nil {
			return token
		}
		body, _ := io.ReadAll(r.Body)
		if int64(len(body)) != r.ContentLength {
			t.Errorf("length %d of %q", r.ContentLength, body)
		}
		return string(body) + strings.Join(r.Header["X-Ref"], ",")
	}
	header := func(wins policy.Winner) func(*Call) {
		return func(c *Call) {
			c.Candidate.Contract.Recourse.Lookup.By, c.Candidate.Contract.Recourse.Lookup.Wins = policy.Field{In: "header", Name: "x-ref"}, wins
		}
	}
	own := func(c *Call) {
		c.Request.Header = append(c.Request.Header, message.Field{Name: "X-Ref", Value: "theirs"})
	}
	for _, c := range []struct {
		name   string
		change func(*Call)
		want   string
	}{
		{"in JSON", nil, `{"reference":"tx_1-0","amount": 1}`},
		{"without one", func(c *Call) { c.Reference = "" }, `{"amount": 1}`},
		{"theirs stays", func(c *Call) { c.Request.Body = []byte(`{"reference":"7"}`) }, "proxy_configuration_error"},
		{"ours wins", func(c *Call) {
			c.Request.Body = []byte(`{"reference":"7"}`)
			c.Candidate.Contract.Recourse.Lookup.Wins = policy.OursWins
		}, `{"reference":"tx_1-0"}`},
		{"in a header", header(""), `{"amount": 1}tx_1-0`},
		{"their header stays", func(c *Call) { header("")(c); own(c) }, "proxy_configuration_error"},
		{"our header wins", func(c *Call) { header(policy.OursWins)(c); own(c) }, `{"amount": 1}tx_1-0`},
		{"compressed", func(c *Call) { c.Request.Header.Add("Content-Encoding", "gzip") }, "proxy_configuration_error"},
		{"two kinds", func(c *Call) { c.Request.Header.Add("Content-Type", "text/plain") }, "proxy_configuration_error"},
		{"on behalf of somebody", func(c *Call) { c.Request.Header.Add("Stripe-Account", "acct_2") }, "proxy_configuration_error"},
		{"large", func(c *Call) { c.Request.Large = inFile("x") }, "proxy_configuration_error"},
		{"another operation", func(c *Call) { c.Operation = "refund" }, "proxy_configuration_error"},
	} {
		if got := send(c.change); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// What Refers says before the row is written is what the send then does.
func TestRefersIsWhatIsSent(t *testing.T) {
	w := newWorld(t, nil)
	for _, body := range []string{`{"amount":1}`, `{"reference":"x"}`, `{`, `[]`, ``, `{"reference":null}`, `{"a":{"reference":1}}`} {
		call := post("http://x", body)
		call.Candidate.Contract, call.Request.Header = askable(), message.Header{{Name: "Content-Type", Value: "application/json"}}
		refers := Refers(call.Candidate, call.Operation, call.Request)
		call.Reference = "tx_1-0"
		_, _, err := w.request(t.Context(), call, time.Now())
		if refers != (err == nil) {
			t.Errorf("%s: refers %t, but %v", body, refers, err)
		}
	}
}

// inFile is a body that is kept outside memory.
type inFile string

func (f inFile) Size() int64              { return int64(len(f)) }
func (f inFile) Sum() [32]byte            { return [32]byte{} }
func (f inFile) Open() (io.Reader, error) { return bytes.NewReader([]byte(f)), nil }

// Where the contract reads a code in successes, it decides, and the answer passes whole.
func TestACodeInASuccessDecides(t *testing.T) {
	a := newAsked(t, spoken("200 OK", `{"result":"Refused"}`), spoken("200 OK", `{"result":"Fine"}`), spoken("200 OK", strings.Repeat(" ", maxPrefix)+`{"result":"Refused"}`))
	w := newWorld(t, nil)
	for i, want := range []ledger.Outcome{ledger.Declined, ledger.Succeeded, ledger.Succeeded} {
		call := post(a.url, "x")
		call.Candidate.Contract.Codes = []string{"result"}
		call.Candidate.Contract.Statuses = append([]policy.StatusRule{{From: 200, To: 299, Code: "Refused", Class: policy.ClassOK, Outcome: policy.OutcomeDeclined}}, call.Candidate.Contract.Statuses...)
		to := &taker{}
		r := w.Send(t.Context(), call, to)
		if r.Outcome != want || !to.clean() || !strings.Contains(to.body.String(), `"result"`) {
			t.Errorf("%d: %s, %d bytes, ended %v", i, r.Outcome, to.body.Len(), to.ends)
		}
	}
}
