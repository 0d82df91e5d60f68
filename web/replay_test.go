package web

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"segue/controlplane/policy"
	"segue/controlplane/query"
)

// replaying is a control plane whose agents of two regions replay; the third region's says that it cannot.
func replaying(t *testing.T, asked *[]query.Question) func(query.Question) []Answer {
	t.Helper()
	one := query.Replayed{
		Decisions: 1000, Stand: 2000, Moves: 600, Span: 10 * time.Minute,
		Services: []query.ReplayedService{{
			Service: "payments", Stand: 2000, Moves: 600, Refused: 3,
			Success: query.Expected{Calls: 2000, Before: 1990, After: 1994}, Cost: query.Expected{Calls: 2000, Before: 500e6, After: 490e6},
			Providers: []query.ReplayedProvider{
				{Provider: "main", Before: 1400, After: 800, SessionsBefore: 700, SessionsAfter: 400, Rate: 5},
				{Provider: "backup", Before: 600, After: 1200, SessionsBefore: 300, SessionsAfter: 600, Rate: 6.2, RateLimit: 10, InFlight: 1, FlightLimit: 100},
			},
		}},
		Left: []query.ReplayLeft{{Service: "payments", Why: "a further attempt", Stand: 12}},
	}
	body, err := json.Marshal(one)
	if err != nil {
		t.Fatal(err)
	}
	return func(q query.Question) []Answer {
		if q.Kind != query.ReplayAll {
			return nil
		}
		*asked = append(*asked, q)
		switch q.Region {
		case "us-east":
			return []Answer{{Agent: "us-east-1", Region: "us-east", Body: body}, {Agent: "us-east-2", Region: "us-east", Body: body}}
		case "eu-west":
			return []Answer{{Agent: "eu-west-1", Region: "eu-west", Err: "no answer in time"}}
		default:
			return nil
		}
	}
}

// A plan with a replay asks each region's agents with that region's part, and puts together what they say.
func TestPlanReplays(t *testing.T) {
	s := newSite(t, options{})
	var asked []query.Question
	s.plane.set(func(p *plane) { p.answers = replaying(t, &asked) })
	var p planned
	next := strings.Replace(document, "us-east: {main: 70, backup: 30", "us-east: {main: 40, backup: 60", 1)
	s.json(http.MethodPost, "/api/v1/policy/plan", next, 200, &p)
	if p.Replay != nil || len(asked) != 0 {
		t.Fatal("replayed without being asked")
	}
	s.json(http.MethodPost, "/api/v1/policy/plan?replay=30m", next, 200, &p)
	r := p.Replay
	if want := "replayed 2,000 decisions, which stand for 4,000: success +0.20 pp, cost −2.00 %; moves ≈ 120 calls/min; backup at 62 % of its limit"; r == nil || r.Text != want {
		t.Fatalf("%+v\nwant %s", r, want)
	}
	m := r.Services[0]
	if len(r.Services) != 1 || m.Region != "us-east" || m.Stand != 4000 || m.Refused != 6 || m.Providers[0].Before != 70 || m.Providers[0].After != 40 || m.Providers[1].SessionsAfter != 60 {
		t.Errorf("%+v", m)
	}
	if len(r.Left) != 1 || r.Left[0].Stand != 24 || len(r.Silent) != 2 || !strings.Contains(strings.Join(r.Silent, ";"), "ap-south: no agent is attached") {
		t.Errorf("left out %+v, silent %v", r.Left, r.Silent)
	}
	if len(asked) != 3 {
		t.Fatalf("%d questions", len(asked))
	}
	for _, q := range asked {
		doc, problems := policy.Parse("cut", q.Replay.Policy)
		if err := problems.Err(); err != nil || q.Replay.Window != 30*time.Minute {
			t.Errorf("%s was asked with %v: %v", q.Region, q.Replay.Window, err)
			continue
		}
		if q.Region == "us-east" && doc.Service("payments").WeightsIn("us-east")[0].Percent != 40 {
			t.Errorf("us-east was not asked about the plan: %s", q.Replay.Policy)
		}
	}
	for _, bad := range []string{"2h", "1s", "-1m", "x"} {
		var refused problem
		s.json(http.MethodPost, "/api/v1/policy/plan?replay="+bad, next, 422, &refused)
	}
}

// Nobody to ask is said, and is no success.
func TestPlanReplaysAtNobody(t *testing.T) {
	s := newSite(t, options{})
	s.plane.set(func(p *plane) { p.answers = nil })
	var p planned
	s.json(http.MethodPost, "/api/v1/policy/plan?replay=1h", document, 200, &p)
	if r := p.Replay; r == nil || r.Text != "no agent answered: nothing was replayed" || len(r.Silent) != 3 || r.Success != nil {
		t.Errorf("%+v", r)
	}
}

// The review of a change shows its replay: by itself with a script, by a link without.
func TestReviewReplays(t *testing.T) {
	s := newSite(t, options{})
	var asked []query.Question
	s.plane.set(func(p *plane) { p.answers = replaying(t, &asked) })
	const change = "region=us-east&w.main=40&w.backup=60&w.legacy=0"
	page := s.get("/routing/payments?"+change, 200)
	if !strings.Contains(page, `hx-get="/routing/payments/what-if?`) || !strings.Contains(page, `<a class="no-js" href=`) || len(asked) != 0 {
		t.Errorf("the review neither asks for its replay nor links to it")
	}
	part := s.get("/routing/payments/what-if?"+change, 200)
	whole := s.get("/routing/payments?replay=1h&"+change, 200)
	for _, text := range []string{"Replayed 2,000 decisions", "70.0 → 40.0", "30.0 → 60.0", "62 %", "no limit", "24 in us-east: a further attempt", "eu-west-1: no answer in time"} {
		for where, html := range map[string]string{"part": part, "page": whole} {
			if !strings.Contains(html, text) {
				t.Errorf("the %s does not say %q", where, text)
			}
		}
	}
	if strings.Contains(part, "<html") || !strings.Contains(whole, "Apply to us-east") {
		t.Error("the part is a page, or the page is none")
	}
	s.get("/routing/payments/what-if?region=us-east&w.main=abc", 422)
	s.get("/routing/nobody/what-if?region=us-east", 404)
}
