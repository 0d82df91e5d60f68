package proxy

import (
	"context"
	"fmt"
	"strings"

	"segue/controlplane/health"
	"segue/controlplane/policy"
	"segue/controlplane/query"
	"segue/dataplane/ledger"
	"segue/dataplane/message"
	"segue/dataplane/route"
	"segue/dataplane/session"
	"segue/dataplane/settle"
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
	if c == nil || x.talk.state == nil && !x.admits() {
		return nil
	}
	v := transfer.Conversation{Session: x.talk.state, Service: x.svc.Service}
	if v.Session == nil {
		v.Session = &session.Session{Key: x.talk.key}
	}
	return func(ctx context.Context, to *policy.Candidate, r *message.Request) (*message.Request, error) {
		mine, err := c.Carry(ctx, v, to, r)
		if err != nil {
			return nil, fmt.Errorf("proxy: session %w", err)
		}
		return mine, nil
	}
}

// admits tells whether providers of the service may ask for tokens, also of a session that has nothing yet.
func (x *Exchange) admits() bool {
	if x.talk.blind || x.talk.key.ID == "" {
		return false
	}
	for i := range x.svc.Session {
		if x.svc.Session[i].Kind == policy.KindTokens {
			return true
		}
	}
	return false
}

// touched tells that an operation succeeded: what it changed of the session's fields at its provider is fetched.
func (x *Exchange) touched(t transfer.Touching) {
	c := x.proxy.cfg.Carrier
	if c == nil || len(x.svc.Session) == 0 || x.talk.key.ID == "" {
		return
	}
	t.Service, t.Session, t.Caller = x.svc.Service, x.talk.key, x.call.Request.Header
	t.Operation = t.At.OperationThere(x.op.Name)
	c.Touched(&t)
}

// touchedBy tells it of an effect, before its caller is answered.
func (x *Exchange) touchedBy(end *settle.End) {
	if end.Tx == nil || end.Tx.State != ledger.DoneSucceeded {
		return
	}
	t := transfer.Touching{Answer: end.Answer, Waits: true}
	if end.Tx.Answer != nil {
		t.ID = end.Tx.Answer.Theirs
	}
	if i := x.candidate(end.Tx.Settled().Provider); i >= 0 {
		t.At = x.svc.Candidates[i]
		x.touched(t)
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
