package web

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"segue/controlplane/state"
)

// Each refusal is a whole problem document with the request's id, whichever part refuses.
func TestEveryRefusalIsAProblem(t *testing.T) {
	s := newSite(t, options{})
	weights := "/api/v1/services/payments/weights/us-east"
	for _, c := range []struct {
		method, path, body string
		status             int
		code               string
		headers            []string
	}{
		{"GET", "/api/v1/nothing", "", 404, "not-found", nil},
		{"DELETE", "/api/v1/policy", "", 405, "method-not-allowed", nil},
		{"GET", "/api/v1/policy", "", 406, "not-acceptable", []string{"Accept: image/png"}},
		{"GET", "/api/v1/policy", "", 406, "not-acceptable", []string{"Accept: application/json;q=0, text/html"}},
		{"GET", "/api/v1/events", "", 406, "not-acceptable", []string{"Accept: application/json"}},
		{"PATCH", weights, strings.Repeat(" ", maxForm+1), 413, "too-large", []string{why}},
		{"PATCH", weights, `<weights/>`, 415, "unsupported-media-type", []string{why, "Content-Type: application/xml"}},
		{"PATCH", weights, `{}`, 415, "unsupported-media-type", []string{why, "Content-Encoding: gzip", jsonBody}},
		{"PATCH", weights, `{"main":100}`, 412, "stale", []string{why, jsonBody, `If-Match: "9"`}},
		{"PATCH", weights, `{"main":100}`, 403, "forbidden", []string{why, jsonBody, "Origin: http://elsewhere.example"}},
		{"GET", "/api/v1/policy", "", 421, "forbidden", []string{"Host: elsewhere.example"}},
	} {
		rec := s.call(c.method, c.path, c.body, append(c.headers, "Idempotency-Key: r-"+c.code)...)
		var p problem
		if err := json.Unmarshal(rec.Body.Bytes(), &p); err != nil || rec.Code != c.status || string(p.Code) != c.code || p.Status != c.status {
			t.Errorf("%s %s %v: %d %s, want %d %s", c.method, c.path, c.headers, rec.Code, rec.Body, c.status, c.code)
		}
		if p.Request != "r-"+c.code || rec.Header().Get(requestHeader) != p.Request || p.Type != "/problems/"+c.code || p.Title == "" || p.Detail == "" {
			t.Errorf("not a whole problem: %+v", p)
		}
	}
	if rec := s.call("GET", "/api/v1/policy", "", "Accept: text/html, application/*;q=0.1"); rec.Code != 200 {
		t.Errorf("a form that is taken: %d", rec.Code)
	}
	var p problem
	if rec := s.call("GET", "/api/v1/nothing", ""); json.Unmarshal(rec.Body.Bytes(), &p) != nil || p.Request == "" || p.Request != rec.Header().Get(requestHeader) {
		t.Errorf("a request without an id gets none: %s", rec.Body)
	}
}

// What does not fit in a body is named with its field and its place.
func TestThePlaceOfWhatIsWrong(t *testing.T) {
	s := newSite(t, options{})
	for body, want := range map[string]string{
		"{\"fault\": \"slow\",\n  \"nope\": 1}":                            "2:3 nope",
		"{\"fault\": \"slow\",\n \"for\": 5}":                              "2:9 for",
		"{\"fault\": \"slow\",\n \"fault\": \"hang\"}":                     "2:2 fault",
		"{\"fault\": \"slow\"\n \"for\": \"5s\"}":                          "2:2 ",
		"{\"fault\": \"slow\", \"regions\": [\"us-east\",\n\n      7, 8]}": "3:7 regions",
	} {
		var p problem
		s.json("POST", "/api/v1/drills", body, 422, &p, "Segue-Reason", "a test")
		if len(p.Problems) != 1 {
			t.Errorf("%s: %+v", body, p)
			continue
		}
		if q := p.Problems[0]; fmt.Sprintf("%d:%d %s", q.Line, q.Col, q.Path) != want {
			t.Errorf("%q: %d:%d %s, want %s", body, q.Line, q.Col, q.Path, want)
		}
	}
}

