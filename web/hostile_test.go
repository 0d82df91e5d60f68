package web

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"segue/controlplane/policy"
)

const (
	jsonBody = "Content-Type: application/json"
	why      = "Segue-Reason: a test"
)

// call sends one request with headers as they stand on the wire.
func (s *site) call(method, path, body string, headers ...string) *httptest.ResponseRecorder {
	s.t.Helper()
	var pairs []string
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		pairs = append(pairs, name, value)
	}
	return s.ask(method, path, body, pairs...)
}

// Each body is refused in words that name what is wrong, and nothing is proposed.
func TestBodiesThatDoNotFit(t *testing.T) {
	s := newSite(t, options{})
	weights, drills, drain := "/api/v1/services/payments/weights/us-east", "/api/v1/drills", "/api/v1/providers/main/drain"
	before := len(s.plane.took)
	for _, c := range []struct{ method, path, body, says string }{
		{"PATCH", weights, `{"main":"x"}`, `main: \"x\" is given`},
		{"PATCH", weights, `{"main":null}`, `main: null is given`},
		{"PATCH", weights, `{"main":1e400}`, `main: 1e400 is given`},
		{"PATCH", weights, `[1]`, `an object`},
		{"PATCH", weights, `{"main":100`, `parse`},
		{"PATCH", weights, `{"main":100} {`, `parse`},
		{"PATCH", weights, `{"main":50,"main":100}`, `\"main\" stands twice`},
		{"POST", "/api/v1/policy/rollback", `{"revision":1,"Revision":2}`, `\"Revision\" stands twice`},
		{"POST", drills, `{"fault":"refuse","provider":"main","nope":1}`, `nope`},
		{"POST", drills, `{"fault":"refuse","provider":"main","for":5}`, `for: number is given`},
		{"POST", drills, `{"fault":"slow","provider":"main","delay":"soon"}`, `delay: \"soon\"`},
		{"POST", drills, `{"fault":"refuse","provider":"main","regions":"eu"}`, `regions: string is given`},
		{"POST", "/api/v1/sandbox/faults", `{"fault":"hang","provider":"main","for":"soon"}`, `for: \"soon\"`},
		{"POST", drain, `{"for":"1h","region":["eu-west"]}`, `region`},
		{"POST", drain, `for=1h`, `parse`},
	} {
		for _, kind := range []string{jsonBody, "Content-Type: application/x-www-form-urlencoded"} {
			rec := s.call(c.method, c.path, c.body, kind, why)
			if rec.Code != http.StatusUnprocessableEntity || !strings.Contains(rec.Body.String(), c.says) || rec.Header().Get("Content-Type") != "application/problem+json" {
				t.Errorf("%s %s (%s): %d %s, want it to say %s", c.path, c.body, kind, rec.Code, rec.Body, c.says)
			}
			if text := rec.Body.String(); strings.Contains(text, "Go ") || strings.Contains(text, "drillRequest") {
				t.Errorf("%s %s: speaks of its code: %s", c.path, c.body, text)
			}
		}
	}
	if len(s.plane.took) != before {
		t.Errorf("%d commands were proposed", len(s.plane.took)-before)
	}
}

// curl -d calls every body a form. Taken for one it was read away: a drain of one region for a minute became one of all regions for half an hour.
func TestABodyIsReadWhateverItIsCalled(t *testing.T) {
	s := newSite(t, options{})
	rec := s.call("POST", "/api/v1/providers/main/drain", `{"for":"1m","regions":["us-east"]}`, "Content-Type: application/x-www-form-urlencoded", why)
	if rec.Code != 200 {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	orders := s.plane.State().InForce(s.now)
	if len(orders) != 1 || len(orders[0].Regions) != 1 || orders[0].For.Minutes() != 1 {
		t.Errorf("in force: %+v", orders)
	}
	rec = s.call("PUT", "/api/v1/policy", strings.Replace(document, "main: 70, backup: 30", "main: 80, backup: 20", 1), "Content-Type: application/x-www-form-urlencoded", why)
	if rec.Code != 200 {
		t.Errorf("PUT: %d %s", rec.Code, rec.Body)
	}
	rec = s.call("POST", "/api/v1/drills", `reason=hidden`, "Content-Type: application/x-www-form-urlencoded")
	if rec.Code != 422 || !strings.Contains(rec.Body.String(), "reason is missing") {
		t.Errorf("a reason in a form at the API: %d %s", rec.Code, rec.Body)
	}
}

func TestAShareOfNothingIsNotEverything(t *testing.T) {
	s := newSite(t, options{})
	rec := s.call("POST", "/api/v1/drills", `{"fault":"refuse","provider":"main","share":0}`, jsonBody, why)
	if rec.Code != 422 || !strings.Contains(rec.Body.String(), "share") {
		t.Errorf("share 0: %d %s", rec.Code, rec.Body)
	}
	if rec = s.call("POST", "/api/v1/drills", `{"fault":"refuse","provider":"main"}`, jsonBody, why); rec.Code != 201 {
		t.Fatalf("no share: %d %s", rec.Code, rec.Body)
	}
	if o := s.plane.State().InForce(s.now); len(o) != 1 || o[0].Fault.Share != 1 || o[0].Kind != policy.Drill {
		t.Errorf("in force: %+v", o)
	}
}

// A repeat under the same key is answered as the first was, also where no base was named; the same key for something else is refused.
func TestRepeatsOfAWholePolicy(t *testing.T) {
	s := newSite(t, options{})
	key := "Idempotency-Key: k1"
	other := strings.Replace(document, "main: 70, backup: 30", "main: 80, backup: 20", 1)
	first := s.call("PUT", "/api/v1/policy", other, key, why)
	again := s.call("PUT", "/api/v1/policy", other, key, why)
	if first.Code != 200 || again.Code != 200 || first.Body.String() != again.Body.String() {
		t.Errorf("first %d %s, again %d %s", first.Code, first.Body, again.Code, again.Body)
	}
	if rec := s.call("PUT", "/api/v1/policy", document, key, why); rec.Code != 422 || !strings.Contains(rec.Body.String(), "another change") {
		t.Errorf("the key for another document: %d %s", rec.Code, rec.Body)
	}
	if n := s.plane.State().Current().Number; n != 2 {
		t.Errorf("revision %d", n)
	}
	fault := func(body string) int {
		return s.call("POST", "/api/v1/sandbox/faults", body, jsonBody, why, "Idempotency-Key: f1").Code
	}
	slow := `{"fault":"slow","provider":"main"}`
	if a, b, c := fault(slow), fault(slow), fault(`{"fault":"hang","provider":"main"}`); a != 201 || b != 201 || c != 422 {
		t.Errorf("faults: %d, the repeat %d, another one %d", a, b, c)
	}
}

func TestWrongMethodsAndPaths(t *testing.T) {
	s := newSite(t, options{})
	for _, c := range []struct {
		method, path string
		status       int
	}{
		{"DELETE", "/api/v1/policy", 405}, {"POST", "/api/v1/policy", 405}, {"PUT", "/api/v1/services/payments/weights/us-east", 405},
		{"GET", "/api/v1/providers/main/drain", 405}, {"PATCH", "/api/v1/drills", 405}, {"POST", "/api/v1/cluster", 405},
		{"GET", "/api/v1", 404}, {"GET", "/api/v1/nothing", 404}, {"POST", "/api/v2/policy", 404}, {"GET", "/api/v1/policy/", 404},
	} {
		rec := s.call(c.method, c.path, "", why)
		if rec.Code != c.status || rec.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s %s: %d %s, want %d", c.method, c.path, rec.Code, rec.Body, c.status)
		}
		if c.status == 405 && rec.Header().Get("Allow") == "" {
			t.Errorf("%s %s: no Allow", c.method, c.path)
		}
	}
}

