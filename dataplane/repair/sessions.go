package repair

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"

	"segue/dataplane/session"
)

// sessions is the store of sessions with hints.
type sessions struct {
	session.Store
	r *Repair
}

// talk is the payload of a session's hint. Its format is JSON, so that what an event has more than today's is kept.
type talk struct {
	App    string          `json:"app"`
	ID     string          `json:"id"`
	Events []session.Event `json:"events"`
}

func (t *talk) key() session.Key { return session.Key{App: t.App, ID: t.ID} }

func encodeTalk(k session.Key, events []session.Event) ([]byte, error) {
	b, err := json.Marshal(talk{k.App, k.ID, events})
	if err != nil {
		return nil, fmt.Errorf("repair: the events cannot be written: %w", err)
	}
	return b, nil
}

func decodeTalk(b []byte) (*talk, error) {
	t := &talk{}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields() // a newer program's event must not lose what this one does not know
	if err := d.Decode(t); err != nil {
		return nil, fmt.Errorf("%w: the events of a session: %w", ErrNewer, err)
	}
	return t, nil
}

// Append changes a session. Where the store is out of reach the events are hinted: nil then means that they are on this machine's disk.
// A key that has hints gets new events behind them, so that their order is kept.
func (s sessions) Append(ctx context.Context, k session.Key, events ...session.Event) error {
	if len(events) == 0 {
		return s.Store.Append(ctx, k)
	}
	defer s.r.enter()()
	p := place{OfSession, k.Hash()}
	var outage error
	if !s.r.log.waits(p) && !s.r.away() {
		err := s.direct(ctx, k, events)
		if err == nil || !s.r.opts.Outage(err) {
			return err
		}
		outage = err
		s.r.down.Store(true)
	}
	mine, err := s.r.overlay(p)
	if err != nil {
		return err
	}
	// What the store would refuse later is refused now, as far as this region knows the session.
	if _, err := session.Apply(s.r.seen.find(k), k, append(mine, events...)...); err != nil {
		return err
	}
	b, err := encodeTalk(k, events)
	if err != nil {
		return err
	}
	if err := s.r.hint(p, "", b); err != nil {
		return errors.Join(outage, err)
	}
	return nil
}

func (s sessions) direct(ctx context.Context, k session.Key, events []session.Event) error {
	ctx, cancel := context.WithTimeout(ctx, s.r.opts.Timeout)
	defer cancel()
	if err := s.Store.Append(ctx, k, events...); err != nil {
		return err
	}
	s.r.reached()
	s.r.seen.change(k, events)
	return nil
}

// Swap asks the store alone: what was promised to nobody else needs a quorum, and is never hinted.
func (s sessions) Swap(ctx context.Context, k session.Key, old uint64, events ...session.Event) (bool, error) {
	defer s.r.enter()()
	ctx, cancel := context.WithTimeout(ctx, s.r.opts.Timeout)
	defer cancel()
	won, err := s.Store.Swap(ctx, k, old, events...)
	switch {
	case err != nil && s.r.opts.Outage(err):
		s.r.down.Store(true)
	case err == nil && won:
		s.r.reached()
		s.r.seen.change(k, session.Guarded(old+1, events))
	}
	return won, err
}

// History is the store's, with this region's waiting events in it. Without the store it is these alone.
func (s sessions) History(ctx context.Context, k session.Key, yield func(session.Event) bool) error {
	defer s.r.enter()()
	mine, err := s.r.overlay(place{OfSession, k.Hash()})
	if err != nil {
		return err
	}
	if len(mine) == 0 {
		return s.Store.History(ctx, k, yield)
	}
	events := mine
	if err := s.Store.History(ctx, k, func(e session.Event) bool {
		events = append(events, e)
		return len(events) < maxHistory
	}); err != nil && !s.r.opts.Outage(err) {
		return err
	}
	slices.SortFunc(events, func(a, b session.Event) int { return session.Compare(&a, &b) })
	for i := range events {
		if (i == 0 || session.Compare(&events[i-1], &events[i]) != 0) && !yield(events[i]) {
			return nil
		}
	}
	return nil
}

// maxHistory bounds the events of a history that are put in order in memory.
const maxHistory = 100_000

