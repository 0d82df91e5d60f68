package web

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"segue/controlplane/query"
)

// trying are agents that decide what they are given, of which the first cannot.
func trying(t *testing.T, asked *query.Question, refused string) func(query.Question) []Answer {
	t.Helper()
	return func(q query.Question) []Answer {
		*asked = q
		body, err := json.Marshal(query.Tried{
			Agent: "eu-west-1", Region: "eu-west", Service: q.Service, Operation: "charge", Refused: refused, Sentences: []string{"backup won: the draw"},
			Decision: query.Decision{Winner: "backup", Why: "the draw", Revision: 1, Candidates: []query.Candidate{
				{Provider: "main", Gate: "circuit-open", Why: "open 14 s: 11 of the last 23 failed", Weight: 40}, {Provider: "backup", Gate: "passed", Why: "the draw", Weight: 50, Rank: 1.25, Chosen: true},
			}},
		})
		if err != nil {
			t.Fatal(err)
		}
		return []Answer{{Agent: "eu-west-0", Region: "eu-west", Err: "no answer in time"}, {Agent: "eu-west-1", Region: "eu-west", Body: body}}
	}
}

func TestOneRequestIsTried(t *testing.T) {
	s := newSite(t, options{})
	var asked query.Question
	s.plane.set(func(p *plane) { p.answers = trying(t, &asked, "") })
	var d testDecision
	s.json(http.MethodPost, "/api/v1/decisions", `{"service": "payments", "region": "eu-west", "method": "post", "path": "/v1/charges", "body": "amount=1200", "value": "1200;cur=EUR", "session": "s1", "client_region": "ap-south", "headers": {"Accept": "*/*"}}`, 200, &d)
	if d.Provider != "backup" || d.Agent != "eu-west-1" || d.Operation != "charge" || len(d.Candidates) != 2 || d.Candidates[1].Score != 1.25 || !d.Candidates[1].Chosen {
		t.Errorf("%+v", d)
	}
	h := asked.Try.Headers
	if asked.Region != "eu-west" || asked.Try.Method != "POST" || h["Segue-Value"] != "1200;cur=EUR" || h["Session-Id"] != "s1" || h["Segue-Client-Region"] != "ap-south" || h["Accept"] != "*/*" || h["Content-Type"] == "" {
		t.Errorf("%+v %+v", asked, asked.Try)
	}
	for _, bad := range []string{`{}`, `{"service": "nobody", "method": "GET", "path": "/"}`, `{"service": "payments", "region": "moon", "method": "GET", "path": "/"}`, `{"service": "payments", "method": "GET", "path": "x"}`} {
		var p problem
		s.json(http.MethodPost, "/api/v1/decisions", bad, 422, &p)
	}
	s.plane.set(func(p *plane) { p.answers = trying(t, &asked, "key-missing: charge needs a key") })
	var p problem
	s.json(http.MethodPost, "/api/v1/decisions", `{"service": "payments", "region": "eu-west", "method": "POST", "path": "/v1/charges"}`, 422, &p)
	if !strings.Contains(p.Detail, "key-missing") {
		t.Errorf("%+v", p)
	}
	s.plane.set(func(p *plane) { p.answers = nil })
	s.json(http.MethodPost, "/api/v1/decisions", `{"service": "payments", "region": "eu-west", "method": "POST", "path": "/v1/charges"}`, 404, &p)
	if !strings.Contains(p.Detail, "no agent is attached") {
		t.Errorf("%+v", p)
	}
}

func TestTheFormTries(t *testing.T) {
	s := newSite(t, options{})
	if page := s.get("/routing/payments", 200); !strings.Contains(page, "Test one request") || !strings.Contains(page, "segue tx try payments POST /v1/") {
		t.Error("the page of a service has no form, or no example")
	}
	var asked query.Question
	s.plane.set(func(p *plane) { p.answers = trying(t, &asked, "") })
	form := url.Values{"request": {"POST /v1/charges"}, "region": {"eu-west"}, "headers": {"X-One: 1\r\nX-Two: 2"}, "body": {"amount=<1>"}}
	r := s.post("/routing/payments/try", form)
	page := r.Body.String()
	for _, text := range []string{"Why backup", "circuit-open", "open 14 s", "1.250", "nothing was sent", "amount=&lt;1&gt;", "decided by eu-west-1"} {
		if !strings.Contains(page, text) {
			t.Errorf("the page does not say %q", text)
		}
	}
	if r.Code != 200 || asked.Try.Headers["X-Two"] != "2" || asked.Try.Headers["X-One"] != "1" {
		t.Errorf("%d %+v", r.Code, asked.Try)
	}
	form.Set("request", "nothing")
	if r := s.post("/routing/payments/try", form); r.Code != 422 || !strings.Contains(r.Body.String(), "name what the application would ask") {
		t.Errorf("%d", r.Code)
	}
}
