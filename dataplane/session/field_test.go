package session

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// talk is a session with a field of each kind.
func talk() *Session {
	s := full()
	w := Writer{Run: "r1", Session: s, Now: noon}
	count, err := w.Count("a", "stock", 7, nil)
	if err != nil {
		panic(err)
	}
	s, err = Apply(s, s.Key, w.Write("a", "card", []byte("sealed")), w.Token("a", "card", "p1", []byte("tok"), Stamp{}), count,
		w.Items("a", "cart", []Named{{"d1", []byte("x")}, {"d2", []byte{}}}, nil), Guarded(3, []Event{w.Write("b", "gone", nil)})[0])
	if err != nil {
		panic(err)
	}
	return s
}

// world is some runs that write one session, each with its own copy, and what they wrote.
type world struct {
	copies []*Session
	events []Event
}

// step lets one run make a change of what it knows, or learn what another one knows.
func (w *world) step(rt *rapid.T, n int) {
	i := rapid.IntRange(0, len(w.copies)-1).Draw(rt, "run")
	mine := w.copies[i]
	writer := Writer{Run: fmt.Sprint("r", i), Session: mine, Now: noon.Add(time.Duration(rapid.IntRange(-5, 5).Draw(rt, "now")) * time.Millisecond)}
	field := fmt.Sprint("f", rapid.IntRange(0, 1).Draw(rt, "field"))
	var e Event
	switch rapid.IntRange(0, 6).Draw(rt, "kind") {
	case 0:
		e = writer.Write("s", field, fmt.Append(nil, n))
	case 1:
		e = writer.Write("s", field, nil)
	case 2:
		e = writer.Items("s", field, []Named{{rapid.SampledFrom([]string{"x", "y"}).Draw(rt, "item"), fmt.Append(nil, n)}}, nil)
	case 3:
		e = writer.Items("s", field, nil, []string{"x", "y"})
	case 4:
		var err error
		if e, err = writer.Count("s", field, rapid.Int64Range(-3, 3).Draw(rt, "by"), nil); err != nil {
			rt.Fatal(err)
		}
	case 5:
		e = writer.Token("s", field, rapid.SampledFrom([]string{"p", "q"}).Draw(rt, "provider"), fmt.Append(nil, n), Stamp{})
	default:
		merged, err := Merge(mine, w.copies[rapid.IntRange(0, len(w.copies)-1).Draw(rt, "other")])
		if err != nil {
			rt.Fatal(err)
		}
		w.copies[i] = merged
		return
	}
	next, err := Apply(mine, Key{ID: "k"}, e)
	if err != nil {
		rt.Fatal(err)
	}
	w.copies[i], w.events = next, append(w.events, e)
}

func draw(rt *rapid.T) *world {
	w := &world{copies: make([]*Session, 3)}
	for n := range rapid.IntRange(1, 25).Draw(rt, "steps") {
		w.step(rt, n)
	}
	return w
}

func same(a, b *Session) bool { return encodedOrNil(a) == encodedOrNil(b) }

// TestMerge: commutative, associative, idempotent, and the same as applying all events, in any order and more than once.
func TestMerge(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := draw(rt)
		merge := func(a, b *Session) *Session {
			before := encodedOrNil(a) + encodedOrNil(b)
			m, err := Merge(a, b)
			if err != nil {
				rt.Fatal(err)
			}
			if before != encodedOrNil(a)+encodedOrNil(b) {
				rt.Fatal("Merge changed what it was given")
			}
			return m
		}
		a, b, c := w.copies[0], w.copies[1], w.copies[2]
		if !same(merge(a, b), merge(b, a)) {
			rt.Fatalf("not commutative:\n%+v\n%+v", merge(a, b), merge(b, a))
		}
		if !same(merge(merge(a, b), c), merge(a, merge(b, c))) {
			rt.Fatal("not associative")
		}
		if !same(merge(a, a), a) || !same(merge(merge(a, b), b), merge(a, b)) {
			rt.Fatal("not idempotent")
		}
		if len(w.events) == 0 {
			return
		}
		shuffled := rapid.Permutation(append(slices.Clone(w.events), w.events[:len(w.events)/2]...)).Draw(rt, "order")
		all, err := Apply(nil, Key{ID: "k"}, shuffled...)
		if err != nil {
			rt.Fatal(err)
		}
		if !same(all, merge(merge(a, b), c)) {
			rt.Fatalf("the events come to\n%+v\nthe copies to\n%+v", all, merge(merge(a, b), c))
		}
	})
}

