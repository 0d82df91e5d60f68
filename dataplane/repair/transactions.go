package repair

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"segue/dataplane/ledger"
)

// transactions is the store of transactions with hints. A hint never stands in for a claim, nor for any write that would allow a send:
// only an attempt's definite outcome is hinted, and becomes the row's only by compare-and-swap.
type transactions struct {
	ledger.Store
	r *Repair
}

// Claim is never hinted. What this region knows of the key is written back first: the caller is to see it. Where the outcome of what
// would be sent could not be hinted, nothing is claimed.
func (t transactions) Claim(ctx context.Context, row *ledger.Transaction) (*ledger.Transaction, bool, error) {
	if err := t.r.log.Refused(); err != nil {
		return nil, false, fmt.Errorf("%w: %w", ledger.ErrNoRoom, err)
	}
	t.r.front.Add(1)
	defer t.r.front.Add(-1)
	t.r.flush(ctx, row.Key)
	current, won, err := t.Store.Claim(ctx, row)
	t.r.told(err)
	return current, won, err
}

// Advance writes a row. A definite outcome that the store may not have taken is hinted.
func (t transactions) Advance(ctx context.Context, row *ledger.Transaction) (*ledger.Transaction, ledger.Written, error) {
	t.r.front.Add(1)
	defer t.r.front.Add(-1)
	current, how, err := t.Store.Advance(ctx, row)
	t.r.told(err)
	if err == nil || !t.r.opts.Outage(err) || !proof(row) {
		return current, how, err
	}
	b, e := ledger.Encode(row)
	if e != nil {
		return nil, 0, errors.Join(err, e)
	}
	t.r.down.Store(true)
	if e := t.r.hint(place{OfTransaction, row.Key.Hash()}, row.Current().ID, b); e != nil {
		return nil, 0, errors.Join(err, e)
	}
	return row, ledger.Hinted, nil
}

// Own records who owns an object. Who made it is settled: it may be hinted as soft state is.
func (t transactions) Own(ctx context.Context, o ledger.Object) error {
	t.r.front.Add(1)
	defer t.r.front.Add(-1)
	err := t.Store.Own(ctx, o)
	t.r.told(err)
	if err == nil || !t.r.opts.Outage(err) {
		return err
	}
	b, e := json.Marshal(o)
	if e != nil {
		return errors.Join(err, e)
	}
	t.r.down.Store(true)
	if e := t.r.hint(place{OfObject, objectKey(o.App, o.Service, o.ID)}, "", b); e != nil {
		return errors.Join(err, e)
	}
	return nil
}

// Owner tells who owns an object: what waits here for the store is newer than what the store has.
func (t transactions) Owner(ctx context.Context, app, service, id string) (ledger.Object, error) {
	t.r.front.Add(1)
	defer t.r.front.Add(-1)
	if !t.r.calm() {
		mine := t.r.log.of(place{OfObject, objectKey(app, service, id)}, pending)
		for i := len(mine) - 1; i >= 0; i-- {
			c, err := t.r.open(mine[i].ID)
			if err == nil {
				return *c.object, nil
			}
			if !errors.Is(err, ErrUnknown) { // else it was replayed since
				return ledger.Object{}, err
			}
		}
	}
	o, err := t.Store.Owner(ctx, app, service, id)
	t.r.told(err)
	return o, err
}

// objectKey is what an object's hints are filed under. The length before each text keeps ("ab","c") apart from ("a","bc").
func objectKey(texts ...string) [32]byte {
	var b []byte
	for _, text := range texts {
		b = append(binary.AppendUvarint(b, uint64(len(text))), text...)
	}
	return sha256.Sum256(b)
}

// told notes an answer of the store.
func (r *Repair) told(err error) {
	if err == nil {
		r.reached()
	}
}

// proof tells whether a row ends in a definite outcome of its current attempt. "Not known" is no event: a row that nobody could change
// says that already.
func proof(t *ledger.Transaction) bool {
	if len(t.Attempts) == 0 || t.Told || t.Adopted > 0 { // what a caller was told, and which of two attempts stays, is decided by a quorum alone
		return false
	}
	switch o := t.Current().Outcome; t.State {
	case ledger.DoneSucceeded:
		return o == ledger.Succeeded
	case ledger.DoneDeclined:
		return o == ledger.Declined
	case ledger.Refused:
		return o == ledger.NotSent
	default:
		return false
	}
}

