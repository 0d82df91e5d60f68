package settle

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"time"

	"segue/controlplane/policy"
	"segue/dataplane/ledger"
	"segue/dataplane/message"
	"segue/dataplane/route"
)

// writeTries is how often a write whose end is not known is repeated, with the same token.
const writeTries = 3

// Stamp makes t the next version of its row, with a token that tells this write from any other.
func (d *Driver) Stamp(t *ledger.Transaction, now time.Time) {
	t.Version++
	t.Updated = now
	_, _ = rand.Read(t.Token[:]) // it never fails: the program ends where the system has no randomness
}

// ErrHinted is returned by Put when the outcome is on this agent's disk and not in the store yet.
var ErrHinted = errors.New("settle: the outcome is kept on this agent's disk until the ledger can take it")

// Put writes a stamped row. An error of the store means that nobody knows whether it was written: the row tells, by its token.
func (d *Driver) Put(ctx context.Context, t *ledger.Transaction) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeLimit)
	defer cancel()
	var err error
	for range writeTries {
		var current *ledger.Transaction
		var how ledger.Written
		// killpoint: advance.before
		if current, how, err = d.cfg.Store.Advance(ctx, t); err == nil {
			// killpoint: advance.written
			return verdict(current, how, t)
		}
		if current, lerr := d.cfg.Store.Load(ctx, t.Key); lerr == nil {
			switch {
			case current.Token == t.Token:
				return nil
			case current.Version >= t.Version:
				return ErrLost
			}
		}
	}
	return fmt.Errorf("settle: the row of %s: %w", t.ID, err)
}

// verdict reads how a write ended. A write that was lost to our own token is our own write, learnt late.
func verdict(current *ledger.Transaction, how ledger.Written, t *ledger.Transaction) error {
	switch how {
	case ledger.Stored:
		return nil
	case ledger.Lost:
		if current != nil && current.Token == t.Token {
			return nil
		}
		return ErrLost
	case ledger.Hinted:
		return ErrHinted
	default:
		return fmt.Errorf("settle: the store said %d, which is no end of a write", how)
	}
}

// Claim writes a new row, unless its key has one: then that is returned. Here too the row tells what became of a write of which
// nobody knows.
func (d *Driver) Claim(ctx context.Context, t *ledger.Transaction) (current *ledger.Transaction, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeLimit)
	defer cancel()
	// killpoint: claim.before
	current, won, err := d.cfg.Store.Claim(ctx, t)
	// killpoint: claim.written
	if err != nil {
		found, lerr := d.cfg.Store.Load(ctx, t.Key)
		if lerr != nil {
			if !errors.Is(lerr, ledger.ErrNotFound) { // "not found" only says that the claim was not written
				err = errors.Join(err, lerr)
			}
			return nil, fmt.Errorf("settle: claim: %w", err)
		}
		current = found
	}
	if won || current.Token == t.Token {
		return nil, nil
	}
	return current, nil
}

// write writes the row in hand, and remembers that it says no more than the one that is stored.
func (w *drive) write(ctx context.Context) error {
	put := w.Put
	if w.job.Offline {
		put = w.record
	}
	err := put(ctx, w.tx)
	if err == nil {
		w.news = false
	}
	return err
}

// close writes the state that a step ends in. The ledger refuses one that is not proven: then nobody knows.
func (w *drive) close(ctx context.Context, step ledger.StepKind) error {
	if err := w.tx.Close(step); err != nil {
		return fmt.Errorf("settle: %w", err)
	}
	if step == ledger.Refuse && w.live() { // in one write: whoever waits beside this caller sees it
		if err := w.tx.Tell(); err != nil {
			return fmt.Errorf("settle: %w", err)
		}
	}
	w.Stamp(w.tx, w.cfg.Now())
	return w.write(ctx)
}

// finish writes the outcome, with the answer and with what the caller wants beside it, and only then lets the answer out. A row that has its
// outcome already tells it.
func (w *drive) finish(ctx context.Context) End {
	if w.tx.Final() {
		w.settled(ctx, w.tx)
		return End{Kind: ledger.Finish, Tx: w.tx, Answer: w.replayed()}
	}
	was := w.tx.State
	switch err := w.final(ctx, w.answer.whole && !w.answer.over && w.answer.status != 0); {
	case errors.Is(err, ErrHinted) && w.mayAnswer(was):
		w.unknowns.add(w.tx, w.cfg.Now().Add(w.cfg.Fence)) // until the row says so
		return End{Kind: ledger.Finish, Tx: w.tx, Answer: w.answer.answer()}
	case err != nil:
		w.open()
		return End{Kind: ledger.Hold, Tx: w.tx, Err: err}
	}
	return End{Kind: ledger.Finish, Tx: w.tx, Answer: w.answer.answer()}
}