// TestEventsTravel: each event and each session that comes of them is read back as it was, and prunes to the same.
func TestEventsTravel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := draw(rt)
		if len(w.events) == 0 {
			return
		}
		all, err := Apply(nil, Key{ID: "k"}, w.events...)
		if err != nil {
			rt.Fatal(err)
		}
		var kept []Event
		for i := range w.events {
			b, err := EncodeEvent(&w.events[i])
			if err != nil {
				rt.Fatal(err)
			}
			if back, err := DecodeEvent(b); err != nil || !reflect.DeepEqual(back, w.events[i]) {
				rt.Fatalf("%v\n%+v\n%+v", err, back, w.events[i])
			}
			if all.Says(&w.events[i]) {
				kept = append(kept, w.events[i])
			}
		}
		row, err := Encode(all)
		if err != nil {
			rt.Fatal(err)
		}
		if back, err := Decode(row); err != nil || !reflect.DeepEqual(back, all) {
			rt.Fatalf("%v\n%+v\n%+v", err, back, all)
		}
		if pruned, err := Apply(nil, Key{ID: "k"}, kept...); err != nil || !same(pruned, all) {
			rt.Fatalf("without what says nothing: %v\n%+v\n%+v", err, pruned, all)
		}
	})
}

// TestLaterInKnowledge: a change that was made in knowledge of another one wins, though its machine's clock is behind.
func TestLaterInKnowledge(t *testing.T) {
	ahead := Writer{Run: "z", Now: noon.Add(time.Hour)}
	s, err := Apply(nil, Key{}, ahead.Write("s", "f", []byte("first")))
	must(t, err)
	behind := Writer{Run: "a", Session: s, Now: noon}
	s, err = Apply(s, Key{}, behind.Write("s", "f", []byte("second")))
	must(t, err)
	if got := s.Field("s", "f"); string(got.Value) != "second" || got.Stamp.By != "a" {
		t.Errorf("%+v", got)
	}
}

// TestCutOffRegions: two regions write one session while they do not hear of each other. Of a value the later one stays, of a set what
// somebody added and nobody who knew of it removed, of a counter all that was counted.
func TestCutOffRegions(t *testing.T) {
	both := Writer{Run: "east", Now: noon}
	s, err := Apply(nil, Key{}, both.Items("s", "cart", []Named{{"tea", []byte("tea")}, {"cup", []byte("cup")}}, nil))
	must(t, err)
	region := func(run string, at time.Duration, value string, add string, remove []string, by int64) *Session {
		w := Writer{Run: run, Session: s, Now: noon.Add(at)}
		count, err := w.Count("s", "points", by, nil)
		must(t, err)
		mine, err := Apply(s, Key{}, w.Write("s", "name", []byte(value)), w.Items("s", "cart", []Named{{add, []byte(add)}}, remove), count)
		must(t, err)
		return mine
	}
	east := region("east", time.Second, "early", "tea", nil, 5)
	west := region("west", 2*time.Second, "late", "pot", []string{"tea", "cup"}, -2)
	m, err := Merge(east, west)
	must(t, err)
	var there []string
	for _, it := range m.Field("s", "cart").Items {
		if it.There() {
			there = append(there, it.Digest)
		}
	}
	if name := m.Field("s", "name"); string(name.Value) != "late" || m.Field("s", "points").Sum() != 3 || !slices.Equal(there, []string{"pot", "tea"}) {
		t.Errorf("name %s, cart %v, points %d", name.Value, there, m.Field("s", "points").Sum())
	}
}

func TestCountRefuses(t *testing.T) {
	zero := int64(0)
	w := Writer{Run: "r", Now: noon}
	if _, err := w.Count("s", "stock", -1, &zero); !errors.Is(err, ErrFloor) {
		t.Errorf("below the floor: %v", err)
	}
	e, err := w.Count("s", "stock", 2, &zero)
	must(t, err)
	w.Session, err = Apply(nil, Key{}, e)
	must(t, err)
	if _, err := w.Count("s", "stock", -2, &zero); err != nil {
		t.Errorf("down to the floor: %v", err)
	}
	if _, err := w.Count("s", "stock", -3, &zero); !errors.Is(err, ErrFloor) {
		t.Errorf("below it: %v", err)
	}
	for _, by := range []int64{maxSum, maxSum + 1, -maxSum - 1, -1 << 63} {
		if _, err := w.Count("s", "stock", by, nil); !errors.Is(err, ErrOverflow) {
			t.Errorf("by %d: %v", by, err)
		}
	}
}

