package proxy

import (
	"context"
	"errors"
	"time"

	"segue/dataplane/ledger"
	"segue/dataplane/message"
	"segue/dataplane/settle"
)

// recall finds the transaction that the key has already. One exchange at a time has a key in this agent.
func (p *Proxy) recall(ctx context.Context, x *Exchange) error {
	if x.op.Read || x.call.DryRun {
		return nil
	}
	p.cfg.Driver.Enter()
	x.work.counted = true
	x.work.live = p.live.enter(x.work.keys[:x.work.n])
	mine := x.work.live
	if err := x.fits(); err != nil {
		return err
	}
	t, err := x.find(ctx)
	switch {
	case errors.Is(err, ledger.ErrNotFound) && mine:
		return nil
	case errors.Is(err, ledger.ErrNotFound):
		return inProgress(nil)
	case err != nil:
		return unreadable(err)
	}
	return x.known(t, mine)
}

// load finds the key's row. A derived key's row may stand under the key of a window beside: it is this call's, if it is young enough to be
// the same intent.
func (x *Exchange) load(ctx context.Context) (*ledger.Transaction, error) {
	for i, key := range x.work.keys[:x.work.n] {
		t, err := x.proxy.cfg.Ledger.Load(ctx, key)
		switch {
		case errors.Is(err, ledger.ErrNotFound):
		case err != nil:
			return nil, err
		case i == 0 || t.Within(x.op.Key.Within, x.call.Arrived):
			return t, nil
		}
	}
	return nil, ledger.ErrNotFound
}

// known says what a call under a key that has a row may do: nothing but what rule 11 of the ledger allows.
func (x *Exchange) known(t *ledger.Transaction, mine bool) error {
	if t.Planted() { // it only kept a claim from coming late
		t.Operation, t.Print = x.op.Name, ledger.Print{Fingerprint: x.work.fingerprint, FingerprintV: ledger.FingerprintVersion}
	}
	if t.FingerprintV != ledger.FingerprintVersion {
		return x.unknown(t) // made by other rules: whether it is the same request cannot be told
	}
	if t.Fingerprint != x.work.fingerprint {
		return keyReused(t)
	}
	switch t.State {
	case ledger.DoneSucceeded, ledger.DoneDeclined:
		return x.replay(t)
	case ledger.Refused:
		if !mine {
			return inProgress(t)
		}
		return x.reopen(t)
	case ledger.Intent, ledger.Held, ledger.Cancelling:
		if !mine || x.elsewhereLive(t) {
			return inProgress(t)
		}
		return x.takeOver(t)
	default:
		return x.unknown(t)
	}
}

// elsewhereLive tells whether another agent that shares the store may have an exchange under this key right now: the row is in Intent
// by its run, and young enough.
func (x *Exchange) elsewhereLive(t *ledger.Transaction) bool {
	return !x.work.offline && t.State != ledger.Held && t.Run != x.proxy.cfg.Driver.RunID() &&
		x.call.Arrived.Before(t.Updated.Add(settle.SendBy+x.svc.Attempts.Deadline))
}

// replay gives the stored answer again.
func (x *Exchange) replay(t *ledger.Transaction) error {
	x.work.tx = t
	x.told.outcome = t.Current().Outcome
	x.owns(t)
	if t.Answer == nil || !t.Answer.Kept {
		if t.Answer == nil || t.Answer.Status == 0 {
			return notKept(t, noAnswer)
		}
		return notKept(t, "it was larger than what is stored")
	}
	header, body, err := x.proxy.cfg.Vault.Answer(t)
	if err != nil {
		x.proxy.cfg.Log.Error("a stored answer cannot be opened", "transaction", t.ID, "error", err)
		return notKept(t, "it cannot be opened with this agent's keys")
	}
	a := &message.Answer{Status: t.Answer.Status, Header: append(message.Header(nil), header...), Body: body}
	a.Header.Del("Trailer") // a trailer is not kept: none may be announced
	a.Header.Set("Idempotent-Replayed", "true")
	x.hops(t)
	return x.send(a)
}

// hops shows the row's attempts as the trail of this answer.
func (x *Exchange) hops(t *ledger.Transaction) {
	for i := range t.Attempts {
		a := &t.Attempts[i]
		x.trail = append(x.trail, hop{provider: a.Provider, outcome: a.Outcome, err: a.Error, status: a.Status, elapsed: a.Elapsed})
	}
}

// reopen lets a new request try again what was proven not executed.
func (x *Exchange) reopen(t *ledger.Transaction) error {
	if len(t.Attempts) >= ledger.MaxAttempts {
		return x.tellUnsent(t, keyExhausted(t))
	}
	x.work.tx, x.work.old = t, true
	return nil
}