// mayAnswer tells whether an outcome may be told that the store does not have yet: it is on the disk here. was is the state before it.
func (w *drive) mayAnswer(was ledger.State) bool {
	row := w.tx.Clone()
	row.State = was
	return ledger.MayAnswer(row, w.e, w.circumstances(), ledger.Early{Kept: true, Lease: w.leased(w.run, w.cfg.Fence/2, w.cfg.Boot())})
}

func (w *drive) final(ctx context.Context, keep bool) error {
	if err := w.tx.Close(ledger.Finish); err != nil {
		return fmt.Errorf("settle: %w", err)
	}
	answer, err := w.stored(keep)
	if err != nil {
		return err
	}
	w.tx.Answer = answer
	w.Stamp(w.tx, w.cfg.Now())
	var beside error
	var group sync.WaitGroup
	group.Go(func() { beside = w.caller.Beside(ctx, w.tx) })
	// killpoint: final.before
	err = w.write(ctx)
	// killpoint: final.written
	group.Wait()
	for try := 0; try < writeTries && errors.Is(err, ErrLost); try++ {
		err = w.prove(ctx)
	}
	if beside != nil { // the outcome stands; what the conversation loses is told
		w.cfg.Log.Error("session and owner could not be recorded", "transaction", w.tx.ID, "error", beside)
	}
	if err == nil {
		w.settled(ctx, w.tx)
	}
	return err
}

// settled forgets what was kept of a transaction until its end.
func (d *Driver) settled(ctx context.Context, t *ledger.Transaction) {
	d.unknowns.remove(t.Key)
	d.watch(t)
	if !t.Kept || d.cfg.Payloads == nil {
		return
	}
	if err := d.forget(context.WithoutCancel(ctx), t); err != nil { // the sweep removes it
		d.cfg.Log.Warn("a kept request could not be removed", "transaction", t.ID, "error", err)
	}
}

// open notes that nobody knows what became of the row, and when somebody looks again.
func (w *drive) open() { w.unknowns.add(w.tx, w.next()) }

// next is when the row is looked at next.
func (w *drive) next() time.Time {
	c := w.Circumstances(w.tx) // of the background's
	at := ledger.NextCheck(w.tx, c)
	if w.step.Kind == ledger.Wait && w.step.Until.After(c.Now) && (at.IsZero() || w.step.Until.Before(at)) {
		at = w.step.Until
	}
	if at.IsZero() && w.tx.Pending() && w.tx.Run != w.RunID() { // another run's name is on it: it must be taken over
		at = c.Now.Add(time.Second)
	}
	return at
}

// prove gives an outcome to a row that somebody else drives by now: evidence about the attempt is accepted from anybody.
func (w *drive) prove(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeLimit)
	defer cancel()
	row, err := w.cfg.Store.Load(ctx, w.tx.Key)
	if err != nil {
		return fmt.Errorf("settle: the row of %s: %w", w.tx.ID, err)
	}
	a := w.tx.Current()
	if row.Final() && row.State == w.tx.State && row.Current().ID == a.ID {
		w.tx = row
		return nil // the other driver learnt the same
	}
	if !row.Settle(ledger.Evidence{Attempt: a.ID, Kind: ledger.FromAnswer, Outcome: a.Outcome, Error: a.Error, Status: a.Status}) {
		return ErrLost
	}
	if err := row.Close(ledger.Finish); err != nil {
		return ErrLost // it is no proof for what was sent since
	}
	row.Answer = w.tx.Answer
	w.Stamp(row, w.cfg.Now())
	if err := w.Put(ctx, row); err != nil {
		return err
	}
	w.tx = row
	return nil
}

// stored is the answer as it is kept: sealed with its header, beside its hash, or the fact that it was too large.
func (w *drive) stored(keep bool) (*ledger.StoredAnswer, error) {
	s := &ledger.StoredAnswer{Status: w.answer.status, Kept: keep, Hash: sha256.Sum256(w.answer.body)}
	names := w.who.Contract
	if m := w.mapping(); m != nil { // the caller is told it in the words of the API that he speaks
		names, s.Theirs = m.API, w.theirs
	}
	if id, ok := policy.BodyField(w.answer.header.Get("Content-Type"), w.answer.body, names.ObjectID); ok {
		s.ObjectID = id
	} else {
		s.ObjectID = w.object // a lookup showed it
	}
	if !keep {
		return s, nil
	}
	var err error
	if s.Sealed, s.KeyID, err = w.cfg.Vault.Seal(w.answer.header, w.answer.body, w.tx); err != nil {
		return nil, err
	}
	return s, nil
}