// Each change holds its If-Match against the revision in force, also where it would change nothing, and answers a repeat as it did first.
func TestEachChangeMatchesAndRepeats(t *testing.T) {
	for name, c := range map[string]struct{ method, path, body string }{
		"weights":  {"PATCH", "/api/v1/services/payments/weights/us-east", `{"main":60,"backup":40}`},
		"nothing":  {"PATCH", "/api/v1/services/payments/weights/us-east", `{"main":70,"backup":30,"legacy":0}`},
		"drain":    {"POST", "/api/v1/providers/main/drain", `{"for":"10m"}`},
		"resume":   {"POST", "/api/v1/providers/main/resume", ``},
		"drill":    {"POST", "/api/v1/drills", `{"fault":"slow","provider":"main"}`},
		"fault":    {"POST", "/api/v1/sandbox/faults", `{"fault":"slow","provider":"main"}`},
		"rollback": {"POST", "/api/v1/policy/rollback", `{"revision":1}`},
	} {
		s := newSite(t, options{})
		s.plane.apply(t, weight(30, 60, 10)) // revision 2
		send := func(key, match string) (int, string) {
			rec := s.call(c.method, c.path, c.body, jsonBody, why, "Idempotency-Key: "+key, "If-Match: "+match)
			return rec.Code, rec.Body.String()
		}
		before := len(s.plane.State().Audit)
		if status, body := send("k1", `"1"`); status != 412 || !strings.Contains(body, `"conflict":{"base":1,"current":2`) {
			t.Errorf("%s for revision 1: %d %s", name, status, body)
		}
		if len(s.plane.State().Audit) != before || len(s.box.Faults()) != 0 {
			t.Errorf("%s: what was refused was done", name)
		}
		status, first := send("k2", `"2"`)
		done := len(s.plane.State().Audit) + len(s.box.Faults())
		s.now = s.now.Add(time.Minute)
		again, second := send("k2", `"2"`)
		if status/100 != 2 || again != status || first != second || len(s.plane.State().Audit)+len(s.box.Faults()) != done {
			t.Errorf("%s: %d %s, the repeat %d %s", name, status, first, again, second)
		}
	}
}

// A drain that was given after a resume is not ended by that resume's repeat; ending a fault twice under one key is one ending.
func TestRepeatsEndNothingElse(t *testing.T) {
	s := newSite(t, options{})
	drain := func(key string) {
		s.call("POST", "/api/v1/providers/main/drain", `{"for":"10m"}`, why, "Idempotency-Key: "+key)
	}
	resume := func() string {
		return s.call("POST", "/api/v1/providers/main/resume", "", why, "Idempotency-Key: r").Body.String()
	}
	drain("a")
	first := resume()
	drain("b")
	if again := resume(); again != first || len(s.plane.State().InForce(s.now)) != 1 {
		t.Errorf("%s, then %s; in force %+v", first, again, s.plane.State().InForce(s.now))
	}
	s.call("POST", "/api/v1/sandbox/faults", `{"fault":"slow","provider":"main"}`, why)
	for range 2 {
		if rec := s.call("DELETE", "/api/v1/sandbox/faults/f1", "", why, "Idempotency-Key: e"); rec.Code != 200 {
			t.Errorf("%d %s", rec.Code, rec.Body)
		}
	}
	if rec := s.call("DELETE", "/api/v1/sandbox/faults/f2", "", why, "Idempotency-Key: e"); rec.Code != 422 {
		t.Errorf("the key for another: %d %s", rec.Code, rec.Body)
	}
}

