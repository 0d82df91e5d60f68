package repair

import (
	"hash/maphash"
	"sync"

	"segue/dataplane/session"
)

// Sizes of what is remembered: one session in a row, with so many writes since it was read. They bound the memory: some three megabytes,
// and the fields.
const (
	latelyRows   = 4096
	latelyWrites = 2
	latelyBytes  = 16 << 10 // a session whose fields hold more is not remembered
)

// lately remembers what sessions were like when they were last read here, and what was written to them since: for as long as the store
// is out of reach that is the best there is. A row is found by the key's hash, and the newer of two sessions keeps it; nothing is allocated
// while the store answers.
type lately struct {
	seed maphash.Seed
	rows []recent
}

// recent is a session as this region knows it. Nobody writes to it. generation tells a read that was under way while it changed.
type recent struct {
	mu         sync.Mutex
	used       bool
	key        session.Key
	session    *session.Session
	writes     [latelyWrites]session.Event
	n          int
	generation uint64
}

func newLately() *lately { return &lately{seed: maphash.MakeSeed(), rows: make([]recent, latelyRows)} }

// row returns the key's row, locked.
func (l *lately) row(k session.Key) *recent {
	e := &l.rows[(maphash.String(l.seed, k.ID)^maphash.String(l.seed, k.App))%latelyRows]
	e.mu.Lock()
	return e
}

// find returns what is remembered, or nil.
func (l *lately) find(k session.Key) *session.Session {
	e := l.row(k)
	defer e.mu.Unlock()
	if !e.used || e.key != k {
		return nil
	}
	e.fold()
	return e.session
}

// fold takes the writes into the session. What cannot be applied is forgotten with it.
func (e *recent) fold() {
	if e.n > 0 {
		e.session, _ = session.Apply(e.session, e.key, e.writes[:e.n]...)
		clear(e.writes[:])
		e.n = 0
	}
}

// generation goes back to set with what a read brought.
func (l *lately) generation(k session.Key) uint64 {
	e := l.row(k)
	defer e.mu.Unlock()
	return e.generation
}

// set remembers what a read brought, unless something was written since; nil forgets.
func (l *lately) set(k session.Key, s *session.Session, generation uint64) {
	e := l.row(k)
	defer e.mu.Unlock()
	if e.generation != generation {
		return
	}
	clear(e.writes[:])
	e.used, e.key, e.session, e.n = s != nil && s.Contents() <= latelyBytes, k, s, 0
	if !e.used {
		e.session = nil
	}
}

// change remembers events that the store took.
func (l *lately) change(k session.Key, events []session.Event) {
	e := l.row(k)
	defer e.mu.Unlock()
	e.generation++
	if !e.used || e.key != k {
		clear(e.writes[:])
		e.used, e.key, e.session, e.n = true, k, nil, 0
	}
	for i := range events {
		if e.n == latelyWrites {
			e.fold()
		}
		e.writes[e.n] = events[i]
		e.n++
		if events[i].Field.Name != "" { // it may be large
			e.fold()
			e.forget()
		}
	}
}

// forget drops a session that is too large to be remembered.
func (e *recent) forget() {
	if e.session != nil && e.session.Contents() > latelyBytes {
		e.used, e.session = false, nil
	}
}
