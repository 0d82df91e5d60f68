package web

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"segue/controlplane/policy"
	"segue/controlplane/state"
)

func TestRegions(t *testing.T) {
	s := newSite(t, options{})
	wants(t, s.get("/regions", 200), "All 3 regions serve with policy 1.", "eu-west → ap-south", "payments, payouts", "1 heard", `href="/regions/us-east"`, "segue status", "1 in force")
	wants(t, s.get("/regions/eu-west", 200), "eu-west:", "main is open in eu-west since 14:02:24.", "open since 14:02:24", "3 failures in a row", "127.0.0.1:7101",
		"It takes the callers of us-east", "eu-west-1", `href="/providers/main"`, "2. in order")
	s.get("/regions/moon", 404)
	s.plane.set(func(p *plane) {
		p.view.Acks[1].Reason = "port 7101 is taken"
		p.view.World.Agents[2].Heard, p.view.World.Agents[2].Revision = false, 0
	})
	s.web.look()
	wants(t, s.get("/regions", 200), "refused it: port 7101 is taken", "no agent is heard.", "waiting for 1")
	wants(t, s.get("/regions/eu-west", 200), "refused 1", "port 7101 is taken")
	for _, path := range []string{"/regions", "/providers", "/changes"} {
		wants(t, newSite(t, options{empty: true}).get(path, 200), "segue policy apply p.yaml", "segue init")
	}
}

func TestProviders(t *testing.T) {
	s := newSite(t, options{})
	wants(t, s.get("/providers", 200), `<span class="is-bad">main</span>`, " is open in eu-west since 14:02:24.", "in eu-west; 3 failures in a row", "!SECRET_NAME_OF", "segue provider list")
	page := s.get("/providers/main", 200)
	wants(t, page, "open since 14:02:24", "3 failures in a row", "connection refused", "It executes a key once", "24 h", "class G", "charge", "Idempotency-Key", "no limit", "127.0.0.1:7601",
		"15 minutes", "The same as a table", "!SECRET_NAME_OF", "segue provider show main", "Review the drain")
	wants(t, page, "What Segue asks itself", "synthetics", "charge-and-void", "step void: no answer: connection_refused; what 1 run made is not taken away yet", "fails for 7.0 s, yielding",
		"it asked to be left alone for 30 s more", "the certificate holds for 12 days", "good for 9 min", "in 2 min", "GET /v1/balance in eu-west: what the last runs took")
	wants(t, s.get("/providers", 200), "its own checks: GET /v1/balance fails, tcp fails, tls warns and charge-and-void fails")
	if rows := strings.Count(page, `scope="row" class="num"`); rows < 3*15 {
		t.Errorf("the table twin has %d minutes", rows)
	}
	s.get("/providers/nobody", 404)
}

// TestSinceIsTheEarliest: the headline's time is that of the first region, whichever comes first in the list.
func TestSinceIsTheEarliest(t *testing.T) {
	s := newSite(t, options{})
	s.plane.set(func(p *plane) {
		for i := range p.view.World.Cells {
			if c := &p.view.World.Cells[i]; c.Provider == "main" {
				c.Breaker, c.Since = "open", s.now.Add(-time.Duration(map[string]int{"ap-south": 10, "eu-west": 90, "us-east": 30}[c.Region])*time.Second)
			}
		}
	})
	s.web.look()
	for _, path := range []string{"/", "/providers", "/providers/main"} {
		wants(t, s.get(path, 200), "is open in ap-south, eu-west and us-east since 14:01:01.")
	}
}

var hidden = regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)"`)

// hiddenOf are a form's hidden ones.
func hiddenOf(page, action string) url.Values {
	form := url.Values{}
	_, rest, _ := strings.Cut(page, `action="`+action+`"`)
	rest, _, _ = strings.Cut(rest, "</form>")
	for _, m := range hidden.FindAllStringSubmatch(rest, -1) {
		form.Set(m[1], m[2])
	}
	return form
}

func (s *site) sees(path, to string, form url.Values) {
	s.t.Helper()
	if rec := s.post(path, form); rec.Code != http.StatusSeeOther || rec.Header().Get("Location") != to {
		s.t.Fatalf("POST %s: %d to %q, want %q\n%.2000s", path, rec.Code, rec.Header().Get("Location"), to, rec.Body)
	}
}

