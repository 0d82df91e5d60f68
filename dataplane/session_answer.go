package dataplane

import (
	"context"
	"fmt"

	"segue/controlplane/policy"
	"segue/controlplane/query"
	"segue/dataplane/message"
	"segue/dataplane/session"
)

// Bounds of the history that is shown of a session.
const (
	defaultEvents = 50
	maxEvents     = 500
)

// sessionsInUse tells of each service which sessions are in use here, and could move.
func (a *Agent) sessionsInUse() []query.SessionsInUse {
	list := []query.SessionsInUse{}
	snap := a.force.snapshot.Load()
	if snap == nil {
		return list
	}
	now := a.cfg.Now()
	for _, svc := range snap.Services {
		list = append(list, a.parts.carrier.InUse(svc, now))
	}
	return list
}

// oneSession shows a session to an operator.
func (a *Agent) oneSession(ctx context.Context, q query.Question) (*query.Session, error) {
	snap := a.force.snapshot.Load()
	if snap == nil {
		snap = &policy.Snapshot{}
	}
	limit := q.Limit
	if limit <= 0 {
		limit = defaultEvents
	}
	var told *query.Session
	err := a.ofSession(q.Session, func(k session.Key) (err error) {
		told, err = a.parts.carrier.Inspect(ctx, k, snap, min(limit, maxEvents))
		return err
	})
	if err == nil && told == nil {
		err = a.noSession(q.Session)
	}
	return told, err
}

// sessionVerified holds a session against its history.
func (a *Agent) sessionVerified(ctx context.Context, id string) (*query.SessionCheck, error) {
	var told *query.SessionCheck
	err := a.ofSession(id, func(k session.Key) (err error) {
		told, err = a.parts.carrier.Verify(ctx, k)
		return err
	})
	if err == nil && told == nil {
		err = a.noSession(id)
	}
	return told, err
}

func (a *Agent) noSession(id string) error {
	return fmt.Errorf("%s has no session %.128s", a.cfg.ID, id)
}

// ofSession asks the store for a session. What a store says of itself is not for who asks.
func (a *Agent) ofSession(id string, ask func(session.Key) error) error {
	if !message.SaneID(id) {
		return a.noSession(id)
	}
	if err := ask(session.Key{App: application, ID: id}); err != nil {
		a.cfg.Log.Error("a session could not be shown", "error", err)
		return fmt.Errorf("%s could not read the session: its store did not tell it", a.cfg.ID)
	}
	return nil
}