// TestBounds: a writer keeps the bounds; what two of them wrote apart can still be read.
func TestBounds(t *testing.T) {
	half := func(run string) *Session {
		var events []Event
		for i := range MaxFields {
			w := Writer{Run: run, Now: noon}
			events = append(events, w.Write("s", fmt.Sprint(run, i), []byte{1}))
		}
		s, err := Apply(nil, Key{}, events...)
		must(t, err)
		must(t, s.Fits())
		return s
	}
	m, err := Merge(half("a"), half("b"))
	must(t, err)
	if err := m.Fits(); !errors.Is(err, ErrTooMany) {
		t.Errorf("twice the fields: %v", err)
	}
	w := Writer{Run: "r", Now: noon}
	s, err := Apply(nil, Key{}, w.Write("s", "f", make([]byte, MaxContents+1)))
	must(t, err)
	if err := s.Fits(); !errors.Is(err, ErrTooLarge) {
		t.Errorf("too much in them: %v", err)
	}
	if _, err := Apply(nil, Key{}, w.Write("s", "f", make([]byte, slack*MaxContents+1))); !errors.Is(err, ErrTooLarge) {
		t.Errorf("far too much: %v", err)
	}
	if s, err := Apply(nil, Key{}, Event{Field: Field{Name: "f"}}); err == nil || s != nil {
		t.Errorf("a field of no service: %+v", s)
	}
}

// TestTokens: a token counts for the value that it was made for.
func TestTokens(t *testing.T) {
	s := talk()
	if _, ok := s.Field("a", "card").For("p1"); !ok {
		t.Error("what the application said is not known")
	}
	w := Writer{Run: "r2", Session: s, Now: noon}
	s, err := Apply(s, s.Key, w.Token("a", "card", "p2", []byte("two"), s.Field("a", "card").Stamp))
	must(t, err)
	if tok, ok := s.Field("a", "card").For("p2"); !ok || string(tok.Value) != "two" {
		t.Errorf("%+v", tok)
	}
	w.Session = s
	s, err = Apply(s, s.Key, w.Write("a", "card", []byte("another")))
	must(t, err)
	if _, ok := s.Field("a", "card").For("p2"); ok {
		t.Error("the token of another value counts")
	}
}

// TestDiffers: a session and its history agree, or it is said where they do not.
func TestDiffers(t *testing.T) {
	w := Writer{Run: "r", Now: noon}
	events := []Event{{At: noon, Pin: Pin{Service: "s", Provider: "p"}}, w.Write("s", "f", []byte("v"))}
	stored, err := Apply(nil, Key{ID: "k"}, events...)
	must(t, err)
	rebuilt, err := Rebuild(Key{ID: "k"}, events)
	must(t, err)
	if d := stored.Differs(rebuilt); d != nil {
		t.Errorf("%+v", d)
	}
	for n := range events {
		part, err := Rebuild(Key{ID: "k"}, events[:n])
		must(t, err)
		if d := stored.Differs(part); len(d) == 0 || d[0].Stored == d[0].History {
			t.Errorf("with %d of %d events: %+v", n, len(events), d)
		}
	}
}

func FuzzDecodeEvent(f *testing.F) {
	w := Writer{Run: "r", Session: talk(), Now: noon}
	for _, e := range []Event{{}, {At: noon, Pin: Pin{"s", "p", time.Time{}}}, w.Write("s", "f", []byte("v")), w.Items("a", "cart", []Named{{"d", nil}}, []string{"d1"})} {
		b, err := EncodeEvent(&e)
		must(f, err)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := DecodeEvent(b)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrNewer) {
				t.Fatal(err)
			}
			return
		}
		row, err := EncodeEvent(&e)
		must(t, err)
		if back, err := DecodeEvent(row); err != nil || !reflect.DeepEqual(back, e) {
			t.Fatalf("%v\n%+v\n%+v", err, back, e)
		}
		if s, err := Apply(nil, Key{}, e); err == nil { // whatever was read can be written again
			_, _ = Encode(s)
		}
	})
}
