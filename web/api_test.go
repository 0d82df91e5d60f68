package web

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"segue/controlplane/policy"
	"segue/controlplane/query"
	"segue/controlplane/state"
)

var because = []string{"Segue-Reason", "a test", "Segue-Actor", "maria", "Idempotency-Key", "req-1"}

func TestPolicyIsReadAndReplaced(t *testing.T) {
	s := newSite(t, options{})
	rec := s.ask(http.MethodGet, "/api/v1/policy", "", "Accept", "application/yaml")
	if rec.Code != 200 || rec.Body.String() != document || rec.Header().Get("ETag") != `"1"` || rec.Header().Get("Content-Type") != "application/yaml" {
		t.Fatalf("%d %v\n%s", rec.Code, rec.Header(), rec.Body)
	}
	var got struct {
		Revision uint64
		Source   string
	}
	if s.json(http.MethodGet, "/api/v1/policy", "", 200, &got); got.Revision != 1 || got.Source != document {
		t.Errorf("%+v", got)
	}
	next := strings.Replace(document, "main: 70, backup: 30", "main: 60, backup: 40", 1)
	var done changed
	s.json(http.MethodPut, "/api/v1/policy", next, 200, &done, append(because, "Content-Type", "application/yaml", "If-Match", `"1"`)...)
	if done.Revision != 2 || len(done.Summary) != 2 {
		t.Errorf("%+v", done)
	}
	last := s.plane.took[len(s.plane.took)-1]
	if last.Actor != "maria @ loopback" || last.Reason != "a test" || last.Request != "req-1" {
		t.Errorf("%+v", last)
	}
}

func TestPolicyRefusals(t *testing.T) {
	s := newSite(t, options{})
	s.plane.apply(t, weight(30, 60, 10))
	sent := 0
	put := func(body string, status int, headers ...string) problem {
		t.Helper()
		var p problem
		sent++ // another change under the same request id would be refused for that
		id := fmt.Sprintf("req-%d", sent)
		s.json(http.MethodPut, "/api/v1/policy", body, status, &p, append([]string{"Segue-Reason", "a test", "Idempotency-Key", id}, headers...)...)
		if p.Status != status || p.Type != "/problems/"+string(p.Code) || p.Title == "" || p.Detail == "" || p.Request != id {
			t.Errorf("not a whole problem: %+v", p)
		}
		return p
	}
	p := put(strings.Replace(document, "main: 40, backup: 50", "main: 50, backup: 40", 1), 412, "If-Match", `"1"`)
	if p.Conflict == nil || p.Conflict.Base != 1 || p.Conflict.Current != 2 || len(p.Conflict.Theirs) != 2 || len(p.Conflict.Yours) != 2 {
		t.Errorf("%+v", p.Conflict)
	}
	if p := put(strings.Replace(document, "weights:", "wieghts:", 1), 422); len(p.Problems) == 0 || p.Problems[0].Line == 0 {
		t.Errorf("%+v", p.Problems)
	}
	put(strings.Repeat("# padding\n", policy.MaxDocument/10+10), 422)
	put(strings.Repeat("#", maxPolicy+1), 413)
	put(document, 422, "If-Match", `"yesterday"`)
	if s.plane.State().Current().Number != 2 {
		t.Error("a refused document changed something")
	}
}

func TestWeightsByAPI(t *testing.T) {
	s := newSite(t, options{})
	var done changed
	s.json(http.MethodPatch, "/api/v1/services/payments/weights/eu-west", `{"main":20,"backup":80}`, 200, &done, because...)
	if done.Revision != 2 {
		t.Errorf("%+v", done)
	}
	s.wantShares(t, "eu-west", 20, 80, 0)
	var p problem
	for path, status := range map[string]int{"payments/weights/moon": 404, "none/weights/eu-west": 404, "payouts/weights/eu-west": 422} {
		s.json(http.MethodPatch, "/api/v1/services/"+path, `{"main":100}`, status, &p, "Segue-Reason", "x")
	}
	s.json(http.MethodPatch, "/api/v1/services/payments/weights/eu-west", `{"main":20}`, 422, &p, "Segue-Reason", "x")
	s.json(http.MethodPatch, "/api/v1/services/payments/weights/eu-west", `{"main":"much"}`, 422, &p, "Segue-Reason", "x")
	s.json(http.MethodPatch, "/api/v1/services/payments/weights/eu-west", `{"main":100}`, 412, &p, "Segue-Reason", "x", "If-Match", `"1"`)
}

