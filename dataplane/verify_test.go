package dataplane

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"segue/controlplane/policy"
	"segue/controlplane/query"
	"segue/controlplane/state"
	"segue/dataplane/sandbox"
)

// An order to look for all open outcomes is carried out once however often it comes, and tells of each what came of it; what a dry question
// names is what the order looks for.
func TestVerifyAllIsTold(t *testing.T) {
	w := newWorld(t, priority("legacy, backup"))
	w.fault("legacy", sandbox.Fault{Kind: sandbox.Reset, Executed: true})
	for i := range 2 {
		if a := w.charge(fmt.Sprint("key-", i), fmt.Sprint("order-", i)); a.status != 504 {
			t.Fatalf("answered %d %s", a.status, a.body)
		}
	}
	ask := func(q query.Question) (v query.Verified) {
		t.Helper()
		q.Kind = query.VerifyAll
		body, err := w.agent.Answer(t.Context(), q)
		must(t, err)
		must(t, json.Unmarshal(body, &v))
		return v
	}
	would := ask(query.Question{Open: &policy.Open{Limit: 1}})
	if !would.Known || would.Found != 2 || len(would.Rows) != 1 || would.Rows[0].Result != query.VerifyWaits || would.Rows[0].Provider != "legacy" || would.Rows[0].Operation != "charge" {
		t.Errorf("it would look for %+v", would)
	}
	if v := ask(query.Question{Order: "o_1"}); v.Known || v.Rows == nil {
		t.Errorf("an order that has not come: %+v", v)
	}
	if _, err := w.agent.Answer(t.Context(), query.Question{Kind: query.VerifyAll, Open: &policy.Open{Limit: policy.MaxOpen + 1}}); err == nil {
		t.Error("any number may be asked for")
	}
	u := w.update(1, "")
	u.Policy = nil
	u.Orders = []policy.Order{{ID: "o_1", Kind: policy.VerifyAll, Open: &policy.Open{Limit: 500}, At: u.Now, For: time.Minute}}
	for i := range 3 {
		u.Position = state.Position{Incarnation: u.Incarnation, Index: u.Index + uint64(i)}
		must(t, w.agent.Apply(u))
	}
	var got query.Verified
	for end := time.Now().Add(20 * time.Second); !got.Done; time.Sleep(5 * time.Millisecond) {
		if got = ask(query.Question{Order: "o_1"}); time.Now().After(end) {
			t.Fatalf("it is not done: %+v", got)
		}
	}
	if got.Found != 2 || len(got.Rows) != 2 {
		t.Fatalf("%+v", got)
	}
	for _, r := range got.Rows { // its credential was the callers', who are gone
		if r.Result != query.VerifyLeft || r.Why == "" || r.State != "held" {
			t.Errorf("%+v", r)
		}
	}
	if n := w.executed("order-0") + w.executed("order-1"); n != 2 {
		t.Errorf("%d executed", n)
	}
}
