package web

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"segue/controlplane/state"
)

// step has the leader take the next step of a shift.
func (s *site) step(t *testing.T, id string) {
	t.Helper()
	f, ok := s.plane.State().Shift(id)
	if !ok {
		t.Fatalf("no shift %s", id)
	}
	s.now = s.now.Add(f.Every)
	_, err := s.plane.Propose(t.Context(), state.Command{Version: 1, Request: fmt.Sprint("step", f.Index), Actor: "control node c2 for " + f.By, Reason: f.Reason, At: s.now,
		Beside: state.Beside{MoveShift: &state.MoveShift{ID: id, Act: state.ShiftStep, Index: f.Index, Loser: 99}}})
	if err != nil {
		t.Fatal(err)
	}
	s.web.look()
}

const shiftsPath = "/api/v1/services/payments/shifts"

func TestAShiftByTheAPI(t *testing.T) {
	s := newSite(t, options{})
	why := []string{"Segue-Reason", "fees", "Segue-Actor", "ann"}
	var begun shifts
	s.json("POST", shiftsPath, `{"regions":["us-east"],"weights":{"main":20,"backup":80},"steps":[50,100],"every":"30s","on_trouble":"stay","margin":2}`, 200, &begun, append(why, "Idempotency-Key", "k1")...)
	if len(begun.Shifts) != 1 {
		t.Fatalf("%+v", begun)
	}
	f := begun.Shifts[0]
	if f.Phase != state.Shifting || f.Start["main"] != 70 || f.Target["backup"] != 80 || f.Every != "30s" || f.OnTrouble != "stay" || f.Margin != 2 || f.By != "ann @ loopback" || len(f.Success) != 2 || f.Success[0].Gains || f.Success[0].Calls == 0 {
		t.Fatalf("%+v", f)
	}
	s.wantShares(t, "us-east", 70, 30, 0)
	var again shifts
	s.json("POST", shiftsPath, `{"regions":["us-east"],"weights":{"main":20,"backup":80},"steps":[50,100],"every":"30s","on_trouble":"stay","margin":2}`, 200, &again, append(why, "Idempotency-Key", "k1")...)
	if len(again.Shifts) != 1 || again.Shifts[0].ID != f.ID || len(s.plane.State().Shifts) != 1 {
		t.Fatalf("the repeat began another one: %+v", again)
	}
	s.step(t, f.ID)
	s.wantShares(t, "us-east", 45, 55, 0)
	one := "/api/v1/shifts/" + f.ID
	s.json("GET", one, "", 200, &f)
	if f.Taken != 1 || f.Set["main"] != 45 || !f.Next.Equal(s.now.Add(30e9)) {
		t.Fatalf("%+v", f)
	}
	f = shift{}
	s.json("POST", one+"/stop", "", 200, &f, why...)
	if f.Phase != state.Stopped || f.Why != "stopped by ann @ loopback" || !f.Next.IsZero() {
		t.Fatalf("%+v", f)
	}
	s.json("POST", one+"/go", "", 200, &f, why...)
	s.json("POST", one+"/finish", "", 200, &f, why...)
	s.wantShares(t, "us-east", 20, 80, 0)
	s.json("POST", one+"/back", "", 200, &f, why...)
	if f.Phase != state.Returned {
		t.Fatalf("%+v", f)
	}
	s.wantShares(t, "us-east", 70, 30, 0)
	var list shifts
	s.json("GET", "/api/v1/shifts?service=payments", "", 200, &list)
	if len(list.Shifts) != 1 {
		t.Errorf("%+v", list)
	}
	if s.json("GET", "/api/v1/shifts?service=payouts", "", 200, &list); len(list.Shifts) != 0 {
		t.Errorf("%+v", list)
	}
	var everywhere shifts
	s.json("POST", shiftsPath, `{"from":"main","to":"legacy","by":10}`, 200, &everywhere, why...)
	if len(everywhere.Shifts) != 3 || everywhere.Shifts[0].Every != "2m0s" || len(everywhere.Shifts[0].Steps) != 4 || everywhere.Shifts[0].OnTrouble != "back" || everywhere.Shifts[0].Margin != 5 {
		t.Errorf("%+v", everywhere)
	}
}

