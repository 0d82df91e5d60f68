package proxy

import (
	"context"
	"errors"
	"io"
	"time"

	"segue/controlplane/health"
	"segue/controlplane/policy"
	"segue/dataplane/ledger"
	"segue/dataplane/message"
	"segue/dataplane/provider"
	"segue/dataplane/route"
	"segue/dataplane/transfer"
)

// maxSwallowed bounds a failing answer that is kept while another provider is asked. One that is larger is not worth the memory.
const maxSwallowed = 64 << 10

// statusSwitched is the answer that opens a tunnel.
const statusSwitched = 101

// errSwallowed stops a provider's answer that nobody wants.
var errSwallowed = errors.New("proxy: a failing answer was larger than what is kept")

// errNoTunnel refuses a tunnel that the caller's connection cannot carry.
var errNoTunnel = errors.New("proxy: the caller's connection cannot become a tunnel")

// read sends a read, and sends it elsewhere as long as no byte of an answer reached the caller. The caller's leaving ends it: there is
// nothing to settle.
func (x *Exchange) read(ctx context.Context) error {
	for try := 1; ; try++ {
		r := x.sendRead(ctx, try)
		switch {
		case x.gate.passed:
			x.told.outcome = ended(ctx, r.Outcome)
			if r.Outcome == ledger.Succeeded {
				x.touched(transfer.Touching{At: x.winner()})
			}
			return errAnswered
		case ctx.Err() != nil:
			x.told.outcome = ledger.Open
			return errAnswered // nobody is there to be told
		}
		if !x.repeatable(r.Outcome) || !x.elsewhere(try) {
			return x.last()
		}
	}
}

// repeatable tells whether the read may be sent again: always, but for a tunnel that a provider may have opened.
func (x *Exchange) repeatable(o ledger.Outcome) bool {
	return x.call.Request.Upgrade == "" || o == ledger.NotSent
}

// ended is how a read counts as a call. It has no outcome that could be unknown: it was answered well or it was not, or nobody waited.
func ended(ctx context.Context, o ledger.Outcome) ledger.Outcome {
	switch {
	case o == ledger.Succeeded || o == ledger.Declined:
		return o
	case ctx.Err() != nil:
		return ledger.Open
	default:
		return ledger.NotSent
	}
}

// sendRead makes one send through the gate.
func (x *Exchange) sendRead(ctx context.Context, try int) provider.Result {
	who := x.winner()
	x.clock.sent = x.now()
	x.gate.open(x, who, try >= x.svc.Attempts.Max || x.call.Request.Upgrade != "")
	x.proxy.cfg.Board.Sent(&x.permit, x.clock.sent)
	r := x.proxy.cfg.Client.Send(ctx, &provider.Call{
		Candidate: who, Service: x.svc.Name, Operation: x.op.Name, Request: x.call.Request, Read: true,
		PerTry: x.perTry(try), RequestID: x.call.RequestID,
		Mapping: who.Mapped(x.op.Name), Object: x.talk.theirs, Session: x.talk.key.ID, Carry: x.carries(),
	}, &x.gate)
	now := x.now()
	r.Sample.Stated, r.Sample.Told = x.svc.Stated(int(x.decision.Winner), &x.facts, &r.Stated)
	x.proxy.cfg.Board.Done(x.permit, r.Sample, health.Outcome(r.Outcome), now)
	x.permit = route.Permit{}
	if x.gate.passed {
		x.trail[len(x.trail)-1].outcome = r.Outcome
		x.svc.handles.attempt(who.Provider, r.Outcome)
		x.cost(who.Provider, r.Outcome)
		x.svc.past.ended(x.svc.Service, who.Provider, r.Outcome, r.Elapsed, now)
		x.svc.failovers.ended(who.Provider, r.Outcome, r.Status, x.clock.sent)
		return r
	}
	x.hopped(hop{provider: who.Provider, outcome: r.Outcome, err: r.Error, status: r.Status, elapsed: r.Elapsed}, now)
	return r
}

// perTry is how long a read's attempt may take to its first byte: where another could follow, half of what is left at the most,
// so that a hanging provider leaves time for the next.
func (x *Exchange) perTry(try int) time.Duration {
	left := x.left(x.clock.sent)
	if try < x.svc.Attempts.Max && len(x.svc.Candidates) > 1 && x.facts.Owner < 0 {
		left /= 2
	}
	return max(time.Millisecond, min(x.svc.Attempts.PerTry, left))
}

