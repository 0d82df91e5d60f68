package cassandra

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gocql/gocql"

	"segue/dataplane/session"
)

// Swap writes events with the next number, if the last swap has the number old: a lightweight transaction over the session's partition,
// in which the events' rows stand or fall with the guard's. An answer that was lost is made up for by the rows: those of an event are
// there only if its swap won.
func (s sessions) Swap(ctx context.Context, k session.Key, old uint64, events ...session.Event) (bool, error) {
	if err := s.enter(); err != nil {
		return false, err
	}
	defer s.leave()
	if err := s.Refused(); err != nil {
		return false, err
	}
	if err := ctx.Err(); err != nil {
		return false, fmt.Errorf("%w: %w", ErrNotWritten, err)
	}
	_, rows, err := s.judge(ctx, k, session.Guarded(old+1, events))
	if err != nil {
		return false, fmt.Errorf("%w: %w", ErrNotWritten, err)
	}
	won, err := s.swap(ctx, k, old, rows)
	if err != nil || !won {
		return false, err
	}
	if err := s.remember(ctx, k, rows); err != nil {
		return false, fmt.Errorf("%w: session: %w", ErrUnknown, err)
	}
	return true, nil
}

func (s sessions) swap(ctx context.Context, k session.Key, old uint64, rows []event) (bool, error) {
	for _, first := range []bool{old == 0, true} { // a guard that outlived its time is made anew
		statement, values := s.conditional(k, old, rows, first)
		applied, found, err := s.cas(ctx, statement, values...)
		switch {
		case err != nil:
			return false, err
		case applied:
			return true, nil
		}
		if there, _ := found["value"].([]byte); len(there) > 0 || first {
			break
		}
	}
	there, err := s.events(ctx, serial, k) // at SERIAL: what another region committed near itself alone is seen by everybody from here on
	if err != nil {
		return false, fmt.Errorf("%w: %w", ErrUnknown, err)
	}
	for i := range rows {
		if !slices.ContainsFunc(there, func(e event) bool { return e.field == rows[i].field && string(e.item) == string(rows[i].item) }) {
			return false, nil
		}
	}
	return len(rows) > 0, nil
}

// conditional writes the guard's row and the events' rows as one conditional batch.
func (s sessions) conditional(k session.Key, old uint64, rows []event, first bool) (string, []any) {
	life, next := seconds(s.opts.Keep), binary.BigEndian.AppendUint64(nil, old+1)
	text := []string{"BEGIN UNLOGGED BATCH", s.names.soft.first}
	values := []any{k.App, k.ID, guardField, guardItem, next, life}
	if !first {
		text[1], values = s.names.soft.next, []any{life, next, k.App, k.ID, guardField, guardItem, binary.BigEndian.AppendUint64(nil, old)}
	}
	for _, e := range rows {
		text = append(text, s.names.soft.add)
		values = append(values, k.App, k.ID, e.field, e.item, e.value, life)
	}
	return strings.Join(append(text, "APPLY BATCH"), " "), values
}

// remember adds events to the history, a page a day. Who writes one twice writes the same row.
func (s sessions) remember(ctx context.Context, k session.Key, rows []event) error {
	return s.often(ctx, func(ctx context.Context) error {
		for i := range rows {
			e := &rows[i].Event
			data, err := session.EncodeEvent(e)
			if err != nil {
				return err
			}
			at := e.Clock()
			if err := s.query(ctx, gocql.Quorum, s.names.soft.remember, k.App, k.ID, pageOf(at), int64(at), gocql.UUID(e.Digest()), data,
				seconds(s.opts.Keep)).Exec(); err != nil {
				return err
			}
		}
		return nil
	})
}

func pageOf(c session.Clock) int { return int(c.Time().Unix() / int64(day/time.Second)) }

// History yields a session's events, from the day of its first to that of its last. What an older program wrote has no history: it is
// what the session's own rows still say.
func (s sessions) History(ctx context.Context, k session.Key, yield func(session.Event) bool) error {
	if err := s.enter(); err != nil {
		return err
	}
	rows, err := s.events(ctx, gocql.Quorum, k)
	if err != nil || len(rows) == 0 {
		s.leave()
		return err
	}
	var events []session.Event
	first, last := rows[0].Clock(), rows[0].Clock()
	for i := range rows {
		at := rows[i].Clock()
		first, last = min(first, at), max(last, at)
		events = append(events, rows[i].Event)
	}
	to := pageOf(last)
	for page := max(pageOf(first), to-maxDays); page <= to && err == nil; page++ {
		events, err = s.page(ctx, k, page, events)
	}
	s.leave()
	if err != nil {
		return err
	}
	slices.SortFunc(events, func(a, b session.Event) int { return session.Compare(&a, &b) })
	for i := range events {
		if i > 0 && session.Compare(&events[i-1], &events[i]) == 0 {
			continue
		}
		if !yield(events[i]) {
			return nil
		}
	}
	return nil
}

func (s sessions) page(ctx context.Context, k session.Key, page int, events []session.Event) ([]session.Event, error) {
	n := len(events)
	err := s.often(ctx, func(ctx context.Context) error {
		events = events[:n]
		iter := s.read(ctx, gocql.Quorum, s.names.soft.history, k.App, k.ID, page).Iter()
		var data []byte
		for iter.Scan(&data) {
			e, err := session.DecodeEvent(data)
			if err != nil {
				_ = iter.Close() // the row says more than an error of the connection
				return fmt.Errorf("%w: %w", ErrCorrupt, err)
			}
			events, data = append(events, e), nil
		}
		return iter.Close()
	})
	if err != nil {
		return nil, fmt.Errorf("cassandra: history: %w", err)
	}
	return events, nil
}
