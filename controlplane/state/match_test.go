package state

import (
	"strings"
	"testing"
	"time"

	"segue/controlplane/policy"
)

// A change that names a revision is made only while that one is in force: also where nothing would change, and for orders.
func TestMatchIsHeldAgainstTheRevisionInForce(t *testing.T) {
	w := newWorld(t)
	w.must("p", apply(0, document))
	w.must("w", weights(0, "eu-west", 1, 99))
	with := func(match uint64, c Command) Command { c.Match = match; return c }
	e := w.refused(Stale, "made for revision 1, but revision 2 is in force", "a", with(1, drain("main", time.Hour, "eu-west")))
	if e.Base == nil || e.Base.Base != 1 || e.Base.Current != 2 || len(e.Base.Theirs) == 0 || len(e.Base.Yours) != 0 {
		t.Errorf("%+v", e.Base)
	}
	w.refused(Stale, "revision 2 is in force", "b", with(1, weights(0, "eu-west", 1, 99))) // nothing would change
	w.refused(Stale, "revision 9 is not kept", "c", with(9, drain("main", time.Hour)))
	if len(w.s.Orders) != 0 || w.s.Current().Number != 2 {
		t.Fatal("a refused change was made")
	}
	w.must("d", with(2, drain("main", time.Hour, "eu-west")))
	w.refused(Invalid, "used for another change", "d", drain("main", time.Hour, "eu-west")) // the same without a match is another
}

// A request id stands for what an order is about too: another transaction, another word on it, other open ones are another change.
func TestARequestIsForWhatItIsAbout(t *testing.T) {
	w := newWorld(t)
	w.must("p", apply(0, document))
	order := func(change func(*policy.Order)) Command {
		o := policy.Order{Kind: policy.Resolve, About: &policy.About{Transaction: "tx_1", Outcome: "declined", Evidence: "line 7"}, For: time.Minute}
		change(&o)
		return Command{GiveOrder: &GiveOrder{Order: o}}
	}
	open := func(o *policy.Order) {
		o.Kind, o.About, o.Open = policy.VerifyAll, nil, &policy.Open{Provider: "main", Limit: 5}
	}
	first, many := w.must("a", order(func(*policy.Order) {})), w.must("b", order(open))
	if w.must("a", order(func(*policy.Order) {})).Order != first.Order || w.must("b", order(open)).Order != many.Order || len(w.s.Orders) != 2 {
		t.Errorf("repeats are other orders: %+v", w.s.Orders)
	}
	if last := w.s.Audit[len(w.s.Audit)-1].Text; !strings.Contains(last, "verification of open transactions at main, at most 5 of each agent") {
		t.Error(last)
	}
	w.refused(Invalid, "used for another change", "a", order(func(o *policy.Order) { o.About.Transaction = "tx_2" }))
	w.refused(Invalid, "used for another change", "a", order(func(o *policy.Order) { o.About.Outcome = "succeeded" }))
	w.refused(Invalid, "used for another change", "a", order(func(o *policy.Order) { o.About.Evidence = "line 8" }))
	for _, change := range []func(*policy.Open){
		func(o *policy.Open) { o.Provider = "backup" }, func(o *policy.Open) { o.Limit = 6 }, func(o *policy.Open) { o.State = "held" },
		func(o *policy.Open) { o.Transactions = []string{"tx_1"} }, func(o *policy.Open) { o.OlderThan = time.Minute },
	} {
		w.refused(Invalid, "used for another change", "b", order(func(o *policy.Order) { open(o); change(o.Open) }))
	}
}

func TestDrainsEndTogether(t *testing.T) {
	w := newWorld(t)
	w.must("p", apply(0, document))
	a, b := w.must("a", drain("main", time.Hour, "eu-west")).Order, w.must("b", drain("main", time.Hour, "us-east")).Order
	kept := w.must("c", drill(time.Hour)).Order
	resume := Command{EndOrder: &EndOrder{DrainsOf: "main"}}
	first := w.must("e", resume)
	if first.Order != a+" "+b || len(w.s.Orders) != 1 || w.s.Orders[0].ID != kept {
		t.Fatalf("%+v, left %+v", first, w.s.Orders)
	}
	if last := w.s.Audit[len(w.s.Audit)-1].Text; !strings.Contains(last, "drain of main in eu-west") || !strings.Contains(last, "drain of main in us-east") {
		t.Error(last)
	}
	w.must("d", drain("main", time.Hour, "eu-west"))
	if again := w.must("e", resume); again.Order != first.Order || len(w.s.Orders) != 2 {
		t.Errorf("a repeat ended a later drain: %+v", again)
	}
	if none := w.must("f", Command{EndOrder: &EndOrder{DrainsOf: "backup"}}); none.Order != "" {
		t.Errorf("%+v", none)
	}
	w.refused(NotFound, `no provider "none"`, "g", Command{EndOrder: &EndOrder{DrainsOf: "none"}})
}
