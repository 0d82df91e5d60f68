package settle

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"segue/controlplane/policy"
	"segue/dataplane/ledger"
	"segue/dataplane/message"
)

// maxRaces bounds how often evidence runs after a row that moves.
const maxRaces = 8

// ErrNoAttempt refuses evidence about an attempt that the transaction does not have.
var ErrNoAttempt = errors.New("settle: the transaction has no such attempt")

// Learn takes evidence about an attempt from anybody: a webhook, a statement, an operator. e names the attempt by its id, or by what the
// provider knows it by (At).
// answer, where it is known, is what the create would have answered. An outcome that is proven is written; the way on is the driver's.
func (d *Driver) Learn(ctx context.Context, id string, e ledger.Evidence, answer *message.Answer) error {
	for range maxRaces {
		t, err := d.cfg.Store.ByID(ctx, id)
		if err != nil {
			return fmt.Errorf("settle: evidence about %s: %w", id, err)
		}
		if err = d.learnt(ctx, t, e, answer); !errors.Is(err, ErrLost) {
			return err
		}
	}
	return fmt.Errorf("settle: evidence about %s: %w again and again", id, ErrLost)
}

// learnt writes what e says of t.
func (d *Driver) learnt(ctx context.Context, t *ledger.Transaction, e ledger.Evidence, answer *message.Answer) error {
	i := attemptOf(t, e.Attempt)
	if i < 0 {
		return fmt.Errorf("%w: %s of %s", ErrNoAttempt, e.Attempt, t.ID)
	}
	e.Attempt = t.Attempts[i].ID
	c := d.Circumstances(t)
	if c.Run = ""; t.Run == d.RunID() && d.Lease() == nil {
		c.Run = t.Run
	}
	final := t.Final()
	step := ledger.Next(t, e, c)
	news := t.Note(e, c)
	switch {
	case step.Kind == ledger.Compensate && news:
		if err := d.put(ctx, t); err != nil {
			return err
		}
		d.compensate(ctx, t, d.objectIn(answer, t, i))
		return nil
	case step.Kind == ledger.Finish && !final, step.Kind == ledger.Refuse && t.State != ledger.Refused:
		return d.conclude(ctx, t, step.Kind, answer)
	case !news:
		return nil
	}
	if err := d.put(ctx, t); err != nil {
		return err
	}
	d.unknowns.hurry(t.Key.Service, t.Current().Provider, d.cfg.Now()) // its driver goes on from here
	d.nudge()
	return nil
}

// conclude writes the end that evidence proves.
func (d *Driver) conclude(ctx context.Context, t *ledger.Transaction, step ledger.StepKind, answer *message.Answer) error {
	if err := t.Close(step); err != nil {
		return fmt.Errorf("settle: %w", err)
	}
	if t.Final() {
		if err := d.answered(t, answer); err != nil {
			return err
		}
	}
	if err := d.put(ctx, t); err != nil {
		return err
	}
	// killpoint: learnt.written
	d.settled(ctx, t)
	if err := d.own(ctx, t); err != nil {
		d.cfg.Log.Error("an owner could not be recorded", "transaction", t.ID, "error", err)
	}
	d.told(End{Tx: t})
	return nil
}

// answered gives t the answer that is told from now on; without one only that it is done.
func (d *Driver) answered(t *ledger.Transaction, answer *message.Answer) error {
	if answer == nil {
		t.Answer = &ledger.StoredAnswer{Status: t.Settled().Status}
		return nil
	}
	s := &ledger.StoredAnswer{Status: answer.Status, Hash: sha256.Sum256(answer.Body)}
	s.ObjectID = d.objectIn(answer, t, attemptOf(t, t.Settled().ID))
	if len(answer.Body) <= ledger.MaxAnswer {
		var err error
		if s.Sealed, s.KeyID, err = d.cfg.Vault.Seal(answer.Header, answer.Body, t); err != nil {
			return err
		}
		s.Kept = true
	}
	t.Answer = s
	return nil
}

// objectIn is the id of the object that an attempt's answer names, or "".
func (d *Driver) objectIn(answer *message.Answer, t *ledger.Transaction, attempt int) string {
	svc, _, who := d.place(t, attempt)
	if answer == nil || who < 0 {
		return ""
	}
	id, _ := policy.BodyField(answer.Header.Get("Content-Type"), answer.Body, svc.Candidates[who].Contract.ObjectID)
	return id
}

func (d *Driver) put(ctx context.Context, t *ledger.Transaction) error {
	d.Stamp(t, d.cfg.Now())
	return d.Put(ctx, t)
}

// At names the attempt that a provider knows by our reference: providers may know different ones by the same.
func At(provider, reference string) string { return provider + " " + reference }

// attemptOf finds an attempt by its id, or the last one that a provider knows by a reference.
func attemptOf(t *ledger.Transaction, name string) int {
	for i := len(t.Attempts) - 1; i >= 0; i-- {
		a := &t.Attempts[i]
		if a.ID == name || a.Reference != "" && At(a.Provider, a.Reference) == name {
			return i
		}
	}
	return -1
}
