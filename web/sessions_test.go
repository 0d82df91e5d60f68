package web

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"segue/controlplane/query"
)

// talkative are three agents: two that know session ses_1 and one that says nothing.
func talkative(now time.Time) func(query.Question) []Answer {
	return func(q query.Question) []Answer {
		floor := int64(0)
		old := query.Session{ID: "ses_1", App: "default", Created: now.Add(-time.Hour), Updated: now.Add(-time.Minute), Services: []query.SessionService{}, History: []query.SessionEvent{}}
		newest := old
		newest.Updated, newest.Events = now.Add(-time.Second), 2
		newest.Services = []query.SessionService{{
			Service: "payments", Provider: "main", Since: now.Add(-time.Hour), Goes: "backup", Next: "it goes on at backup; card is brought there first",
			Fields: []query.SessionField{
				{Name: "card", Class: "replicated", Kind: "value", Rule: "replicated, value, brought by vault/cards", Set: true, Bytes: 62, At: []string{"main"}, Written: now.Add(-time.Minute), By: "eu-west-1/7"},
				{Name: "stock", Class: "rebuilt", Kind: "counter", Set: true, Sum: 3, Floor: &floor, At: []string{}},
				{Name: "thread", Class: "replicated", Kind: "value", Set: true, Bytes: 80, At: []string{"main"}, Fetched: &query.SessionFetch{From: "main", At: now.Add(-100 * time.Hour), Old: true}},
				{Name: "login", Class: "rebuilt", Kind: "tokens", Set: true, At: []string{"main"}, Tokens: []query.SessionToken{{Provider: "main", Given: now, Until: now.Add(100 * time.Hour)}, {Provider: "backup", Given: now}, {Provider: "old", Until: now.Add(-time.Hour)}}},
				{Name: "challenge", Class: "pinned", Kind: "value", At: []string{}},
			},
			Ways: []query.SessionWay{{Provider: "main", Here: true, Can: true, Open: true}, {Provider: "backup", Can: true, Open: true, Carries: []string{"card"}}, {Provider: "legacy", Why: "card is not there, and nothing brings it <b>"}},
		}}
		newest.History = []query.SessionEvent{{At: now, Service: "payments", Text: "pinned to main"}, {At: now, Service: "payments", Text: "card was written, 62 bytes sealed", By: "eu-west-1/7"}}
		var first, second any
		switch {
		case q.Kind == query.Sessions:
			list := []query.SessionsInUse{{Service: "payments", InUse: 40, Could: 30, Providers: []query.SessionsAt{{Provider: "main", InUse: 30, Could: 20}, {Provider: "backup", InUse: 10, Could: 10}}, Moved: query.SessionsMoved{Carried: 3, Lost: 1}}}
			first, second = list, list
		case q.Session != "ses_1":
			return []Answer{{Agent: "us-east-1", Region: "us-east", Err: "us-east-1 has no session x"}, {Agent: "eu-west-1", Region: "eu-west", Err: "eu-west-1 has no session x"}}
		case q.Kind == query.OneSession:
			first, second = old, newest
		case q.Kind == query.SessionVerify:
			first = query.SessionCheck{ID: "ses_1", Events: 2, Fields: 3, Version: "0a"}
			second = query.SessionCheck{ID: "ses_1", Events: 1, Version: "0b", Differs: []query.SessionDiffers{{What: "pin of payments", Stored: "main", History: "nothing"}}, Sealed: []string{"payments/card"}}
		default:
			return nil
		}
		a, _ := json.Marshal(first)
		b, _ := json.Marshal(second)
		return []Answer{{Agent: "us-east-1", Region: "us-east", Body: a}, {Agent: "eu-west-1", Region: "eu-west", Body: b}, {Agent: "ap-south-1", Region: "ap-south", Err: "no answer within 3 s"}}
	}
}

func TestSessionsAPI(t *testing.T) {
	s := newSite(t, options{})
	s.plane.answers = talkative(s.now)
	var all sessionsInUse
	s.json(http.MethodGet, "/api/v1/sessions", "", 200, &all)
	if len(all.Agents) != 2 || all.Agents[0].Agent != "eu-west-1" || all.Agents[0].Services[0].Could != 30 || !strings.Contains(all.Partial, "2 of 3 agents answered") {
		t.Errorf("%+v", all)
	}
	var one sessionShown
	s.json(http.MethodGet, "/api/v1/sessions/ses_1?limit=7", "", 200, &one)
	if one.Agent != "eu-west-1" || one.Session.Services[0].Goes != "backup" || s.plane.asked[len(s.plane.asked)-1].Limit != 7 || !strings.Contains(one.Partial, "2 of 3") {
		t.Errorf("the newest copy: %+v", one)
	}
	var checks sessionChecks
	s.json(http.MethodGet, "/api/v1/sessions/ses_1/verify", "", 200, &checks)
	if len(checks.Checks) != 2 || checks.Same || checks.Checks[0].Agent != "eu-west-1" || len(checks.Checks[0].Differs) != 1 || !strings.Contains(checks.Partial, "ap-south-1") {
		t.Errorf("%+v", checks)
	}
	s.json(http.MethodGet, "/api/v1/sessions/ses_1?limit=9999", "", 422, nil)
	for _, path := range []string{"/api/v1/sessions/ses_2", "/api/v1/sessions/ses_2/verify", "/api/v1/sessions/" + strings.Repeat("x", 129)} {
		var p struct{ Detail string }
		s.json(http.MethodGet, path, "", 404, &p)
		if strings.Contains(p.Detail, "No agent is connected") {
			t.Errorf("%s: they were asked: %s", path, p.Detail)
		}
	}
	s.plane.answers = nil
	var p struct{ Detail string }
	if s.json(http.MethodGet, "/api/v1/sessions/ses_1", "", 404, &p); !strings.Contains(p.Detail, "No agent is connected") {
		t.Errorf("nobody could be asked: %s", p.Detail)
	}
}

