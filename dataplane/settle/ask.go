package settle

import (
	"context"
	"errors"
	"fmt"
	"time"

	"segue/controlplane/policy"
	"segue/dataplane/ledger"
	"segue/dataplane/message"
	"segue/dataplane/provider"
)

// lookUp asks the provider by the attempt's reference.
func (w *drive) lookUp(ctx context.Context) (End, bool) {
	if !w.ask(ctx) {
		return w.hold(ctx), true
	}
	begun := w.cfg.Now()
	// killpoint: lookup.before
	f := w.cfg.Client.LookUp(ctx, w.question())
	// killpoint: lookup.answered
	e := f.Evidence
	e.Attempt, e.Kind = w.tx.Current().ID, ledger.FromLookup
	if e.Begun.IsZero() {
		e.Begun = begun
	}
	w.learn(&f)
	w.weigh(e)
	return End{}, false
}

// cancel writes that a cancel may leave, and only then lets it.
func (w *drive) cancel(ctx context.Context) (End, bool) {
	if !w.ask(ctx) {
		return w.hold(ctx), true
	}
	stands := w.tx.State == ledger.Cancelling && w.tx.Current().Cancel && !w.news
	if err := w.tx.Close(ledger.Cancel); err != nil {
		return w.unsure(ctx, fmt.Errorf("settle: %w", err)), true
	}
	if !stands {
		w.Stamp(w.tx, w.cfg.Now())
		if err := w.write(ctx); err != nil {
			return w.unsure(ctx, err), true
		}
	}
	if !w.leased(w.run, w.leaseTime(), w.cfg.Boot()) { // somebody else may drive it by now
		return w.hold(ctx), true
	}
	// killpoint: cancel.written
	f := w.cfg.Client.Cancel(ctx, w.question())
	// killpoint: cancel.answered
	e := f.Evidence
	e.Attempt, e.Kind = w.tx.Current().ID, ledger.FromCancel
	w.learn(&f)
	w.weigh(e)
	return End{}, false
}

// ask bounds how often one drive asks, and spaces it: what asks for a second lookup may ask for a hundredth.
func (w *drive) ask(ctx context.Context) bool {
	w.asks++
	switch {
	case w.asks > maxAsks, ctx.Err() != nil:
		return false
	case w.asks > 2:
		return pause(ctx, ledger.LookSpacing)
	default:
		return true
	}
}

// learn keeps what a question brought beside its evidence.
func (w *drive) learn(f *provider.Finding) {
	if errors.Is(f.Err, provider.ErrCannotAsk) {
		w.looked.Why = f.Err.Error()
	} else {
		w.looked = Looked{Asked: true, Mute: mute(f.Err, f.Evidence.Status)}
	}
	if f.Err != nil {
		w.cfg.Log.Debug("a question about an attempt showed nothing", "transaction", w.tx.ID, "provider", w.tx.Current().Provider, "error", f.Err)
	}
	if f.ObjectID != "" {
		w.object = f.ObjectID
	}
	w.answer.reset()
	if a := f.Answer; a != nil && len(a.Body) <= ledger.MaxAnswer {
		w.answer.status, w.answer.header, w.answer.whole = a.Status, a.Header, true
		w.answer.body = append(w.answer.body, a.Body...)
	}
}

func (w *drive) question() *provider.Question {
	return &provider.Question{
		Candidate: w.who, Service: w.job.Service.Name, Operation: w.job.Operation, Attempt: w.tx.Current(), Header: w.header(), RequestID: w.job.RequestID,
	}
}

func (w *drive) header() message.Header {
	if w.job.Request == nil {
		return nil
	}
	return w.job.Request.Header
}

// wait waits while a caller does; the background comes back.
func (w *drive) wait(ctx context.Context) (End, bool) {
	if !w.live() {
		return w.later(ctx), true
	}
	if !pause(ctx, w.step.Until.Sub(w.cfg.Now())) {
		return w.hold(ctx), true
	}
	w.weigh(w.timer())
	return End{}, false
}

