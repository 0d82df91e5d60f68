package proxy

import (
	"fmt"
	"testing"
	"time"

	"segue/controlplane/policy"
	"segue/dataplane/ledger"
	"segue/dataplane/route"
)

func exchange(id string) *Exchange {
	svc := &policy.Service{Name: "payments", Strategy: policy.Priority, Candidates: []*policy.Candidate{{Provider: "main"}, {Provider: "backup"}}}
	x := &Exchange{
		call: &Call{Arrived: time.Unix(100, 0)}, op: &policy.Operation{}, svc: &service{Service: svc}, view: &view{snap: &policy.Snapshot{Revision: 7}},
	}
	x.work.tx = &ledger.Transaction{ID: id}
	st := &route.Standings{Rows: []*route.Standing{route.NewStanding("main"), route.NewStanding("backup")}}
	route.Decide(&x.decision, svc, st, &policy.Facts{Pinned: -1, Owner: -1}, x.call.Arrived)
	return x
}

func TestLogKeepsTheNewest(t *testing.T) {
	p := &Proxy{}
	for i := range maxEntries + 10 {
		p.log.open(exchange(fmt.Sprint("tx_", i)))
	}
	if p.log.find("tx_9") != nil || p.log.find("tx_10") == nil || len(p.log.byID) != maxEntries || len(p.log.ring) != maxEntries {
		t.Errorf("%d entries, %d names", len(p.log.ring), len(p.log.byID))
	}
}

// A later exchange under the same key goes on with the story of the first, and the story is bounded.
func TestLogGoesOnWithTheStory(t *testing.T) {
	p := &Proxy{}
	for range 50 {
		x := exchange("tx_1")
		e := p.log.open(x)
		e.decided(x, &x.decision)
		e.ended(&hop{provider: "main", outcome: ledger.NotSent, err: "connection_refused"}, x.call.Arrived.Add(time.Millisecond))
	}
	decisions, moments := p.Why("tx_1")
	if len(decisions) != ledger.MaxAttempts || len(moments) != maxMoments {
		t.Fatalf("%d decisions, %d moments", len(decisions), len(moments))
	}
	d := decisions[0]
	if d.Winner != "main" || d.Revision != 7 || !d.Candidates[0].Chosen || d.Candidates[1].Chosen || len(d.Record) == 0 || d.Why == "" {
		t.Errorf("decision %+v", d)
	}
	if m := moments[2]; m.Word != "not sent" || m.Level != "warn" || m.After != time.Millisecond || m.Text != "main: connection_refused" {
		t.Errorf("moment %+v", m)
	}
}

func TestLogOfNothing(t *testing.T) {
	var e *entry
	x := exchange("tx_1")
	e.decided(x, &x.decision)
	e.ended(&hop{}, time.Time{})
	e.concluded(x)
	if d, m := (&Proxy{}).Why("tx_1"); d != nil || m != nil {
		t.Error(d, m)
	}
}
