package cassandra

import (
	"context"
	"errors"
	"fmt"

	"github.com/gocql/gocql"

	"segue/dataplane/ledger"
)

// Payloads is the store of payloads.
func (s *Store) Payloads() ledger.Payloads { return payloads{s} }

// payloads is the store as ledger.Payloads: all parts of a key stand in one partition, so that one deletion drops them.
type payloads struct{ *Store }

// Keep writes a payload; the same part of the same key is written over.
func (s payloads) Keep(ctx context.Context, k ledger.Key, part string, sealed []byte) error {
	if err := ledger.CheckPayload(part, sealed); err != nil {
		return err
	}
	h := k.Hash()
	return s.write(ctx, s.names.payloads.keep, h[:], part, sealed, seconds(s.opts.Keep+grace))
}

// Drop removes what is kept of a key.
func (s payloads) Drop(ctx context.Context, k ledger.Key) error {
	h := k.Hash()
	return s.write(ctx, s.names.payloads.drop, h[:])
}

func (s payloads) write(ctx context.Context, statement string, values ...any) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%w: %w", ErrNotWritten, err)
	}
	now := s.entries.tick(s.opts.Now())
	err := s.often(ctx, func(ctx context.Context) error {
		return s.query(ctx, gocql.Quorum, statement, values...).WithTimestamp(now).Exec()
	})
	if err != nil {
		return fmt.Errorf("%w: payload: %w", ErrUnknown, err)
	}
	return nil
}

// Fetch reads a payload.
func (s payloads) Fetch(ctx context.Context, k ledger.Key, part string) (sealed []byte, err error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	h := k.Hash()
	err = s.often(ctx, func(ctx context.Context) error {
		return s.read(ctx, gocql.Quorum, s.names.payloads.fetch, h[:], part).Scan(&sealed)
	})
	switch {
	case errors.Is(err, gocql.ErrNotFound):
		return nil, ledger.ErrNotFound
	case err != nil:
		return nil, fmt.Errorf("cassandra: payload: %w", err)
	}
	return sealed, nil
}
