package cassandra

import (
	"context"
	"errors"
	"fmt"

	"github.com/gocql/gocql"
)

// errNoVerdict is an answer to a conditional write that does not say whether it was applied.
var errNoVerdict = errors.New("cassandra: the answer does not say whether the write was applied")

// cas runs a conditional write until the cluster says what became of it. Only a row with [applied] is definite: a time-out of any kind,
// Unavailable and Overloaded may come after a quorum accepted. So the same statement with the same values is sent again. Whoever calls
// must make its values tell his write from any other's: an "applied = false" may be his own first try, or the server's own second.
//
// The first try commits at LOCAL_QUORUM, which saves a trip between data centres: SERIAL reads finish what is not committed. A repeat
// may have lost its data centre, and commits at QUORUM.
func (s *Store) cas(ctx context.Context, statement string, values ...any) (applied bool, row map[string]any, err error) {
	return s.casAt(ctx, gocql.LocalQuorum, statement, values...)
}

// casAt is cas with another level for the first try's commit.
func (s *Store) casAt(ctx context.Context, level gocql.Consistency, statement string, values ...any) (applied bool, row map[string]any, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.opts.Resolve)
	defer cancel()
	if s.opts.test.commit != 0 {
		level = s.opts.test.commit
	}
	sent := false
	var gone absence
	var told error // what the server said last: a deadline of ours tells less
	for attempt := 0; ; attempt++ {
		applied, row, err = s.try(ctx, level, statement, values)
		if err == nil {
			return applied, row, nil
		}
		sent = sent || !unsent(err) && !hopeless(err)
		if c := counted(err); c != err || told == nil {
			told = c
		}
		if hopeless(err) || gone.long(err, s.opts.Now()) || !pause(ctx, attempt) {
			break
		}
		level = gocql.Quorum
	}
	if !sent {
		return false, nil, fmt.Errorf("%w: %w", ErrNotWritten, told)
	}
	return false, nil, fmt.Errorf("%w: %w", ErrUnknown, told)
}

// try sends a conditional write once. (The driver's MapScanCAS panics on an answer without [applied].)
func (s *Store) try(ctx context.Context, level gocql.Consistency, statement string, values []any) (bool, map[string]any, error) {
	iter := s.query(ctx, level, statement, values...).SerialConsistency(gocql.Serial).NoSkipMetadata().Iter()
	row := map[string]any{}
	found := iter.MapScan(row)
	if err := iter.Close(); err != nil {
		return false, nil, err
	}
	applied, ok := row["[applied]"].(bool)
	if !found || !ok {
		return false, nil, errNoVerdict
	}
	return applied, row, nil
}
