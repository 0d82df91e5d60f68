package web

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"segue/controlplane/policy"
	"segue/controlplane/query"
)

// hintful are three agents: one that cannot reach the store, with a hint for a person; one whose store is its own; one that says nothing.
func hintful(now time.Time) func(query.Question) []Answer {
	return func(q query.Question) []Answer {
		var away, own any
		switch q.Kind {
		case query.HintReplay:
			away, own = query.HintReplayed{Known: true, Kept: true, Done: true, Ended: 2, Held: 1, Left: 3}, query.HintReplayed{Known: true, Done: true}
		case query.Hints:
			log := query.HintLog{
				Kept: true, Away: true, Waiting: 1204, Held: 1, Oldest: now.Add(-95 * time.Second), Room: query.Room{Bytes: 3 << 20, Limit: 256 << 20}, Rate: 12.5, Left: 96 * time.Second, Mirror: "http://127.0.0.1:7091",
				Hints: []query.Hint{
					{Number: 7, ID: "0a", Kind: "session", About: "session ses_1: 1 changed", At: now.Add(-95 * time.Second)},
					{Number: 8, ID: "0b", Kind: "transaction", About: "tx_1: succeeded at main", At: now.Add(-90 * time.Second), Why: "the store has another transaction <b>"},
				},
			}
			if q.Which != nil && q.Which.DryRun {
				log.Hints[0].Replays, log.Hints[1].Replays = "apply", "held"
			}
			away, own = log, query.HintLog{}
		default:
			return nil
		}
		a, _ := json.Marshal(away)
		b, _ := json.Marshal(own)
		return []Answer{{Agent: "us-east-1", Region: "us-east", Body: a}, {Agent: "eu-west-1", Region: "eu-west", Body: b}, {Agent: "ap-south-1", Region: "ap-south", Err: "no answer within 3 s"}}
	}
}

func TestHintsPage(t *testing.T) {
	s := newSite(t, options{})
	s.plane.answers = hintful(s.now)
	page := s.get("/hints", 200)
	wants(t, page, "us-east-1 cannot reach the store", "1,204", "12.5/s", "3.0 MiB of 256.0 MiB", "http://127.0.0.1:7091", "keeps none: its store is its own", "tx_1: succeeded at main",
		"the store has another transaction &lt;b&gt;", "ap-south-1: no answer within 3 s", "segue hint list", `action="/hints/replay"`, `action="/hints/throttle"`)
	var logs hintLogs
	s.json(http.MethodGet, "/hints", "", 200, &logs)
	if len(logs.Agents) != 2 || logs.Agents[1].Waiting != 1204 || logs.Agents[1].Agent != "us-east-1" || !strings.Contains(logs.Partial, "2 of 3 agents answered") {
		t.Errorf("%+v", logs)
	}
	s.plane.answers = nil
	wants(t, s.get("/hints", 200), "No agent tells how its hints stand", "No agent is connected")
	wants(t, newSite(t, options{empty: true}).get("/hints", 200), "No agent is connected")
}

func TestHintsAPI(t *testing.T) {
	s := newSite(t, options{})
	s.plane.answers = hintful(s.now)
	why := []string{"Segue-Reason", "the provider confirmed it"}
	var logs hintLogs
	s.json(http.MethodGet, "/api/v1/hints?limit=20", "", 200, &logs)
	if len(logs.Agents) != 2 || s.plane.asked[len(s.plane.asked)-1].Limit != 20 {
		t.Errorf("%+v", logs)
	}
	s.json(http.MethodGet, "/api/v1/hints?limit=9999", "", 422, nil)
	var done hintReplay
	s.json(http.MethodPost, "/api/v1/hints/replay", `{"dry_run":true,"held":true}`, 200, &done, why...)
	if done.Order != "" || len(done.Results) != 1 || done.Results[0].Ended != 1 || done.Results[0].Held != 1 || done.Results[0].Hints[0].Replays != "apply" || len(s.plane.State().Orders) != 0 {
		t.Errorf("a dry run: %+v", done)
	}
	regions := `,"regions":["us-east","eu-west"]`
	s.json(http.MethodPost, "/api/v1/hints/replay", `{"held":true,"from":3,"to":9`+regions+`}`, 200, &done, append(why, "Idempotency-Key", "k1")...)
	orders := s.plane.State().Orders
	if done.Order == "" || len(done.Results) != 1 || !done.Results[0].Done || done.Results[0].Ended != 2 || len(done.Silent) != 1 || !strings.Contains(done.Silent[0], "keeps no hints") {
		t.Errorf("%+v", done)
	}
	if len(orders) != 1 || orders[0].Kind != policy.HintReplay || *orders[0].Hints != (policy.Hints{Held: true, From: 3, To: 9}) || orders[0].Reason != why[1] {
		t.Errorf("%+v", orders)
	}
	var again hintReplay
	s.json(http.MethodPost, "/api/v1/hints/replay", `{"held":true,"from":3,"to":9`+regions+`}`, 200, &again, append(why, "Idempotency-Key", "k1")...)
	if again.Order != done.Order || len(s.plane.State().Orders) != 1 {
		t.Errorf("the same request again: %+v", again)
	}
	for _, bad := range []string{`{"regions":["nowhere"]}`, `{"from":9,"to":3}`, `{"rate":5}`, `{"what":1}`, `{"dry_run":true,"regions":["nowhere"]}`} {
		s.json(http.MethodPost, "/api/v1/hints/replay", bad, 422, nil, why...)
	}
	s.json(http.MethodPost, "/api/v1/hints/replay", `{}`, 422, nil) // no reason
}