func TestPullByAPI(t *testing.T) {
	s := newSite(t, options{})
	rec := s.call("GET", "/api/v1/feed/eu-west", "")
	tag := rec.Header().Get("ETag")
	var u update
	if err := json.Unmarshal(rec.Body.Bytes(), &u); err != nil || rec.Code != 200 || u.Revision != 1 || tag != positionTag(state.Position{Incarnation: "test", Index: s.plane.State().Index}) || !strings.Contains(u.Policy, "eu-west") {
		t.Fatalf("%d %q %s", rec.Code, tag, rec.Body)
	}
	if rec := s.call("GET", "/api/v1/feed/eu-west?wait=20ms", "", "If-None-Match: "+tag); rec.Code != 304 || rec.Body.Len() != 0 || rec.Header().Get("ETag") != tag {
		t.Errorf("nothing new: %d %s", rec.Code, rec.Body)
	}
	if rec := s.call("GET", "/api/v1/feed/eu-west", "", `If-None-Match: W/"other.99"`); rec.Code != 200 {
		t.Errorf("another incarnation: %d", rec.Code)
	}
	done := make(chan *http.Response, 1)
	base := s.serve()
	go func() {
		r, _ := http.NewRequest(http.MethodGet, base+"/api/v1/feed/eu-west?wait=20s", nil)
		r.Header.Set("If-None-Match", tag)
		answer, _ := http.DefaultClient.Do(r)
		done <- answer
	}()
	s.plane.apply(t, weight(30, 60, 10))
	if answer := <-done; answer == nil || answer.StatusCode != 200 || answer.Header.Get("ETag") == tag {
		t.Errorf("a change: %v", answer)
	} else {
		_ = answer.Body.Close()
	}
	for path, status := range map[string]int{"moon": 404, "eu-west?wait=2m": 422, "eu-west?wait=-1s": 422, "eu-west?wait=x": 422} {
		s.json("GET", "/api/v1/feed/"+path, "", status, nil)
	}
}

func TestReportByAPI(t *testing.T) {
	s := newSite(t, options{})
	good := `{"Agent":"a","Region":"eu-west","Run":"r","Seq":1,"At":"2026-11-21T14:02:31Z"}`
	s.json("POST", "/api/v1/reports", good, 202, nil)
	if len(s.plane.reports) != 1 || s.plane.reports[0].Agent != "a" {
		t.Errorf("%+v", s.plane.reports)
	}
	for _, c := range []struct{ old, new, says string }{
		{`"a"`, `""`, "Agent"}, {`"r"`, `""`, "Run"}, {`"Seq":1`, `"Seq":0`, "Seq"}, {`"At":"2026-11-21T14:02:31Z"`, `"At":"0001-01-01T00:00:00Z"`, "At"},
		{`"Seq":1`, `"Seq":1,"Rows":[{"Service":"s","Provider":"p","Breaker":"ajar"}]`, "Rows[0].Breaker"}, {`"Seq":1`, `"Seq":1,"Events":[{"Text":""}]`, "Events[0].Text"},
		{`"Seq":1`, `"Seq":1,"Rows":[` + strings.Repeat(`{"Service":"s","Provider":"p","Breaker":"open"},`, 256) + `{}]`, "Rows: 257"}, {`"Seq":1`, `"Seq":1,"Nope":1`, "Nope"},
	} {
		var p problem
		s.json("POST", "/api/v1/reports", strings.Replace(good, c.old, c.new, 1), 422, &p)
		if !strings.Contains(p.Detail, c.says) {
			t.Errorf("%s: %s", c.new[:min(len(c.new), 60)], p.Detail)
		}
	}
	s.json("POST", "/api/v1/reports", strings.Replace(good, "eu-west", "moon", 1), 404, nil)
	s.json("POST", "/api/v1/reports", strings.Replace(good, `"a"`, `"`+strings.Repeat("a", maxReport)+`"`, 1), 413, nil)
	if len(s.plane.reports) != 1 {
		t.Errorf("%d reports were passed on", len(s.plane.reports))
	}
}