func TestDrainAndResume(t *testing.T) {
	s := newSite(t, options{})
	var done changed
	s.json(http.MethodPost, "/api/v1/providers/main/drain", `{"for":"30m","regions":["eu-west"]}`, 200, &done, because...)
	if done.Order == "" || !done.Ends.After(s.now) {
		t.Errorf("%+v", done)
	}
	var one provider
	if s.json(http.MethodGet, "/api/v1/providers/main", "", 200, &one); len(one.Orders) != 1 || len(one.Cells) != 3 || one.Contract != "stripe/v1" {
		t.Errorf("%+v", one)
	}
	wants(t, s.get("/", 200), "Drain", "at main in eu-west")
	s.json(http.MethodPost, "/api/v1/providers/main/resume", "", 200, nil, "Segue-Reason", "done")
	if len(s.plane.State().Orders) != 0 {
		t.Errorf("%+v", s.plane.State().Orders)
	}
	var p problem
	s.json(http.MethodPost, "/api/v1/providers/none/drain", `{}`, 422, &p, "Segue-Reason", "x")
	s.json(http.MethodPost, "/api/v1/providers/none/resume", "", 404, &p, "Segue-Reason", "x")
	s.json(http.MethodPost, "/api/v1/providers/main/drain", `{"until":"noon"}`, 422, &p, "Segue-Reason", "x")
}

func TestDrillsByAPI(t *testing.T) {
	s := newSite(t, options{})
	var done changed
	// The command line sends its defaults for every kind of fault.
	s.json(http.MethodPost, "/api/v1/drills", `{"fault":"lost-reply","provider":"main","regions":null,"for":"1m0s","share":0.3,"status":503,"delay":"2s"}`, 201, &done, because...)
	var list []policy.Order
	if s.json(http.MethodGet, "/api/v1/drills", "", 200, &list); len(list) != 1 || list[0].Fault.Share != 0.3 || list[0].ID != done.Order {
		t.Fatalf("%+v", list)
	}
	s.json(http.MethodGet, "/api/v1/drills/"+done.Order, "", 200, nil)
	s.json(http.MethodDelete, "/api/v1/drills/"+done.Order, "", 200, nil, "Segue-Reason", "enough")
	s.json(http.MethodGet, "/api/v1/drills/"+done.Order, "", 404, nil)
	var p problem
	s.json(http.MethodDelete, "/api/v1/drills/"+done.Order, "", 404, &p, "Segue-Reason", "enough")
	s.json(http.MethodPost, "/api/v1/drills", `{"fault":"meteor","provider":"main"}`, 422, &p, "Segue-Reason", "x")
	for _, f := range []string{`{"fault":"slow","provider":"main","delay":"3s"}`, `{"fault":"status","provider":"main","status":500}`} {
		s.json(http.MethodPost, "/api/v1/drills", f, 201, nil, "Segue-Reason", "x")
	}
}

func TestSandboxByAPI(t *testing.T) {
	s := newSite(t, options{})
	var f struct{ ID, Order, Name string }
	s.json(http.MethodPost, "/api/v1/sandbox/faults", `{"fault":"kill-provider","provider":"main","for":"30s","share":1,"status":503,"delay":"2s"}`, 201, &f, because...)
	if f.ID != "f1" || f.Order != "f1" || f.Name != "kill-provider" {
		t.Errorf("%+v", f)
	}
	var list []Fault
	if s.json(http.MethodGet, "/api/v1/sandbox/faults", "", 200, &list); len(list) != 1 {
		t.Errorf("%+v", list)
	}
	var v Verdict
	if s.json(http.MethodGet, "/api/v1/sandbox/books", "", 200, &v); v.Operations != 61204 {
		t.Errorf("%+v", v)
	}
	s.json(http.MethodDelete, "/api/v1/sandbox/faults/f1", "", 200, nil, "Segue-Reason", "enough")
	s.json(http.MethodDelete, "/api/v1/sandbox/faults/f1", "", 404, nil, "Segue-Reason", "enough")
	newSite(t, options{noSandbox: true}).json(http.MethodGet, "/api/v1/sandbox/faults", "", 404, nil)
}

func TestTransactionsByAPI(t *testing.T) {
	s := newSite(t, options{})
	var got found
	if s.json(http.MethodGet, "/api/v1/transactions?key=order-88121&limit=5", "", 200, &got); len(got.Transactions) != 1 || got.Partial == "" {
		t.Errorf("%+v", got)
	}
	if q := s.plane.asked[len(s.plane.asked)-1]; q.Key != "order-88121" || q.Limit != 5 || q.Kind != query.Transactions {
		t.Errorf("asked %+v", q)
	}
	var row query.Transaction
	if s.json(http.MethodGet, "/api/v1/transactions/tx_01J9W2K7QJ", "", 200, &row); row.Key != "order-88121" {
		t.Errorf("%+v", row)
	}
	var why query.Why
	if s.json(http.MethodGet, "/api/v1/transactions/tx_01J9W2K7QJ/why", "", 200, &why); why.Sentence == "" || len(why.Decisions) != 1 {
		t.Errorf("%+v", why)
	}
	s.json(http.MethodGet, "/api/v1/transactions/tx_none/why", "", 404, nil)
}

