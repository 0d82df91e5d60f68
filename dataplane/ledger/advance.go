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
// still may be: nothing goes elsewhere without proof, or the policy's leave.
func (t *Transaction) Begin(a Attempt, run string) error {
	if n := len(t.Attempts); n > 0 {
		if t.Final() || t.Current().Outcome != NotSent && t.Current().How != ByPolicy || t.lateOne() >= 0 || t.Current().Late {
			return fmt.Errorf("%w: it is %s, the transaction %s", ErrNotProven, t.Current().Outcome, t.State)
		}
		if n >= MaxAttempts {
			return ErrTooMany
		}
		t.Epoch++
	}
	a.Sends, a.Outcome, a.Fence = 1, Open, Fence{}
	t.Attempts = append(t.Attempts, a)
	t.State, t.Run, t.Told = Intent, run, false
	return nil
}

// Again notes that the current attempt is sent once more: its settle window begins anew, and what lookups did not find counts no more.
func (t *Transaction) Again(now time.Time) {
	a := t.Current()
	a.Sends++
	a.Quiet, a.Absent = now, time.Time{}
}

// Accept closes the current attempt by the policy's leave: duplicates are accepted. It is no proof, and says so.
func (t *Transaction) Accept() {
	if a := t.Current(); !a.Outcome.Definite() {
		a.Outcome, a.How = Unknown, ByPolicy
	}
}

// Settle notes what an answer shows; see Note.
func (t *Transaction) Settle(e Evidence) bool { return t.Note(e, Circumstances{}) }

// Note notes in its attempt what e shows and returns whether it said anything new. It never takes a proof back, and does not touch
// State: that is for the step that Next names.
func (t *Transaction) Note(e Evidence, c Circumstances) bool {
	if len(t.Attempts) == 0 {
		return false
	}
	if t.cameToLight(e) {
		return t.light(e)
	}
	if e.Attempt != t.Current().ID || t.Final() {
		return false
	}
	a := t.Current()
	was, o := *a, meaning(t, e, c)
	switch {
	case o == Open, a.Outcome == Succeeded, a.Outcome == Declined:
		return false
	case a.Outcome == NotSent && (o == NotSent || o == Unknown):
		return false
	}
	if e.Kind == FromLookup && e.Finding == Absent && o == Unknown && a.Absent.IsZero() {
		a.Absent = e.Begun
	}
	if a.How = NotClosed; o == NotSent {
		a.How = closedBy(e)
	}
	a.Outcome = o
	if e.Kind <= FromStaleSend || o != Unknown { // a lookup that shows nothing does not hide why it was made
		a.Error, a.Status = e.Error, e.Status
	}
	return *a != was // a check that shows what is known writes nothing
}

// light notes that a closed attempt was executed.
func (t *Transaction) light(e Evidence) bool {
	a := &t.Attempts[t.index(e.Attempt)]
	was := a.Late
	a.Late = true
	return !was
}

func closedBy(e Evidence) Closed {
	switch {
	case e.Kind == FromOperator:
		return ByOperator
	case e.Finding == Voided:
		return ByCancel
	case e.Finding == Absent:
		return ByWindow
	default:
		return ByAnswer
	}
}

// Close writes the state that a step ends in. It refuses a final state without its proof.
func (t *Transaction) Close(s StepKind) error {
	o, late := Open, -1
	if len(t.Attempts) > 0 {
		o, late = t.Current().Outcome, t.lateOne()
	}
	switch {
	case s == Finish && o == Succeeded:
		t.State = DoneSucceeded
	case s == Finish && late >= 0 && (o == NotSent || o == Declined):
		t.State, t.Adopted = DoneSucceeded, late+1
	case s == Finish && o == Declined:
		t.State = DoneDeclined
	case s == Refuse && o == NotSent && late < 0:
		t.State = Refused
	case s == Hold && !t.Final() && !(t.State == Refused && len(t.Attempts) == 0):
		t.State = Held
	case s == Cancel && t.Pending() && !o.Definite() && len(t.Attempts) > 0:
		t.State, t.Current().Cancel = Cancelling, true
	default:
		return fmt.Errorf("%w: the step %s after %s", ErrNotProven, s, o)
	}
	return nil
}

// Tell notes that the caller was told not_sent. It is written before he is told: whoever waits beside him sees it.
func (t *Transaction) Tell() error {
	if t.State != Refused || t.Told {
		return fmt.Errorf("%w: the transaction is %s, told %v", ErrNotProven, t.State, t.Told)
	}
	t.Told = true
	return nil
}

// Plant is the row that keeps a claim from coming late: its open entry was found, and no row. It says that nothing was sent.
func Plant(id string, k Key, now time.Time) *Transaction {
	return &Transaction{ID: id, Key: k, State: Refused, Created: now, Updated: now}
}

// TakeOver makes run the driver of a row that another run left open. What the last driver sent is not known, nor when: the settle window
// begins now.
func (t *Transaction) TakeOver(run string, now time.Time) {
	t.Run = run
	if len(t.Attempts) > 0 && t.Pending() {
		t.Current().Quiet = now
	}
	if t.State != Intent && t.State != Cancelling {
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
func (t *Transaction) Pending() bool {
	return t.State == Intent || t.State == Held || t.State == Cancelling
}

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
