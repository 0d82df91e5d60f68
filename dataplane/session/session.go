package session

import (
	"context"
	"errors"
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

// Event is one change of a session. Events are applied in order of At; the latest pin of a service wins.
type Event struct {
	At  time.Time
	Pin Pin
}

// ErrNotFound is returned by Load when there is no such session.
var ErrNotFound = errors.New("session: not found")

// Store keeps sessions. When Append returns nil, the events are on stable storage.
type Store interface {
	Load(ctx context.Context, k Key) (*Session, error)
	Append(ctx context.Context, k Key, events ...Event) error
}