func TestStateOfTheCluster(t *testing.T) {
	s := newSite(t, options{})
	var regions []region
	if s.json(http.MethodGet, "/api/v1/regions", "", 200, &regions); len(regions) != 3 || !regions[1].InForce || len(regions[1].Agents) != 1 {
		t.Errorf("%+v", regions)
	}
	s.json(http.MethodGet, "/api/v1/regions/moon", "", 404, nil)
	var cluster struct {
		Leader   string
		Term     uint64
		Revision uint64
	}
	if s.json(http.MethodGet, "/api/v1/cluster", "", 200, &cluster); cluster.Leader != "c2" || cluster.Term != 7 || cluster.Revision != 1 {
		t.Errorf("%+v", cluster)
	}
	s.json(http.MethodGet, "/api/v1/health", "", 200, nil)
	s.json(http.MethodGet, "/api/v1/nothing", "", 404, nil)
	quiet := newSite(t, options{empty: true})
	quiet.plane.set(func(p *plane) { p.leader = "" })
	quiet.json(http.MethodGet, "/api/v1/policy", "", 503, nil)
}

// Each code has one status; one that nobody knows is a failure of ours, never a success.
func TestStatusOfEachCode(t *testing.T) {
	for code, want := range map[state.Code]int{
		state.Invalid: 422, state.Stale: 409, state.NotFound: 404, state.NoLeader: 503, state.Unknown: 504, state.Unsupported: 501, forbidden: 403, "new": 500,
	} {
		if got, title := status(code); got != want || title == "" {
			t.Errorf("%s: %d %q, want %d", code, got, title, want)
		}
	}
}

func TestGuard(t *testing.T) {
	s := newSite(t, options{})
	for host, want := range map[string]int{
		"127.0.0.1:7070": 200, "localhost:7070": 200, "localhost": 200, "[::1]:7070": 200, "127.8.8.8": 200, "LOCALHOST.": 200,
		"evil.example:7070": 421, "localhost.evil.example": 421, "127.0.0.1.evil.example": 421, "10.0.0.1": 421, "": 421,
	} {
		if rec := s.ask(http.MethodGet, "/", "", "Host", host); rec.Code != want {
			t.Errorf("Host %q: %d, want %d", host, rec.Code, want)
		}
	}
	for _, h := range [][2]string{{"Origin", "https://evil.example"}, {"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}} {
		for _, path := range []string{"/break", "/routing/payments/eu-west", "/preferences", "/api/v1/drills"} {
			if rec := s.ask(http.MethodPost, path, "fault=slow", h[0], h[1]); rec.Code != http.StatusForbidden {
				t.Errorf("%s with %s: %d", path, h, rec.Code)
			}
		}
	}
	if len(s.box.Faults()) != 0 || len(s.plane.took) != 1 {
		t.Error("another site changed something")
	}
	if rec := s.ask(http.MethodPost, "/break", "fault="+strings.Repeat("x", maxForm)); rec.Code < 400 {
		t.Errorf("a form over its bound: %d", rec.Code)
	}
	h := s.ask(http.MethodGet, "/", "").Header()
	for _, want := range []string{"default-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"} {
		if !strings.Contains(h.Get("Content-Security-Policy"), want) {
			t.Errorf("the content policy lacks %s", want)
		}
	}
	if strings.Contains(h.Get("Content-Security-Policy"), "unsafe") || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Referrer-Policy") == "" {
		t.Errorf("%v", h)
	}
}

// Credentials are named in the document, and nowhere else.
func TestNoCredentialIsShown(t *testing.T) {
	s := newSite(t, options{})
	for _, path := range []string{"/", "/routing/payments", "/transactions", "/transactions/tx_01J9W2K7QJ", "/api/v1/providers", "/api/v1/regions", "/api/v1/cluster", "/api/v1/health"} {
		if body := s.ask(http.MethodGet, path, "").Body.String(); strings.Contains(body, "SECRET_NAME") {
			t.Errorf("%s shows a credential's name", path)
		}
	}
}

func TestTextFromElsewhereIsEscaped(t *testing.T) {
	s := newSite(t, options{})
	evil := `"><script>alert(1)</script>`
	s.plane.set(func(p *plane) {
		p.view.World.Events[0].Text, p.view.World.Events[0].Transaction = evil, `x"/../<b>`
		p.answers = func(q query.Question) []Answer {
			row := query.Transaction{ID: "tx_1", Key: evil, Object: evil, State: evil, Service: evil, Attempts: []query.Attempt{{Provider: evil, Outcome: evil, Error: evil}}}
			body, _ := json.Marshal([]query.Transaction{row})
			if q.Kind == query.One {
				body, _ = json.Marshal(query.Why{Transaction: row, Sentence: evil})
			}
			return []Answer{{Agent: evil, Body: body}, {Agent: evil, Err: evil}}
		}
	})
	s.web.look()
	for _, path := range []string{"/", "/transactions?q=" + "%22%3E%3Cscript%3E", "/transactions", "/transactions/tx_1", "/routing/%22%3E%3Cscript%3Ealert(1)"} {
		if body := s.ask(http.MethodGet, path, "").Body.String(); strings.Contains(body, "<script>alert") || strings.Contains(body, `"><script>`) {
			t.Errorf("%s runs what agents send", path)
		}
	}
	rec := httptest.NewRecorder()
	s.web.refuse(rec, nil, 403, "no")
	if rec.Header().Get("Content-Type") != "application/problem+json" {
		t.Error("a refusal is no problem document")
	}
}