// plainly are the circumstances that are the same for everybody: what the contract offers, what the policy allows, what has changed.
func (d *Driver) plainly(t *ledger.Transaction, who *policy.Candidate, operation string, leave policy.Leave) ledger.Circumstances {
	c := ledger.Circumstances{Now: d.cfg.Now(), Run: d.RunID(), Skewed: d.Clock() != nil, MaxSends: maxSends, Leave: ledger.Leave{Twice: leave.Duplicates, Traced: leave.Traced}}
	if who == nil || who.Contract == nil {
		c.Changed = true
		return c
	}
	keys := who.Contract.Keys
	c.Enforced, c.KeyLife, c.Means = keys.Enforced, keys.Life, ledger.MeansOf(who.Contract, who.OperationThere(operation))
	if c.Settle > 0 { // what a sender that was paused may still send, and what TCP may still deliver, comes before the provider's own time
		c.Settle += SendBy + provider.UserTimeout
	}
	if len(t.Attempts) == 0 {
		return c
	}
	a := t.Current()
	c.MaxSends = a.Sends + maxSends
	if a.Reference == "" { // nobody can be asked for what does not carry it
		c.Lookup, c.Cancel = false, false
	}
	c.Changed = !who.At(a.Endpoint) || who.Digest != a.Contract
	return c
}

// place finds what the policy says today of a transaction's attempt; who is nil where it does not have the provider any more.
func (d *Driver) place(t *ledger.Transaction, attempt int) (svc *policy.Service, op *policy.Operation, who int) {
	snap := d.policy.Load()
	svc, ok := snap.Service(t.Key.Service)
	if !ok {
		return nil, nil, -1
	}
	for _, o := range svc.Operations {
		if o.Name == t.Operation {
			op = o
		}
	}
	who = -1
	for i, c := range svc.Candidates {
		if attempt >= 0 && attempt < len(t.Attempts) && c.Provider == t.Attempts[attempt].Provider {
			who = i
		}
	}
	return svc, op, who
}

// For are the circumstances in which a caller's retry finds a row: h is his header, and may open the attempt's account.
func (d *Driver) For(t *ledger.Transaction, who *policy.Candidate, op *policy.Operation, h message.Header) ledger.Circumstances {
	c := d.plainly(t, who, op.Name, op.Leave)
	if svc, ok := d.policy.Load().Service(t.Key.Service); ok {
		c.AtPin = atPin(t, svc, op.PinAt)
	}
	if len(t.Attempts) > 0 && ledger.Account(who, h) != t.Current().Account {
		c.Changed = true
	}
	return c
}

// Circumstances are what the ledger must know of a row beside it, for whoever does not drive it now.
func (d *Driver) Circumstances(t *ledger.Transaction) ledger.Circumstances {
	svc, op, i := d.place(t, len(t.Attempts)-1)
	var who *policy.Candidate
	if i >= 0 {
		who = svc.Candidates[i]
	}
	var leave policy.Leave
	if op != nil {
		leave = op.Leave
	}
	c := d.plainly(t, who, t.Operation, leave)
	if op != nil {
		c.AtPin = atPin(t, svc, op.PinAt)
	}
	if len(t.Attempts) > 0 && who != nil && who.Credential.Kind != policy.CredentialCaller && who.Account != t.Current().Account {
		c.Changed = true
	}
	if who != nil && who.Credential.Kind == policy.CredentialCaller { // without the caller nobody can be asked
		c.Lookup, c.Cancel, c.Enforced = false, false, false
	}
	return c
}

// NextCheck is when the background looks for a row's outcome next; zero: an operator decides.
func (d *Driver) NextCheck(t *ledger.Transaction) time.Time {
	if at, known := d.unknowns.next(t.Key); known && d.mine(t) {
		return at
	}
	return ledger.NextCheck(t, d.Circumstances(t))
}
