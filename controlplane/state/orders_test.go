package state

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"segue/controlplane/policy"
)

func TestOrderIsGivenAndEnds(t *testing.T) {
	w := newWorld(t)
	w.must("p", apply(0, document))
	r := w.must("a", drain("main", time.Hour, "eu-west"))
	if r.Order == "" || r.Order != orderID("a") || len(w.s.Orders) != 1 {
		t.Fatalf("%+v", r)
	}
	o := w.s.Orders[0]
	if o.ID != r.Order || o.Actor != "ann" || o.Reason != "because" || !o.At.Equal(epoch) || o.Ends() != epoch.Add(time.Hour) {
		t.Fatalf("%+v", o)
	}
	if text := w.s.Audit[1].Text; text != "drain of main in eu-west for 1h0m0s" {
		t.Fatal(text)
	}
	if r := w.must("e", Command{EndOrder: &EndOrder{ID: o.ID}}); len(w.s.Orders) != 0 || r.Order != o.ID {
		t.Fatalf("%+v", w.s.Orders)
	}
	w.refused(NotFound, o.ID, "f", Command{EndOrder: &EndOrder{ID: o.ID}})
}

func TestOrdersExpire(t *testing.T) {
	w := newWorld(t)
	w.must("p", apply(0, document))
	id := w.must("a", drill(time.Minute)).Order
	w.must("b", drill(time.Hour))
	old := w.s
	if n := len(w.s.InForce(epoch.Add(59 * time.Second))); n != 2 {
		t.Fatal(n)
	}
	if n := len(w.s.InForce(epoch.Add(time.Minute))); n != 1 {
		t.Fatal("an order is in force at its end")
	}
	w.now = epoch.Add(2 * time.Minute)
	w.refused(NotFound, id, "late", Command{EndOrder: &EndOrder{ID: id}})
	w.must("c", weights(0, "eu-west", 1, 99))
	if len(w.s.Orders) != 1 || len(old.Orders) != 2 {
		t.Fatalf("%d now, %d before", len(w.s.Orders), len(old.Orders))
	}
}

func TestDrainLeavesAProvider(t *testing.T) {
	w := newWorld(t)
	w.must("p", apply(0, document))
	w.must("a", drain("main", time.Hour, "eu-west"))
	w.must("b", drain("backup", time.Hour, "us-east"))
	e := w.refused(Invalid, "payments in eu-west would have no provider left", "c", drain("backup", time.Minute, "eu-west"))
	if !strings.Contains(e.Message, "main is drained until 2026-11-21T10:00:00Z") || !strings.Contains(e.Message, "backup by this drain") {
		t.Fatal(e.Message)
	}
	w.refused(Invalid, "no provider left", "d", drain("main", time.Minute))
	w.must("drills do not count", drill(time.Minute))
	w.now = epoch.Add(time.Hour)
	w.must("e", drain("backup", time.Minute, "eu-west"))
	w.refused(Invalid, "no provider left", "f", drain("main", time.Minute))
}

func TestFallbackAndPriorityCountAsProviders(t *testing.T) {
	for name, src := range map[string]string{
		"weight 0": strings.Replace(document, "main: 40, backup: 60", "main: 100, backup: 0", 1),
		"priority": strings.Replace(document, `strategy: weighted
    weights:
      us-east: {main: 70, backup: 30}
      eu-west: {main: 40, backup: 60}`, "strategy: priority\n    priority: {default: [main, backup], us-east: [main]}", 1),
	} {
		w := newWorld(t)
		w.must("p", apply(0, src))
		w.must(name, drain("main", time.Minute, "eu-west"))
		w.refused(Invalid, "no provider left", "b", drain("backup", time.Minute, "eu-west"))
		if name == "priority" {
			w.refused(Invalid, "us-east would have no provider", "c", drain("main", time.Minute, "us-east"))
		}
	}
}