// takeOver lets the caller's retry go on with an open row, as the ledger says: send the very same request once more where the provider
// enforces keys and remembers this one; else look, wait or cancel as far as the contract goes.
func (x *Exchange) takeOver(t *ledger.Transaction) error {
	i := x.same(t)
	if i < 0 {
		return x.unknown(t)
	}
	a := t.Current()
	c := x.proxy.cfg.Driver.For(t, x.svc.Candidates[i], x.op, x.call.Request.Header)
	c.Now, c.Live, c.Deadline, c.MaxTries, c.MaxSends = x.call.Arrived, true, x.clock.deadline, x.svc.Attempts.Max, a.Sends+1
	c.Before, c.Run = len(t.Attempts), t.Run
	e := ledger.Evidence{Attempt: a.ID, Kind: ledger.FromTimer, Outcome: ledger.Unknown}
	switch step := ledger.Next(t, e, c); {
	case step.Kind == ledger.Redrive:
		x.work.redrive = true
	case step.Kind == ledger.Hold, x.work.offline: // without a quorum nothing but the same request is sent
		return x.unknown(t)
	default:
		x.work.resume, x.work.candidate = true, i
	}
	x.work.tx, x.work.old = t, true
	x.facts.Owner, x.talk.owned = int8(i), len(x.op.Follows) > 0 // nobody else is eligible
	return nil
}

// same returns the candidate in whose account the open attempt was sent, or -1.
func (x *Exchange) same(t *ledger.Transaction) int {
	a := t.Current()
	for i, c := range x.svc.Candidates {
		if c.Provider == a.Provider && ledger.Account(c, x.call.Request.Header) == a.Account {
			return i
		}
	}
	return -1
}

// claim makes claim and INTENT durable, in one write. A claim that is lost gives its permit back.
func (p *Proxy) claim(ctx context.Context, x *Exchange) error {
	if x.op.Read {
		return nil
	}
	before := x.now()
	if err := x.mayClaim(); err != nil {
		return err
	}
	if err := x.intend(before); err != nil {
		return err
	}
	err := x.write(ctx) // an error ends the path, and release gives the permit back
	x.clock.claim = x.now().Sub(before)
	p.metrics.store.claim.Observe(x.clock.claim.Seconds())
	if err != nil {
		return err
	}
	x.work.entry = p.log.open(x)
	if !x.work.resume {
		x.work.entry.decided(x, &x.decision)
	}
	return nil
}

// intend makes the row that says: this may have been sent.
func (x *Exchange) intend(now time.Time) error {
	d := x.proxy.cfg.Driver
	switch {
	case x.work.resume:
		d.Resume(x.work.tx, now)
		return nil
	case x.work.redrive:
		x.work.begun = d.Resend(x.work.tx, now)
		return nil
	}
	w := x.winner()
	if !x.work.old {
		x.work.tx = ledger.New(x.newID(now), x.work.keys[0], x.op.Name, x.work.fingerprint, now)
		x.work.tx.Value = x.work.value
	}
	x.work.tx.Session = x.talk.key.ID
	// A request that is rewritten for its provider is not kept: what stands here is not what was sent.
	if !x.admits() && x.talk.state == nil && x.op.Leave.Keep && !x.work.old && !x.work.offline && d.Keeps(x.op, w, x.call.Request) {
		x.work.tx.Kept, x.work.tx.ExecuteBy = true, x.clock.deadline
		if x.op.Leave.ExecuteBy > 0 {
			x.work.tx.ExecuteBy = now.Add(x.op.Leave.ExecuteBy)
		}
	}
	var err error
	if x.work.begun, err = d.Intend(x.work.tx, w, x.call.Request, now); err != nil {
		return x.unknown(x.work.tx) // the row is not what recall took it for: nothing is sent on a guess
	}
	return nil
}

// keep writes the request beside the claim, where the policy says so: both are durable before the send, by one group commit.
func (x *Exchange) keep(ctx context.Context) <-chan error {
	if !x.work.tx.Kept {
		return nil
	}
	done := make(chan error, 1)
	go func() { done <- x.proxy.cfg.Driver.Keep(context.WithoutCancel(ctx), x.work.tx, x.call.Request) }() // awaited by write
	return done
}

// write makes the row durable, whatever the caller does meanwhile.
func (x *Exchange) write(ctx context.Context) error {
	if x.work.offline {
		return x.record(ctx)
	}
	if x.work.old {
		switch err := x.proxy.cfg.Driver.Put(ctx, x.work.tx); {
		case errors.Is(err, settle.ErrLost):
			return inProgress(x.work.tx)
		case err != nil:
			x.stray()
			return unwritable(err)
		}
		// killpoint: retry.taken
		return nil
	}
	kept := x.keep(ctx)
	current, err := x.proxy.cfg.Driver.Claim(ctx, x.work.tx)
	if kept != nil {
		err = errors.Join(err, <-kept)
	}
	switch {
	case err != nil && x.goOffline(err):
		return x.record(ctx)
	case err != nil:
		x.stray()
		x.work.tx = nil // it is nowhere: the problem names no transaction
		return unwritable(err)
	case current != nil: // somebody else has it: an agent with the same store
		x.work.tx, x.talk.now = nil, "" // what was decided is of no account
		return x.known(current, false)
	}
	return nil
}

// stray leaves a row of which nobody knows whether it was written to the driver: this call sends nothing for it. At an offline pin another
// region may.
func (x *Exchange) stray() {
	if x.op.PinAt == 0 {
		x.proxy.cfg.Driver.Stray(x.work.tx, !x.work.redrive && !x.work.resume)
	}
}
