package cassandra

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/gocql/gocql"

	"segue/dataplane/ledger"
)

// The states of a run's row, for the conditions of writes.
const (
	runLives  = "lives"
	runFenced = "fenced"
)

// Runs is the store of runs.
func (s *Store) Runs() ledger.Runs { return runs{s} }

// runs is the store as ledger.Runs. Its rows are committed at QUORUM, so that a scan at QUORUM sees every beat that was acknowledged.
type runs struct{ *Store }

// Beat writes that a run lives, if nobody fenced it. A beat of which nobody heard is repeated: the same one once more is no harm.
func (s runs) Beat(ctx context.Context, r ledger.Run) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	encoded, err := ledger.EncodeRun(r)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotWritten, err)
	}
	life, beat := seconds(s.opts.Keep), int64(r.Beat)
	if r.Beat == 1 {
		applied, _, err := s.casAt(ctx, gocql.Quorum, s.names.run.begin, r.ID, r.Region, runLives, beat, encoded, life)
		if err != nil || applied {
			return err
		}
	}
	applied, _, err := s.casAt(ctx, gocql.Quorum, s.names.run.beat, life, r.Region, runLives, beat, encoded, r.ID, runLives, beat)
	if err == nil && !applied {
		return ledger.ErrFenced
	}
	return err
}

// Fence marks a run as fenced, if it did not beat since it was seen. A fence of which nobody heard stands in the way of its repeat, and
// says so.
func (s runs) Fence(ctx context.Context, seen ledger.Run) (bool, error) {
	if err := s.enter(); err != nil {
		return false, err
	}
	defer s.leave()
	encoded, err := ledger.EncodeRun(seen)
	if err != nil {
		return false, fmt.Errorf("%w: %w", ErrNotWritten, err)
	}
	life, beat := seconds(s.opts.Keep), int64(seen.Beat)
	var applied bool
	var found map[string]any
	if seen.Beat == 0 {
		applied, found, err = s.casAt(ctx, gocql.Quorum, s.names.run.begin, seen.ID, seen.Region, runFenced, beat, encoded, life)
	} else {
		applied, found, err = s.casAt(ctx, gocql.Quorum, s.names.run.fence, life, seen.Region, runFenced, beat, encoded, seen.ID, runLives, beat)
	}
	return applied || found["state"] == runFenced, err
}

// Runs yields the runs that are remembered.
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
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	err = s.often(ctx, func(ctx context.Context) error {
		all = nil
		iter := s.read(ctx, gocql.Quorum, s.names.run.all).Iter()
		var encoded []byte
		for iter.Scan(&encoded) {
			r, err := ledger.DecodeRun(encoded)
			if err != nil {
				return errors.Join(fmt.Errorf("%w: a run's row: %w", ErrCorrupt, err), iter.Close())
			}
			all, encoded = append(all, r), nil
		}
		return iter.Close()
	})
	if err != nil {
		return nil, fmt.Errorf("cassandra: runs: %w", err)
	}
	return all, nil
}

// Left yields what a run left pending. An entry without a row is one whose claim was cut off, or is still on its way: a row is planted
// there, and a claim that comes now loses.
func (s runs) Left(ctx context.Context, run string, yield func(*ledger.Transaction) bool) error {
	found, err := s.entriesOf(ctx, run)
	if err != nil {
		return err
	}
	t := transactions(s)
	for page := range slices.Chunk(found, openPage) {
		rows, err := t.rows(ctx, page)
		if err != nil {
			return err
		}
		for i, row := range rows {
			if row == nil {
				if row, err = s.plant(ctx, page[i].entry); err != nil {
					return err
				}
			}
			switch {
			case row == nil:
			case row.Final(), row.Planted():
				s.forget(page[i].entry)
			case row.Pending() && row.Run == run && !yield(row):
				return nil
			}
		}
	}
	return nil
}

// entriesOf reads the open entries of one run, oldest first.
func (s runs) entriesOf(ctx context.Context, run string) (all []pointer, err error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	t := transactions(s)
	slots, err := t.slots(ctx, s.names.open.slotsOf, named(run))
	if err != nil {
		return nil, err
	}
	for _, in := range slots {
		some, err := t.slotEntries(ctx, in)
		if err != nil {
			return nil, fmt.Errorf("cassandra: open transactions of %s: %w", run, err)
		}
		all = append(all, some...)
	}
	slices.SortFunc(all, oldestFirst)
	return all, nil
}

// plant puts a row where a claim left none. It returns the row that is there now.
func (s runs) plant(ctx context.Context, e entry) (*ledger.Transaction, error) {
	if e.key == (ledger.Key{}) {
		s.opts.Log.Warn("an open entry without a row does not say under which key: it is left to its time to live", "run", e.run)
		return nil, nil
	}
	now := s.opts.Now()
	t := ledger.Plant("tx_"+gocql.MustRandomUUID().String(), e.key, now)
	t.Version, t.Token = 1, [16]byte(gocql.MustRandomUUID())
	current, _, err := transactions(s).Claim(ctx, t)
	if err != nil {
		return nil, fmt.Errorf("cassandra: a claim of %s that may come late could not be kept out: %w", e.run, err)
	}
	return current, nil
}
