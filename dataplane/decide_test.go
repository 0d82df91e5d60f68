package dataplane

import (
	"strings"
	"testing"
	"time"

	"segue/controlplane/policy"
	"segue/controlplane/query"
	"segue/controlplane/state"
	"segue/dataplane/ledger"
	"segue/dataplane/sandbox"
)

// An operator's word comes as an order: it ends the open transaction once, however often the order comes, and is told with it.
func TestOperatorResolves(t *testing.T) {
	w := newWorld(t, priority("legacy, backup"))
	w.fault("legacy", sandbox.Fault{Kind: sandbox.Reset, Executed: true})
	if a := w.charge("key-1", "order-1"); a.status != 504 {
		t.Fatalf("answered %d %s", a.status, a.body)
	}
	rows, err := w.agent.store.Ledger().Recent(t.Context(), ledger.Query{State: ledger.Held})
	if err != nil || len(rows) != 1 {
		t.Fatal(rows, err)
	}
	u := w.update(1, "")
	u.Policy = nil
	u.Orders = []policy.Order{{
		ID: "o_1", Kind: policy.Resolve, About: &policy.About{Transaction: rows[0].ID, Outcome: "succeeded", Evidence: "their log, line 7"},
		At: u.Now, For: time.Minute, Actor: "ann", Reason: "asked them",
	}}
	for i := range 3 {
		u.Position = state.Position{Incarnation: u.Incarnation, Index: u.Index + uint64(i)}
		must(t, w.agent.Apply(u))
	}
	var why query.Why
	for end := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		why, err = w.agent.why(t.Context(), rows[0].ID)
		must(t, err)
		if why.Transaction.State == "succeeded" {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("it is %+v", why.Transaction)
		}
	}
	last := why.Timeline[len(why.Timeline)-1]
	if last.Word != "resolved" || !strings.Contains(last.Text, "succeeded by ann: asked them. Evidence (SHA-256 ") || !strings.HasSuffix(last.Text, ": their log, line 7") {
		t.Errorf("the timeline ends with %+v", last)
	}
}
