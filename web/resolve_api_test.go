package web

import (
	"net/url"
	"strings"
	"testing"

	"segue/controlplane/policy"
)

const heldOne = "tx_01J9W2K7QH"

// TestResolveNeedsEvidence: a person's word on an open outcome needs an outcome, evidence and a reason; one that has its outcome is left alone.
func TestResolveNeedsEvidence(t *testing.T) {
	s := newSite(t, options{})
	reason := []string{"Segue-Reason", "asked them"}
	for _, c := range []struct {
		path, body string
		headers    []string
		says       string
	}{
		{heldOne + "/resolve", `{"outcome":"succeeded"}`, reason, "evidence"},
		{heldOne + "/resolve", `{"outcome":"succeeded","evidence":" "}`, reason, "evidence"},
		{heldOne + "/resolve", `{"evidence":"line 7"}`, reason, "outcome"},
		{heldOne + "/resolve", `{"outcome":"unknown","evidence":"line 7"}`, reason, "outcome"},
		{heldOne + "/resolve", `{"outcome":"succeeded","evidence":"line 7"}`, nil, "reason"},
		{heldOne + "/resolve", `{"outcome":"succeeded","proof":"line 7"}`, reason, "proof"},
		{heldOne + "/verify", ``, nil, "reason"},
		{"tx_01J9W2K7QJ/resolve", `{"outcome":"declined","evidence":"line 7"}`, reason, "has its outcome"},
		{"tx_nobody/verify", ``, reason, "no agent has"},
	} {
		got := s.ask("POST", "/api/v1/transactions/"+c.path, c.body, append([]string{"Content-Type", "application/json"}, c.headers...)...)
		if got.Code < 400 || got.Code > 499 || !strings.Contains(got.Body.String(), c.says) {
			t.Errorf("%s %s: %d %s, want %q", c.path, c.body, got.Code, got.Body, c.says)
		}
	}
	if n := len(s.plane.st.Orders); n != 0 {
		t.Errorf("%d orders were given", n)
	}
}

// TestResolveIsAnOrder: the word goes round as an order with its evidence, audited by the evidence's hash.
func TestResolveIsAnOrder(t *testing.T) {
	s := newSite(t, options{})
	form := url.Values{"outcome": {"not_sent"}, "evidence": {"their log, line 7"}, "reason": {"asked them"}, "request": {"r1"}}
	got := s.post("/transactions/"+heldOne+"/resolve", form)
	if got.Code != 303 || got.Header().Get("Location") != "/transactions/"+heldOne {
		t.Fatalf("%d %s %s", got.Code, got.Header().Get("Location"), got.Body)
	}
	if len(s.plane.st.Orders) != 1 {
		t.Fatalf("orders: %+v", s.plane.st.Orders)
	}
	o := s.plane.st.Orders[0]
	if o.Kind != policy.Resolve || o.About == nil || *o.About != (policy.About{Transaction: heldOne, Outcome: "not_sent", Evidence: "their log, line 7"}) || o.Reason != "asked them" || o.Actor == "" {
		t.Errorf("%+v", o)
	}
	last := s.plane.st.Audit[len(s.plane.st.Audit)-1]
	if !strings.Contains(last.Text, heldOne) || !strings.Contains(last.Text, "SHA-256") || strings.Contains(last.Text, "line 7") {
		t.Errorf("the audit says %q", last.Text)
	}
	page := s.get("/transactions/"+heldOne, 200)
	for _, want := range []string{"Verify now", "Resolve with this evidence", `name="evidence"`, "segue tx resolve " + heldOne} {
		if !strings.Contains(page, want) {
			t.Errorf("the page has no %q", want)
		}
	}
	list := s.get("/transactions?state=held", 200)
	for _, want := range []string{"next check", "Verify", "Resolve…", "a person decides"} {
		if !strings.Contains(list, want) {
			t.Errorf("the Unknown tab has no %q", want)
		}
	}
}