func TestDrainByForm(t *testing.T) {
	s := newSite(t, options{})
	review := s.get("/providers/backup?drain=1&for=30m&region=eu-west", 200)
	wants(t, review, "not in force yet", "goes to legacy", "14:32:31, by itself", "Drain until 14:32", "segue provider drain backup --for 30m --region eu-west")
	if len(s.plane.st.InForce(s.now)) != 0 {
		t.Fatal("a review drains")
	}
	form := hiddenOf(review, "/providers/backup/drain")
	rec := s.post("/providers/backup/drain", form)
	if wants(t, rec.Body.String(), "A reason is needed"); rec.Code != 422 {
		t.Errorf("without a reason: %d", rec.Code)
	}
	form.Set("reason", "it is slow")
	s.sees("/providers/backup/drain", "/providers/backup?done=drained", form)
	s.sees("/providers/backup/drain", "/providers/backup?done=drained", form) // sent twice
	orders := s.plane.st.InForce(s.now)
	if len(orders) != 1 || orders[0].Kind != policy.Drain || orders[0].For != 30*time.Minute || len(orders[0].Regions) != 1 {
		t.Fatalf("%+v", orders)
	}
	page := s.get("/providers/backup?done=drained", 200)
	wants(t, page, "Drained in eu-west", "“it is slow”", "until 14:32:31", "The drain is in force.")
	wants(t, s.get("/providers", 200), "drained in eu-west until 14:32:31")
	s.sees("/providers/backup/resume", "/providers/backup?done=resumed", hiddenOf(page, "/providers/backup/resume"))
	if n := len(s.plane.st.InForce(s.now)); n != 0 {
		t.Errorf("%d drains after Resume", n)
	}
	s.sees("/providers/backup/resume", "/providers/backup?done=resumed", hiddenOf(page, "/providers/backup/resume"))
	for _, bad := range []string{"for=never", "for=900h", "region=moon"} {
		wants(t, s.get("/providers/backup?drain=1&"+bad, 422), "field-error")
	}
	wants(t, s.get("/providers/backup?drain=1", 200), "goes to main and legacy", "goes to legacy", "!nobody left") // main is open in eu-west
}

// TestDrainOfTheLast warns where nobody else is left.
func TestDrainOfTheLast(t *testing.T) {
	s := newSite(t, options{})
	s.plane.set(func(p *plane) {
		for i := range p.view.World.Cells {
			if c := &p.view.World.Cells[i]; c.Provider == "spare" && c.Region == "eu-west" {
				c.Breaker = "open"
			}
		}
	})
	s.web.look()
	wants(t, s.get("/providers/bank?drain=1&region=eu-west", 200), "nobody left", "payouts in eu-west has no other provider that is well")
}

func TestChanges(t *testing.T) {
	s := newSite(t, options{})
	s.plane.apply(t, weight(20, 70, 10))
	s.plane.apply(t, weight(10, 80, 10))
	wants(t, s.get("/changes", 200), "Policy 3 is in force", "payments / eu-west: main 20 → 10 %", "“fees”", "maria", `href="/changes/2"`, "segue policy log")
	wants(t, s.get("/changes/2", 200), "payments / eu-west: main 40 → 20 %", "main 20 → 10 %", "Review rolling back to 2", "segue policy diff 1 2",
		`<code class="line gone">`, `<code class="line added">`, "eu-west: {main: 20, backup: 70, legacy: 10}")
	wants(t, s.get("/changes/1", 200), "It is the first.")
	wants(t, s.get("/changes/3", 200), "Undo 3", "!Review rolling back")
	wants(t, s.get("/changes/2/policy.yaml", 200), "main: 20")
	wants(t, s.get("/changes/9", 404), "There is no revision 9; 3 is in force")
	s.get("/changes/none", 404)
	var value struct{ Before, Now []string }
	s.json(http.MethodGet, "/changes/2", "", 200, &value)
	if len(value.Before) != 2 || len(value.Now) != 2 {
		t.Errorf("as JSON: %+v", value)
	}
}

