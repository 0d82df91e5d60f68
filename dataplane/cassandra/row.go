package cassandra

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/gocql/gocql"

	"segue/dataplane/ledger"
)

// trailLength is how many versions back a row knows who wrote it.
const trailLength = 8

// row is what is read of tx.
type row struct {
	version int64
	trail   map[int64]gocql.UUID // by version: the mark of the call that wrote it
	outside []byte               // the hash under which a large answer stands in payload
	encoded []byte
}

// seconds is a time to live as Cassandra takes it.
func seconds(d time.Duration) int { return int(d / time.Second) }

// values are t's columns, in the order of txColumns.
func values(t *ledger.Transaction) ([]any, error) {
	kept, outside := t, []byte(nil)
	if t.Answer != nil && len(t.Answer.Sealed) > inlineAnswer {
		kept = t.Clone()
		kept.Answer.Sealed = nil
		sum := sha256.Sum256(t.Answer.Sealed)
		outside = sum[:]
	}
	encoded, err := ledger.Encode(kept)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotWritten, err)
	}
	var a ledger.Attempt
	if len(t.Attempts) > 0 {
		a = *t.Current()
	}
	var hash []byte
	if t.Answer != nil {
		hash = t.Answer.Hash[:]
	}
	return []any{
		int64(t.Version), t.ID, gocql.UUID(t.Token), t.State.String(), t.Epoch, a.ID, t.Run, t.Region, t.Session, t.Operation,
		t.Fingerprint[:], int(t.FingerprintV), a.Provider, a.Account, a.Endpoint, a.ProviderKey, a.Reference, a.Contract[:],
		a.IntentAt.UnixMilli(), int(a.SendBy.Milliseconds()), a.Status, hash, outside, encoded,
	}, nil
}

// rowOf reads the columns that a lost INSERT … IF NOT EXISTS returns.
func rowOf(columns map[string]any) (row, error) {
	var r row
	var ok [3]bool
	r.version, ok[0] = columns["v"].(int64)
	r.encoded, ok[1] = columns["encoded"].([]byte)
	r.trail, ok[2] = columns["trail"].(map[int64]gocql.UUID)
	r.outside, _ = columns["outside"].([]byte)
	for _, fine := range ok {
		if !fine {
			return row{}, fmt.Errorf("%w: its columns are not what was expected", ErrCorrupt)
		}
	}
	return r, nil
}

// wrote tells whose the version of a row is that mark was to write. A row that moved on by more than its trail knows does not tell.
func (r row) wrote(version int64, mark gocql.UUID) (mine, known bool) {
	if r.version < version {
		return false, true
	}
	by, ok := r.trail[version]
	return by == mark, ok
}

// transaction decodes a row, and fetches its answer where that stands outside.
func (s *Store) transaction(ctx context.Context, k []byte, r row) (*ledger.Transaction, error) {
	t, err := ledger.Decode(r.encoded)
	if err != nil {
		return nil, err
	}
	if int64(t.Version) != r.version {
		return nil, fmt.Errorf("%w: version %d in one column, %d in another", ErrCorrupt, r.version, t.Version)
	}
	if len(r.outside) == 0 {
		return t, nil
	}
	if t.Answer == nil {
		return nil, fmt.Errorf("%w: it has an answer outside and none inside", ErrCorrupt)
	}
	t.Answer.Sealed, err = s.fetch(ctx, k, t.Epoch, r.outside)
	return t, err
}

// part is the name of an answer in payload: two drivers that learn two answers at once do not write over each other's.
func part(sum []byte) string { return "answer-" + hex.EncodeToString(sum) }

// keep writes a large answer, before the row that speaks of it.
func (s *Store) keep(ctx context.Context, k []byte, t *ledger.Transaction) error {
	if t.Answer == nil || len(t.Answer.Sealed) <= inlineAnswer {
		return nil
	}
	sum := sha256.Sum256(t.Answer.Sealed)
	left, n := t.Answer.Sealed, 0
	for len(left) > 0 {
		chunk := left[:min(len(left), payloadChunk)]
		err := s.often(ctx, func(ctx context.Context) error {
			return s.query(ctx, gocql.Quorum, s.names.payloads.chunk, k, t.Epoch, part(sum[:]), n, chunk, seconds(s.opts.Keep+grace)).Exec()
		})
		if err != nil {
			return fmt.Errorf("%w: the answer could not be kept: %w", ErrNotWritten, err)
		}
		left, n = left[len(chunk):], n+1
	}
	return nil
}

func (s *Store) fetch(ctx context.Context, k []byte, epoch int, sum []byte) ([]byte, error) {
	var sealed []byte
	err := s.often(ctx, func(ctx context.Context) error {
		sealed = nil
		iter := s.read(ctx, gocql.Quorum, s.names.payloads.chunks, k, epoch, part(sum)).Iter()
		var chunk []byte
		for iter.Scan(&chunk) {
			sealed = append(sealed, chunk...)
		}
		return iter.Close()
	})
	if err != nil {
		return nil, fmt.Errorf("cassandra: the kept answer: %w", err)
	}
	if got := sha256.Sum256(sealed); !bytes.Equal(got[:], sum) {
		return nil, fmt.Errorf("%w: the kept answer of %d bytes is not the one that was written", ErrCorrupt, len(sealed))
	}
	return sealed, nil
}
