package ledger

import (
	"errors"
	"fmt"
	"time"
)

var (
	// ErrNotProven refuses a new attempt while the last one may still be executed.
	ErrNotProven = errors.New("ledger: the last attempt is not proven unexecuted")
	// ErrTooMany refuses an attempt beyond MaxAttempts.
	ErrTooMany = fmt.Errorf("ledger: a key has at most %d attempts", MaxAttempts)
)

// New makes the row of a transaction that nobody has claimed yet: Begin gives it its first attempt.
func New(id string, k Key, operation string, fingerprint [32]byte, now time.Time) *Transaction {
	return &Transaction{
		ID: id, Key: k, Operation: operation, Print: Print{fingerprint, FingerprintVersion}, Created: now, Updated: now,
	}
}

// Begin adds the attempt that is about to be made and opens its epoch. It refuses while an earlier attempt may have been executed or
// still may be: nothing goes elsewhere without proof.
func (t *Transaction) Begin(a Attempt, run string) error {
	if n := len(t.Attempts); n > 0 {
		if t.Final() || t.Current().Outcome != NotSent {
			return fmt.Errorf("%w: it is %s, the transaction %s", ErrNotProven, t.Current().Outcome, t.State)
		}
		if n >= MaxAttempts {
			return ErrTooMany
		}
		t.Epoch++
	}
	a.Sends, a.Outcome = 1, Open
	t.Attempts = append(t.Attempts, a)
	t.State, t.Run = Intent, run
	return nil
}

// Settle notes in the current attempt what e shows and returns whether it said anything new. It never takes a proof back, never
// touches another attempt, and does not touch State: that is for the step that Next names.
func (t *Transaction) Settle(e Evidence) bool {
	if len(t.Attempts) == 0 || e.Attempt != t.Current().ID || t.Final() {
		return false
	}
	a := t.Current()
	o := meaning(t, e)
	switch {
	case o == Open, a.Outcome == Succeeded, a.Outcome == Declined:
		return false
	case a.Outcome == NotSent && (o == NotSent || o == Unknown):
		return false
	}
	a.Outcome, a.Error, a.Status = o, e.Error, e.Status
	return true
}

// Close writes the state that a step ends in. It refuses a final state without its proof.
func (t *Transaction) Close(s StepKind) error {
	o := Open
	if len(t.Attempts) > 0 {
		o = t.Current().Outcome
	}
	switch {
	case s == Finish && o == Succeeded:
		t.State = DoneSucceeded
	case s == Finish && o == Declined:
		t.State = DoneDeclined
	case s == Refuse && o == NotSent:
		t.State = Refused
	case s == Hold && !t.Final():
		t.State = Held
	default:
		return fmt.Errorf("%w: the step %s after %s", ErrNotProven, s, o)
	}
	return nil
}

// TakeOver makes run the driver of a row that another run left open. What the last driver sent is not known.
func (t *Transaction) TakeOver(run string) {
	t.Run = run
	if t.State != Intent {
		return
	}
	t.State = Held
	if len(t.Attempts) > 0 && !t.Current().Outcome.Definite() {
		t.Current().Outcome = Unknown
	}
}

// Final tells whether the transaction has its one outcome.
func (t *Transaction) Final() bool { return t.State == DoneSucceeded || t.State == DoneDeclined }

// Pending tells whether the transaction's outcome is still to come: rows that are pending have an open entry.
func (t *Transaction) Pending() bool { return t.State == Intent || t.State == Held }

// Clone copies t so that nothing of the copy is shared but the bytes of the stored answer, which nobody writes to.
func (t *Transaction) Clone() *Transaction {
	c := *t
	c.Attempts = append([]Attempt(nil), t.Attempts...)
	if t.Answer != nil {
		answer := *t.Answer
		c.Answer = &answer
	}
	return &c
}
