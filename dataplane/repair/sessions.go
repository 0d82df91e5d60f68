package repair

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

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
	s.r.front.Add(1)
	defer s.r.front.Add(-1)
	if !s.r.calm() {
		p := place{OfSession, k.Hash()}
		behind := s.r.log.waits(p)
		if behind || s.r.away() {
			err := s.hinted(k, events, nil)
			if behind || !errors.Is(err, ErrFull) && !errors.Is(err, ErrOld) {
				return err
			} // else the store is the last resort
		}
	}
	err := s.direct(ctx, k, events)
	if err == nil || !s.r.opts.Outage(err) {
		return err
	}
	return s.hinted(k, events, err)
}

// hinted writes the events to the log. outage is why the store did not take them, if it was asked.
func (s sessions) hinted(k session.Key, events []session.Event, outage error) error {
	if outage != nil {
		s.r.down.Store(true)
	}
	if len(events) == 0 {
		return outage
	}
	p := place{OfSession, k.Hash()}
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

// direct asks the store itself, which bounds its calls.
func (s sessions) direct(ctx context.Context, k session.Key, events []session.Event) error {
	if err := s.Store.Append(ctx, k, events...); err != nil {
		return err
	}
	s.r.reached()
	s.r.seen.change(k, events)
	return nil
}

// Swap asks the store alone: what was promised to nobody else needs a quorum, and is never hinted.
func (s sessions) Swap(ctx context.Context, k session.Key, old uint64, events ...session.Event) (bool, error) {
	s.r.front.Add(1)
	defer s.r.front.Add(-1)
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
	s.r.front.Add(1)
	defer s.r.front.Add(-1)
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
	s.r.front.Add(1)
	defer s.r.front.Add(-1)
	if !s.r.calm() {
		return s.overlaid(ctx, k)
	}
	got, err := s.read(ctx, k)
	if err == nil || !s.r.opts.Outage(err) {
		return got, err
	}
	s.r.down.Store(true)
	return s.known(k, nil, err)
}

// overlaid is Load while hints wait, or the store is out of reach.
func (s sessions) overlaid(ctx context.Context, k session.Key) (*session.Session, error) {
	p := place{OfSession, k.Hash()}
	mine, err := s.r.overlay(p) // before the read: a hint that is replayed meanwhile is in one of them
	if err != nil {
		return nil, err
	}
	if s.r.away() {
		return s.known(k, mine, ErrAway)
	}
	stored, err := s.read(ctx, k)
	switch {
	case err == nil:
	case errors.Is(err, session.ErrNotFound):
		stored = nil
	case s.r.opts.Outage(err):
		s.r.down.Store(true)
		return s.known(k, mine, err)
	default:
		return nil, err
	}
	s.r.behind(p, k, stored, mine)
	if stored == nil && len(mine) == 0 {
		return nil, session.ErrNotFound
	}
	return session.Apply(stored, k, mine...)
}

// known is the session as this region last saw it. outage is told where nothing of it is known.
func (s sessions) known(k session.Key, mine []session.Event, outage error) (*session.Session, error) {
	last := s.r.seen.find(k)
	if last == nil && len(mine) == 0 {
		return nil, outage
	}
	return session.Apply(last, k, mine...)
}

func (s sessions) read(ctx context.Context, k session.Key) (*session.Session, error) {
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