func TestRollback(t *testing.T) {
	s := newSite(t, options{})
	s.plane.apply(t, weight(20, 70, 10))
	s.plane.apply(t, weight(10, 80, 10))
	review := s.get("/changes/1?rollback=1", 200)
	wants(t, review, "Back to revision 1", "payments / eu-west: main 10 → 40 %", "3 → 4", "new sessions/min", "segue policy rollback 1 --base 3")
	form := hiddenOf(review, "/changes/1/rollback")
	if rec := s.post("/changes/1/rollback", form); rec.Code != 422 || !strings.Contains(rec.Body.String(), "A reason is needed") {
		t.Errorf("without a reason: %d", rec.Code)
	}
	form.Set("reason", "it was better")
	s.sees("/changes/1/rollback", "/changes/4", form)
	if r := s.plane.st.Current(); r.Number != 4 || r.Back != 1 || r.Reason != "it was better" {
		t.Fatalf("%+v", r)
	}
	page := s.get("/changes/4", 200)
	wants(t, page, "rollback to 1", "“it was better”", "Undo 4")
	s.sees("/changes/3/rollback", "/changes/5", hiddenOf(page, "/changes/3/rollback"))
	if w := s.plane.st.Current().Policy.Service("payments").WeightsIn("eu-west"); w[0].Percent != 10 {
		t.Errorf("after Undo: %+v", w)
	}
	if r := s.plane.st.Current(); r.Reason != "undo revision 4" {
		t.Errorf("its reason is %q", r.Reason)
	}
}

// TestRollbackConflict: somebody was faster. Nothing is changed, and the page shows what was, theirs and yours.
func TestRollbackConflict(t *testing.T) {
	s := newSite(t, options{})
	s.plane.apply(t, weight(20, 70, 10))
	form := hiddenOf(s.get("/changes/1?rollback=1", 200), "/changes/1/rollback")
	form.Set("reason", "late")
	s.plane.apply(t, weight(0, 90, 10))
	rec := s.post("/changes/1/rollback", form)
	if rec.Code != http.StatusConflict || s.plane.st.Current().Number != 3 {
		t.Fatalf("%d, revision %d", rec.Code, s.plane.st.Current().Number)
	}
	wants(t, rec.Body.String(), "Somebody was faster", "You started from revision 2; revision 3 is in force.", "services.payments.weights.eu-west.main",
		"<dt>was</dt><dd>20</dd><dt>theirs</dt><dd>0 </dd><dt>yours</dt><dd>40</dd>", "/changes/1?rollback=1")
}

func TestClusterPage(t *testing.T) {
	s := newSite(t, options{})
	wants(t, s.get("/cluster", 200), "c2 leads; 3 of 3 voters answer.", "One more failure changes nothing", "2 behind", "400, 60 min ago", "leads", "segue cluster status", "eu-west-1", "Download a backup")
	wants(t, s.get("/cluster?remove=c3", 200), "Remove c3", "One more failure after it, and nothing can be changed.", "segue cluster remove c3")
	s.get("/cluster?remove=c9", 404)
	s.plane.set(func(p *plane) {
		p.changed = func(c *Cluster) { c.Alive, c.Nodes[2].Err, c.Nodes[2].Role = 2, "connection refused", "unreachable" }
	})
	wants(t, s.get("/cluster", 200), "2 of 3 voters answer.", "one more failure, and nothing can be changed", "connection refused")
	wants(t, s.get("/cluster?remove=c1", 200), "would be no quorum", `name="force"`)
	s.plane.set(func(p *plane) { p.leader, p.down = "", true })
	wants(t, s.get("/cluster", 200), "No control node answers.", "data-frozen", "<fieldset data-steers disabled>")
}

func TestSteerTheCluster(t *testing.T) {
	s := newSite(t, options{})
	for path, c := range map[string]struct {
		form url.Values
		to   string
		want state.Membership
	}{
		"/cluster/transfer":        {url.Values{"to": {"c3"}}, "transferred", state.Membership{Kind: state.Transfer, Node: "c3"}},
		"/cluster/nodes":           {url.Values{"id": {" c4 "}, "raft": {"127.0.0.1:7083"}}, "added", state.Membership{Kind: state.AddNode, Node: "c4", Raft: "127.0.0.1:7083"}},
		"/cluster/nodes/c1/remove": {url.Values{"force": {"true"}}, "removed", state.Membership{Kind: state.RemoveNode, Node: "c1", Force: true}},
	} {
		if rec := s.post(path, c.form); rec.Code != 422 {
			t.Errorf("%s without a reason: %d", path, rec.Code)
		}
		c.form.Set("reason", "the machine is moved")
		s.sees(path, "/cluster?done="+c.to, c.form)
		if last := s.plane.took[len(s.plane.took)-1]; last.Membership == nil || *last.Membership != c.want || last.Reason != "the machine is moved" {
			t.Errorf("%s: %+v", path, last)
		}
	}
}

