package web

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"segue/controlplane/health"
	"segue/controlplane/policy"
	"segue/controlplane/state"
)

func weights(base, main, backup, legacy string) url.Values {
	return url.Values{"base": {base}, "w.main": {main}, "w.backup": {backup}, "w.legacy": {legacy}}
}

func (s *site) shares(region string) []policy.Weight {
	return s.plane.State().Current().Policy.Service("payments").WeightsIn(region)
}

func (s *site) wantShares(t *testing.T, region string, want ...float64) {
	t.Helper()
	for i, w := range s.shares(region) {
		if w.Percent != want[i] {
			t.Errorf("%s: %+v, want %v", region, s.shares(region), want)
			return
		}
	}
}

func TestReviewChangesNothing(t *testing.T) {
	s := newSite(t, options{})
	q := weights("1", "20", "70", "10")
	q.Set("region", "eu-west")
	page := s.get("/routing/payments?"+q.Encode(), 200)
	sessions := sessionsPerMinute(s.plane.view.World, "payments", "eu-west")
	if sessions == 0 {
		t.Fatal("no sessions were measured")
	}
	wants(t, page, "<del>main 40 %</del> → <ins>20 %</ins>", "<del>backup 50 %</del> → <ins>70 %</ins>", "20 % of new sessions, ≈ ",
		"segue weight set payments eu-west main=20 backup=70 legacy=10 --base 1", "Apply to eu-west", "was 40", "1 → 2", "!<del>legacy")
	s.wantShares(t, "eu-west", 40, 50, 10)
	if len(s.plane.took) != 1 {
		t.Errorf("a review proposed something: %d commands", len(s.plane.took))
	}
}

func TestMovedSessionsAreCountedOnce(t *testing.T) {
	old := []policy.Weight{{Provider: "a", Percent: 40}, {Provider: "b", Percent: 60}}
	now := []policy.Weight{{Provider: "a", Percent: 10}, {Provider: "b", Percent: 60}, {Provider: "c", Percent: 30}}
	if got := moved(old, now); got != 30 {
		t.Errorf("%v %% moves", got)
	}
	w := health.World{Cells: []health.Cell{{Service: "s", Region: "r", Load: health.Load{Sessions: 40}}, {Service: "s", Region: "r", Load: health.Load{Sessions: 2}}, {Service: "s", Region: "q", Load: health.Load{Sessions: 9}}}}
	if got := sessionsPerMinute(w, "s", "r"); got != 42 {
		t.Errorf("%d sessions", got)
	}
}

func TestApplyAndUndo(t *testing.T) {
	s := newSite(t, options{})
	form := weights("1", "20", "70", "10")
	form.Set("reason", "fees")
	form.Set("request", "form-1")
	rec := s.post("/routing/payments/eu-west", form)
	if rec.Code != http.StatusSeeOther || rec.Header().Get("Location") != "/routing/payments" {
		t.Fatalf("%d %s\n%s", rec.Code, rec.Header().Get("Location"), rec.Body)
	}
	s.wantShares(t, "eu-west", 20, 70, 10)
	s.wantShares(t, "us-east", 70, 30, 0)
	last := s.plane.took[len(s.plane.took)-1]
	if last.Actor != "local operator @ loopback" || last.Reason != "fees" || last.Request != "form-1" || last.SetWeights.Base != 1 || last.Version != 1 || last.At.IsZero() {
		t.Errorf("proposed %+v", last)
	}
	if s.post("/routing/payments/eu-west", form).Code != http.StatusSeeOther || s.plane.State().Current().Number != 2 {
		t.Error("a form that was sent twice did something twice")
	}
	wants(t, s.get("/routing/payments", 200), "Revision 2", "main 40 → 20 %", "“fees”", "Undo 2", "waiting: eu-west-1 has revision 1")
	rec = s.post("/undo/payments", url.Values{"region": {"eu-west"}, "revision": {"2"}, "request": {"undo-2"}})
	if rec.Code != http.StatusSeeOther {
		t.Fatalf("undo: %d %s", rec.Code, rec.Body)
	}
	s.wantShares(t, "eu-west", 40, 50, 10)
	s.plane.apply(t, weight(10, 80, 10))
	if rec := s.post("/undo/payments", url.Values{"region": {"eu-west"}, "revision": {"2"}}); rec.Code != http.StatusConflict {
		t.Errorf("undoing what others built on: %d", rec.Code)
	}
}

