package sandbox

import (
	"fmt"
	"reflect"
	"testing"
	"time"
)

func enter(b *Books, operation, order string) {
	b.record(Entry{Operation: operation, Order: order, Status: "succeeded", At: time.Unix(1, 0)})
}

func TestTwiceLooksAcrossAllBooks(t *testing.T) {
	a, b := newBooks("a", 10), newBooks("b", 10)
	for _, order := range []string{"o-1", "o-2", "o-3", "x"} {
		enter(a, OpCharge, order)
	}
	enter(b, OpCharge, "o-2")
	enter(b, OpCharge, "o-4")
	enter(a, OpCharge, "x")
	enter(a, OpRefund, "o-1")       // another operation of an order is no duplicate
	enter(a, OpChargeUpdate, "o-1") // an update may be repeated
	enter(a, OpChargeUpdate, "o-1")
	enter(a, OpCharge, "")
	enter(a, OpCharge, "")
	b.record(Entry{Operation: OpCharge, Order: "o-3", Status: StatusDeclined})
	want := []Duplicate{
		{Order: "o-2", Operation: OpCharge, Times: map[string]int{"a": 1, "b": 1}},
		{Order: "x", Operation: OpCharge, Times: map[string]int{"a": 2}},
	}
	if have := Twice(a, b); !reflect.DeepEqual(have, want) {
		t.Errorf("%v, want %v", have, want)
	}
	equal(t, "alone", len(Twice(b)), 0)
}

func TestTwiceIsRightAfterTheEntryIsGone(t *testing.T) {
	b := newBooks("a", 3)
	for i := range 1000 {
		enter(b, OpCharge, fmt.Sprint("o-", i))
	}
	enter(b, OpCharge, "o-0")
	equal(t, "entries", len(b.Entries(Filter{})), 3)
	equal(t, "of o-0", len(b.Entries(Filter{Order: "o-0"})), 1)
	equal(t, "from later on", len(b.Entries(Filter{Since: time.Unix(2, 0)})), 0)
	if d := Twice(b); len(d) != 1 || d[0].Order != "o-0" {
		t.Error(d)
	}
}

func TestOrdersThatLookAlikeAreApart(t *testing.T) {
	tl := tally{}
	names := []string{"o-7", "o-07", "o-007", "o7", "7", "07", "0", "00", "", "o-", "o-70", "o-71", "o-64", "o-0",
		"1234567890123456789", "91234567890123456789", "a18446744073709551615", "o-999999999999999999"}
	for i, name := range names {
		for range i + 1 {
			tl.add(OpCharge, name)
		}
	}
	for i, name := range names {
		equal(t, name, tl.count(OpCharge, name), i+1)
		p, slot := place(OpCharge, name)
		equal(t, "back", p.order(slot), name)
	}
	for range 300 {
		tl.add(OpRefund, "many")
	}
	equal(t, "it does not begin again at 0", tl.count(OpRefund, "many"), 255)
	equal(t, "unknown", tl.count(OpRefund, "none"), 0)
}
