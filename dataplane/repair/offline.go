package repair

import (
	"context"
	"errors"
	"fmt"

	"segue/dataplane/ledger"
)

// offline is the log as ledger.Offline.
type offline struct{ r *Repair }

// Offline keeps what is done at offline pins while the store is out of reach.
func (r *Repair) Offline() ledger.Offline { return offline{r} }

// atPin tells whether t is a transaction that every region names alike: the rows of two that did not hear of each other count their versions
// apart.
func atPin(t *ledger.Transaction) bool { return t.ID == ledger.PinnedID(t.Key) }

// intended tells whether a row is the INTENT of an operation at its offline pin: the one claim that waits on a disk. It allows no send but those
// that any region may make at any time.
func intended(t *ledger.Transaction) bool {
	return atPin(t) && t.Claimable() && t.State == ledger.Intent && len(t.Attempts) == 1 && t.Attempts[0].ID == ledger.PinnedAttemptID(t.Key)
}

// errNotRecorded refuses what is neither an INTENT at a pin nor an outcome: a bug of the caller.
var errNotRecorded = errors.New("repair: what is recorded without a quorum is the INTENT of an operation at its offline pin, or an outcome there")

// Record makes t durable here.
func (o offline) Record(_ context.Context, t *ledger.Transaction) error {
	begins := intended(t)
	if !atPin(t) || !begins && !proof(t) {
		return errNotRecorded
	}
	if err := o.r.log.Refused(); err != nil && begins { // there must be room for the outcome, too
		return fmt.Errorf("%w: %w", ledger.ErrNoRoom, err)
	}
	b, err := ledger.Encode(t)
	if err != nil {
		return fmt.Errorf("repair: %w", err)
	}
	return o.r.hint(place{OfTransaction, t.Key.Hash()}, t.Current().ID, b)
}

// Recorded returns the newest of what was recorded here of a key.
func (o offline) Recorded(k ledger.Key) (*ledger.Transaction, error) {
	var newest *ledger.Transaction
	for _, e := range o.r.log.of(place{OfTransaction, k.Hash()}, pending, stuck, replayed) {
		c, err := o.r.open(e.ID)
		switch {
		case errors.Is(err, ErrUnknown): // it left the log meanwhile
		case err != nil:
			return nil, err
		case c.row.Key == k && atPin(c.row) && (newest == nil || c.row.Version >= newest.Version):
			newest = c.row
		}
	}
	if newest == nil {
		return nil, ledger.ErrNotFound
	}
	return newest, nil
}

// Away tells whether the store is known to be out of reach.
func (o offline) Away() bool { return o.r.away() }

// claim makes a recorded INTENT the row of its key, unless that has one: then another region, or this one's own claim, was there first.
func (r *Repair) claim(ctx context.Context, t *ledger.Transaction) verdict {
	current, won, err := r.ledger.Claim(ctx, t)
	switch {
	case errors.Is(err, ledger.ErrNoRoom): // it has room again some day
		return verdict{err: err}
	case err != nil:
		return r.failed(err)
	case !won && current.Token != t.Token:
		_, v := merge(current, t)
		return v
	}
	if r.opts.Claimed != nil {
		r.opts.Claimed(t)
	}
	return verdict{result: Applied}
}

// first is the first try of a hint: the very write that failed. What was recorded at a pin is held against the row that is there: its version
// says nothing of that one's.
func (r *Repair) first(ctx context.Context, t *ledger.Transaction) (*ledger.Transaction, ledger.Written, error) {
	if !atPin(t) {
		return r.ledger.Advance(ctx, t)
	}
	current, err := r.ledger.Load(ctx, t.Key)
	if errors.Is(err, ledger.ErrNotFound) {
		return nil, ledger.Lost, nil
	}
	return current, ledger.Lost, err
}
