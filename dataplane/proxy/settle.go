package proxy

import (
	"context"
	"errors"
	"fmt"
	"time"

	"segue/controlplane/health"
	"segue/dataplane/ledger"
	"segue/dataplane/message"
	"segue/dataplane/route"
	"segue/dataplane/settle"
)

// settle sends: a read until somebody answers, an effect until it has an outcome or nobody knows.
func (p *Proxy) settle(ctx context.Context, x *Exchange) error {
	if x.op.Read {
		return x.read(ctx)
	}
	permit := x.permit
	x.permit = route.Permit{} // the driver's now
	to := int(x.decision.Winner)
	if x.work.resume {
		to = x.work.candidate
	}
	x.work.end = p.cfg.Driver.Run(ctx, &settle.Job{
		Tx: x.work.tx, Service: x.svc.Service, Operation: x.op.Name, Leave: x.op.Leave, Request: x.call.Request, Object: x.talk.theirs, RequestID: x.call.RequestID,
		Facts: x.facts, Candidate: to, Permit: permit, Begun: x.work.begun, Deadline: x.clock.deadline,
		Way: settle.Way{Resume: x.work.resume, PinAt: x.op.PinAt, Offline: x.work.offline}, Caller: x, Carry: x.carries(),
	})
	return nil
}

// Ended is told each attempt of an effect that ended.
func (x *Exchange) Ended(a *ledger.Attempt, spent time.Duration, now time.Time) {
	h := hop{provider: a.Provider, outcome: a.Outcome, err: a.Error, status: a.Status, elapsed: spent}
	if i := x.candidate(a.Provider); i >= 0 && len(x.svc.Candidates[i].Further) > 0 {
		h.endpoint = a.Endpoint
	}
	x.hopped(h, now)
}

// Beside writes session and owner while the driver writes the outcome: they share its group commit.
func (x *Exchange) Beside(ctx context.Context, t *ledger.Transaction) error {
	x.clock.final = x.now()
	own := make(chan error, 1)
	if a := t.Answer; a != nil && a.ObjectID != "" && t.State == ledger.DoneSucceeded {
		go func() { own <- x.own(ctx, t) }() // awaited below
	} else {
		own <- nil
	}
	err := x.remember(ctx, t.Updated)
	if owned := <-own; owned != nil {
		return fmt.Errorf("proxy: owner of %s: %w", t.Answer.ObjectID, owned)
	}
	if err != nil {
		return fmt.Errorf("proxy: session: %w", err)
	}
	return nil
}

func (x *Exchange) own(ctx context.Context, t *ledger.Transaction) error {
	a := t.Settled()
	return x.proxy.cfg.Ledger.Own(ctx, ledger.Object{
		App: t.Key.App, Service: t.Key.Service, ID: t.Answer.ObjectID, Provider: a.Provider, Account: a.Account, Transaction: t.ID, Theirs: t.Answer.Theirs,
	})
}

// owns sees that the owner of what t made is recorded, before its answer is told again: an agent that was killed between the outcome and the owner
// left that out, and a refund would go anywhere.
func (x *Exchange) owns(t *ledger.Transaction) {
	if x.work.offline || t.State != ledger.DoneSucceeded || t.Answer == nil || t.Answer.ObjectID == "" {
		return
	}
	ctx := context.Background()
	_, err := x.proxy.cfg.Ledger.Owner(ctx, t.Key.App, t.Key.Service, t.Answer.ObjectID)
	if errors.Is(err, ledger.ErrNotFound) {
		err = x.own(ctx, t)
	}
	if err != nil {
		x.proxy.cfg.Log.Error("the owner of what a replayed call made could not be recorded", "transaction", t.ID, "error", err)
	}
}

// Begin, Write and End take an answer that is too large to be kept: the driver has written its outcome, and passes it on.
func (x *Exchange) Begin(status int, h message.Header) error {
	x.told.outcome = x.work.tx.Current().Outcome
	return x.pass(status, h)
}

// Write passes bytes on.
func (x *Exchange) Write(p []byte) error { return x.to.Write(p) }

// Trail passes a trailer on.
func (x *Exchange) Trail(h message.Header) { message.Trail(x.to, h) }

// End passes the end on.
func (x *Exchange) End(cut error) error { return x.to.End(cut) }

// answer tells the caller of an effect how it ended.
func (p *Proxy) answer(_ context.Context, x *Exchange) error {
	if x.op.Read {
		return nil // it was streamed
	}
	if !x.clock.final.IsZero() {
		p.metrics.store.final.Observe(x.now().Sub(x.clock.final).Seconds())
	}
	// killpoint: answer.before
	end := &x.work.end
	x.told.outcome = end.Tx.Current().Outcome
	x.work.entry.concluded(x)
	switch end.Kind {
	case ledger.Finish:
		x.touchedBy(end)
		return x.finished(end)
	case ledger.Refuse:
		return x.refusal(end)
	default: // Hold, and whatever nobody knows
		return x.held(end)
	}
}

func (x *Exchange) finished(end *settle.End) error {
	switch {
	case end.Streamed:
		return errAnswered
	case end.Answer == nil && end.Tx.Answer != nil && end.Tx.Answer.Status == 0:
		return notKept(end.Tx, noAnswer)
	case end.Answer == nil:
		return notKept(end.Tx, "it did not come whole")
	}
	return x.send(end.Answer)
}

// refusal tells that nothing was executed: the provider's own word where it gave one, else why nobody else was asked.
func (x *Exchange) refusal(end *settle.End) error {
	x.told.outcome = ledger.NotSent
	switch {
	case end.Err != nil:
		return unwritable(end.Err)
	case end.Answer != nil:
		return x.send(end.Answer)
	case end.Decision != nil:
		p := x.refused(end.Decision)
		p.Extra.Attempts = tried(end.Tx)
		return p
	}
	return exhausted(tried(end.Tx))
}

// held tells that nobody knows. An outcome that could not be written is not known to anybody who comes later: it counts as unknown.
func (x *Exchange) held(end *settle.End) error {
	x.told.outcome = ledger.Unknown
	t := end.Tx
	text := fmt.Sprintf("%s: the outcome of %s at %s is not known", x.svc.Name, x.op.Name, t.Current().Provider)
	if end.Err != nil {
		x.proxy.cfg.Log.Error("an outcome could not be written", "transaction", t.ID, "error", end.Err)
		text += ", and the ledger could not be written"
	}
	x.proxy.cfg.Board.Note(health.Event{
		At: x.now(), Kind: "unknown", Service: x.svc.Name, Provider: t.Current().Provider, Transaction: t.ID, Level: "bad", Text: text,
	})
	p := x.unknown(t)
	p.Accepted = end.Err == nil && !x.work.offline && t.State == ledger.Held && message.RespondAsync(x.call.Prefer)
	return p
}
