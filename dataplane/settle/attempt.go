package settle

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"segue/controlplane/policy"
	"segue/dataplane/ledger"
	"segue/dataplane/message"
	"segue/dataplane/provider"
	"segue/dataplane/route"
)

var errStale = errors.New("settle: the sender was paused for longer than its lease")

// ErrLost is returned by Put when somebody else moved the row on.
var ErrLost = errors.New("settle: the row was moved on by somebody else")

// attempt sends once and takes the step that the evidence asks for.
func (w *drive) attempt(ctx context.Context) (End, bool) {
	e := w.send(ctx)
	switch {
	case w.answer.passed:
		return End{Kind: ledger.Finish, Tx: w.tx, Streamed: true}, true
	case w.lost != nil:
		w.unknowns.add(w.tx)
		return End{Kind: ledger.Hold, Tx: w.tx, Err: w.lost}, true
	}
	switch step := ledger.Next(w.tx, e, w.circumstances()); step.Kind {
	case ledger.Finish:
		return w.finish(ctx), true
	case ledger.Elsewhere:
		return w.elsewhere(ctx, e)
	case ledger.Redrive:
		return w.again(ctx)
	case ledger.Refuse:
		return w.refuse(ctx, nil), true
	case ledger.Hold:
		return w.hold(ctx), true
	default: // a step that nobody knows: nothing is sent on a guess
		return w.hold(ctx), true
	}
}

// send makes one send and notes in the attempt what it showed.
func (w *drive) send(ctx context.Context) ledger.Evidence {
	a := w.tx.Current()
	w.answer.reset()
	r := w.cfg.Client.Send(ctx, &provider.Call{
		Candidate: w.who, Service: w.job.Service.Name, Operation: w.job.Operation, Request: w.job.Request, Key: a.ProviderKey, Reference: a.Reference,
		PerTry: w.job.Service.Attempts.PerTry, RequestID: w.job.RequestID, Guard: w.guard,
		Mapping: w.who.Mapped(w.job.Operation), Object: w.job.Object, Session: w.tx.Session,
	}, &w.answer)
	w.theirs = r.Theirs
	if r.Err != nil {
		w.cfg.Log.Debug("a send gave no whole answer", "transaction", w.tx.ID, "provider", a.Provider, "error", r.Err)
	}
	w.done(r)
	return w.note(a, r)
}

// note takes down what a send showed.
func (w *drive) note(a *ledger.Attempt, r provider.Result) ledger.Evidence {
	e := ledger.Evidence{
		Attempt: a.ID, Kind: r.Kind, Outcome: r.Outcome, Error: r.Error, Status: r.Status, Redrive: a.Sends > 1,
	}
	a.Elapsed += r.Elapsed
	w.tx.Settle(e) // where the answer was passed on, the outcome is written already: a cut of the rest does not take it back
	w.job.Caller.Ended(a, r.Elapsed, w.cfg.Now())
	return e
}

// guard is asked right before the first byte. The lease is measured on a clock that goes on while the machine sleeps.
func (w *drive) guard() error {
	if age := w.cfg.Boot() - w.begun; !ledger.MaySend(age, SendBy, false) {
		return fmt.Errorf("%w: %v after its intent", errStale, age)
	}
	return nil
}

func (w *drive) circumstances() ledger.Circumstances {
	keys := w.who.Contract.Keys
	return ledger.Circumstances{
		Now: w.cfg.Now(), Live: true, Deadline: w.job.Deadline, Enforced: keys.Enforced, KeyLife: keys.Life,
		MaxTries: w.job.Service.Attempts.Max, Before: w.before, MaxSends: w.sends + maxSends, Run: w.cfg.Run,
	}
}

// elsewhere goes to another provider: the attempt is proven not executed. The row says so before anything is sent.
func (w *drive) elsewhere(ctx context.Context, e ledger.Evidence) (End, bool) {
	if e.Kind != ledger.FromStaleSend { // a paused sender accuses no provider
		w.facts.Tried = w.facts.Tried.With(w.index())
	}
	now := w.cfg.Now()
	permit, ok := w.cfg.Board.Choose(&w.decision, w.job.Service, &w.facts, now)
	w.job.Caller.Decided(&w.decision)
	if !ok {
		return w.refuse(ctx, &w.decision), true
	}
	w.permit = permit
	w.who = w.job.Service.Candidates[w.decision.Winner]
	var err error
	// killpoint: elsewhere.before
	if w.begun, err = w.Intend(w.tx, w.who, w.job.Request, now); err == nil {
		err = w.Put(ctx, w.tx)
	}
	if err != nil {
		w.release()
		return w.unwritten(ctx, err), true
	}
	// killpoint: elsewhere.written
	return End{}, false
}

// again sends the same request to the same provider: it enforces keys, so that it executes once.
func (w *drive) again(ctx context.Context) (End, bool) {
	a := w.tx.Current()
	facts := w.facts
	facts.Tried, facts.Owner = 0, int8(w.index())
	for n := a.Sends; ; n++ {
		if !pause(ctx, min(lastPause, firstPause<<min(n, 6))) {
			return w.hold(ctx), true
		}
		now := w.cfg.Now()
		if permit, ok := w.cfg.Board.Choose(&w.decision, w.job.Service, &facts, now); ok {
			w.permit, w.begun = permit, w.cfg.Boot()
			a.Sends++
			// killpoint: redrive.before
			return End{}, false
		}
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

func (w *drive) release() {
	w.cfg.Board.Release(w.permit)
	w.permit = route.Permit{}
}

// index is the candidate that the current attempt goes to.
func (w *drive) index() int {
	for i, c := range w.job.Service.Candidates {
		if c == w.who {
			return i
		}
	}
	return w.job.Candidate
}

// Intend adds to t the attempt that is about to be made, in the next epoch: once the row is written, it may have been sent. It returns
// when the lease of its send began, which is before the write. r is the request: it may say in whose account, and whether it can carry our
// reference. An attempt without one cannot be looked up.
func (d *Driver) Intend(t *ledger.Transaction, to *policy.Candidate, r *message.Request, now time.Time) (begun time.Duration, err error) {
	begun = d.cfg.Boot()
	c := *to
	c.Account = ledger.Account(to, r.Header)
	reference := ""
	if provider.Refers(to, t.Operation, r) {
		reference = ledger.Reference(t, c.Provider, c.Account)
	}
	err = t.Begin(ledger.Attempt{
		ID: ledger.NewAttemptID(now, random()), Provider: c.Provider, Account: c.Account, Endpoint: c.Endpoint,
		ProviderKey: ledger.ProviderKeyFor(d.cfg.Vault.Secret(), t, &c), Reference: reference,
		Contract: c.Digest, IntentAt: now, SendBy: SendBy,
	}, d.cfg.Run)
	if err != nil {
		return 0, fmt.Errorf("settle: %w", err)
	}
	t.Region = d.cfg.Region
	d.Stamp(t, now)
	return begun, nil
}

// Resend makes an open row this run's, for the same request once more. It returns when the lease of that send began.
func (d *Driver) Resend(t *ledger.Transaction, now time.Time) (begun time.Duration) {
	begun = d.cfg.Boot()
	t.TakeOver(d.cfg.Run, now)
	t.State = ledger.Intent
	t.Current().Sends++
	d.Stamp(t, now)
	return begun
}

// NewID makes the id of a transaction.
func (d *Driver) NewID(now time.Time) string { return ledger.NewID(now, random()) }

func random() (b [10]byte) {
	_, _ = rand.Read(b[:]) // it never fails: the program ends where the system has no randomness
	return b
}
