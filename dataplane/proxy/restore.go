package proxy

import (
	"context"
	"errors"
	"time"

	"segue/dataplane/ledger"
	"segue/dataplane/session"
)

// maxFollowed bounds the names that are looked up for one call.
const maxFollowed = 8

// restore finds the session's provider and the owner of the object that the call is about.
func (p *Proxy) restore(ctx context.Context, x *Exchange) error {
	if !x.talk.made {
		x.pinned(ctx)
	}
	if !x.work.redrive {
		return x.owned(ctx)
	}
	if !x.op.Maps || len(x.op.Follows) == 0 {
		return nil // it goes where the row says
	}
	there := x.facts.Owner // and as the same request: with the object's id there
	err := x.owned(ctx)
	x.facts.Owner = there
	return err
}

// pinned asks where the session is. A store that does not answer does not stop a call: an effect will not get past its claim,
// and a read is better answered anywhere.
func (x *Exchange) pinned(ctx context.Context) {
	s, err := x.proxy.cfg.Sessions.Load(ctx, x.talk.key)
	switch {
	case err == nil:
		x.talk.pinned = s.Pinned(x.svc.Name)
		x.facts.Pinned = x.candidate(x.talk.pinned)
		if len(x.svc.Session) > 0 && len(s.Fields) > 0 {
			x.talk.state = s
			x.facts.Barred, x.talk.held = s.Barred(x.svc.Service)
		}
	case errors.Is(err, session.ErrNotFound):
	default:
		x.talk.blind = true
		x.proxy.cfg.Log.Warn("a session could not be read", "request", x.call.RequestID, "error", err)
	}
}

// owned asks who owns the object that the call names. The first name that is known counts.
func (x *Exchange) owned(ctx context.Context) error {
	n := 0
	for _, f := range x.op.Follows {
		if f.In == "path" && f.Name == "id" {
			for _, id := range x.op.ObjectIDs(x.call.Request.Path) {
				if n++; n > maxFollowed {
					return nil
				}
				if found, err := x.owner(ctx, id); found || err != nil {
					return err
				}
			}
			continue
		}
		r := x.call.Request
		id, ok := x.op.Value(f, r.Path, r.Header.Get("Content-Type"), r.Body, r.Header.Get)
		if n++; !ok || n > maxFollowed {
			continue
		}
		if found, err := x.owner(ctx, id); found || err != nil {
			return err
		}
	}
	return nil
}

// owner makes the owner of an object the only eligible provider. Nobody else knows the object, so that an owner which the policy lost
// ends the call. An unknown object may be from before Segue: the ordinary choice is as good as any.
func (x *Exchange) owner(ctx context.Context, id string) (bool, error) {
	o, err := x.proxy.cfg.Ledger.Owner(ctx, x.call.App, x.svc.Name, id)
	switch {
	case errors.Is(err, ledger.ErrNotFound):
		return false, nil
	case err != nil && x.op.Read:
		x.proxy.cfg.Log.Warn("an object's owner could not be read", "request", x.call.RequestID, "error", err)
		return false, nil
	case err != nil: // an effect that went to the wrong provider would be worse than one that was refused
		return false, unwritable(err)
	}
	x.talk.owned, x.talk.theirs = true, o.Theirs
	if x.facts.Owner = x.candidate(o.Provider); x.facts.Owner < 0 {
		return false, ownerGone(o)
	}
	return true, nil
}

// remember writes the session's new pin. A session that was made up for a read is not written: nobody talks in it yet, and its name
// draws the same provider again. A call about an owned object moves no session.
func (x *Exchange) remember(ctx context.Context, at time.Time) error {
	if i := x.facts.Pinned; i >= 0 && x.facts.Unmapped.Has(int(i)) {
		return nil // the session stays where it is: only this operation is not made there
	}
	if x.talk.blind || x.talk.now == "" || x.talk.now == x.talk.pinned || x.talk.owned || x.op.Read && x.talk.made {
		return nil
	}
	pin := session.Event{At: at, Pin: session.Pin{Service: x.svc.Name, Provider: x.talk.now, At: at}}
	if x.talk.state != nil && x.talk.pinned != "" {
		if err := x.moved(ctx, pin); err != nil {
			return err
		}
	} else if err := x.proxy.cfg.Sessions.Append(ctx, x.talk.key, pin); err != nil {
		return err
	}
	if x.talk.pinned != "" && x.talk.state == nil {
		x.tally(movedPlain)
	}
	x.talk.pinned = x.talk.now
	return nil
}
