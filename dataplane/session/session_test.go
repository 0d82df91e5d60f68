package session

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 9, time.UTC)

func full() *Session {
	return &Session{Key: Key{"default", "ses_1"}, Created: noon, Updated: noon.Add(time.Hour), Pins: []Pin{{"a", "p1", noon}, {"b", "p2", noon.Add(time.Hour)}}}
}

func encoded(t testing.TB, s *Session) []byte {
	t.Helper()
	b, err := Encode(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestEncode(t *testing.T) {
	for _, s := range []*Session{full(), {}, talk()} {
		if got, err := Decode(encoded(t, s)); err != nil || !reflect.DeepEqual(got, s) {
			t.Errorf("%v\n%+v\n%+v", err, got, s)
		}
	}
	want := "\x01\x07default\x05ses_1" // the bytes of version 1, which is read for ever
	if got := string(encoded(t, full())); !strings.HasPrefix(got, want) {
		t.Errorf("a row begins %q", got[:len(want)])
	}
}

func TestDecodeRefuses(t *testing.T) {
	good := encoded(t, full())
	for n := range good {
		if _, err := Decode(good[:n]); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("%d of %d bytes: %v", n, len(good), err)
		}
	}
	if _, err := Decode(append(good, 0)); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a byte more: %v", err)
	}
	good[0] = rowVersion + 1
	if _, err := Decode(good); !errors.Is(err, ErrNewer) {
		t.Errorf("a newer version: %v", err)
	}
	if _, err := Decode(make([]byte, MaxRow+1)); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a huge row: %v", err)
	}
	if _, err := Encode(&Session{Pins: make([]Pin, MaxPins+1)}); !errors.Is(err, ErrTooManyPins) {
		t.Errorf("too many pins: %v", err)
	}
	if _, err := Encode(&Session{Key: Key{ID: strings.Repeat("x", MaxRow)}}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a huge id: %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(encoded(f, full()))
	f.Add(encoded(f, &Session{}))
	f.Add(encoded(f, talk()))
	f.Add([]byte{plainVersion, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := Decode(b)
		if err != nil {
			if s != nil || !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrNewer) {
				t.Fatalf("%v, %v", s, err)
			}
			return
		}
		if back, err := Decode(encoded(t, s)); err != nil || !reflect.DeepEqual(back, s) {
			t.Fatalf("%v\n%+v\n%+v", err, back, s)
		}
	})
}

// TestApplyInAnyOrder: what becomes of a session does not depend on how its events arrive, one by one or together.
func TestApplyInAnyOrder(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		events := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) Event {
			return Event{
				At:  noon.Add(time.Duration(rapid.IntRange(0, 3).Draw(rt, "at"))),
				Pin: Pin{Service: fmt.Sprint("s", rapid.IntRange(0, 2).Draw(rt, "service")), Provider: fmt.Sprint("p", rapid.IntRange(0, 2).Draw(rt, "provider"))},
			}
		}), 1, 8).Draw(rt, "events")
		together, err := Apply(nil, Key{ID: "a"}, events...)
		if err != nil {
			rt.Fatal(err)
		}
		var one *Session
		for _, e := range rapid.Permutation(events).Draw(rt, "order") {
			before := one
			kept := encodedOrNil(before)
			if one, err = Apply(before, Key{ID: "a"}, e); err != nil {
				rt.Fatal(err)
			}
			if kept != encodedOrNil(before) {
				rt.Fatal("Apply changed the session that it was given")
			}
		}
		if !reflect.DeepEqual(one, together) {
			rt.Fatalf("one by one %+v, together %+v", one, together)
		}
		for _, e := range events {
			if one.Pinned(e.Pin.Service) == "" || e.At.Before(one.Created) || e.At.After(one.Updated) {
				rt.Fatalf("%+v is not in %+v", e, one)
			}
		}
	})
}

func encodedOrNil(s *Session) string {
	if s == nil {
		return ""
	}
	b, err := Encode(s)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func TestApplyRefuses(t *testing.T) {
	if s, err := Apply(full(), full().Key, Event{Pin: Pin{Provider: "p"}}); err == nil {
		t.Errorf("a pin without a service: %+v", s)
	}
	crowd := make([]Event, MaxPins+1)
	for i := range crowd {
		crowd[i].Pin.Service = fmt.Sprint("s", i)
	}
	if _, err := Apply(nil, Key{}, crowd...); !errors.Is(err, ErrTooManyPins) {
		t.Errorf("a crowd of pins: %v", err)
	}
	if s, err := Apply(nil, Key{}, crowd[:MaxPins]...); err != nil || len(s.Pins) != MaxPins {
		t.Errorf("as many pins as may be: %v", err)
	}
	if p := full().Pinned("nobody"); p != "" {
		t.Errorf("a service that is not pinned is at %s", p)
	}
}

func TestHash(t *testing.T) {
	seen := map[[32]byte]Key{}
	for _, k := range []Key{{}, {"a", "b"}, {"ab", ""}, {"", "ab"}, {"b", "a"}} {
		if was, ok := seen[k.Hash()]; ok {
			t.Errorf("%v and %v are filed as one", k, was)
		}
		seen[k.Hash()] = k
	}
}