// Load reads a row, after this region's hints about it were written back. What the store has not taken is not shown: guarded state is
// what a quorum has.
func (t transactions) Load(ctx context.Context, k ledger.Key) (*ledger.Transaction, error) {
	t.r.front.Add(1)
	defer t.r.front.Add(-1)
	t.r.flush(ctx, k)
	row, err := t.Store.Load(ctx, k)
	t.r.told(err)
	return row, err
}

// ByID is Load by the name for people.
func (t transactions) ByID(ctx context.Context, id string) (*ledger.Transaction, error) {
	t.r.front.Add(1)
	defer t.r.front.Add(-1)
	row, err := t.Store.ByID(ctx, id)
	if err != nil || t.r.calm() || !t.r.log.waits(place{OfTransaction, row.Key.Hash()}) {
		return row, err
	}
	t.r.flush(ctx, row.Key)
	return t.Store.ByID(ctx, id)
}

// flush replays a transaction's hints at once, where that may be done and nobody else is at it.
func (r *Repair) flush(ctx context.Context, k ledger.Key) {
	if r.log.index.waitingNow.Load() == 0 || r.paused() || r.down.Load() {
		return
	}
	p := place{OfTransaction, k.Hash()}
	if !r.log.waits(p) {
		return
	}
	g := r.of(p)
	if !g.mu.TryLock() {
		return
	}
	defer g.mu.Unlock()
	r.replayKey(ctx, p)
}

// put brings a transaction's hint into the store: the same compare-and-swap with the same token; and where the row moved on since, as
// evidence about its attempt.
func (r *Repair) put(ctx context.Context, hinted *ledger.Transaction) verdict {
	if intended(hinted) {
		return r.claim(ctx, hinted)
	}
	current, how, err := r.first(ctx, hinted)
	for range maxRaces {
		if err != nil {
			return r.failed(err)
		}
		if how == ledger.Stored {
			return verdict{result: Applied}
		}
		next, v := merge(current, hinted)
		if next == nil {
			return v
		}
		current, how, err = r.ledger.Advance(ctx, next)
	}
	return verdict{err: errors.New("repair: the row is written to all the time")}
}

// maxRaces bounds how often one replay of a hint runs after a row that moves.
const maxRaces = 4

// merge decides what a hint says to a row that is not the one it was written for. It returns the row to write, or how the hint ended.
// The ledger's own rule judges: here the hint is evidence about its attempt, which is taken from anybody, and changes no direction.
func merge(current, hinted *ledger.Transaction) (*ledger.Transaction, verdict) {
	a := hinted.Current()
	switch {
	case current == nil:
		return nil, verdict{held: "the store has no row of this transaction: it may have been restored from an older copy"}
	case current.Token == hinted.Token:
		return nil, verdict{result: Applied}
	case current.ID != hinted.ID || len(current.Attempts) == 0:
		return nil, verdict{held: "the store has another transaction under this key: " + current.ID}
	case intended(hinted):
		return nil, verdict{result: Superseded}
	case a.Outcome == ledger.NotSent: // it speaks of one send, and the row went on since
		return nil, verdict{result: Superseded}
	}
	same := current.Current().ID == a.ID
	if same && current.Final() && current.Current().Outcome == a.Outcome || !same && a.Outcome == ledger.Declined || lit(current, a.ID) {
		return nil, verdict{result: Superseded} // known; or nothing was executed there, as the move elsewhere took for granted
	}
	e := ledger.Evidence{Attempt: a.ID, Kind: ledger.FromAnswer, Outcome: a.Outcome, Error: a.Error, Status: a.Status, Redrive: a.Sends > 1}
	strict := ledger.Circumstances{Means: ledger.Means{Forgets: !atPin(hinted)}} // of a contract nothing is known here, but what a pin's must say
	step := ledger.Next(current, e, strict)
	next := current.Clone()
	noted := next.Note(e, strict)
	next.Version, next.Token, next.Updated = current.Version+1, hinted.Token, hinted.Updated
	switch {
	case noted && lit(next, a.ID): // it was executed after it had been closed: the row says so, and its driver goes on from there
		return next, verdict{}
	case noted && same && !current.Final() && step.Kind == ledger.Finish && next.Close(ledger.Finish) == nil:
		next.Current().Elapsed, next.Answer = a.Elapsed, hinted.Answer
		return next, verdict{}
	default:
		return nil, verdict{held: fmt.Sprintf("here it was learnt that %s %s, and the store has %s: %s", a.ID, a.Outcome, current.State, step.Why)}
	}
}

// lit tells whether a row says that an attempt was executed late.
func lit(t *ledger.Transaction, attempt string) bool {
	for i := range t.Attempts {
		if t.Attempts[i].ID == attempt {
			return t.Attempts[i].Late
		}
	}
	return false
}
