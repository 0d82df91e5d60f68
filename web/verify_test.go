package web

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"segue/controlplane/policy"
	"segue/controlplane/query"
)

// looking makes agents that answer about orders to verify: two in us-east and eu-west with three open rows, one that does not answer.
func looking(s *site, came func(order string) (query.Verified, bool)) {
	row := func(id, provider, result, why string, age time.Duration) query.VerifiedOne {
		return query.VerifiedOne{
			Transaction: id, Service: "payments", Operation: "charge", Provider: provider, State: map[bool]string{true: "succeeded", false: "held"}[result == query.VerifyClosed],
			Created: s.now.Add(-age), Value: policy.Value{Minor: 12900, Currency: "EUR"}, Result: result, Why: why,
		}
	}
	s.plane.set(func(p *plane) {
		p.answers = func(q query.Question) []Answer {
			if q.Kind != query.VerifyAll {
				return agents(s.now)(q)
			}
			first, second := query.Verified{Known: true, Rows: []query.VerifiedOne{}}, query.Verified{Known: true, Rows: []query.VerifiedOne{}}
			switch {
			case q.Open != nil:
				first.Found, first.Rows = 9, []query.VerifiedOne{row("tx_a", "main", query.VerifyWaits, "", time.Hour), row("tx_b", "main", query.VerifyWaits, "", time.Minute)}
				second.Found, second.Rows = 1, []query.VerifiedOne{row("tx_c", "backup", query.VerifyWaits, "", time.Second)}
			default:
				first.Done, second.Done = true, true
				first.Rows = []query.VerifiedOne{row("tx_a", "main", query.VerifyClosed, "Charged once, at main.", time.Hour), row("tx_b", "main", query.VerifyOpen, "nobody <b>says", time.Minute)}
				second.Rows = []query.VerifiedOne{row("tx_c", "backup", query.VerifyLeft, "backup is mute", time.Second)}
				first.Found, second.Found = 2, 1
				if other, ok := came(q.Order); ok {
					first, second = other, other
				}
			}
			return []Answer{
				{Region: "us-east", Agent: "us-east-1", Body: encoded(first)}, {Region: "eu-west", Agent: "eu-west-1", Body: encoded(second)},
				{Region: "ap-south", Agent: "ap-south-1", Err: "no answer within 3 s"},
			}
		}
	})
}

func encoded(v query.Verified) []byte {
	body, _ := json.Marshal(v)
	return body
}

func anyOrder(string) (query.Verified, bool) { return query.Verified{}, false }