func TestAcknowledgementsPerRegion(t *testing.T) {
	s := newSite(t, options{})
	s.plane.apply(t, weight(20, 70, 10))
	at := s.plane.State().Current().At
	s.plane.set(func(p *plane) {
		p.view.Acks[1] = state.Ack{Agent: "eu-west-1", Region: "eu-west", Revision: 2, At: at.Add(120 * time.Millisecond)}
		p.view.Acks[2] = state.Ack{Agent: "ap-south-1", Region: "ap-south", Revision: 2, At: at, Reason: "does not compile"}
	})
	s.web.look()
	page := s.get("/routing/payments", 200)
	wants(t, page, "in force after 0.12 s", "waiting: us-east-1 has revision 1", "ap-south-1 refused it: does not compile", "1 of 3 regions")
	// A later acknowledgement, of an order under the same revision, does not hide when the revision came into force.
	s.plane.set(func(p *plane) { p.view.Acks[1].At = at.Add(40 * time.Second) })
	s.web.look()
	wants(t, s.get("/routing/payments", 200), "in force after 0.12 s")
}

func TestStaleBaseShowsBothSides(t *testing.T) {
	s := newSite(t, options{})
	s.plane.apply(t, weight(30, 60, 10))
	form := weights("1", "20", "70", "10")
	form.Set("reason", "fees")
	rec := s.post("/routing/payments/eu-west", form)
	if rec.Code != http.StatusConflict {
		t.Fatalf("%d, want 409", rec.Code)
	}
	wants(t, rec.Body.String(), "You started from revision 1; revision 2 is in force. Nothing was changed.", "main 40 → 30 %", "main 40 → 20 %", "Review yours on 2")
	s.wantShares(t, "eu-west", 30, 60, 10)
	form.Set("region", "eu-west")
	wants(t, s.get("/routing/payments?"+form.Encode(), 200), "Somebody was faster", "!Apply to")
}

func TestWhatIsWrongStandsBesideItsField(t *testing.T) {
	s := newSite(t, options{})
	for _, c := range []struct {
		name string
		form url.Values
		want []string
	}{
		{"sum", weights("1", "20", "70", "20"), []string{"the shares add up to 110", "sum 110 %"}},
		{"negative", weights("1", "-10", "100", "10"), []string{`<span class="field-error">`}},
		{"words", weights("1", "many", "70", "10"), []string{`<span class="field-error">is no number</span>`, `value="many"`}},
		{"infinite", weights("1", "Inf", "70", "10"), []string{`<span class="field-error">is no number</span>`, "!sum +Inf"}},
		{"not a number", weights("1", "NaN", "70", "10"), []string{`<span class="field-error">is no number</span>`, `value="NaN"`, "!sum NaN"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.form.Set("reason", "fees")
			rec := s.post("/routing/payments/eu-west", c.form)
			if rec.Code != http.StatusUnprocessableEntity {
				t.Fatalf("%d, want 422\n%s", rec.Code, rec.Body)
			}
			wants(t, rec.Body.String(), append(c.want, "!Apply to")...)
		})
	}
	s.wantShares(t, "eu-west", 40, 50, 10)
}

func TestAReasonIsRequired(t *testing.T) {
	s := newSite(t, options{})
	rec := s.post("/routing/payments/eu-west", weights("1", "20", "70", "10"))
	if rec.Code != http.StatusUnprocessableEntity {
		t.Fatalf("%d, want 422", rec.Code)
	}
	wants(t, rec.Body.String(), "A reason is needed", "Apply to eu-west")
	var p problem
	s.json(http.MethodPatch, "/api/v1/services/payments/weights/eu-west", `{"main":100}`, 422, &p)
	if !strings.Contains(p.Detail, "reason") {
		t.Errorf("%+v", p)
	}
}

