package embedded

import (
	"context"
	"crypto/sha256"
	"fmt"

	"segue/dataplane/ledger"
)

// Runs is the store of runs.
func (s *Store) Runs() ledger.Runs { return runs{s} }

// runs is the store as ledger.Runs.
type runs struct{ *Store }

// Beat writes that a run lives, if nobody fenced it.
func (s runs) Beat(ctx context.Context, r ledger.Run) error {
	return s.change(ctx, r.ID, func(old *ledger.Run) (*ledger.Run, error) {
		if !ledger.MayBeat(old, r) {
			return nil, ledger.ErrFenced
		}
		return &r, nil
	})
}

// Fence marks a run as fenced, if it did not beat since it was seen.
func (s runs) Fence(ctx context.Context, seen ledger.Run) (fenced bool, err error) {
	err = s.change(ctx, seen.ID, func(old *ledger.Run) (*ledger.Run, error) {
		var write bool
		if write, fenced = ledger.MayFence(old, seen); !write {
			return nil, nil
		}
		return &seen, nil
	})
	return fenced && err == nil, err
}

// change reads a run's row and writes what decide makes of it, under the row's lock. It is on the disk when change returns.
func (s runs) change(ctx context.Context, id string, decide func(old *ledger.Run) (*ledger.Run, error)) error {
	done, err := transactions(s).begin(ctx, sha256.Sum256([]byte(id)))
	if err != nil {
		return err
	}
	defer done()
	var old *ledger.Run
	if _, err := s.get(runKey(id), func(v []byte) error {
		r, err := ledger.DecodeRun(v)
		old = &r
		return err
	}); err != nil {
		return fmt.Errorf("embedded: the run %s: %w", id, err)
	}
	next, err := decide(old)
	if err != nil || next == nil {
		return err
	}
	row, err := ledger.EncodeRun(*next)
	if err != nil {
		return fmt.Errorf("embedded: nothing was written: %w", err)
	}
	b := s.db.NewBatch()
	set(b, runKey(id), row)
	return s.commit(b, s.opts.write)
}

// Runs yields the runs that are remembered. What a power cut could take back is beats: then a run seems to have stood still for one more.
func (s runs) Runs(ctx context.Context, yield func(ledger.Run) bool) error {
	all, err := s.all(ctx)
	for _, r := range all {
		if !yield(r) {
			break
		}
	}
	return err
}

func (s runs) all(ctx context.Context) (all []ledger.Run, err error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("embedded: runs: %w", err)
	}
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	err = s.each([]byte{runPrefix}, nil, func(_, value []byte) (bool, error) {
		r, err := ledger.DecodeRun(value)
		if err != nil {
			return false, fmt.Errorf("embedded: a run's row: %w", err)
		}
		all = append(all, r)
		return true, nil
	})
	return all, err
}

// Left yields what a run left pending. Here a claim and its open entry are one write: there is no entry without a row.
func (s runs) Left(ctx context.Context, run string, yield func(*ledger.Transaction) bool) error {
	return transactions(s).Open(ctx, func(t *ledger.Transaction) bool { return t.Run != run || yield(t) })
}
