package repair

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"segue/dataplane/ledger"
	"segue/dataplane/session"
)

// syncAlways runs a round of the background sync now and then, sooner when the journal takes much of the log's space.
func (r *Repair) syncAlways(ctx context.Context) {
	t := time.NewTicker(min(poll, r.opts.SyncEvery))
	defer t.Stop()
	last := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		if r.paused() || r.down.Load() || time.Since(last) < r.opts.SyncEvery && !r.log.crowded() {
			continue
		}
		last = time.Now()
		if _, err := r.Sync(ctx); err != nil && ctx.Err() == nil {
			r.opts.Log.Warn("background sync: the journal could not be held against the store", "error", err)
		}
	}
}

// Synced is what a round of the background sync found.
type Synced struct {
	Seen    int // in the store; they leave the journal
	Missing int // not there: they wait to be replayed again
}

// Sync holds the journal against the store: what was replayed must be there, and what is not is replayed again.
func (r *Repair) Sync(ctx context.Context) (Synced, error) {
	var done Synced
	for _, e := range r.log.all(func(e *entry) bool { return e.stage == replayed }) {
		if err := ctx.Err(); err != nil {
			return done, err
		}
		c, err := r.open(e.ID)
		if errors.Is(err, ErrUnknown) {
			continue
		}
		if err != nil {
			r.counts.held.Add(1)
			r.log.hold(e.ID, err.Error())
			continue
		}
		there, err := r.has(ctx, c)
		switch {
		case err != nil:
			return done, fmt.Errorf("repair: sync: %w", err)
		case there:
			done.Seen++
			r.log.seen(e.ID)
		default:
			done.Missing++
			r.counts.missing.Add(1)
			r.opts.Log.Error("the store lost a hint that it had taken; it is replayed again", "hint", fmt.Sprintf("%x", e.ID), "kind", e.Kind.String())
			r.log.retry(e.ID)
			r.of(e.place()).rouse()
		}
		r.of(e.place()).pause(ctx, min(slowest, time.Duration(r.front.Load())*time.Millisecond), false) // new traffic first
	}
	return done, nil
}

func (r *Repair) has(ctx context.Context, c content) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, r.opts.Timeout)
	defer cancel()
	return r.there(ctx, c)
}

// there tells whether the store has what a hint says.
func (r *Repair) there(ctx context.Context, c content) (bool, error) {
	switch {
	case c.talk != nil:
		stored, err := r.sessions.Load(ctx, c.talk.key())
		if err != nil && !errors.Is(err, session.ErrNotFound) {
			return false, err
		}
		return !changes(stored, c.talk.key(), c.talk.Events), nil
	case c.object != nil:
		_, err := r.ledger.Owner(ctx, c.object.App, c.object.Service, c.object.ID) // an object changes its owner for nobody
		if errors.Is(err, ledger.ErrNotFound) {
			return false, nil
		}
		return err == nil, err
	default:
		current, err := r.ledger.Load(ctx, c.row.Key)
		if err != nil && !errors.Is(err, ledger.ErrNotFound) {
			return false, err
		}
		return current != nil && (current.Token == c.row.Token || current.Version >= c.row.Version), nil
	}
}

// Rebuilt is a session before and after its history was replayed.
type Rebuilt struct {
	Before, After *session.Session // Before is nil where the store has none
	Events        int
	Changed       bool
}

// Rebuild replays a session's history, and what this region's log has of it, over what the store has. With dry it only tells what
// would come out. Events that the store has already change nothing.
func (r *Repair) Rebuild(ctx context.Context, k session.Key, history []session.Event, dry bool) (Rebuilt, error) {
	events := slices.Clone(history)
	for _, e := range r.log.of(place{OfSession, k.Hash()}, pending, replayed) {
		t, err := r.talk(&e)
		if err != nil && !errors.Is(err, ErrUnknown) {
			return Rebuilt{}, err
		}
		if err == nil {
			events = append(events, t.Events...)
		}
	}
	slices.SortStableFunc(events, func(a, b session.Event) int { return a.At.Compare(b.At) })
	out := Rebuilt{Events: len(events)}
	stored, err := r.sessions.Load(ctx, k)
	if err != nil && !errors.Is(err, session.ErrNotFound) {
		return out, fmt.Errorf("repair: rebuild: %w", err)
	}
	out.Before = stored
	if len(events) == 0 {
		out.After = stored
		return out, nil
	}
	if out.After, err = session.Apply(stored, k, events...); err != nil {
		return out, fmt.Errorf("repair: rebuild: nothing was written: %w", err)
	}
	out.Changed = changes(stored, k, events)
	if dry || !out.Changed {
		return out, nil
	}
	if err := r.sessions.Append(ctx, k, events...); err != nil {
		return out, fmt.Errorf("repair: rebuild: %w", err)
	}
	return out, nil
}
