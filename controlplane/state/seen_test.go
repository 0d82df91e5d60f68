package state

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestRepeatGetsTheSameAnswer(t *testing.T) {
	w := newWorld(t)
	first := w.must("p", apply(0, document))
	order := w.must("o", drain("main", time.Hour))
	stale := w.do("s", apply(9, document+"# x\n"))
	w.must("later", weights(0, "eu-west", 1, 99))
	w.now = epoch.Add(23 * time.Hour)
	before := saveBytes(t, w.s)
	for request, want := range map[string]Result{"p": first, "o": order, "s": stale} {
		change := map[string]Command{"p": apply(0, document), "o": drain("main", time.Hour), "s": apply(9, document+"# x\n")}[request]
		if got := w.do(request, change); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, first %+v", request, got, want)
		}
	}
	if !bytes.Equal(before, saveBytes(t, w.s)) {
		t.Fatal("a repeat changed something")
	}
}

func TestRepeatAfterADayIsNew(t *testing.T) {
	w := newWorld(t)
	w.must("p", apply(0, document))
	w.must("w", weights(0, "eu-west", 1, 99))
	w.must("x", weights(0, "eu-west", 2, 98))
	w.now = epoch.Add(24 * time.Hour)
	if r := w.must("w", weights(0, "eu-west", 1, 99)); r.Revision != 4 {
		t.Fatalf("%+v", r)
	}
	if r := w.must("w", weights(0, "eu-west", 1, 99)); r.Revision != 4 {
		t.Fatalf("the newer use is not remembered: %+v", r)
	}
}

func TestRequestIDOfAnotherChangeIsRefused(t *testing.T) {
	w := newWorld(t)
	w.must("p", apply(0, document))
	w.must("w", weights(0, "eu-west", 1, 99))
	w.refused(Invalid, "another change", "w", weights(0, "eu-west", 2, 98))
	if r := w.must("w", weights(0, "eu-west", 1, 99)); r.Revision != 2 {
		t.Fatalf("the first answer is lost: %+v", r)
	}
}

