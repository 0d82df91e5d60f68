package web

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"segue/controlplane/state"
)

// authors counts request ids: each change has its own.
type authors int

func (a *authors) next() []string {
	*a++
	return []string{"Segue-Reason", "a test", "Idempotency-Key", fmt.Sprintf("life-%d", *a)}
}

func swapped(t *testing.T, pairs ...string) string {
	t.Helper()
	text := document
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(text, pairs[i]) {
			t.Fatalf("no %q", pairs[i])
		}
		text = strings.Replace(text, pairs[i], pairs[i+1], 1)
	}
	return text
}

// A put document keeps the weights of the night; without a header the base is what a file said last, with one the revision it names.
func TestPutMerges(t *testing.T) {
	s, by := newSite(t, options{}), authors(0)
	slower := swapped(t, "main: 70, backup: 30", "main: 71, backup: 29")
	var done changed
	s.json(http.MethodPut, "/api/v1/policy", slower, 200, &done, by.next()...)
	s.json(http.MethodPatch, "/api/v1/services/payments/weights/eu-west", `{"main": 5, "backup": 85, "legacy": 10}`, 200, &done, by.next()...)
	for i, match := range [][]string{{"If-Match", `"2"`}, nil} {
		text := strings.Replace(slower, "legacy: 40}", fmt.Sprintf("legacy: 40}\n    attempts: {max: 3}\n    breaker: {failures: %d}", 7+i), 1)
		s.json(http.MethodPut, "/api/v1/policy", text, 200, &done, append(by.next(), match...)...)
		p := s.plane.State().Current().Policy.Service("payments")
		if p.Attempts.Max != 3 || p.Breaker.Failures != 7+i || p.WeightsIn("eu-west")[0].Percent != 5 || p.WeightsIn("us-east")[0].Percent != 71 {
			t.Fatalf("%v: %+v", match, p)
		}
	}
	clash := strings.Replace(slower, "main: 40, backup: 50", "main: 45, backup: 45", 1)
	var p problem
	s.json(http.MethodPut, "/api/v1/policy", clash, 409, &p, by.next()...)
	s.json(http.MethodPut, "/api/v1/policy", clash, 412, &p, append(by.next(), "If-Match", `"2"`)...)
	if p.Conflict == nil || len(p.Conflict.Fields) != 2 || p.Code != state.Stale {
		t.Fatalf("%+v", p)
	}
	f := p.Conflict.Fields[0]
	if f.Path != "services.payments.weights.eu-west.main" || f.Base != "40" || f.Theirs != "5" || f.Yours != "45" || f.Owner.Revision != 3 ||
		f.Owner.Actor != "local operator @ loopback" || f.Owner.Reason != "a test" || f.Owner.Origin != state.FromWeights || f.Owner.At.IsZero() {
		t.Fatalf("%+v", f)
	}
	s.json(http.MethodPut, "/api/v1/policy", clash, 200, &done, append(by.next(), "If-Match", "*")...)
	if got := string(s.plane.State().Current().Source); got != clash {
		t.Fatalf("If-Match: * merged:\n%s", got)
	}
	s.json(http.MethodPut, "/api/v1/policy", document, 422, &p, append(by.next(), "Segue-Origin", "moon")...)
	s.json(http.MethodPut, "/api/v1/policy", document, 422, &p, append(by.next(), "Segue-Origin", "edit")...)
}

func TestPlanIsWhatPutDoes(t *testing.T) {
	s, by := newSite(t, options{}), authors(0)
	var done changed
	s.json(http.MethodPut, "/api/v1/policy", document+"# filed\n", 200, &done, by.next()...)
	s.json(http.MethodPatch, "/api/v1/services/payments/weights/eu-west", `{"main": 5, "backup": 85, "legacy": 10}`, 200, &done, by.next()...)
	next := swapped(t, "main: 70, backup: 30", "main: 100, backup: 0", "main: 60, backup: 0, legacy: 40", "main: 100, backup: 0, legacy: 0") + "# filed\n"
	before := s.plane.State()
	var p planned
	s.json(http.MethodPost, "/api/v1/policy/plan", next, 200, &p)
	if s.plane.State() != before {
		t.Fatal("a plan changed something")
	}
	if p.Revision != 3 || p.Base != 2 || len(p.Changes) != 4 || len(p.Kept) != 2 || p.Changes[0].Text != "payments / us-east: main 70 → 100 %" || p.Changes[0].New != "100" {
		t.Fatalf("%+v", p)
	}
	s.json(http.MethodPut, "/api/v1/policy", next, 200, &done, by.next()...)
	if got := string(s.plane.State().Current().Source); got != p.Source || len(done.Summary) != len(p.Changes) {
		t.Fatalf("planned\n%s\ndone\n%s", p.Source, got)
	}
	s.json(http.MethodPost, "/api/v1/policy/plan", next, 200, &p)
	if len(p.Changes) != 0 || p.Warnings == nil {
		t.Fatalf("a plan of what is in force: %+v", p)
	}
	s.json(http.MethodPost, "/api/v1/policy/plan", document, 200, &p, "If-Match", "*")
	if len(p.Changes) != 6 || len(p.Kept) != 0 {
		t.Fatalf("a replacement: %+v", p)
	}
	var refused problem
	s.json(http.MethodPost, "/api/v1/policy/plan", swapped(t, "main: 40, backup: 50", "main: 45, backup: 45"), 409, &refused)
	if refused.Conflict == nil || len(refused.Conflict.Fields) != 2 {
		t.Fatalf("%+v", refused)
	}
	s.json(http.MethodPost, "/api/v1/policy/plan", "segue: v1\n", 422, &refused)
}

