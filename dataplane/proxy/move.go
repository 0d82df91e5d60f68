package proxy

import (
	"context"
	"fmt"
	"strings"

	"segue/controlplane/health"
	"segue/controlplane/policy"
	"segue/controlplane/query"
	"segue/dataplane/message"
	"segue/dataplane/route"
	"segue/dataplane/session"
	"segue/dataplane/transfer"
)

// results are what became of the fields of a session that went on at another provider, or could not.
var results = [...]string{
	movedPlain: "plain", movedCarried: "carried", movedRebuilt: "rebuilt", movedLost: "lost", moveRefused: "refused",
}

const (
	movedPlain   = iota // it had none
	movedCarried        // what the provider must have is there
	movedRebuilt        // the requests themselves bring what it must know
	movedLost           // a pinned field stayed behind, and that was reported
	moveRefused         // a pinned field would have stayed behind
)

// tally counts a session that moved, or could not: for the metric, and for who asks the agent.
func (x *Exchange) tally(result int) {
	x.svc.handles.moves[result].Inc()
	c := x.proxy.cfg.Carrier
	if c == nil {
		return
	}
	c.Moved(x.svc.Service, func(all *query.SessionsMoved) {
		switch result {
		case movedPlain:
			all.Plain++
		case movedCarried:
			all.Carried++
		case movedRebuilt:
			all.Rebuilt++
		case movedLost:
			all.Lost++
		default:
			all.Refused++
		}
	})
}

// carries brings to a provider what the session must have there; nil: there is nothing.
func (x *Exchange) carries() func(context.Context, *policy.Candidate, *message.Request) (*message.Request, error) {
	c := x.proxy.cfg.Carrier
	if x.talk.state == nil || c == nil {
		return nil
	}
	v := transfer.Conversation{Session: x.talk.state, Service: x.svc.Service}
	return func(ctx context.Context, to *policy.Candidate, r *message.Request) (*message.Request, error) {
		mine, err := c.Carry(ctx, v, to, r)
		if err != nil {
			return nil, fmt.Errorf("proxy: session %w", err)
		}
		return mine, nil
	}
}

// moved writes that the session went on at another provider, and what it left behind there.
func (x *Exchange) moved(ctx context.Context, pin session.Event) error {
	events, lost := []session.Event{pin}, x.talk.state.Leaves(x.svc.Service, x.talk.now)
	w := session.Writer{Run: x.proxy.cfg.Driver.RunID(), Session: x.talk.state, Now: pin.At}
	for _, name := range lost {
		events = append(events, w.Write(x.svc.Name, name, nil))
	}
	if err := x.proxy.cfg.Sessions.Append(ctx, x.talk.key, events...); err != nil {
		return err
	}
	x.tally(x.result(lost))
	if len(lost) > 0 {
		x.proxy.cfg.Board.Note(health.Event{
			At: pin.At, Kind: "session", Service: x.svc.Name, Provider: x.talk.pinned, Level: "warn",
			Text: fmt.Sprintf("%s: a session went on at %s and left %s behind at %s", x.svc.Name, x.talk.now, strings.Join(lost, ", "), x.talk.pinned),
		})
	}
	return nil
}

func (x *Exchange) result(lost []string) int {
	if len(lost) > 0 {
		return movedLost
	}
	result := movedPlain
	for i := range x.svc.Session {
		rule := &x.svc.Session[i]
		f := x.talk.state.Field(x.svc.Name, rule.Name)
		switch {
		case f == nil || !f.Set():
		case rule.Map != "":
			return movedCarried
		case rule.Class == policy.Rebuilt:
			result = movedRebuilt
		}
	}
	return result
}

// refused tells why nobody was eligible.
func (x *Exchange) refused(d *route.Decision) *Problem {
	if p := x.stuck(d); p != nil {
		return p
	}
	return refused(d, x.svc.Service)
}

// stuck tells that the session cannot go on elsewhere, if a pinned field keeps it from every provider that might have been asked.
func (x *Exchange) stuck(d *route.Decision) *Problem {
	kept := false
	for i := range d.N {
		kept = kept || d.Scores[i].Gate == route.NoState
	}
	if x.talk.held == "" || !kept {
		return nil
	}
	x.tally(moveRefused)
	return &Problem{
		Type: SessionCannotMove, Extra: Extra{Field: x.talk.held, Provider: x.talk.pinned},
		Detail: fmt.Sprintf("%s did not take the call, and the session cannot go on elsewhere: its %s is pinned there.", x.talk.pinned, x.talk.held),
	}
}