// Every change is refused to other sites and other names, whichever way a browser tells.
func TestChangesFromElsewhere(t *testing.T) {
	s := newSite(t, options{})
	changes := [][2]string{
		{"PUT", "/api/v1/policy"}, {"PATCH", "/api/v1/services/payments/weights/us-east"}, {"POST", "/api/v1/providers/main/drain"},
		{"POST", "/api/v1/providers/main/resume"}, {"POST", "/api/v1/drills"}, {"DELETE", "/api/v1/drills/o_1"}, {"POST", "/api/v1/sandbox/faults"},
		{"DELETE", "/api/v1/sandbox/faults/f1"}, {"POST", "/routing/payments/us-east"}, {"POST", "/undo/payments"}, {"POST", "/break"},
		{"POST", "/break/f1/stop"}, {"POST", "/preferences"},
	}
	before := len(s.plane.took)
	for _, c := range changes {
		for header, status := range map[string]int{
			"Sec-Fetch-Site: cross-site": 403, "Sec-Fetch-Site: same-site": 403, "Origin: http://elsewhere.example": 403, "Origin: null": 403,
			"Origin: http://127.0.0.1:9999": 403, "Host: elsewhere.example": 421, "Host: 127.0.0.1.elsewhere.example": 421, "Host: localhost.elsewhere.example:7070": 421,
		} {
			if rec := s.call(c[0], c[1], "{}", header, why); rec.Code != status {
				t.Errorf("%s %s with %s: %d %s, want %d", c[0], c[1], header, rec.Code, rec.Body, status)
			}
		}
	}
	for _, path := range []string{"/", "/api/v1/events", "/live/overview", "/api/v1/policy"} {
		if rec := s.call("GET", path, "", "Host: elsewhere.example"); rec.Code != 421 {
			t.Errorf("GET %s under another name: %d", path, rec.Code)
		}
	}
	if len(s.plane.took) != before {
		t.Error("something was proposed")
	}
}

// What the log cannot hold as it is, and what would steer a terminal, is refused by the name of its header; a reason is one line.
func TestTextsAreLegible(t *testing.T) {
	s := newSite(t, options{})
	weights := "/api/v1/services/payments/weights/us-east"
	for _, wrong := range []string{"Idempotency-Key: \xff\xfe", "Segue-Reason: \xff", "Segue-Actor: \xff", "Segue-Actor: a\x1b[2Jb", "Segue-Reason: \u009b31m"} {
		name, _, _ := strings.Cut(wrong, ":")
		rec := s.call("PATCH", weights, `{"main":100}`, why, jsonBody, wrong)
		if rec.Code != 422 || !strings.Contains(rec.Body.String(), name+" is ") {
			t.Errorf("%q: %d %s", wrong, rec.Code, rec.Body)
		}
	}
	drain := func(reason string) int {
		return s.post("/providers/main/drain", url.Values{"for": {"10m"}, "regions": {"us-east"}, "reason": {reason}}).Code
	}
	if code := drain("fees\r\n\r\n\tof the quarter "); code != http.StatusSeeOther {
		t.Fatalf("a reason of two lines: %d", code)
	}
	if entries := s.plane.State().Audit; entries[len(entries)-1].Reason != "fees of the quarter" {
		t.Errorf("the audit has %q", entries[len(entries)-1].Reason)
	}
	if code := drain("a\x1b[2Jb"); code != http.StatusUnprocessableEntity {
		t.Errorf("a reason with an escape: %d", code)
	}
}
