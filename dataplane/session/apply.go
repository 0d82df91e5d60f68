package session

import (
	"errors"
	"fmt"
	"slices"
)

// MaxPins bounds a session: an application hardly has as many services.
const MaxPins = 64

var (
	// ErrTooManyPins refuses a session with more than MaxPins services.
	ErrTooManyPins = fmt.Errorf("session: a session has at most %d pins", MaxPins)
	errUnnamed     = errors.New("session: a pin names its service")
)

// Apply makes the session that s becomes by events. s may be nil: the first event begins the session. The result does not depend on the
// order in which events arrive, nor on how often one does: the latest pin of a service wins, and of two at one time the provider that
// sorts last; fields are joined part by part. s is not changed, and the result shares no list with it.
func Apply(s *Session, k Key, events ...Event) (*Session, error) {
	next := &Session{Key: k}
	if s != nil {
		*next = *s
		next.Pins = append([]Pin(nil), s.Pins...)
		next.Fields = cloneFields(s.Fields)
	}
	for i := range events {
		if err := next.take(&events[i]); err != nil {
			return nil, err
		}
	}
	if len(next.Pins) > MaxPins {
		return nil, ErrTooManyPins
	}
	if err := next.check(slack); err != nil {
		return nil, err
	}
	return next, nil
}

func cloneFields(list []Field) []Field {
	if list == nil {
		return nil
	}
	mine := make([]Field, len(list))
	for i := range list {
		mine[i] = list[i].clone()
	}
	return mine
}

func (s *Session) take(e *Event) error {
	if e.Pin.Service == "" && e.Field.Name == "" {
		return errUnnamed
	}
	if s.Created.IsZero() || e.At.Before(s.Created) {
		s.Created = e.At
	}
	if e.At.After(s.Updated) {
		s.Updated = e.At
	}
	s.Guard = max(s.Guard, e.Guard)
	if e.Pin.Service != "" {
		s.pin(e)
	}
	if e.Field.Name == "" {
		return nil
	}
	if e.Field.Service == "" {
		return errNameless
	}
	if !e.Field.Last().Zero() { // a change of nothing makes no field
		s.join(&e.Field)
	}
	return nil
}

// pin keeps Pins sorted by service, so that equal sessions are equal bytes.
func (s *Session) pin(e *Event) {
	p := e.Pin
	p.At = e.At
	s.latest(p)
}

func (s *Session) latest(p Pin) {
	i := 0
	for i < len(s.Pins) && s.Pins[i].Service < p.Service {
		i++
	}
	if i == len(s.Pins) || s.Pins[i].Service != p.Service {
		s.Pins = append(s.Pins, Pin{})
		copy(s.Pins[i+1:], s.Pins[i:])
		s.Pins[i] = p
		return
	}
	if old := s.Pins[i]; p.At.After(old.At) || p.At.Equal(old.At) && p.Provider > old.Provider {
		s.Pins[i] = p
	}
}

// join keeps Fields sorted.
func (s *Session) join(f *Field) {
	i, there := s.place(f)
	if !there {
		s.Fields = slices.Insert(s.Fields, i, Field{Service: f.Service, Name: f.Name})
	}
	s.Fields[i].join(f)
}

// check refuses a session whose fields are over times the bounds.
func (s *Session) check(times int) error {
	if len(s.Fields) == 0 {
		return nil
	}
	if n := len(s.Fields); n > times*MaxFields {
		return fmt.Errorf("%w fields: %d, and %d is the most", ErrTooMany, n, times*MaxFields)
	}
	if n := s.Contents(); n > times*MaxContents {
		return fmt.Errorf("%w: the fields hold %d bytes, and %d is the most", ErrTooLarge, n, times*MaxContents)
	}
	for i := range s.Fields {
		if err := s.Fields[i].check(times); err != nil {
			return err
		}
	}
	return nil
}

// Fits tells whether a session is within the bounds that a writer keeps: what it becomes by a change.
func (s *Session) Fits() error { return s.check(1) }

// Merge is what two copies of one session come to: the same as if all events of both had been applied to one.
func Merge(a, b *Session) (*Session, error) {
	if a == nil || b == nil {
		if a == nil {
			a = b
		}
		if a == nil {
			return nil, nil
		}
		return Apply(a, a.Key)
	}
	m, err := Apply(a, a.Key)
	if err != nil {
		return nil, err
	}
	if m.Created.IsZero() || !b.Created.IsZero() && b.Created.Before(m.Created) {
		m.Created = b.Created
	}
	if b.Updated.After(m.Updated) {
		m.Updated = b.Updated
	}
	m.Guard = max(m.Guard, b.Guard)
	for _, p := range b.Pins {
		m.latest(p)
	}
	if len(m.Pins) > MaxPins {
		return nil, ErrTooManyPins
	}
	for i := range b.Fields {
		m.join(&b.Fields[i])
	}
	if err := m.check(slack); err != nil {
		return nil, err
	}
	return m, nil
}

// Says tells whether an event still counts for anything in s, which it was applied to: what does not may be forgotten there.
func (s *Session) Says(e *Event) bool {
	if e.At.Equal(s.Created) || e.At.Equal(s.Updated) || e.Guard > 0 && e.Guard == s.Guard {
		return true
	}
	for _, p := range s.Pins {
		if p.Service == e.Pin.Service && p.Provider == e.Pin.Provider && p.At.Equal(e.At) {
			return true
		}
	}
	f := s.Field(e.Field.Service, e.Field.Name)
	if f == nil {
		return false
	}
	kept := map[Stamp]bool{}
	f.stamps(func(s Stamp) { kept[s] = true })
	says := false
	e.Field.stamps(func(s Stamp) { says = says || !s.Zero() && kept[s] })
	return says
}