// Load reads a session, with this region's own hints in it. Where the store is out of reach it is what this region last saw of it.
func (s sessions) Load(ctx context.Context, k session.Key) (*session.Session, error) {
	defer s.r.enter()()
	p := place{OfSession, k.Hash()}
	mine, err := s.r.overlay(p) // before the read: a hint that is replayed meanwhile is in one of them
	if err != nil {
		return nil, err
	}
	base := s.r.seen.find(k)
	if !s.r.away() || base == nil && len(mine) == 0 {
		got, err := s.read(ctx, k)
		switch {
		case err == nil:
			base = got
		case errors.Is(err, session.ErrNotFound):
			base = nil
		case s.r.opts.Outage(err) && (base != nil || len(mine) > 0):
			s.r.down.Store(true)
		default:
			return nil, err
		}
		if err == nil || errors.Is(err, session.ErrNotFound) {
			s.r.behind(p, k, base, mine)
		}
	}
	if base == nil && len(mine) == 0 {
		return nil, session.ErrNotFound
	}
	return session.Apply(base, k, mine...)
}

func (s sessions) read(ctx context.Context, k session.Key) (*session.Session, error) {
	ctx, cancel := context.WithTimeout(ctx, s.r.opts.Timeout)
	defer cancel()
	generation := s.r.seen.generation(k)
	got, err := s.Store.Load(ctx, k)
	if err == nil || errors.Is(err, session.ErrNotFound) {
		s.r.reached()
		s.r.seen.set(k, got, generation)
	}
	return got, err
}

// behind asks for the session's hints to be written back first, if the store's copy is older than they are.
func (r *Repair) behind(p place, k session.Key, stored *session.Session, mine []session.Event) {
	if len(mine) > 0 && changes(stored, k, mine) {
		r.nudge(p)
	}
}

// changes tells whether events say anything that a session has not.
func changes(stored *session.Session, k session.Key, events []session.Event) bool {
	if stored == nil {
		return len(events) > 0
	}
	next, err := session.Apply(stored, k, events...)
	if err != nil {
		return true // the store will say so
	}
	a, errA := session.Encode(stored)
	b, errB := session.Encode(next)
	return errA != nil || errB != nil || !bytes.Equal(a, b)
}

// overlay returns the events of a session that wait for the store.
func (r *Repair) overlay(p place) ([]session.Event, error) {
	var events []session.Event
	for _, e := range r.log.of(p, pending) {
		t, err := r.talk(&e)
		if errors.Is(err, ErrUnknown) {
			continue // it was replayed since
		}
		if err != nil {
			return nil, err
		}
		events = append(events, t.Events...)
	}
	return events, nil
}

func (r *Repair) talk(e *entry) (*talk, error) {
	b, err := r.log.payload(e)
	if err != nil {
		return nil, err
	}
	return decodeTalk(b)
}

// lately remembers what sessions were like when they were last read here, and what was written to them since: for as long as the store
// is out of reach that is the best there is. It has two generations of bounded size; the older one is dropped whole.
type lately struct {
	mu         sync.Mutex
	changes    uint64
	young, old map[session.Key]*known
}

// known is a session as this region knows it. Nobody writes to it. generation tells a read that was under way while it changed.
type known struct {
	session    *session.Session
	generation uint64
}

const latelyRows = 4096

// find returns what is remembered, or nil.
func (l *lately) find(k session.Key) *session.Session {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e := l.get(k); e != nil {
		return e.session
	}
	return nil
}

// generation goes back to set with what a read brought.
func (l *lately) generation(k session.Key) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e := l.get(k); e != nil {
		return e.generation
	}
	return 0
}

func (l *lately) get(k session.Key) *known {
	if e := l.young[k]; e != nil {
		return e
	}
	return l.old[k]
}

// set remembers a copy of what a read brought, unless it changed since; nil forgets.
func (l *lately) set(k session.Key, s *session.Session, generation uint64) {
	var mine *session.Session
	if s != nil {
		mine, _ = session.Apply(s, k) // without events it cannot fail: the store has it
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := uint64(0)
	if e := l.get(k); e != nil {
		now = e.generation
	}
	if now == generation {
		l.put(k, mine, generation)
	}
}

// change applies events that the store took.
func (l *lately) change(k session.Key, events []session.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var old *session.Session
	if e := l.get(k); e != nil {
		old = e.session
	}
	next, _ := session.Apply(old, k, events...) // what cannot be applied is forgotten
	l.changes++
	l.put(k, next, l.changes)
}

func (l *lately) put(k session.Key, s *session.Session, generation uint64) {
	delete(l.young, k)
	delete(l.old, k)
	if s == nil {
		return
	}
	if l.young == nil || len(l.young) >= latelyRows {
		l.old, l.young = l.young, make(map[session.Key]*known)
	}
	l.young[k] = &known{s, generation}
}
