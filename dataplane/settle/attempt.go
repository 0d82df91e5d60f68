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

// follow takes the step that the last evidence asks for. Done: the drive is over.
func (w *drive) follow(ctx context.Context) (End, bool) {
	switch {
	case w.answer.passed:
		return End{Kind: ledger.Finish, Tx: w.tx, Streamed: true}, true
	case w.lost != nil:
		w.open()
		return End{Kind: ledger.Hold, Tx: w.tx, Err: w.lost}, true
	}
	switch w.step.Kind {
	case ledger.Finish:
		return w.finish(ctx), true
	case ledger.Elsewhere:
		return w.elsewhere(ctx)
	case ledger.Redrive:
		return w.again(ctx)
	case ledger.LookUp:
		return w.lookUp(ctx)
	case ledger.Cancel:
		return w.cancel(ctx)
	case ledger.Wait:
		return w.wait(ctx)
	case ledger.Refuse:
		return w.refuse(ctx, nil), true
	case ledger.Compensate: // the row has its outcome: it is told, and what was executed beside it is taken back
		return w.surplus(ctx), true
	case ledger.Hold:
		return w.hold(ctx), true
	default: // a step that nobody knows: nothing is sent on a guess
		return w.hold(ctx), true
	}
}

// weigh asks the ledger what e means, and notes it.
func (w *drive) weigh(e ledger.Evidence) {
	if e.Kind == ledger.FromTimer {
		w.answer.reset() // what an earlier send answered is not this evidence's
	}
	c := w.circumstances()
	w.e, w.step = e, ledger.Next(w.tx, e, c)
	w.news = w.tx.Note(e, c) || w.news
}

// timer is the evidence of a driver that looks at the row anew.
func (w *drive) timer() ledger.Evidence {
	return ledger.Evidence{Attempt: w.tx.Current().ID, Kind: ledger.FromTimer, Outcome: ledger.Unknown}
}

// send makes one send and weighs what it showed.
func (w *drive) send(ctx context.Context) {
	a := w.tx.Current()
	w.answer.reset()
	w.cfg.Board.Sent(&w.permit, w.cfg.Now())
	r := w.cfg.Client.Send(ctx, &provider.Call{
		Candidate: w.who, Service: w.job.Service.Name, Operation: w.job.Operation, Request: w.job.Request, Key: a.ProviderKey, Reference: a.Reference,
		PerTry: w.job.Service.Attempts.PerTry, RequestID: w.job.RequestID, Guard: w.guard,
		Mapping: w.mapping(), Object: w.job.Object, Session: w.tx.Session, Carry: w.job.Carry, Where: w.where(a),
	}, &w.answer)
	w.theirs = r.Theirs
	if w.unreached = r.Unreached; r.Endpoint != "" {
		a.Endpoint = r.Endpoint
	}
	if r.Err != nil {
		w.cfg.Log.Debug("a send gave no whole answer", "transaction", w.tx.ID, "provider", a.Provider, "error", r.Err)
	}
	w.done(r)
	w.looked = Looked{Asked: true, Mute: mute(r.Err, r.Status)}
	a.Elapsed += r.Elapsed
	// where the answer was passed on, the outcome is written already: a cut of the rest does not take it back
	w.weigh(ledger.Evidence{Attempt: a.ID, Kind: r.Kind, Outcome: r.Outcome, Error: r.Error, Status: r.Status, Redrive: a.Sends > 1})
	w.caller.Ended(a, r.Elapsed, w.cfg.Now())
}

// where says at which endpoint an attempt is sent: where keys are shared by all, at the nearest, and once more at another one than that which
// gave no answer; else where its row says.
func (w *drive) where(a *ledger.Attempt) provider.Where {
	switch {
	case len(w.who.Further) == 0:
		return provider.Where{}
	case !w.who.Shares():
		return provider.Where{Only: a.Endpoint}
	case a.Sends > 1:
		return provider.Where{Leave: a.Endpoint}
	}
	return provider.Where{}
}

// reachable tells whether the provider has an endpoint that this transaction was not at: nobody could be reached where it was.
func (w *drive) reachable() bool {
	if !w.unreached || w.who.Shares() {
		return false // where keys are shared the send went on to the others by itself
	}
	n := 0
	for i := range w.tx.Attempts {
		if w.tx.Attempts[i].Provider == w.who.Provider {
			n++
		}
	}
	return n <= len(w.who.Further)
}

// guard is asked right before the first byte. Both times are measured on a clock that goes on while the machine sleeps.
func (w *drive) guard() error {
	now := w.cfg.Boot()
	if err := w.Clock(); err != nil {
		return fmt.Errorf("%w: %w", errStale, err)
	}
	lapsed := !w.job.Offline && !w.leased(w.run, w.leaseTime(), now)
	if age := now - w.begun; !ledger.MaySend(age, SendBy, lapsed) {
		return fmt.Errorf("%w: %v after its intent", errStale, age)
	}
	return nil
}

