package cassandra

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/gocql/gocql"

	"segue/dataplane/ledger"
)

// errClaim refuses what is no claim: a bug of the caller.
var errClaim = errors.New("cassandra: a claim is version 1 of a row with an id, in Intent, with its attempt, or planted")

// transactions is the store as ledger.Store.
type transactions struct{ *Store }

// Claim inserts t unless its key has a row. Its open entry and its places in the indices are written beside it, by plain quorum
// writes; all are acknowledged when Claim returns, so nothing is sent that a scan of open entries would miss.
func (s transactions) Claim(ctx context.Context, t *ledger.Transaction) (*ledger.Transaction, bool, error) {
	if !t.Claimable() {
		return nil, false, errClaim
	}
	if err := s.enter(); err != nil {
		return nil, false, err
	}
	defer s.leave()
	if err := s.Refused(); err != nil {
		return nil, false, err
	}
	if err := ctx.Err(); err != nil {
		return nil, false, fmt.Errorf("%w: %w", ErrNotWritten, err)
	}
	k, mark := hashOf(t), gocql.MustRandomUUID()
	columns, err := values(t)
	if err != nil {
		return nil, false, err
	}
	args := append(append([]any{k, map[int64]gocql.UUID{1: mark}}, columns...), seconds(s.opts.Keep))
	var group sync.WaitGroup
	var errOpen, errIndex error
	var e entry
	if t.Pending() {
		in, err := s.slotFor(ctx, named(t.Run)) // before the row stands: all that is beside it takes one write then, and no longer than the row
		if err != nil {
			return nil, false, fmt.Errorf("%w: %w", ErrNotWritten, err)
		}
		group.Go(func() { e, errOpen = s.putInto(ctx, in, k, t) })
	}
	group.Go(func() { errIndex = s.index(ctx, k, t) })
	applied, found, err := s.cas(ctx, s.names.claim, args...)
	group.Wait()
	if errOpen != nil || errIndex != nil {
		s.entries.owe(k, t)
	}
	switch {
	case err != nil:
		return nil, false, err
	case !applied:
		current, won, err := s.taken(ctx, k, e, mark, found)
		if err == nil && !won {
			s.vouch(ctx, k, current)
		}
		return current, won, err
	case errOpen != nil || errIndex != nil:
		return nil, false, fmt.Errorf("%w: the row stands, not all that is beside it: %w", ErrUnknown, errors.Join(errOpen, errIndex))
	}
	return t, true, nil
}

// taken reads the row that stood in a claim's way. It may be the claim itself, written by a try of which nobody heard.
func (s transactions) taken(ctx context.Context, k []byte, e entry, mark gocql.UUID, found map[string]any) (*ledger.Transaction, bool, error) {
	r, err := rowOf(found)
	if err != nil {
		return nil, false, err
	}
	current, err := s.transaction(ctx, k, r)
	if err != nil {
		return nil, false, err
	}
	mine, known := r.wrote(1, mark)
	if !mine && known { // an old row that does not know who claimed it may be ours: then its entry stays
		s.forget(e)
	}
	return current, mine && r.version == 1, nil
}

// Advance replaces the row if nobody was faster.
func (s transactions) Advance(ctx context.Context, t *ledger.Transaction) (*ledger.Transaction, ledger.Written, error) {
	if err := s.enter(); err != nil {
		return nil, 0, err
	}
	defer s.leave()
	current, applied, err := s.advance(ctx, t)
	switch {
	case err != nil:
		return nil, 0, err
	case applied && current == t:
		return t, ledger.Stored, nil
	default: // applied and moved on since: somebody else drives
		return current, ledger.Lost, nil
	}
}

// advance says of a write whether it was applied, and where the row stands: t itself, unless it moved on.
func (s transactions) advance(ctx context.Context, t *ledger.Transaction) (current *ledger.Transaction, applied bool, err error) {
	if err := ctx.Err(); err != nil {
		return nil, false, fmt.Errorf("%w: %w", ErrNotWritten, err)
	}
	k, mark := hashOf(t), gocql.MustRandomUUID()
	columns, err := values(t)
	if err != nil {
		return nil, false, err
	}
	if err := s.keep(ctx, k, t); err != nil {
		return nil, false, err
	}
	var group sync.WaitGroup
	var errBeside error
	var e entry
	var closing []entry
	switch {
	case !t.Pending(): // whoever opens the row again, this very moment, writes an entry of his own
		closing = s.entries.take(string(k))
	case !s.entries.has(string(k), t.Run):
		in, err := s.slotFor(ctx, named(t.Run))
		if err != nil {
			return nil, false, fmt.Errorf("%w: %w", ErrNotWritten, err)
		}
		group.Go(func() { e, errBeside = s.beside(ctx, in, k, t) })
	}
	defer func() { s.settleEntries(string(k), e, closing, applied, err) }()
	version := int64(t.Version)
	statement, args := s.names.advance, append([]any{seconds(s.opts.Keep)}, columns...)
	args = append(args, version, mark)
	if version > trailLength {
		statement, args = s.names.advanceForget, append(args, version-trailLength, nil)
	}
	applied, _, err = s.cas(ctx, statement, append(args, k, version-1, t.ID)...)
	group.Wait()
	if errBeside != nil {
		s.entries.owe(k, t)
	}
	if err != nil {
		return nil, false, err
	}
	if current = t; !applied {
		if current, applied, err = s.whose(ctx, k, version, mark); err != nil {
			return nil, false, err
		}
		if applied && current.Version == t.Version {
			current = t
		}
	}
	if applied && errBeside != nil {
		return nil, true, fmt.Errorf("%w: the row stands, not all that is beside it: %w", ErrUnknown, errBeside)
	}
	return current, applied, nil
}