// TestVerifyAllAPI: one order for all that are meant, once however often it is asked for; what came of each is told; a dry run gives none.
func TestVerifyAllAPI(t *testing.T) {
	s := newSite(t, options{})
	looking(s, anyOrder)
	why := []string{"Segue-Reason", "main is back"}
	var done verifiedAll
	s.json(http.MethodPost, "/api/v1/transactions/verify", `{"dry_run":true,"provider":"main"}`, 200, &done, why...)
	if done.Found != 10 || done.Waiting != 3 || done.Left != 7 || !done.Done || done.Order != "" || len(s.plane.State().Orders) != 0 || len(done.Silent) != 1 {
		t.Errorf("a dry run: %+v, orders %+v", done, s.plane.State().Orders)
	}
	body := `{"provider":"main","older_than":"10m","limit":7,"state":"held","transactions":["tx_a"]}`
	for range 2 {
		s.json(http.MethodPost, "/api/v1/transactions/verify", body, 200, &done, append(why, "Idempotency-Key", "k1")...)
		orders := s.plane.State().Orders
		if len(orders) != 1 || orders[0].Kind != policy.VerifyAll || orders[0].Reason != why[1] || orders[0].ID != done.Order {
			t.Fatalf("%+v", orders)
		}
		if o := orders[0].Open; o.Provider != "main" || o.OlderThan != 10*time.Minute || o.Limit != 7 || o.State != "held" || len(o.Transactions) != 1 {
			t.Errorf("%+v", o)
		}
		if !done.Done || done.Closed != 1 || done.Open != 1 || done.NotAsked != 1 || done.Waiting != 0 || done.Found != 3 || len(done.Transactions) != 3 {
			t.Errorf("%+v", done)
		}
		if first := done.Transactions[0]; first.Transaction != "tx_a" || first.Result != "closed" || first.Agent != "us-east-1" || first.Value == nil || first.Why == "" {
			t.Errorf("the oldest: %+v", first)
		}
	}
	s.json(http.MethodPost, "/api/v1/transactions/verify", `{"provider":"backup"}`, 422, nil, append(why, "Idempotency-Key", "k1")...) // another change
	var later verifiedAll
	if s.json(http.MethodGet, "/api/v1/transactions/verify/"+done.Order, "", 200, &later); later.Closed != 1 || later.Order != done.Order {
		t.Errorf("%+v", later)
	}
	for _, bad := range []string{`{"provider":"mian"}`, `{"service":"payment"}`, `{"state":"succeeded"}`, `{"older_than":"soon"}`, `{"limit":501}`, `{"limit":-1}`, `{"wait":"1h"}`, `{"transactions":["ch_1"]}`, `{"all":true}`} {
		s.json(http.MethodPost, "/api/v1/transactions/verify", bad, 422, nil, why...)
		s.json(http.MethodPost, "/api/v1/transactions/verify", strings.Replace(bad, "{", `{"dry_run":true,`, 1), 422, nil, why...)
	}
	s.json(http.MethodPost, "/api/v1/transactions/verify", `{}`, 422, nil) // no reason
	looking(s, func(string) (query.Verified, bool) { return query.Verified{}, true })
	s.json(http.MethodGet, "/api/v1/transactions/verify/o_nobody", "", 404, nil)
	s.json(http.MethodPost, "/api/v1/transactions/verify", `{"wait":"0s"}`, 200, &later, why...) // given a moment ago: it comes to them yet
	if later.Done || len(later.Silent) != 3 || later.Transactions == nil {
		t.Errorf("an order on its way: %+v", later)
	}
}

// TestVerifyAllPages: from the Unknown tab over a review to what came of each, with plain forms.
func TestVerifyAllPages(t *testing.T) {
	s := newSite(t, options{})
	looking(s, anyOrder)
	wants(t, s.get("/transactions?state=held&service=payments", 200), "again…", `href="/transactions/verify?service=payments&amp;state=held"`)
	wants(t, s.get("/transactions", 200), "!again…")
	page := s.get("/transactions/verify?service=payments&state=held", 200)
	wants(t, page, "3 outcomes can be looked for again now", "Check 3 outcomes again", "258.00 EUR", `name="service" value="payments"`, `name="reason"`, "7 more are open", "ap-south-1: no answer within 3 s",
		"segue tx verify --all --service payments --state held --dry-run")
	if len(s.plane.State().Orders) != 0 {
		t.Error("looking gave an order")
	}
	form := url.Values{"request": {"r1"}, "service": {"payments"}, "state": {"held"}, "reason": {"main is back"}}
	var to string
	for range 2 {
		rec := s.post("/transactions/verify", form)
		orders := s.plane.State().Orders
		if to = rec.Header().Get("Location"); rec.Code != 303 || len(orders) != 1 || to != "/transactions/verify/"+orders[0].ID || orders[0].Open.Service != "payments" {
			t.Fatalf("%d %s %s %+v", rec.Code, to, rec.Body, orders)
		}
	}
	wants(t, s.get(to, 200), "1 of 3 outcomes are known now;", "2 still unknown.", "Charged once, at main.", "Nobody &lt;b&gt;says", "still unknown", "not asked", `href="/transactions/tx_b#resolve"`, "!look how far it is")
	if rec := s.post("/transactions/verify", url.Values{"request": {"r2"}}); rec.Code != 422 || !strings.Contains(rec.Body.String(), "reason") {
		t.Errorf("without a reason: %d", rec.Code)
	}
	wants(t, s.get("/transactions/verify?provider=nobody", 422), "there is no provider")
	looking(s, func(string) (query.Verified, bool) { return query.Verified{Known: true}, true })
	wants(t, s.get(to, 200), "The agents begin to look.", "No agent has told", "look how far it is", `/live/verified/`)
	wants(t, newSite(t, options{quiet: true}).get("/transactions/verify", 200), "Nothing is open", "no agent is connected", "!<button class=\"primary\"")
}