func TestOrdersAreChecked(t *testing.T) {
	w := newWorld(t)
	w.must("p", apply(0, document))
	w.refused(Invalid, "nobody", "a", drain("nobody", time.Hour))
	w.refused(Invalid, "", "b", drain("main", 0))
	w.refused(Invalid, "", "c", drain("main", 1000*time.Hour))
	w.refused(Invalid, "mars", "d", drain("main", time.Hour, "mars"))
	for i := range MaxOrders {
		w.must(fmt.Sprint("d", i), drill(time.Hour))
	}
	w.refused(Invalid, "64 orders are in force", "over", drill(time.Hour))
}

func TestUpdateHoldsWhatConcernsTheRegion(t *testing.T) {
	w := newWorld(t)
	w.must("p", apply(0, document))
	id := w.must("a", drain("main", time.Hour, "eu-west")).Order
	all := w.must("b", drill(time.Minute)).Order
	u, err := w.s.Update("eu-west", epoch)
	if err != nil || u.Position != (Position{"one", 3}) || u.Revision != 1 || !u.Now.Equal(epoch) {
		t.Fatalf("%+v %v", u, err)
	}
	if len(u.Orders) != 2 || u.Orders[0].ID != id || u.Orders[1].ID != all {
		t.Fatalf("%+v", u.Orders)
	}
	p, problems := policy.Parse("cut", u.Policy)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	if got := providers(p.Services[0].Weights[0].Weights); len(p.Services[0].Weights) != 1 || len(got) != 2 || p.Services[0].Weights[0].Weights[0].Percent != 40 {
		t.Fatalf("%+v", p.Services[0].Weights)
	}
	if u, err = w.s.Update("us-east", epoch.Add(time.Minute)); err != nil || len(u.Orders) != 0 {
		t.Fatalf("%+v %v", u, err)
	}
	if _, err = w.s.Update("mars", epoch); err == nil || err.(*Error).Code != NotFound {
		t.Fatal(err)
	}
}

// TestStatesShareNoWrites: what one change does to the orders is not seen in the State before it.
func TestStatesShareNoWrites(t *testing.T) {
	w := newWorld(t)
	w.must("p", apply(0, document))
	w.must("a", drain("main", time.Hour, "eu-west"))
	w.must("b", drill(time.Minute))
	for i, c := range []Command{{EndOrder: &EndOrder{ID: orderID("a")}}, drain("main", 2*time.Hour, "eu-west")} {
		before := w.s
		text := saveBytes(t, before)
		w.must(fmt.Sprint("change", i), c)
		if !bytes.Equal(text, saveBytes(t, before)) {
			t.Errorf("%+v changed the State before it", c)
		}
		w.s = before
	}
}

func BenchmarkUpdate(b *testing.B) {
	w := newWorld(b)
	w.must("p", apply(0, document))
	w.must("a", drain("main", time.Hour, "eu-west"))
	for b.Loop() {
		if _, err := w.s.Update("eu-west", epoch); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	for name, c := range map[string]Command{
		"weights": weights(0, "eu-west", 40, 60), "order": drain("main", time.Hour, "eu-west"), "drill": drill(time.Minute),
	} {
		b.Run(name, func(b *testing.B) {
			c.Request, c.Actor, c.Reason, c.At = "r", "ann", "why", epoch
			text, err := Encode(c)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Decode(text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkApply(b *testing.B) {
	for name, change := range map[string]func(i int) Command{
		"weights": func(i int) Command { return weights(0, "eu-west", float64(i%100), 100-float64(i%100)) },
		"order": func(i int) Command {
			if i%2 == 0 {
				return drain("main", time.Hour, "eu-west")
			}
			return Command{EndOrder: &EndOrder{ID: orderID(fmt.Sprint("r", i-1))}}
		},
	} {
		b.Run(name, func(b *testing.B) {
			w := newWorld(b)
			w.must("p", apply(0, document))
			i := 0
			for b.Loop() {
				c := change(i)
				c.Request, c.Actor, c.Reason, c.At = fmt.Sprint("r", i), "ann", "why", epoch
				i++
				next, r := w.s.Apply(c, uint64(i+1))
				if r.Err != nil {
					b.Fatal(r.Err)
				}
				w.s = next
			}
		})
	}
}