// Each bad request names its field and what would be right.
func TestBadShiftsByTheAPI(t *testing.T) {
	s := newSite(t, options{})
	for body, says := range map[string]string{
		`{"regions":["us-east"],"weights":{"main":20,"backup":80},"steps":[50,25,100]}`:    "steps[1]: 25 does not come after 50; let the steps rise",
		`{"regions":["us-east"],"weights":{"main":20,"backup":80},"steps":[50,101]}`:       "steps[1]: 101 is no percentage above 0 and at most 100",
		`{"regions":["us-east"],"weights":{"main":20,"backup":80},"steps":[50]}`:           "steps: they end at 50 % of the way; end with 100",
		`{"regions":["us-east"],"weights":{"main":20,"backup":80},"steps":"all"}`:          "steps",
		`{"regions":["us-east"],"weights":{"main":20,"backup":80},"every":"9s"}`:           "every: 9s is not between 10s and 24h0m0s; write a length of time, like 2m",
		`{"regions":["us-east"],"weights":{"main":20,"backup":80},"every":"NaN"}`:          `every: \"NaN\" is no length of time`,
		`{"regions":["us-east"],"weights":{"main":20,"backup":80},"margin":0}`:             "margin: 0 is not above 0",
		`{"regions":["us-east"],"weights":{"main":20,"backup":80},"on_trouble":"explode"}`: "write back or stay",
		`{"regions":["us-east"],"weights":{"main":20,"backup":90}}`:                        "the shares add up to 110",
		`{"regions":["us-east"],"weights":{"mian":20,"backup":80}}`:                        "mian",
		`{"regions":["us-est"],"weights":{"main":20,"backup":80}}`:                         `there is no region \"us-est\"`,
		`{"regions":["us-east"],"from":"mian","to":"backup"}`:                              "from: payments has no weight for \\\"mian\\\" in us-east; name one of main, backup, legacy",
		`{"regions":["us-east"],"weights":{"main":20},"speed":1}`:                          "speed",
		`{}`: "from: it is missing",
	} {
		rec := s.ask("POST", shiftsPath, body, "Accept", "application/json", "Content-Type", "application/json", "Segue-Reason", "why")
		if rec.Code < 400 || rec.Code >= 500 || !strings.Contains(rec.Body.String(), says) {
			t.Errorf("%s: %d, not %q\n%s", body, rec.Code, says, rec.Body)
		}
	}
	for path, code := range map[string]int{
		"/api/v1/services/sms/shifts": http.StatusNotFound, "/api/v1/services/payouts/shifts": http.StatusUnprocessableEntity,
		"/api/v1/shifts/sh_none/stop": http.StatusNotFound, "/api/v1/shifts/sh_none/jump": http.StatusNotFound,
	} {
		body := `{"from":"main","to":"backup"}`
		if strings.Contains(path, "/shifts/") {
			body = ""
		}
		if rec := s.ask("POST", path, body, "Accept", "application/json", "Content-Type", "application/json", "Segue-Reason", "why"); rec.Code != code {
			t.Errorf("%s: %d, not %d: %s", path, rec.Code, code, rec.Body)
		}
	}
	s.json("POST", shiftsPath, `{"from":"main","to":"backup"}`, 422, nil)
	s.json("POST", shiftsPath, `{"from":"main","to":"backup"}`, 412, nil, "Segue-Reason", "why", "If-Match", `"7"`)
	s.json("GET", "/api/v1/shifts/sh_none", "", 404, nil)
	if len(s.plane.State().Shifts) != 0 {
		t.Errorf("%+v", s.plane.State().Shifts)
	}
}

