package embedded

import (
	"context"
	"errors"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"segue/dataplane/ledger"
)

// keepHouse looks at the disk's space and sweeps old rows until ctx ends.
func (s *Store) keepHouse(ctx context.Context) {
	space, sweep := time.NewTicker(spaceEvery), time.NewTicker(sweepEvery)
	defer space.Stop()
	defer sweep.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-space.C:
			s.look()
		case <-sweep.C:
			if n, err := s.sweep(ctx, s.opts.Now()); err != nil && !errors.Is(err, context.Canceled) {
				s.opts.Log.Error("old rows could not be swept", "swept", n, "error", err)
			}
		}
	}
}

// sweep removes transactions and sessions that nobody touched since Keep, with their indices, fenced runs and payloads. A transaction
// without an outcome is kept however old it is: it ends by evidence. Owners of objects are kept as long as the store.
func (s *Store) sweep(ctx context.Context, now time.Time) (int, error) {
	before := now.Add(-s.opts.Keep)
	rows, err := s.sweepIndex(ctx, createdPrefix, before, s.sweepRow)
	if err != nil {
		return rows, err
	}
	gone, err := s.sweepIndex(ctx, updatedPrefix, before, s.sweepSession)
	if err != nil {
		return rows + gone, err
	}
	if err := s.sweepRuns(before); err != nil {
		return rows + gone, err
	}
	return rows + gone, s.sweepPayloads(ctx, before)
}

// sweepRuns forgets runs that were fenced long ago: nothing is left of them.
func (s *Store) sweepRuns(before time.Time) error {
	b := s.db.NewBatch()
	err := s.each([]byte{runPrefix}, nil, func(key, value []byte) (bool, error) {
		r, err := ledger.DecodeRun(value)
		if err == nil && !r.Fenced.IsZero() && r.Fenced.Before(before) {
			remove(b, key)
		}
		return true, err
	})
	if err != nil || b.Empty() {
		return err
	}
	return s.commit(b, pebble.NoSync)
}

// sweepPayloads removes what was kept long ago, unless its transaction is still open.
func (s *Store) sweepPayloads(ctx context.Context, before time.Time) error {
	b := s.db.NewBatch()
	err := s.each([]byte{payloadPrefix}, nil, func(key, value []byte) (bool, error) {
		if len(value) < timeSize || len(key) < 1+hashSize {
			return false, ErrCorrupt
		}
		if !timeOf(append([]byte{0}, value[:timeSize]...)).Before(before) {
			return true, ctx.Err()
		}
		t, err := transactions{s}.row(hash(key[1 : 1+hashSize]))
		if err == nil && (t == nil || !t.Pending()) {
			remove(b, key)
		}
		return true, err
	})
	if err != nil || b.Empty() {
		return err
	}
	return s.commit(b, pebble.NoSync)
}

// sweepIndex goes through an index from its oldest entry, a batch at a time.
func (s *Store) sweepIndex(ctx context.Context, prefix byte, before time.Time, remove func(hash, time.Time) (bool, error)) (int, error) {
	var last []byte
	swept := 0
	for {
		page, err := s.older(prefix, last, before)
		if err != nil {
			return swept, err
		}
		for _, key := range page {
			h, ok := hashOf(key)
			if !ok {
				return swept, ErrCorrupt
			}
			gone, err := remove(h, before)
			if err != nil {
				return swept, err
			}
			if gone {
				swept++
			}
		}
		if len(page) < sweepBatch {
			return swept, nil
		}
		last = page[len(page)-1]
		if err := ctx.Err(); err != nil {
			return swept, err
		}
	}
}

// older returns a batch of index entries from before a time.
func (s *Store) older(prefix byte, start []byte, before time.Time) ([][]byte, error) {
	var page [][]byte
	err := s.each([]byte{prefix}, start, func(key, _ []byte) (bool, error) {
		if !timeOf(key).Before(before) {
			return false, nil
		}
		page = append(page, append([]byte(nil), key...))
		return len(page) < sweepBatch, nil
	})
	return page, err
}

func (s *Store) sweepRow(h hash, before time.Time) (bool, error) {
	defer s.stripe(h).lock()()
	t, err := transactions{s}.row(h)
	if err != nil || t == nil || t.Pending() || !t.Updated.Before(before) {
		return false, err
	}
	b := s.db.NewBatch()
	for _, key := range places(t, h) {
		remove(b, key)
	}
	s.known.rows.drop(h)
	err = s.commit(b, pebble.NoSync) // without a sync: a row that a power cut brings back is swept again
	s.known.rows.drop(h)             // a read may have met the row between the two
	return true, err
}

// places are all the keys of a closed transaction.
func places(t *ledger.Transaction, h hash) [][]byte {
	return [][]byte{rowKey(h), idKey(t.ID), createdKey(t.Created, h), nameKey(t.Key.Key, t.Created, h)}
}

func (s *Store) sweepSession(h hash, before time.Time) (bool, error) {
	defer s.stripe(h).lock()()
	found, err := sessions{s}.row(h)
	if err != nil || found == nil || !found.Updated.Before(before) {
		return false, err
	}
	b := s.db.NewBatch()
	remove(b, sessionKey(h))
	remove(b, updatedKey(found.Updated, h))
	_ = b.DeleteRange(historyBounds(h), after(historyBounds(h)), nil) // in memory, like set
	s.known.talks.drop(found.Key)
	err = s.commit(b, pebble.NoSync)
	s.known.talks.drop(found.Key) // a read may have met the row between the two
	return true, err
}
