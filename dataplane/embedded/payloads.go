package embedded

import (
	"context"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"segue/dataplane/ledger"
)

// Payloads is the store of payloads.
func (s *Store) Payloads() ledger.Payloads { return payloads{s} }

// payloads is the store as ledger.Payloads.
type payloads struct{ *Store }

// Keep writes a payload; the same part of the same key is written over. The time before it is for the sweep.
func (s payloads) Keep(ctx context.Context, k ledger.Key, part string, sealed []byte) error {
	if err := ledger.CheckPayload(part, sealed); err != nil {
		return err
	}
	return s.write(ctx, func(b *pebble.Batch) error {
		value := appendTime(make([]byte, 0, timeSize+len(sealed)), s.opts.Now())
		set(b, payloadKey(k.Hash(), part), append(value, sealed...))
		return nil
	})
}

// Drop removes what is kept of a key.
func (s payloads) Drop(ctx context.Context, k ledger.Key) error {
	return s.write(ctx, func(b *pebble.Batch) error {
		return s.each(payloadKey(k.Hash(), ""), nil, func(key, _ []byte) (bool, error) {
			remove(b, key)
			return true, nil
		})
	})
}

func (s payloads) write(ctx context.Context, fill func(*pebble.Batch) error) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("embedded: nothing was written: %w", err)
	}
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	b := s.db.NewBatch()
	if err := fill(b); err != nil || b.Empty() {
		return err
	}
	return s.commit(b, s.opts.write)
}

// Fetch reads a payload.
func (s payloads) Fetch(_ context.Context, k ledger.Key, part string) (sealed []byte, err error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	ok, err := s.get(payloadKey(k.Hash(), part), func(v []byte) error {
		if len(v) <= timeSize {
			return fmt.Errorf("%w: a payload of %d bytes", ErrCorrupt, len(v))
		}
		sealed = append([]byte(nil), v[timeSize:]...)
		return nil
	})
	switch {
	case err != nil:
		return nil, err
	case !ok:
		return nil, ledger.ErrNotFound
	}
	return sealed, nil
}