func TestRepeatOfAnOrderWithAnotherClock(t *testing.T) {
	w := newWorld(t)
	w.must("p", apply(0, document))
	first := w.must("o", drain("main", time.Hour))
	again := drain("main", time.Hour)
	again.GiveOrder.Order.At, again.GiveOrder.Order.ID = epoch.Add(time.Second), "made up"
	w.now = epoch.Add(time.Second)
	if r := w.must("o", again); r != first {
		t.Fatalf("%+v, first %+v", r, first)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	m := memory{}
	for i := range MaxSeen + 5000 {
		m = m.add(Seen{Request: fmt.Sprint("r", i), At: epoch})
	}
	if len(m.list) != MaxSeen {
		t.Fatal(len(m.list))
	}
	marks, runs := 0, 0
	for run := m.runs; run != nil; run = run.older {
		marks, runs = marks+len(run.marks), runs+1
	}
	if marks > 2*MaxSeen || runs > 20 {
		t.Fatalf("%d marks in %d runs", marks, runs)
	}
	if _, ok := m.find("r4999", epoch); ok {
		t.Fatal("the oldest is still known")
	}
	for _, i := range []int{5000, 5001, 30000, MaxSeen + 4999} {
		if v, ok := m.find(fmt.Sprint("r", i), epoch); !ok || v.Request != fmt.Sprint("r", i) {
			t.Fatalf("r%d: %+v %t", i, v, ok)
		}
	}
}

func TestLongRefusalsAreBounded(t *testing.T) {
	m := memory{}
	long := &Error{Base: &Conflict{Theirs: []string{strings.Repeat("x", 1<<20)}}}
	for i := range 100 {
		m = m.add(Seen{Request: fmt.Sprint("r", i), At: epoch, Result: Result{Err: long}})
	}
	if m.bytes > MaxSeenBytes || len(m.list) > 32 || len(m.list) < 30 {
		t.Fatalf("%d bytes in %d", m.bytes, len(m.list))
	}
}

// TestMemoryAgainstAMap: the runs answer as a plain map would, across expiry, re-use of ids and clocks that go back.
func TestMemoryAgainstAMap(t *testing.T) {
	t.Run("", againstAMap)
	t.Run("ids that share a hash", func(t *testing.T) {
		defer func(was uint64) { hashBits = was }(hashBits)
		hashBits = 31
		againstAMap(t)
	})
}

func againstAMap(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Log("seed", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	m, plain := memory{}, map[string]Seen{}
	now := epoch
	hits := 0
	check := func(step int, id string) bool {
		got, known := m.find(id, now)
		old, was := plain[id]
		if want := was && old.At.Add(seenFor).After(now); known != want && (known || !forgotten(m, old)) {
			t.Fatalf("step %d: %s known %t, want %t", step, id, known, want)
		}
		if known && got.Result != old.Result {
			t.Fatalf("step %d: %s answers %d, the newest is %d", step, id, got.Result.Index, old.Result.Index)
		}
		return known
	}
	for i := range 20_000 {
		now = now.Add(time.Duration(r.IntN(400)-195) * time.Minute)
		v := Seen{Request: fmt.Sprint("r", r.IntN(700)), At: now, Result: Result{Index: uint64(i)}}
		if !check(i, v.Request) {
			m, plain[v.Request] = m.add(v), v
		} else {
			hits++
		}
		check(i, v.Request)
		check(i, fmt.Sprint("r", r.IntN(700)))
		if i%997 == 0 {
			m = remember(append([]Seen(nil), m.list...))
		}
	}
	if hits < 1000 || hits > 19_000 {
		t.Fatalf("%d of 20000 were repeats: too few or too many to prove anything", hits)
	}
}

// forgotten tells whether v stood before what is kept: it was older than 24 h by some command's clock.
func forgotten(m memory, v Seen) bool {
	return !slices.ContainsFunc(m.list, func(k Seen) bool { return k.Result == v.Result })
}

func TestDigestSeesEveryPartOfAChange(t *testing.T) {
	base := drill(time.Minute)
	base.Actor = "ann"
	seen := map[string]string{base.digest(): "base"}
	differ := func(name string, c Command) {
		t.Helper()
		d := c.digest()
		if other, ok := seen[d]; ok {
			t.Errorf("%s and %s have one digest", name, other)
		}
		seen[d] = name
	}
	for name, edit := range map[string]func(*Command){
		"actor":    func(c *Command) { c.Actor = "bob" },
		"kind":     func(c *Command) { c.GiveOrder.Order.Kind = "drain" },
		"provider": func(c *Command) { c.GiveOrder.Order.Provider = "x" },
		"regions":  func(c *Command) { c.GiveOrder.Order.Regions = []string{"a", "b"} },
		"joined":   func(c *Command) { c.GiveOrder.Order.Regions = []string{"ab"} },
		"for":      func(c *Command) { c.GiveOrder.Order.For++ },
		"fault":    func(c *Command) { c.GiveOrder.Order.Fault.Kind = "hang" },
		"share":    func(c *Command) { c.GiveOrder.Order.Fault.Share = 0.25 },
		"status":   func(c *Command) { c.GiveOrder.Order.Fault.Status = 503 },
		"delay":    func(c *Command) { c.GiveOrder.Order.Fault.Delay = 1 },
	} {
		c := drill(time.Minute)
		c.Actor = "ann"
		edit(&c)
		differ(name, c)
	}
	for i, c := range []Command{
		apply(0, "a"), apply(1, "a"), apply(0, "b"), weights(0, "r", 1, 2), weights(1, "r", 1, 2), weights(0, "s", 1, 2), weights(0, "r", 2, 1),
		{EndOrder: &EndOrder{ID: "a"}}, {EndOrder: &EndOrder{ID: "b"}}, {Init: &Init{Incarnation: "a"}}, {Init: &Init{Incarnation: "b"}},
	} {
		differ(fmt.Sprint(i), c)
	}
	same := drill(time.Minute)
	same.Actor, same.At, same.GiveOrder.Order.ID, same.GiveOrder.Order.At = "ann", epoch, "x", epoch
	if seen[same.digest()] != "base" {
		t.Error("the time of a repeat counts")
	}
}