// circumstances are what the ledger must know beside the row. Who lost his lease is not the row's driver any more.
func (w *drive) circumstances() ledger.Circumstances {
	c := w.plainly(w.tx, w.who, w.job.Operation, w.job.Leave)
	c.AtPin = atPin(w.tx, w.job.Service, w.job.PinAt)
	c.Live, c.Deadline, c.Before, c.MaxSends = w.live(), w.job.Deadline, w.before, w.sends+maxSends
	c.MaxTries = w.job.Service.Attempts.Max
	if c.Run = w.run; w.job.Offline { // nobody can be told that this run lives: the pin's keys stand in for a lease, and nothing goes elsewhere
		c.MaxTries = 0
	} else if !w.leased(w.run, w.leaseTime(), w.cfg.Boot()) {
		c.Run = ""
	}
	if (w.job.Resume || !w.live()) && (w.job.Request == nil || ledger.Account(w.who, w.header()) != w.tx.Current().Account) {
		c.Changed = true
	}
	return c
}

// live tells whether somebody waits for the answer: then the request is here.
func (w *drive) live() bool { return w.job.Caller != nil }

// elsewhere goes to another provider: the attempt is proven not executed, or the policy accepts duplicates. The row says so before anything is
// sent.
func (w *drive) elsewhere(ctx context.Context) (End, bool) {
	if !w.paused() && !w.reachable() { // a paused sender accuses no provider, and an endpoint not the others
		w.facts.Tried = w.facts.Tried.With(w.index())
	}
	now := w.cfg.Now()
	permit, ok := w.cfg.Board.Choose(&w.decision, w.job.Service, &w.facts, now)
	w.caller.Decided(&w.decision)
	if !ok {
		return w.nowhere(ctx), true
	}
	if w.tx.Accept(); w.exposed() {
		w.metrics.exposed(w.tx.Key.Service)
	}
	w.permit = permit
	w.who = w.job.Service.Candidates[w.decision.Winner]
	var err error
	// killpoint: elsewhere.before
	if err = w.leave(ctx); err == nil {
		w.begun, err = w.Intend(w.tx, w.who, w.job.Request, now)
	}
	if err == nil {
		err = w.write(ctx)
	}
	if err != nil {
		w.release()
		return w.unwritten(ctx, err), true
	}
	// killpoint: elsewhere.written
	w.send(ctx)
	return End{}, false
}

// paused tells whether the current attempt was never sent because its sender was paused: also where that stands in the row, and its caller
// comes back for it.
func (w *drive) paused() bool {
	a := w.tx.Current()
	return w.e.Kind == ledger.FromStaleSend || a.Outcome == ledger.NotSent && a.Error == ledger.StaleSend
}

// exposed tells whether the current attempt is left without proof by the provider that it was not executed.
func (w *drive) exposed() bool {
	how := w.tx.Current().How
	return how == ledger.ByPolicy || how == ledger.ByWindow
}

// nowhere ends a call that nobody else can take. What is not proven unexecuted is not told to be.
func (w *drive) nowhere(ctx context.Context) End {
	if w.tx.Current().Outcome == ledger.NotSent {
		return w.refuse(ctx, &w.decision)
	}
	return w.hold(ctx)
}

// again sends the same request to the same provider: it enforces keys, so that it executes once. A row that was held says so first.
func (w *drive) again(ctx context.Context) (End, bool) {
	a := w.tx.Current()
	facts := w.facts
	facts.Tried, facts.Owner = 0, int8(w.index())
	for n := a.Sends; ; n++ {
		if !pause(ctx, ledger.AgainAfter(n)) {
			if !w.looked.Asked {
				w.looked = Looked{Mute: true, Why: a.Provider + " was open, or the retries' budget spent, for as long as was waited: nothing was sent"}
			}
			return w.hold(ctx), true
		}
		now := w.cfg.Now()
		if !w.cfg.Board.Retry(w.job.Service, now) {
			continue
		}
		permit, ok := w.cfg.Board.Choose(&w.decision, w.job.Service, &facts, now)
		if !ok {
			continue
		}
		w.permit, w.begun = permit, w.cfg.Boot()
		w.tx.Again(now)
		if w.tx.State == ledger.Held {
			w.tx.State = ledger.Intent
			w.Stamp(w.tx, now)
			if err := w.write(ctx); err != nil {
				w.release()
				return w.unsure(ctx, err), true
			}
		}
		// killpoint: redrive.before
		w.send(ctx)
		return End{}, false
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
	id := ledger.NewAttemptID(now, random())
	if len(t.Attempts) == 0 && t.ID == ledger.PinnedID(t.Key) { // every region makes the same one
		id = ledger.PinnedAttemptID(t.Key)
	}
	if len(c.Further) > 0 && !c.Shares() {
		c.Endpoint = d.cfg.Client.Choose(to, now)
	}
	err = t.Begin(ledger.Attempt{
		ID: id, Provider: c.Provider, Account: c.Account, Endpoint: c.Endpoint,
		ProviderKey: ledger.ProviderKeyFor(d.cfg.Vault.Secret(), t, &c), Reference: reference,
		Contract: c.Digest, IntentAt: now, SendBy: SendBy,
	}, d.RunID())
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
	t.TakeOver(d.RunID(), now)
	t.State = ledger.Intent
	t.Again(now)
	d.Stamp(t, now)
	return begun
}

// Resume makes an open row this run's, as it is: what is to be done with it, the ledger says.
func (d *Driver) Resume(t *ledger.Transaction, now time.Time) {
	t.TakeOver(d.RunID(), now)
	d.Stamp(t, now)
}

// NewID makes the id of a transaction.
func (d *Driver) NewID(now time.Time) string { return ledger.NewID(now, random()) }

func random() (b [10]byte) {
	_, _ = rand.Read(b[:]) // it never fails: the program ends where the system has no randomness
	return b
}