func TestChangesWithoutALeader(t *testing.T) {
	s := newSite(t, options{})
	s.plane.set(func(p *plane) { p.leader = "" })
	form := weights("1", "20", "70", "10")
	form.Set("reason", "fees")
	rec := s.post("/routing/payments/eu-west", form)
	if rec.Code != http.StatusServiceUnavailable || rec.Header().Get("Retry-After") == "" {
		t.Fatalf("%d", rec.Code)
	}
	wants(t, rec.Body.String(), "No control node leads", "agents go on with the last good policy")
}

func TestBreakAndStop(t *testing.T) {
	s := newSite(t, options{})
	form := url.Values{"fault": {"lost-reply"}, "provider": {"main"}, "for": {"1m"}, "request": {"r1"}}
	for range 2 { // a form that is sent twice does nothing twice
		if rec := s.post("/break", form); rec.Code != http.StatusSeeOther {
			t.Fatalf("%d %s", rec.Code, rec.Body)
		}
	}
	if f := s.box.Faults(); len(f) != 1 || f[0].Name != "lost-reply" || f[0].Provider != "main" || !f[0].Ends.Equal(s.now.Add(time.Minute)) {
		t.Fatalf("%+v", f)
	}
	wants(t, s.get("/", 200), "<b>Lose replies after the charge</b> at main", "ends 14:03:31, in 60 s", `action="/break/f1/stop?real=1"`)
	s.post("/break", url.Values{"fault": {"kill-leader"}, "provider": {"main"}, "request": {"r2"}})
	if f := s.box.Faults(); len(f) != 2 || f[1].Provider != "" {
		t.Errorf("a process has no provider: %+v", f)
	}
	if rec := s.post("/break/f1/stop?real=1", nil); rec.Code != http.StatusSeeOther || len(s.box.Faults()) != 1 {
		t.Errorf("%d %+v", rec.Code, s.box.Faults())
	}
	if rec := s.post("/break", url.Values{"fault": {"earthquake"}}); rec.Code != 422 {
		t.Errorf("an unknown fault: %d", rec.Code)
	}
	if rec := s.post("/break", url.Values{"fault": {"slow"}, "for": {"soon"}}); rec.Code != 422 {
		t.Errorf("for soon: %d", rec.Code)
	}
}

func TestDrillsWhereNothingIsSimulated(t *testing.T) {
	s := newSite(t, options{noSandbox: true})
	if rec := s.post("/break", url.Values{"fault": {"lost-reply"}, "provider": {"main"}, "for": {"30s"}}); rec.Code != http.StatusSeeOther {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	orders := s.plane.State().Orders
	if len(orders) != 1 || orders[0].Fault.Kind != policy.FaultLostReply || orders[0].Fault.Share != 1 || orders[0].For != 30*time.Second {
		t.Fatalf("%+v", orders)
	}
	wants(t, s.get("/", 200), "Lose replies after the charge", "/break/"+orders[0].ID+"/stop\"")
	if rec := s.post("/break/"+orders[0].ID+"/stop", nil); rec.Code != http.StatusSeeOther || len(s.plane.State().Orders) != 0 {
		t.Errorf("%d %+v", rec.Code, s.plane.State().Orders)
	}
}

func TestPreferencesAreRemembered(t *testing.T) {
	s := newSite(t, options{})
	rec := s.post("/preferences", url.Values{"theme": {"dark"}, "back": {"/routing/payments?x=1"}})
	cookie := rec.Header().Get("Set-Cookie")
	if rec.Code != http.StatusSeeOther || rec.Header().Get("Location") != "/routing/payments?x=1" || !strings.Contains(cookie, "theme=dark") || !strings.Contains(cookie, "SameSite=Strict") {
		t.Errorf("%d %v", rec.Code, rec.Header())
	}
	for _, back := range []string{"https://evil.example/x", "//evil.example/", "/\\evil.example", "javascript:alert(1)", "http://[", ""} {
		if got := s.post("/preferences", url.Values{"theme": {"auto"}, "back": {back}}).Header().Get("Location"); got != "/" {
			t.Errorf("back to %q leads to %q", back, got)
		}
	}
}