func TestRevisionsByAPI(t *testing.T) {
	s, by := newSite(t, options{}), authors(0)
	var done changed
	s.json(http.MethodPut, "/api/v1/policy", document+"# filed\n", 200, &done, by.next()...)
	s.json(http.MethodPatch, "/api/v1/services/payments/weights/eu-west", `{"main": 5, "backup": 85, "legacy": 10}`, 200, &done, by.next()...)
	var list []revisionLine
	s.json(http.MethodGet, "/api/v1/policy/revisions", "", 200, &list)
	var origins []string
	for _, r := range list {
		origins = append(origins, fmt.Sprint(r.Revision, r.Origin, r.InForce))
	}
	if want := []string{"3weightstrue", "2filefalse", "1false"}; !slices.Equal(origins, want) {
		t.Fatalf("%q, want %q", origins, want)
	}
	var one revisionShown
	s.json(http.MethodGet, "/api/v1/policy/revisions/1", "", 200, &one)
	if one.Source != document || one.Policy == nil || one.InForce || one.Reason != "the first policy" {
		t.Fatalf("%+v", one)
	}
	if text := s.get("/api/v1/policy/revisions/1", 200, "Accept", "application/yaml"); text != document {
		t.Fatalf("%s", text)
	}
	for path, status := range map[string]int{"9": 404, "x": 422, "0": 422, "-1": 422} {
		s.get("/api/v1/policy/revisions/"+path, status, "Accept", "application/json")
	}
	empty := newSite(t, options{empty: true})
	if empty.json(http.MethodGet, "/api/v1/policy/revisions", "", 200, &list); len(list) != 0 {
		t.Fatalf("%+v", list)
	}
	empty.get("/api/v1/policy/revisions/1", 404, "Accept", "application/json")
}

func TestRollbackByAPI(t *testing.T) {
	s, by := newSite(t, options{}), authors(0)
	var done changed
	s.json(http.MethodPatch, "/api/v1/services/payments/weights/eu-west", `{"main": 5, "backup": 85, "legacy": 10}`, 200, &done, by.next()...)
	var p problem
	for body, status := range map[string]int{`{}`: 422, `{"revision": 9}`: 404, `{"revison": 1}`: 422, `{"revision": -1}`: 422, `{"revision": 1`: 422} {
		s.json(http.MethodPost, "/api/v1/policy/rollback", body, status, &p, by.next()...)
	}
	s.json(http.MethodPost, "/api/v1/policy/rollback", `{"revision": 1}`, 422, &p) // no reason
	s.json(http.MethodPost, "/api/v1/policy/rollback", `{"revision": 1}`, 412, &p, append(by.next(), "If-Match", `"1"`)...)
	if p.Conflict == nil || len(p.Conflict.Theirs) != 2 {
		t.Fatalf("%+v", p)
	}
	again := append(by.next(), "If-Match", `"2"`)
	for range 2 { // the same request id does nothing twice
		s.json(http.MethodPost, "/api/v1/policy/rollback", `{"revision": 1}`, 200, &done, again...)
		if done.Revision != 3 || len(done.Summary) != 2 || string(s.plane.State().Current().Source) != document {
			t.Fatalf("%+v", done)
		}
	}
	var list []revisionLine
	if s.json(http.MethodGet, "/api/v1/policy/revisions", "", 200, &list); list[0].Origin != state.FromRollback || list[0].Back != 1 {
		t.Fatalf("%+v", list[0])
	}
}
