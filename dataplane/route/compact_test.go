package route

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"segue/controlplane/policy"
)

func TestCompactComesBack(t *testing.T) {
	r := seeded(t, 20261122)
	var log []byte
	var all []*Decision
	svcs := []*policy.Service{}
	for range 20_000 {
		w := arbitrary(r)
		d := w.decide()
		log = d.Append(log)
		all, svcs = append(all, d), append(svcs, w.svc)
	}
	t.Logf("%d bytes for each decision", len(log)/len(all))
	var back, again Decision
	var err error
	regions := []string{"us", "eu", "ap"}
	for i, d := range all {
		if log, err = back.Restore(log, svcs[i]); err != nil {
			t.Fatal(err)
		}
		if back.Winner != d.Winner || back.Reason != d.Reason || !back.At.Equal(d.At) {
			t.Fatalf("decision %d: %d by %v at %v came back as %d by %v at %v", i, d.Winner, d.Reason, d.At, back.Winner, back.Reason, back.At)
		}
		switch err := again.Again(&back, NewBridge(svcs[i], svcs[i], regions, regions), ""); {
		case d.Facts.Tried != 0:
			if !errors.Is(err, ErrRetry) {
				t.Fatalf("decision %d: a further attempt was decided again: %v", i, err)
			}
		case errors.Is(err, ErrGoneOwner) && d.Facts.Owner >= d.N:
		case err != nil:
			t.Fatal(err)
		case d.Facts.Pinned < d.N && (again.Winner != d.Winner || again.Reason != d.Reason || again.Scores != d.Scores):
			t.Fatalf("decision %d, again under its own policy: %d by %v, and was %d by %v", i, again.Winner, again.Reason, d.Winner, d.Reason)
		}
	}
	if len(log) != 0 {
		t.Fatalf("%d bytes are left over", len(log))
	}
}

// What is added to Facts or Seen and not to the compact form would be lost without a word.
func TestCompactHoldsEverything(t *testing.T) {
	svc := &policy.Service{Candidates: []*policy.Candidate{{Provider: "main"}}}
	at := time.Unix(1_790_000_000, 5).UTC()
	for _, of := range []string{"Facts", "Past", "Seen"} {
		leaves(reflect.TypeOf(Decision{}), of, func(path []int, name string) {
			d := Decision{N: 1, At: at, Facts: policy.Facts{Pinned: -1, Owner: -1}}
			set(reflect.ValueOf(&d).Elem(), path, at)
			var back Decision
			if _, err := back.Restore(d.Append(nil), svc); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			for i := range d.Seen {
				back.Seen[i].salt = 0
			}
			d.Scores, back.Scores = [policy.MaxCandidates]Score{}, [policy.MaxCandidates]Score{}
			if !reflect.DeepEqual(d, back) {
				t.Errorf("%s does not come back: write it in compact.go", name)
			}
		})
	}
}

// leaves visits each exported plain field below the named field; of arrays, the first element.
func leaves(in reflect.Type, name string, visit func(path []int, name string)) {
	f, _ := in.FieldByName(name)
	var walk func(t reflect.Type, path []int, name string)
	walk = func(t reflect.Type, path []int, name string) {
		switch {
		case t == reflect.TypeOf(time.Time{}):
			visit(path, name)
		case t.Kind() == reflect.Struct:
			for i := range t.NumField() {
				if t.Field(i).IsExported() {
					walk(t.Field(i).Type, append(append([]int{}, path...), i), name+"."+t.Field(i).Name)
				}
			}
		case t.Kind() == reflect.Array:
			walk(t.Elem(), append(append([]int{}, path...), 0), name)
		default:
			visit(path, name)
		}
	}
	walk(f.Type, []int{f.Index[0]}, name)
}

// set gives one field a value that is not its zero.
func set(v reflect.Value, path []int, at time.Time) {
	for _, i := range path {
		if v.Kind() == reflect.Array {
			v = v.Index(i)
		} else {
			v = v.Field(i)
		}
	}
	switch {
	case v.Type() == reflect.TypeOf(at):
		v.Set(reflect.ValueOf(at.Add(time.Second)))
	case v.CanInt():
		v.SetInt(1)
	case v.CanUint():
		v.SetUint(1)
	case v.CanFloat():
		v.SetFloat(0.5)
	case v.Kind() == reflect.Bool:
		v.SetBool(!v.Bool())
	case v.Kind() == reflect.String:
		v.SetString("x")
	}
}

func TestCompactThatIsCutDoesNotRead(t *testing.T) {
	w := newWorld(policy.Weighted, 60, 40)
	whole := w.decide().Append(nil)
	for n := range whole {
		var d Decision
		if _, err := d.Restore(whole[:n], w.svc); err == nil {
			t.Fatalf("%d of %d bytes read", n, len(whole))
		}
	}
	if _, err := new(Decision).Restore(whole, &policy.Service{}); err == nil {
		t.Fatal("a decision among two providers read as one among none")
	}
}

func TestAgainUnderAnotherPolicy(t *testing.T) {
	w := newWorld(policy.Weighted, 100, 0)
	w.open(0, 3)
	d := w.decide()
	if d.Winner != 1 {
		t.Fatalf("stripe is open, and %d won", d.Winner)
	}
	is := &policy.Service{Name: "payments", Strategy: policy.Priority, Candidates: []*policy.Candidate{
		{Provider: "checkout"}, {Provider: "adyen"}, {Provider: "stripe"},
	}}
	var again Decision
	if err := again.Again(d, NewBridge(w.svc, is, nil, nil), ""); err != nil {
		t.Fatal(err)
	}
	if again.Winner != 0 || again.Scores[2].Gate != CircuitOpen {
		t.Fatalf("%d won, stripe's gate is %v: a new provider is first in the order, and stripe is as open as it was", again.Winner, again.Scores[2].Gate)
	}
	priced := *is
	priced.Exchange, priced.Strategy = &policy.Exchange{Base: "EUR"}, policy.Adaptive
	if err := again.Again(d, NewBridge(w.svc, &priced, nil, nil), ""); !errors.Is(err, ErrUnpriced) {
		t.Fatalf("nobody knows what the calls were worth, and: %v", err)
	}
	if priced.Strategy = policy.Priority; again.Again(d, NewBridge(w.svc, &priced, nil, nil), "") != nil || !NewBridge(w.svc, &priced, nil, nil).Unpriced() {
		t.Fatal("an order does not depend on what calls are worth")
	}
	d.Facts.Owner = 0
	if err := again.Again(d, NewBridge(w.svc, is, nil, nil), ""); err != nil || again.Facts.Owner != 2 || again.Winner != 2 {
		t.Fatalf("the owner went from place 0 to %d, won by %d: %v", again.Facts.Owner, again.Winner, err)
	}
	is.Candidates = is.Candidates[:2]
	if err := again.Again(d, NewBridge(w.svc, is, nil, nil), ""); !errors.Is(err, ErrGoneOwner) {
		t.Fatalf("the owner is gone, and: %v", err)
	}
}

func BenchmarkAppend(b *testing.B) {
	w := newWorld(policy.Weighted, 40, 30, 20, 10)
	d, to := w.decide(), make([]byte, 0, 512)
	b.ReportAllocs()
	for b.Loop() {
		to = d.Append(to[:0])
	}
}