// beside writes what leads to a row that another run drives from now on: its open entry, and the indices, because who claimed it may have
// died before they were written.
func (s *Store) beside(ctx context.Context, in *slot, k []byte, t *ledger.Transaction) (e entry, err error) {
	var group sync.WaitGroup
	var errIndex error
	group.Go(func() { errIndex = s.index(ctx, k, t) })
	e, err = s.putInto(ctx, in, k, t)
	group.Wait()
	return e, errors.Join(err, errIndex)
}

// vouch writes the entry of a row that another run drives and that a caller asked for again: its claimer may have died before its own was
// written, and then nobody who takes over that run would come upon the row.
func (s *Store) vouch(ctx context.Context, k []byte, t *ledger.Transaction) {
	if !t.Pending() || s.entries.has(string(k), t.Run) || s.entries.many() {
		return
	}
	if _, err := s.openEntry(ctx, k, t); err != nil {
		s.opts.Log.Debug("a second entry of an open row could not be written", "transaction", t.ID, "error", err)
	}
}

// whose reads the row after "not applied": that may have been our own first try, of which nobody heard.
func (s transactions) whose(ctx context.Context, k []byte, version int64, mark gocql.UUID) (*ledger.Transaction, bool, error) {
	r, err := s.row(ctx, k)
	if errors.Is(err, gocql.ErrNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("%w: %w", ErrUnknown, err)
	}
	mine, known := r.wrote(version, mark)
	if !known && version > 1 {
		return nil, false, fmt.Errorf("%w: the row moved on to version %d", ErrUnknown, r.version)
	}
	t, err := s.transaction(ctx, k, r)
	return t, mine, err
}

// settleEntries removes the open entries that a write made needless: its own where it was not applied, all where it closed the row. Of a write
// of which nobody knows, all stay.
func (s *Store) settleEntries(k string, e entry, closing []entry, applied bool, err error) {
	switch {
	case applied:
		s.forget(closing...)
	case err == nil:
		s.forget(e)
		s.entries.put(k, closing)
	default:
		s.entries.put(k, closing)
	}
}

func hashOf(t *ledger.Transaction) []byte {
	h := t.Key.Hash()
	return h[:]
}

// row reads a row as it stands now, which finishes a write that was left half done.
func (s *Store) row(ctx context.Context, k []byte) (row, error) {
	var r row
	err := s.often(ctx, func(ctx context.Context) error {
		r = row{}
		return s.read(ctx, serial, s.names.load, k).Scan(&r.version, &r.trail, &r.outside, &r.encoded)
	})
	return r, err
}

// byHash reads the transaction that is filed under k.
func (s *Store) byHash(ctx context.Context, k []byte) (*ledger.Transaction, error) {
	r, err := s.row(ctx, k)
	switch {
	case errors.Is(err, gocql.ErrNotFound):
		return nil, ledger.ErrNotFound
	case err != nil:
		return nil, fmt.Errorf("cassandra: read: %w", err)
	}
	return s.transaction(ctx, k, r)
}

// Load reads the row of a key.
func (s transactions) Load(ctx context.Context, k ledger.Key) (*ledger.Transaction, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	h := k.Hash()
	if err := s.pay(ctx, h[:]); err != nil {
		return nil, err
	}
	return s.byHash(ctx, h[:])
}

// ByID reads the row of an id. The id of a claim that lost leads to another's row: then there is none.
func (s transactions) ByID(ctx context.Context, id string) (*ledger.Transaction, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	var k []byte
	err := s.often(ctx, func(ctx context.Context) error {
		return s.read(ctx, gocql.Quorum, s.names.open.byID, id).Scan(&k)
	})
	switch {
	case errors.Is(err, gocql.ErrNotFound):
		return nil, ledger.ErrNotFound
	case err != nil:
		return nil, fmt.Errorf("cassandra: read: %w", err)
	}
	t, err := s.byHash(ctx, k)
	if err == nil && t.ID != id {
		return nil, ledger.ErrNotFound
	}
	return t, err
}

// Own records who owns an object. The last word counts, and it is kept: refunds come late.
func (s transactions) Own(ctx context.Context, o ledger.Object) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	encoded, err := ledger.EncodeObject(o)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotWritten, err)
	}
	now := s.entries.tick(s.opts.Now())
	err = s.often(ctx, func(ctx context.Context) error {
		return s.query(ctx, gocql.Quorum, s.names.object.add, o.App, o.Service, o.ID, o.Provider, o.Account, encoded).WithTimestamp(now).Exec()
	})
	if err != nil {
		return fmt.Errorf("%w: the owner of %s: %w", ErrUnknown, o.ID, err)
	}
	return nil
}

// Owner tells who owns an object.
func (s transactions) Owner(ctx context.Context, app, service, id string) (ledger.Object, error) {
	if err := s.enter(); err != nil {
		return ledger.Object{}, err
	}
	defer s.leave()
	var encoded []byte
	err := s.often(ctx, func(ctx context.Context) error {
		return s.read(ctx, gocql.Quorum, s.names.object.load, app, service, id).Scan(&encoded)
	})
	switch {
	case errors.Is(err, gocql.ErrNotFound):
		return ledger.Object{}, ledger.ErrNotFound
	case err != nil:
		return ledger.Object{}, fmt.Errorf("cassandra: read: %w", err)
	}
	return ledger.DecodeObject(encoded)
}