func TestAShiftByThePage(t *testing.T) {
	s := newSite(t, options{})
	form := weights("1", "20", "80", "0")
	form.Set("reason", "fees")
	form.Set("steps", "50; 20")
	form.Set("every", "30s")
	form.Set("request", "f1")
	page := s.post("/routing/payments/us-east/shift", form)
	if page.Code != http.StatusUnprocessableEntity {
		t.Fatalf("%d", page.Code)
	}
	wants(t, page.Body.String(), "Steps[1]: 20 does not come after 50; let the steps rise", `value="50; 20"`, `value="30s"`, "<details class=\"in-steps\" open", ">fees</textarea>")
	for field, bad := range map[string]string{"steps": "50, soon", "every": "NaN", "on_trouble": "dance"} {
		wrong := weights("1", "20", "80", "0")
		for name, value := range map[string]string{"reason": "fees", "steps": "50, 100", "every": "30s", "request": "f-" + field, field: bad} {
			wrong.Set(name, value)
		}
		page := s.post("/routing/payments/us-east/shift", wrong)
		if page.Code != http.StatusUnprocessableEntity || !strings.Contains(strings.ToLower(page.Body.String()), field+":") {
			t.Errorf("%s %q: %d", field, bad, page.Code)
		}
	}
	form.Set("steps", "50%, 100%")
	form.Set("request", "f2")
	s.sees("/routing/payments/us-east/shift", "/routing/payments", form)
	id := s.plane.State().Shifts[0].ID
	s.web.look()
	wants(t, s.get("/routing/payments", 200), "Shift in us-east", "under way", "the first step comes at once", "/shifts/"+id+"/stop", "Finish now", "segue shift show "+id)
	s.step(t, id)
	wants(t, s.get("/routing/payments", 200), "step 2 of 2 in 30 s", "70 → 20", "<b>45</b>", "30 → 80", "<b>55</b>", "“fees”", "!Go on")
	s.sees("/shifts/"+id+"/stop", "/routing/payments", nil)
	s.web.look()
	wants(t, s.get("/routing/payments", 200), "stopped", "Stopped by local operator @ loopback.", "Go on", "after step 1 of 2")
	s.sees("/shifts/"+id+"/go", "/routing/payments", nil)
	s.sees("/shifts/"+id+"/finish", "/routing/payments", nil)
	s.wantShares(t, "us-east", 20, 80, 0)
	s.web.look()
	wants(t, s.get("/routing/payments", 200), "finished", "Take it back", "!/shifts/"+id+"/finish")
	s.sees("/shifts/"+id+"/back", "/routing/payments", nil)
	s.wantShares(t, "us-east", 70, 30, 0)
	s.web.look()
	wants(t, s.get("/routing/payments", 200), "back to the start", "!/shifts/"+id+"/back")
	wants(t, s.get("/", 200), "went back after step 2 of 2")
	s.now = s.now.Add(time.Hour)
	s.web.look()
	wants(t, s.get("/routing/payments", 200), "!Shift in us-east")
	s.post("/shifts/sh_none/stop", nil)
}

// Somebody else's change comes first: both sides are shown, and nothing is begun.
func TestAShiftOnAnOldPage(t *testing.T) {
	s := newSite(t, options{})
	s.json("PATCH", "/api/v1/services/payments/weights/us-east", `{"main":60,"backup":40}`, 200, nil, "Segue-Reason", "night")
	s.web.look()
	form := weights("1", "20", "80", "0")
	form.Set("reason", "fees")
	page := s.post("/routing/payments/us-east/shift", form)
	if page.Code != http.StatusConflict || len(s.plane.State().Shifts) != 0 {
		t.Fatalf("%d, %+v", page.Code, s.plane.State().Shifts)
	}
	wants(t, page.Body.String(), "Somebody was faster")
}