// pass is asked when an answer outgrows what is kept. Status and contract say what it proves; where that is an outcome, it is written,
// and the answer passes on to the caller without being kept. What is no success is read to its end: a code in it may say more.
func (w *drive) pass(ctx context.Context) (bool, error) {
	if w.answer.status >= 300 {
		return false, nil
	}
	_, word := w.who.Classify(w.answer.status, "")
	e := ledger.Evidence{Attempt: w.tx.Current().ID, Kind: ledger.FromAnswer, Status: w.answer.status}
	switch word {
	case policy.OutcomeSucceeded:
		e.Outcome = ledger.Succeeded
	case policy.OutcomeDeclined:
		e.Outcome = ledger.Declined
	default: // not an outcome that could be answered
		return false, nil
	}
	if ledger.Next(w.tx, e, w.circumstances()).Kind != ledger.Finish {
		return false, nil
	}
	w.e = e
	w.news = w.tx.Note(e, w.circumstances()) || w.news
	if w.lost = w.final(ctx, false); w.lost != nil {
		return false, w.lost
	}
	return true, nil
}

// hold records that nobody knows. Only evidence, or the caller's retry at a provider that enforces keys, moves it on. A row that says so
// already is not written again.
func (w *drive) hold(ctx context.Context) End {
	if w.tx.State == ledger.Held && !w.news {
		w.open()
		return End{Kind: ledger.Hold, Tx: w.tx}
	}
	w.unknowns.add(w.tx, time.Time{}) // counted before it is written, whatever becomes of that
	// killpoint: hold.before
	err := w.close(ctx, ledger.Hold)
	// killpoint: hold.written
	return w.unsure(ctx, err)
}

// unsure ends a drive that leaves the row open.
func (w *drive) unsure(ctx context.Context, err error) End {
	if errors.Is(err, ErrLost) {
		w.reread(ctx)
	}
	if w.tx.Final() { // somebody else learnt it
		w.settled(ctx, w.tx)
		return End{Kind: ledger.Finish, Tx: w.tx, Answer: w.replayed()}
	}
	if w.open(); !w.tx.Pending() {
		w.unknowns.remove(w.tx.Key)
	}
	return End{Kind: ledger.Hold, Tx: w.tx, Err: err}
}

// later ends a drive in the background that has to wait: what is known so far is written.
func (w *drive) later(ctx context.Context) End {
	if w.tx.State == ledger.Intent {
		return w.hold(ctx)
	}
	if !w.news {
		w.open()
		return End{Kind: ledger.Hold, Tx: w.tx}
	}
	w.Stamp(w.tx, w.cfg.Now())
	return w.unsure(ctx, w.write(ctx))
}

func (w *drive) reread(ctx context.Context) {
	if row, err := w.cfg.Store.Load(context.WithoutCancel(ctx), w.tx.Key); err == nil {
		w.tx, w.news = row, false
	}
}

// refuse records that every attempt is proven not executed, and that no other will be made for this caller.
func (w *drive) refuse(ctx context.Context, d *route.Decision) End {
	err := w.leave(ctx)
	if err == nil {
		err = w.close(ctx, ledger.Refuse)
	}
	if err != nil {
		return w.unwritten(ctx, err)
	}
	w.settled(ctx, w.tx)
	return End{Kind: ledger.Refuse, Tx: w.tx, Answer: w.answer.answer(), Decision: d}
}

// unwritten ends a drive that proved its sends not executed and could not write so. A row that somebody else drives by now may be sent by
// him: what the caller is told is his business. Else nothing was executed, and the row, if it stays open, only says less.
func (w *drive) unwritten(ctx context.Context, err error) End {
	if w.tx.Current().Outcome != ledger.NotSent && len(w.tx.Attempts) > 0 || errors.Is(err, ErrLost) {
		return w.unsure(ctx, err)
	}
	w.open()
	return End{Kind: ledger.Refuse, Tx: w.tx, Err: err}
}

// surplus writes that an attempt was executed beside the outcome, and has it taken back.
func (w *drive) surplus(ctx context.Context) End {
	if w.news {
		w.Stamp(w.tx, w.cfg.Now())
		if err := w.write(ctx); err != nil {
			return w.unsure(ctx, err)
		}
	}
	w.compensate(ctx, w.tx, w.object)
	return End{Kind: ledger.Finish, Tx: w.tx, Answer: w.replayed()}
}

// replayed is the answer that the row keeps, or nil.
func (w *drive) replayed() *message.Answer {
	header, body, err := w.cfg.Vault.Answer(w.tx)
	if err != nil {
		return nil
	}
	a := &message.Answer{Status: w.tx.Answer.Status, Header: append(message.Header(nil), header...), Body: body}
	a.Header.Del("Trailer")
	return a
}
