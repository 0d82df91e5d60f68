package proxy

import (
	"context"
	"strconv"

	"segue/controlplane/policy"
	"segue/dataplane/ledger"
	"segue/dataplane/message"
)

// pass begins the answer: first what must be remembered is written, then the caller gets the header with ours in it. The session is
// remembered even for a caller who left meanwhile; a store that fails does not hold back what a provider answered.
func (x *Exchange) pass(status int, h message.Header) error {
	x.ready()
	return x.to.Begin(status, x.dress(h))
}

// ready is called once, before the caller is given anything.
func (x *Exchange) ready() {
	if x.op != nil && x.op.Read && !x.call.DryRun {
		if err := x.remember(context.Background(), x.call.Arrived); err != nil {
			x.proxy.cfg.Log.Error("a session could not be recorded", "request", x.call.RequestID, "error", err)
		}
	}
	if x.clock.answered.IsZero() {
		x.clock.answered = x.now()
	}
	x.told.begun = true
}

// dress puts Segue's headers to an answer's.
func (x *Exchange) dress(h message.Header) message.Header {
	var room [768]byte // most answers' headers fit: one piece of memory for all three
	b := room[:0]
	if x.work.tx != nil {
		h = append(h, message.Field{Name: "Segue-Transaction", Value: x.work.tx.ID})
	}
	if x.talk.key.ID != "" {
		h = append(h, message.Field{Name: "Session-Id", Value: x.talk.key.ID})
	}
	b = appendRoute(b, x.trail)
	route := len(b)
	if x.talk.now != "" && x.decision.Winner >= 0 { // a choice was made for this call
		b = appendDecision(b, x.winner().Provider, x.view.snap.Region, x.view.snap.Revision, x.decision.Why(x.svc.Service))
		if x.work.offline {
			b = append(b, ";offline"...)
		}
	}
	decision := len(b)
	text := string(appendTiming(b, timing{own: x.overhead() - x.clock.claim, claim: x.clock.claim}, x.trail))
	if route > 0 {
		h = append(h, message.Field{Name: "Segue-Route", Value: text[:route]})
	}
	if decision > route {
		h = append(h, message.Field{Name: "Segue-Decision", Value: text[route:decision]})
	}
	return append(h, message.Field{Name: "Server-Timing", Value: text[decision:]})
}

// send gives a whole answer.
func (x *Exchange) send(a *message.Answer) error {
	if a.Header.Get("Content-Length") == "" && len(a.Body) > 0 && len(a.Trailer) == 0 { // over HTTP/1 a trailer follows chunks only
		a.Header.Add("Content-Length", strconv.Itoa(len(a.Body)))
	}
	if err := x.pass(a.Status, a.Header); err != nil {
		return errAnswered // the caller left: there is nobody to tell
	}
	if err := x.to.Write(a.Body); err != nil {
		return errAnswered
	}
	message.Trail(x.to, a.Trailer)
	_ = x.to.End(nil) // the same
	return errAnswered
}

// tell answers with a problem, in the caller's dialect.
func (x *Exchange) tell(p *Problem) {
	if x.told.begun {
		return
	}
	dialect := policy.Stripe // where no service is known: the one that throws in every SDK
	p.Region = x.view.snap.Region
	if x.svc != nil {
		p.Service = x.svc.Name
		dialect = x.svc.dialect
	}
	if p.Transaction == "" && x.work.tx != nil && x.work.tx.Version > 0 {
		p.Transaction = x.work.tx.ID
	}
	p.Open = p.Open || x.work.earlier()
	if p.Type == OutcomeUnknown || p.Open {
		x.told.outcome = ledger.Unknown
	}
	_ = x.send(p.Answer(dialect)) // it says only that the caller has his answer, or left
}