// upload is the form of a restore as a browser sends it.
func (s *site) upload(file []byte, pairs ...string) (code int, to, body string) {
	s.t.Helper()
	var b bytes.Buffer
	m := multipart.NewWriter(&b)
	for i := 0; i < len(pairs); i += 2 {
		_ = m.WriteField(pairs[i], pairs[i+1])
	}
	if file != nil {
		part, err := m.CreateFormFile("backup", "segue.backup")
		if err != nil {
			s.t.Fatal(err)
		}
		_, _ = part.Write(file)
	}
	_ = m.Close()
	rec := s.ask(http.MethodPost, "/cluster/restore", b.String(), "Content-Type", m.FormDataContentType())
	return rec.Code, rec.Header().Get("Location"), rec.Body.String()
}

func TestBackupAndRestoreByForm(t *testing.T) {
	s := newSite(t, options{})
	saved := s.ask(http.MethodGet, "/cluster/backup", "")
	if !strings.HasPrefix(saved.Header().Get("Content-Disposition"), "attachment") {
		t.Fatalf("%d %v", saved.Code, saved.Header())
	}
	file, _ := io.ReadAll(saved.Body)
	s.plane.apply(t, weight(20, 70, 10))
	for _, bad := range [][]string{{"reason", "r"}, {"confirm", "yes", "reason", "r"}, {"confirm", "restore"}} {
		if code, _, body := s.upload(file, bad...); code != 422 {
			t.Errorf("%v: %d %s", bad, code, body)
		}
	}
	if code, _, _ := s.upload(nil, "confirm", "restore", "reason", "r"); code != 422 {
		t.Errorf("without a file: %d", code)
	}
	if code, _, _ := s.upload([]byte("no backup"), "confirm", "restore", "reason", "r"); code != 422 {
		t.Errorf("a file that is no backup: %d", code)
	}
	if rec := s.post("/cluster/restore", url.Values{"confirm": {"restore"}}); rec.Code != 422 {
		t.Errorf("a plain form: %d", rec.Code)
	}
	if n := s.plane.st.Current().Number; n != 2 {
		t.Fatalf("what was refused changed something: revision %d", n)
	}
	if code, to, body := s.upload(file, "confirm", "restore", "reason", "a test", "request", "r1"); code != 303 || to != "/cluster?done=restored" {
		t.Fatalf("%d %s %s", code, to, body)
	}
	if w := s.plane.st.Current().Policy.Service("payments").WeightsIn("eu-west"); w[0].Percent != 40 {
		t.Errorf("after the restore: %+v", w)
	}
}

// TestAPIPage: every operation of the document is on the page, with a line that can be tried.
func TestAPIPage(t *testing.T) {
	var d struct {
		Paths map[string]map[string]json.RawMessage
	}
	if err := json.Unmarshal(openAPI, &d); err != nil {
		t.Fatal(err)
	}
	page := newSite(t, options{}).get("/api", 200)
	n := 0
	for path, methods := range d.Paths {
		for method := range methods {
			if method == "parameters" || method == "servers" {
				continue
			}
			n++
			if !strings.Contains(page, "<code>"+path+"</code>") {
				t.Errorf("the page has no %s %s", method, path)
			}
		}
	}
	if n < 20 || strings.Count(page, `class="operation"`) != n {
		t.Errorf("the document has %d operations, the page %d", n, strings.Count(page, `class="operation"`))
	}
	wants(t, page, fmt.Sprintf("%d operations", n), "curl -s http://127.0.0.1:7070/api/v1/providers/main", "curl -s -X PATCH http://127.0.0.1:7070/api/v1/services/payments/weights/us-east -H &#39;Segue-Reason: …&#39;", `href="/openapi.json"`)
}

func TestPalette(t *testing.T) {
	s := newSite(t, options{})
	wants(t, s.get("/go", 200), `href="/cluster"`, `href="/routing/payments"`, `href="/providers/main"`, `href="/regions/eu-west"`)
	for q, want := range map[string]string{
		"eu-w":         `href="/regions/eu-west"`,
		"drain back":   "segue provider drain backup --for 30m",
		"prov":         `href="/providers"`,
		"tx_01J9W2K7Q": `href="/transactions?q=tx_01J9W2K7Q"`,
		"order-88121":  `href="/transactions?q=order-88121"`,
		"ses_1":        `href="/sessions?id=ses_1"`,
		"zzz":          "Nothing is called that.",
		"<script>":     "Nothing is called that.",
	} {
		wants(t, s.get("/go?q="+url.QueryEscape(q), 200), want, "!<script>\"")
	}
	var value struct {
		Entries []struct{ Kind, Label, Href string }
	}
	s.json(http.MethodGet, "/go?q=main", "", 200, &value)
	if len(value.Entries) == 0 || value.Entries[0].Href != "/providers/main" {
		t.Errorf("%+v", value.Entries)
	}
}
