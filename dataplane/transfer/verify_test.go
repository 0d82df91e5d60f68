package transfer

import (
	"context"
	"testing"
	"time"

	"segue/dataplane/session"
)

// torn is a store whose session and history may be apart, as after a crash between the two writes.
type torn struct {
	session.Store
	stored  *session.Session
	history []session.Event
	writes  func(*torn) // what happens while the history is read; nil: nothing
}

func (s *torn) Load(context.Context, session.Key) (*session.Session, error) {
	if s.stored == nil {
		return nil, session.ErrNotFound
	}
	return s.stored, nil
}

func (s *torn) History(_ context.Context, _ session.Key, yield func(session.Event) bool) error {
	for _, e := range s.history {
		if !yield(e) {
			break
		}
	}
	if s.writes != nil {
		s.writes(s)
	}
	return nil
}

// TestVerify: what is stored is held against the history both ways, and a session that is written to meanwhile is looked at again.
func TestVerify(t *testing.T) {
	key, noon := session.Key{App: "default", ID: "ses_1"}, time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	secret := make([]byte, SecretSize)
	w := session.Writer{Run: "r", Now: noon}
	pin := session.Event{At: noon, Pin: session.Pin{Service: "pay", Provider: "main", At: noon}}
	points, err := w.Count("pay", "points", 2, nil)
	if err != nil {
		t.Fatal(err)
	}
	events := []session.Event{pin, points}
	whole, err := session.Apply(nil, key, events...)
	if err != nil {
		t.Fatal(err)
	}
	verify := func(s *torn) (differs int, moving, found bool) {
		c, err := New(Config{Sessions: s, Secret: secret, Now: func() time.Time { return noon }})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Stop(context.Background()) }()
		told, err := c.Verify(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		if told == nil {
			return 0, false, false
		}
		return len(told.Differs), told.Moving, true
	}
	for name, s := range map[string]*torn{
		"the history lost an event": {stored: whole, history: events[:1]},
		"the history is gone":       {stored: whole},
		"the session is gone":       {history: events},
	} {
		if differs, moving, found := verify(s); differs == 0 || moving || !found {
			t.Errorf("%s: %d differences, moving %t, found %t", name, differs, moving, found)
		}
	}
	if differs, _, found := verify(&torn{stored: whole, history: events}); differs != 0 || !found {
		t.Errorf("they are the same: %d differences, found %t", differs, found)
	}
	if _, _, found := verify(&torn{}); found {
		t.Error("there is none")
	}
	looked := 0
	late := &torn{history: events, writes: func(s *torn) { looked++; s.stored = whole }}
	if differs, moving, _ := verify(late); differs != 0 || moving || looked != 2 {
		t.Errorf("written while it was read: %d differences, moving %t, looked at %d times", differs, moving, looked)
	}
	by := int64(2)
	ever := &torn{stored: whole, history: events, writes: func(s *torn) {
		by++
		next := session.Writer{Run: "r", Session: s.stored, Now: noon}
		e, err := next.Count("pay", "points", by, nil)
		if err != nil {
			t.Fatal(err)
		}
		if s.stored, err = session.Apply(s.stored, key, e); err != nil {
			t.Fatal(err)
		}
	}}
	if differs, moving, _ := verify(&torn{stored: whole, history: events[:1], writes: ever.writes}); differs == 0 || !moving {
		t.Errorf("written to all the while: %d differences, moving %t", differs, moving)
	}
}
