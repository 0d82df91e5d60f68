package session

import (
	"errors"
	"fmt"
)

// MaxPins bounds a session: an application hardly has as many services.
const MaxPins = 64

var (
	// ErrTooManyPins refuses a session with more than MaxPins services.
	ErrTooManyPins = fmt.Errorf("session: a session has at most %d pins", MaxPins)
	errUnnamed     = errors.New("session: a pin names its service")
)

// Apply makes the session that s becomes by events. s may be nil: the first event begins the session. The result does not depend on the
// order in which events arrive: the latest pin of a service wins, and of two at one time the provider that sorts last. s is not changed.
func Apply(s *Session, k Key, events ...Event) (*Session, error) {
	next := &Session{Key: k}
	if s != nil {
		*next = *s
		next.Pins = append([]Pin(nil), s.Pins...)
	}
	for _, e := range events {
		if e.Pin.Service == "" {
			return nil, errUnnamed
		}
		if next.Created.IsZero() || e.At.Before(next.Created) {
			next.Created = e.At
		}
		if e.At.After(next.Updated) {
			next.Updated = e.At
		}
		next.pin(e)
	}
	if len(next.Pins) > MaxPins {
		return nil, ErrTooManyPins
	}
	return next, nil
}

// pin keeps Pins sorted by service, so that equal sessions are equal bytes.
func (s *Session) pin(e Event) {
	p := e.Pin
	p.At = e.At
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
