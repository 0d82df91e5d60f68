package session

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"
)

// Key is what a session is known by.
type Key struct{ App, ID string }

// Session is the state of one conversation.
type Session struct {
	Key     Key
	Pins    []Pin
	Created time.Time
	Updated time.Time
	Fields  []Field // sorted by service and name
	Guard   uint64  // the number of the last swap
}

// Pin says which provider a service's calls of the session go to.
type Pin struct {
	Service, Provider string
	At                time.Time
}

// Pinned returns the provider that service is pinned to, or "".
func (s *Session) Pinned(service string) string {
	for i := range s.Pins {
		if s.Pins[i].Service == service {
			return s.Pins[i].Provider
		}
	}
	return ""
}

// Field returns a field; nil: nobody wrote it. s may be nil.
func (s *Session) Field(service, name string) *Field {
	if s == nil {
		return nil
	}
	i, there := s.place(&Field{Service: service, Name: name})
	if !there {
		return nil
	}
	return &s.Fields[i]
}

func (s *Session) place(f *Field) (int, bool) {
	return slices.BinarySearchFunc(s.Fields, f, func(mine Field, f *Field) int { return mine.compare(f) })
}

// Last is the newest reading of the clock that the session has seen.
func (s *Session) Last() Clock {
	if s == nil {
		return 0
	}
	last := ClockAt(s.Updated)
	for i := range s.Fields {
		last = max(last, s.Fields[i].Last().Clock)
	}
	return last
}

// Contents counts the bytes of all fields.
func (s *Session) Contents() int {
	n := 0
	for i := range s.Fields {
		f := &s.Fields[i]
		n += len(f.Value)
		for j := range f.Items {
			n += len(f.Items[j].Value)
		}
		for _, t := range f.Tokens {
			n += len(t.Value)
		}
	}
	return n
}

// Event is one change of a session: a pin, a field, or both. What becomes of a session does not depend on the order in which its events
// arrive, nor on how often one does.
type Event struct {
	At    time.Time
	Pin   Pin    // Service "": none
	Field Field  // what it says of a field; Name "": nothing
	Guard uint64 // the number of the swap that wrote it; 0: it was appended
}

// Clock is the event's place in the history.
func (e *Event) Clock() Clock {
	if c := e.Field.Last().Clock; c > 0 {
		return c
	}
	return ClockAt(e.At)
}

// Compare orders a history: by the clock, and what has one reading by what it says.
func Compare(a, b *Event) int {
	if x, y := a.Clock(), b.Clock(); x != y {
		if x < y {
			return -1
		}
		return 1
	}
	return strings.Compare(string(a.Digest()), string(b.Digest()))
}

// ErrNotFound is returned by Load when there is no such session.
var ErrNotFound = errors.New("session: not found")

// Store keeps sessions. When Append or Swap returns nil, the events are on stable storage, in the session and in its history.
type Store interface {
	Load(ctx context.Context, k Key) (*Session, error)
	// Append adds events. It may be hinted.
	Append(ctx context.Context, k Key, events ...Event) error
	// Swap adds events if the session's last swap has the number old, as the next one. It is never hinted: without a quorum it fails.
	// An error means that nobody knows; the same events under the same number may then be tried again.
	Swap(ctx context.Context, k Key, old uint64, events ...Event) (won bool, err error)
	// History yields a session's events in their order, the oldest first, until yield returns false. An event that is there twice is
	// told once.
	History(ctx context.Context, k Key, yield func(Event) bool) error
}
