package embedded

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"segue/dataplane/ledger"
)

// Time is the clock by which rows age: this machine's, which the store is on.
func (s *Store) Time(context.Context) (time.Time, error) { return s.opts.Now(), nil }

// Watches is the store of watched attempts.
func (s *Store) Watches() ledger.Watches { return watches{s} }

// watches is the store as ledger.Watches.
type watches struct{ *Store }

// Watch writes that an attempt is watched.
func (s watches) Watch(ctx context.Context, w ledger.Watched) error {
	return payloads(s).write(ctx, func(b *pebble.Batch) error {
		set(b, watchKey(w.Key.Hash(), w.Attempt), appendTime(nil, w.Until))
		return nil
	})
}

// Unwatch removes it.
func (s watches) Unwatch(ctx context.Context, w ledger.Watched) error {
	return payloads(s).write(ctx, func(b *pebble.Batch) error {
		remove(b, watchKey(w.Key.Hash(), w.Attempt))
		return nil
	})
}

// Watched yields what is watched.
func (s watches) Watched(ctx context.Context, yield func(*ledger.Transaction, ledger.Watched) bool) error {
	rows, found, err := s.all(ctx)
	for i := range found {
		if !yield(rows[i], found[i]) {
			break
		}
	}
	return err
}

func (s watches) all(ctx context.Context) (rows []*ledger.Transaction, found []ledger.Watched, err error) {
	if err := s.enter(); err != nil {
		return nil, nil, err
	}
	defer s.leave()
	err = s.each([]byte{watchPrefix}, nil, func(key, value []byte) (bool, error) {
		if len(key) < 1+hashSize || len(value) != timeSize {
			return false, fmt.Errorf("embedded: %w: a watch of %d bytes", ErrCorrupt, len(key))
		}
		t, err := transactions(s).row(hash(key[1 : 1+hashSize]))
		if t != nil {
			until := time.Unix(0, int64(binary.BigEndian.Uint64(value)^1<<63)).UTC()
			rows, found = append(rows, t), append(found, ledger.Watched{Key: t.Key, Attempt: string(key[1+hashSize:]), Until: until})
		}
		if err == nil {
			err = ctx.Err()
		}
		return err == nil, err
	})
	return rows, found, err
}

// Mend gives pending rows their entries again. Row and entry are one write here: only damage parts them.
func (s runs) Mend(ctx context.Context) (mended int, err error) {
	if err := s.enter(); err != nil {
		return 0, err
	}
	defer s.leave()
	var bare []ledger.Key
	err = s.each([]byte{rowPrefix}, nil, func(key, value []byte) (bool, error) {
		t, err := ledger.Decode(value)
		if err != nil {
			return false, fmt.Errorf("embedded: a row: %w", err)
		}
		if h, ok := hashOf(key); ok && t.Pending() {
			there, err := s.get(openKey(t.Created, h), func([]byte) error { return nil })
			if err != nil {
				return false, err
			}
			if !there {
				bare = append(bare, t.Key)
			}
		}
		return ctx.Err() == nil, ctx.Err()
	})
	for _, k := range bare {
		if err != nil {
			break
		}
		var did bool
		if did, err = s.mend(k.Hash()); did {
			mended++
		}
	}
	return mended, err
}

// mend writes the entry of a row, if that is still pending, under its lock.
func (s runs) mend(h hash) (bool, error) {
	defer s.stripe(h).lock()()
	t, err := transactions(s).row(h)
	if err != nil || t == nil || !t.Pending() {
		return false, err
	}
	b := s.db.NewBatch()
	set(b, openKey(t.Created, h), []byte{byte(t.State)})
	return true, s.commit(b, s.opts.write)
}
