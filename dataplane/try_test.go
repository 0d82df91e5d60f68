package dataplane

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"segue/controlplane/query"
	"segue/dataplane/sandbox"
)

func (w *world) try(r query.Try) query.Tried {
	w.t.Helper()
	body, err := w.agent.Answer(context.Background(), query.Question{Kind: query.TryOne, Service: "payments", Try: &r})
	must(w.t, err)
	var t query.Tried
	must(w.t, json.Unmarshal(body, &t))
	return t
}

// What is tried is decided as a call would be, and leaves no trace: nothing at a provider, no row, no session, no count.
func TestTryDecidesAndLeavesNoTrace(t *testing.T) {
	w := newWorld(t)
	a := w.charge("key-1", "order-1", "Session-Id", "ses-1")
	if a.status != 200 {
		t.Fatalf("answered %d %s", a.status, a.body)
	}
	charge := query.Try{
		Method: "post", Path: "/v1/charges", Body: []byte(charge("order-1")),
		Headers: map[string]string{"Content-Type": "application/x-www-form-urlencoded", "Idempotency-Key": "key-1", "Session-Id": "ses-1"},
	}
	for range 5 {
		d := w.try(charge)
		if d.Refused != "" || d.Winner != "main" || d.Operation == "" || d.Read || d.Agent != "here-1" || d.Region != "here" || d.Revision != 1 {
			t.Fatalf("%+v", d)
		}
		if len(d.Candidates) != 2 || !d.Candidates[0].Chosen || d.Candidates[0].Gate != "passed" || len(d.Sentences) != 2 || d.Why == "" || len(d.Record) == 0 {
			t.Fatalf("%+v", d)
		}
	}
	if n := w.executed("order-1"); n != 1 {
		t.Errorf("executed %d times", n)
	}
	if len(w.agent.parts.proxy.Replay(t.Context(), w.agent.force.snapshot.Load(), w.agent.cfg.Now().Add(-query.MaxReplay)).Services) != 1 {
		t.Error("no past")
	}
	r := w.agent.parts.proxy.Replay(t.Context(), w.agent.force.snapshot.Load(), w.agent.cfg.Now().Add(-query.MaxReplay))
	if r.Decisions != 1 {
		t.Errorf("%d decisions are kept: a test is none", r.Decisions)
	}
	if rows := len(readRows(t, w)); rows != 1 {
		t.Errorf("%d rows", rows)
	}
}

func readRows(t *testing.T, w *world) []query.Transaction {
	t.Helper()
	rows, err := w.agent.transactions(t.Context(), query.Question{})
	must(t, err)
	return rows
}

// An object's owner is looked up; an open circuit is seen; what would be refused says why.
func TestTrySeesWhatACallWouldSee(t *testing.T) {
	w := newWorld(t, edited(func(s string) string { return strings.Replace(s, "failures: 1000", "failures: 2", 1) }))
	made := w.charge("key-1", "order-1").json(t)
	w.fault("main", sandbox.Fault{Kind: sandbox.Status, Code: 503})
	for i := range 3 {
		w.do("GET", "/v1/balance", "", "Session-Id", fmt.Sprint("s-", i))
	}
	open := w.try(query.Try{Method: "GET", Path: "/v1/balance"})
	if open.Winner != "backup" || !strings.HasPrefix(open.Candidates[0].Gate, "circuit") || !open.Read {
		t.Errorf("%+v", open)
	}
	owned := w.try(query.Try{Method: "GET", Path: fmt.Sprintf("/v1/charges/%s", made["id"])})
	if owned.Winner != "main" || owned.Candidates[1].Gate != "not-owner" {
		t.Errorf("%+v", owned)
	}
	for want, r := range map[string]query.Try{
		"unknown-operation": {Method: "DELETE", Path: "/nowhere"},
		"Session-Id":        {Method: "GET", Path: "/v1/balance", Headers: map[string]string{"Session-Id": "a b"}},
		"Segue-Value":       {Method: "POST", Path: "/v1/charges", Headers: map[string]string{"Segue-Value": "much"}},
	} {
		if d := w.try(r); !strings.Contains(d.Refused, want) || d.Winner != "" {
			t.Errorf("%s: %+v", want, d)
		}
	}
	for name, r := range map[string]*query.Try{
		"nothing": nil, "no path": {Method: "GET", Path: "v1"}, "two lines": {Method: "GET", Path: "/", Headers: map[string]string{"A": "b\r\nC: d"}},
		"large": {Method: "POST", Path: "/", Body: make([]byte, query.MaxTried+1)},
	} {
		if _, err := w.agent.Answer(context.Background(), query.Question{Kind: query.TryOne, Service: "payments", Try: r}); err == nil {
			t.Errorf("%s was tried", name)
		}
	}
	if body, err := w.agent.Answer(context.Background(), query.Question{Kind: query.TryOne, Service: "nobody", Try: &query.Try{Method: "GET", Path: "/"}}); err != nil || !strings.Contains(string(body), "unknown-service") {
		t.Errorf("%s %v", body, err)
	}
}
