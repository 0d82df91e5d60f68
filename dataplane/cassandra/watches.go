package cassandra

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/gocql/gocql"

	"segue/dataplane/ledger"
)

const (
	dueShards  = 16
	mendRanges = 256 // of tokens: a look through all rows asks for one after the other
	mendPage   = 500
)

// Time is the clock of a node near this process: those of a cluster agree, or it is refused.
func (s *Store) Time(ctx context.Context) (time.Time, error) {
	if err := s.enter(); err != nil {
		return time.Time{}, err
	}
	defer s.leave()
	ctx, cancel := context.WithTimeout(ctx, s.opts.Timeout)
	defer cancel()
	var clock int64
	if err := s.query(ctx, gocql.One, s.names.run.clock).Scan(&clock); err != nil {
		return time.Time{}, fmt.Errorf("cassandra: clock: %w", err)
	}
	return time.UnixMilli(clock), nil
}

// Watches is the store of watched attempts.
func (s *Store) Watches() ledger.Watches { return watches{s} }

// watches is the store as ledger.Watches. There are few of them: who starts reads them all.
type watches struct{ *Store }

// Watch writes that an attempt is watched. The place is made from what is watched, so that the same is written twice to one place.
func (s watches) Watch(ctx context.Context, w ledger.Watched) error {
	h, life := w.Key.Hash(), max(1, int(time.Until(w.Until)/time.Second))
	return payloads(s).write(ctx, s.names.payloads.due.add, int(h[0])%dueShards, int(w.Until.Unix()/3600), w.Until, h[:], w.Attempt, min(life, seconds(s.opts.Keep+grace)))
}

// Unwatch removes it.
func (s watches) Unwatch(ctx context.Context, w ledger.Watched) error {
	h := w.Key.Hash()
	return payloads(s).write(ctx, s.names.payloads.due.remove, int(h[0])%dueShards, int(w.Until.Unix()/3600), w.Until, h[:], w.Attempt)
}

// Watched yields what is watched.
func (s watches) Watched(ctx context.Context, yield func(*ledger.Transaction, ledger.Watched) bool) error {
	if err := s.enter(); err != nil {
		return err
	}
	type one struct {
		k []byte
		w ledger.Watched
	}
	var all []one
	err := s.often(ctx, func(ctx context.Context) error {
		all = nil
		iter := s.read(ctx, gocql.Quorum, s.names.payloads.due.all).Iter()
		var found one
		for iter.Scan(&found.w.Until, &found.k, &found.w.Attempt) {
			all, found = append(all, found), one{}
		}
		return iter.Close()
	})
	s.leave()
	if err != nil {
		return fmt.Errorf("cassandra: watched attempts: %w", err)
	}
	for _, found := range all {
		t, err := s.watched(ctx, found.k)
		if err != nil {
			return err
		}
		if t == nil {
			continue
		}
		if found.w.Key = t.Key; !yield(t, found.w) {
			return nil
		}
	}
	return nil
}

func (s watches) watched(ctx context.Context, k []byte) (*ledger.Transaction, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	t, err := s.byHash(ctx, k)
	if errors.Is(err, ledger.ErrNotFound) {
		return nil, nil
	}
	return t, err
}

// Mend looks through all rows by ranges of tokens. Entries that a run has are read once for each run; one too many does no harm.
func (s runs) Mend(ctx context.Context) (mended int, err error) {
	const width = math.MaxUint64/mendRanges + 1
	led := map[string]map[string]bool{} // run → rows that an entry leads to
	for i := range mendRanges {
		first := uint64(i) * width
		rows, err := s.pendingIn(ctx, int64(first-1<<63), int64(first+width-1-1<<63))
		if err != nil {
			return mended, fmt.Errorf("cassandra: rows without an entry: %w", err)
		}
		for k, t := range rows {
			if led[t.Run] == nil {
				if led[t.Run], err = s.leads(ctx, t.Run); err != nil {
					return mended, err
				}
			}
			if led[t.Run][k] {
				continue
			}
			did, err := s.mend(ctx, []byte(k))
			if err != nil {
				return mended, err
			}
			if did {
				mended++
			}
		}
	}
	return mended, nil
}

// pendingIn reads the pending rows of a range of tokens. A plain read may be late: whoever goes on from it reads the row anew.
func (s runs) pendingIn(ctx context.Context, from, to int64) (rows map[string]*ledger.Transaction, err error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	err = s.often(ctx, func(ctx context.Context) error {
		rows = map[string]*ledger.Transaction{}
		iter := s.query(ctx, gocql.Quorum, s.names.run.stretch, from, to).PageSize(mendPage).Iter()
		var encoded []byte
		for iter.Scan(&encoded) {
			t, err := ledger.Decode(encoded)
			if err != nil {
				return errors.Join(fmt.Errorf("%w: a row: %w", ErrCorrupt, err), iter.Close())
			}
			if t.Pending() {
				rows[string(hashOf(t))] = t
			}
			encoded = nil
		}
		return iter.Close()
	})
	return rows, err
}

func (s runs) leads(ctx context.Context, run string) (map[string]bool, error) {
	found, err := s.entriesOf(ctx, run)
	to := make(map[string]bool, len(found))
	for _, p := range found {
		to[string(p.k)] = true
	}
	return to, err
}

// mend writes the entry and the indices of a row that is still pending.
func (s runs) mend(ctx context.Context, k []byte) (bool, error) {
	if err := s.enter(); err != nil {
		return false, err
	}
	defer s.leave()
	t, err := s.byHash(ctx, k)
	if errors.Is(err, ledger.ErrNotFound) || err == nil && (!t.Pending() || s.entries.has(string(k), t.Run)) {
		return false, nil
	}
	if err == nil {
		_, err = s.openEntry(ctx, k, t)
	}
	if err == nil { // people must find it, too: who claimed it may have died before that was written
		err = s.index(ctx, k, t)
	}
	if err != nil {
		return false, fmt.Errorf("cassandra: the entry of a row: %w", err)
	}
	return true, nil
}