func TestHintsThrottle(t *testing.T) {
	s := newSite(t, options{})
	s.plane.answers = hintful(s.now)
	why := []string{"Segue-Reason", "the store is busy"}
	throttles := func() (found []policy.Order) {
		return slices.DeleteFunc(s.plane.State().InForce(s.now), func(o policy.Order) bool { return o.Kind != policy.HintThrottle })
	}
	var done changed
	s.json(http.MethodPost, "/api/v1/hints/throttle", `{"rate":50,"for":"4h"}`, 200, &done, why...)
	s.json(http.MethodPost, "/api/v1/hints/throttle", `{"pause":true,"for":"10m","regions":["us-east"]}`, 200, &done, why...)
	if got := throttles(); len(got) != 2 || got[0].Hints.Rate != 50 || !got[1].Hints.Pause {
		t.Errorf("%+v", got)
	}
	s.json(http.MethodPost, "/api/v1/hints/throttle", `{"rate":20}`, 200, &done, why...) // takes the place of both
	if got := throttles(); len(got) != 1 || got[0].Hints.Rate != 20 || got[0].For != throttleFor {
		t.Errorf("%+v", got)
	}
	wants(t, s.get("/hints", 200), "At most 20 a second in every region", "the store is busy", "End it")
	for _, bad := range []string{`{}`, `{"rate":-1}`, `{"rate":5,"pause":true}`, `{"rate":5,"for":"200h"}`, `{"rate":5,"held":true}`, `{"rate":5,"regions":["nowhere"]}`} {
		s.json(http.MethodPost, "/api/v1/hints/throttle", bad, 422, nil, why...)
	}
	var ended struct{ Ended []string }
	s.json(http.MethodDelete, "/api/v1/hints/throttle", "", 200, &ended, why...)
	if len(ended.Ended) != 1 || len(throttles()) != 0 {
		t.Errorf("%+v", ended)
	}
	s.json(http.MethodDelete, "/api/v1/hints/throttle", "", 200, &ended, why...) // nothing holds it back: that is what was asked for
	if len(ended.Ended) != 0 {
		t.Errorf("%+v", ended)
	}
}

func TestHintsForms(t *testing.T) {
	s := newSite(t, options{})
	s.plane.answers = hintful(s.now)
	rec := s.post("/hints/throttle", url.Values{"request": {"r1"}, "rate": {"50"}, "for": {"10m"}, "reason": {"busy"}})
	if orders := s.plane.State().Orders; rec.Code != 303 || rec.Header().Get("Location") != "/hints?done=throttled" || len(orders) != 1 || orders[0].Hints.Rate != 50 {
		t.Fatalf("%d %s %+v", rec.Code, rec.Body, orders)
	}
	id := s.plane.State().Orders[0].ID
	if rec := s.post("/hints/unthrottle", url.Values{"request": {"r2"}, "order": {id}}); rec.Code != 303 || len(s.plane.State().Orders) != 0 {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
	if rec := s.post("/hints/unthrottle", url.Values{"request": {"r3"}, "order": {id}}); rec.Code != 303 {
		t.Errorf("one that has ended: %d", rec.Code)
	}
	rec = s.post("/hints/replay", url.Values{"request": {"r4"}, "dry": {"true"}, "held": {"true"}, "reason": {"look first"}})
	wants(t, rec.Body.String(), "What a replay would do", "1 hint would be replayed, 1 held", "would be: apply", "segue hint replay --held --dry-run")
	for _, bad := range []url.Values{{"rate": {"fast"}, "reason": {"x"}}, {"rate": {"0"}, "reason": {"x"}}, {"rate": {"5"}}} {
		if rec := s.post("/hints/throttle", bad); rec.Code != 422 {
			t.Errorf("%v: %d", bad, rec.Code)
		}
	}
}

// TestGatherReplays: a replay waits for agents that can still tell, and names everybody who did not.
func TestGatherReplays(t *testing.T) {
	answer := func(p query.HintReplayed) Answer {
		body, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		return Answer{Agent: "a", Region: "eu", Body: body}
	}
	for _, c := range []struct {
		name    string
		answer  Answer
		results int
		silent  string
		waiting bool
	}{
		{"done", answer(query.HintReplayed{Known: true, Kept: true, Done: true}), 1, "", false},
		{"goes on", answer(query.HintReplayed{Known: true, Kept: true}), 1, "", true},
		{"not yet", answer(query.HintReplayed{Kept: true}), 0, "a: the order has not come to it", true},
		{"its own store", answer(query.HintReplayed{Known: true, Done: true}), 0, "a: it keeps no hints", false},
		{"an older agent", Answer{Agent: "a", Region: "eu", Err: "does not know the question"}, 0, "a: does not know", false},
		{"elsewhere", Answer{Agent: "b", Region: "us"}, 0, "eu: no agent is attached", false},
	} {
		results, silent, waiting := gatherReplays([]Answer{c.answer}, []string{"eu"})
		if len(results) != c.results || waiting != c.waiting || !strings.Contains(strings.Join(silent, "; "), c.silent) || (c.silent == "") != (len(silent) == 0) {
			t.Errorf("%s: %+v %q %v", c.name, results, silent, waiting)
		}
	}
}