// elsewhere chooses the next provider; false: there is none, or no time.
func (x *Exchange) elsewhere(try int) bool {
	now := x.now()
	if try >= x.svc.Attempts.Max || x.left(now) < minimum {
		return false
	}
	x.facts.Tried = x.facts.Tried.With(int(x.decision.Winner))
	permit, ok := x.proxy.cfg.Board.Choose(&x.decision, x.svc.Service, &x.facts, now)
	if !ok {
		return false
	}
	x.permit = permit
	x.Decided(&x.decision)
	return true
}

// last answers a read that nobody answered well: the last answer that was held back, or a problem.
func (x *Exchange) last() error {
	if x.gate.whole {
		x.told.outcome = ledger.NotSent
		return x.send(&x.gate.kept)
	}
	x.told.outcome = ledger.NotSent
	attempts := make([]TriedProvider, len(x.trail))
	for i := range x.trail {
		h := &x.trail[i]
		attempts[i] = TriedProvider{Provider: h.provider, Outcome: h.outcome.String(), Error: h.err, Status: h.status, Sends: 1}
	}
	if x.decision.Past.NoRetry && x.decision.Winner < 0 {
		p := x.refused(&x.decision)
		p.Extra.Attempts = attempts
		return p
	}
	if p := x.stuck(&x.decision); p != nil {
		p.Extra.Attempts = attempts
		return p
	}
	return exhausted(attempts)
}

// gate stands between a provider and the caller of a read. It lets a good answer through as it comes, and holds a failing one back while
// another provider can be asked.
type gate struct {
	x      *Exchange
	who    *policy.Candidate
	final  bool // nobody else will be asked: whatever comes is passed on
	passed bool // the caller has the header: from here on a cut is an error, and nothing else can be tried
	hold   bool // the answer under way is held back
	whole  bool // kept is a whole answer
	kept   message.Answer
}

func (g *gate) open(x *Exchange, who *policy.Candidate, final bool) {
	g.x, g.who, g.final, g.hold = x, who, final, false
}

// Begin decides whether the answer passes.
func (g *gate) Begin(status int, h message.Header) error {
	g.x.proxy.cfg.Board.Answered(&g.x.permit)
	if !g.final && failing(g.who, status) {
		g.hold, g.whole = true, false
		g.kept = message.Answer{Status: status, Header: append(message.Header(nil), h...), Body: g.kept.Body[:0]}
		return nil
	}
	return g.let(status, h)
}

// failing tells whether another provider may do better: this one is limited, or out of order.
func failing(who *policy.Candidate, status int) bool {
	class, _ := who.Classify(status, "")
	return class == policy.ClassLimited || class == policy.ClassFailure
}

func (g *gate) let(status int, h message.Header) error {
	_, outcome := g.who.Classify(status, "")
	g.passes(status, outcomeOf(outcome))
	return g.x.pass(status, h)
}

// passes notes that the caller is given this answer, and no other.
func (g *gate) passes(status int, o ledger.Outcome) {
	x := g.x
	now := x.now()
	x.trail = append(x.trail, hop{provider: g.who.Provider, outcome: o, status: status, elapsed: now.Sub(x.clock.sent)})
	x.clock.providers += now.Sub(x.clock.sent)
	x.clock.answered = now
	g.passed = true
}

// Switch lets a tunnel through.
func (g *gate) Switch(h message.Header) (io.ReadWriteCloser, error) {
	to, ok := g.x.to.(message.Switcher)
	if !ok {
		return nil, errNoTunnel
	}
	g.x.proxy.cfg.Board.Answered(&g.x.permit)
	g.passes(statusSwitched, ledger.Succeeded)
	g.x.ready()
	return to.Switch(g.x.dress(h))
}

// Trail passes a trailer on; that of an answer that is held back is dropped with what made it hold.
func (g *gate) Trail(h message.Header) {
	if !g.hold {
		message.Trail(g.x.to, h)
	}
}

func outcomeOf(word string) ledger.Outcome {
	switch word {
	case policy.OutcomeSucceeded:
		return ledger.Succeeded
	case policy.OutcomeDeclined:
		return ledger.Declined
	case policy.OutcomeNotSent:
		return ledger.NotSent
	default:
		return ledger.Unknown
	}
}

// Write passes bytes on, or keeps those of an answer that is held back.
func (g *gate) Write(p []byte) error {
	if !g.hold {
		return g.x.to.Write(p)
	}
	if len(g.kept.Body)+len(p) > maxSwallowed {
		return errSwallowed
	}
	g.kept.Body = append(g.kept.Body, p...)
	return nil
}

// End passes the end on. What is held back counts only if it came whole.
func (g *gate) End(cut error) error {
	if !g.hold {
		return g.x.to.End(cut)
	}
	g.whole = cut == nil
	return nil
}