// Of two accounts that are as new, the one of the agent to which the session's calls come is shown.
func TestTheSessionsOwnAgentSpeaks(t *testing.T) {
	s := newSite(t, options{})
	tell := func(goes string) []byte {
		b, _ := json.Marshal(query.Session{ID: "ses_1", Updated: s.now, Events: 2, Services: []query.SessionService{{Service: "payments", Goes: goes}},
			History: []query.SessionEvent{{At: s.now, Text: "pinned to main"}, {At: s.now, By: "eu-west-1/7"}, {At: s.now, By: "us-east-1/1"}}})
		return b
	}
	answers := []Answer{{Agent: "us-east-1", Body: tell("main")}, {Agent: "eu-west-1", Body: tell("backup")}, {Agent: "ap-south-1", Body: tell("legacy")}}
	for range answers {
		answers = append(answers[1:], answers[0])
		s.plane.answers = func(query.Question) []Answer { return answers }
		var one sessionShown
		if s.json(http.MethodGet, "/api/v1/sessions/ses_1", "", 200, &one); one.Agent != "eu-west-1" || one.Session.Services[0].Goes != "backup" {
			t.Errorf("asked in the order %s first: %+v", answers[0].Agent, one)
		}
	}
}

func TestSessionsPage(t *testing.T) {
	s := newSite(t, options{})
	s.plane.answers = talkative(s.now)
	wants(t, s.get("/sessions", 200), "20 of 80 sessions in use", "could not go on at another provider now, in payments.", "75 %", "66.7 %", "100 %", "6 moved, with what was brought there", "2 moved, and left a pinned field behind",
		"ap-south-1: no answer within 3 s", "segue session show ID", "The policy declares no field", `action="/sessions"`, "!calls refused")
	if a := s.ask(http.MethodGet, "/sessions?id=+ses_1", ""); a.Code != http.StatusSeeOther || a.Header().Get("Location") != "/sessions/ses_1" {
		t.Errorf("a search: %d %s", a.Code, a.Header().Get("Location"))
	}
	wants(t, s.get("/sessions?id=ses_%3Cb%3E", 200), "No agent has a session", "!<b>&#34;", `value="ses_&lt;b&gt;"`)
	s.plane.answers = nil
	wants(t, s.get("/sessions", 200), "No agent tells which sessions are in use", "No session is in use")
	wants(t, newSite(t, options{empty: true}).get("/sessions", 200), "The policy declares no field")
}

func TestSessionPage(t *testing.T) {
	s := newSite(t, options{})
	s.plane.answers = talkative(s.now)
	wants(t, s.get("/sessions/ses_1", 200), "It could go on at another provider now.", "If main fails now: it goes on at backup; card is brought there first.", "62 bytes, sealed", "80 bytes, sealed, fetched from main 4 days ago, changed there since", "tokens, sealed: main for another 4 days, backup for ever, old, ended", "3, never below 0", "brings card",
		"nothing brings it &lt;b&gt;", "card was written, 62 bytes sealed", "eu-west-1/7", "segue session verify ses_1", "told by eu-west-1", "!it is not what its history says")
	wants(t, s.get("/sessions/ses_1?verify=1", 200), "it is not what its history says", "pin of payments: stored main, by its history nothing", "us-east-1: it is what its history says", "copies are not the same")
	wants(t, s.get("/sessions/ses_2", 404), "No agent has a session")
}

func TestCoverageTile(t *testing.T) {
	s := newSite(t, options{})
	wants(t, s.get("/", 200), "Coverage of sessions", "no session is in use")
	s.plane.set(func(p *plane) { p.view.World.Total.InUse, p.view.World.Total.Could = 200, 187 })
	s.web.look()
	wants(t, s.get("/", 200), `<p class="figure is-warn">93.5<small>%</small></p>`, "of 200 sessions in use could go on elsewhere")
}
