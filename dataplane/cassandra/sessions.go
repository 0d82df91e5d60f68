package cassandra

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/gocql/gocql"

	"segue/dataplane/session"
)

const (
	pinField = "pin"
	maxPins  = 4 * session.MaxPins // rows of a session, from where on those that say nothing any more are removed
)

// sessions is the store as session.Store. Each event is a row that is never changed, so that no two writers can be in each other's way
// and it does not matter in which order replicas hear of them; what they come to is for session.Apply.
type sessions struct{ *Store }

// event is a row of a session.
type event struct {
	session.Event
	item, value []byte
	life        int // seconds that are left to it
}

// Load reads a session.
func (s sessions) Load(ctx context.Context, k session.Key) (*session.Session, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	events, err := s.events(ctx, k)
	if err != nil {
		return nil, err
	}
	if len(events) == 0 {
		return nil, session.ErrNotFound
	}
	s.refresh(ctx, k, events)
	return apply(nil, k, events)
}

func apply(old *session.Session, k session.Key, rows []event) (*session.Session, error) {
	events := make([]session.Event, len(rows))
	for i := range rows {
		events[i] = rows[i].Event
	}
	return session.Apply(old, k, events...)
}

func (s sessions) events(ctx context.Context, k session.Key) (found []event, err error) {
	err = s.often(ctx, func(ctx context.Context) error {
		found = nil
		iter := s.read(ctx, gocql.Quorum, s.names.soft.load, k.App, k.ID, pinField).Iter()
		var e event
		for iter.Scan(&e.item, &e.value, &e.life) {
			found = append(found, e)
			e = event{}
		}
		return iter.Close()
	})
	if err != nil {
		return nil, fmt.Errorf("cassandra: session: %w", err)
	}
	for i := range found {
		if found[i].Event, err = decodeEvent(found[i].item, found[i].value); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// Append adds events to a session.
func (s sessions) Append(ctx context.Context, k session.Key, events ...session.Event) error {
	if len(events) == 0 {
		return nil
	}
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%w: %w", ErrNotWritten, err)
	}
	there, err := s.events(ctx, k)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotWritten, err)
	}
	old, err := apply(nil, k, there)
	if err == nil {
		_, err = session.Apply(old, k, events...)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotWritten, err)
	}
	rows := make([]event, len(events))
	for i, e := range events {
		rows[i].item, rows[i].value = encodeEvent(e)
	}
	if err := s.put(ctx, k, rows); err != nil {
		return fmt.Errorf("%w: session: %w", ErrUnknown, err)
	}
	if len(there) > maxPins {
		s.prune(ctx, k, there)
	}
	return nil
}

// put writes rows of one session. All stand in one partition: a batch there is written as a whole.
func (s sessions) put(ctx context.Context, k session.Key, rows []event) error {
	return s.often(ctx, func(ctx context.Context) error {
		b := s.driver.Load().NewBatch(gocql.UnloggedBatch).WithContext(ctx)
		b.SetConsistency(gocql.Quorum)
		for _, e := range rows {
			b.Query(s.names.soft.add, k.App, k.ID, pinField, e.item, e.value, seconds(s.opts.Keep))
		}
		return s.driver.Load().ExecuteBatch(b)
	})
}

// refresh gives a session that is used new life at half of its time.
func (s sessions) refresh(ctx context.Context, k session.Key, rows []event) {
	var old []event
	for _, e := range rows {
		if e.life < seconds(s.opts.Keep/2) {
			old = append(old, e)
		}
	}
	if len(old) == 0 {
		return
	}
	if err := s.put(ctx, k, old); err != nil {
		s.opts.Log.Warn("a session could not be given new life", "error", err)
	}
}

// prune removes the rows that say nothing any more: for each service all but the latest, and never the first of all, which says when
// the session began.
func (s sessions) prune(ctx context.Context, k session.Key, rows []event) {
	latest := map[string]event{}
	first := rows[0]
	for _, e := range rows {
		if e.At.Before(first.At) {
			first = e
		}
		if was, ok := latest[e.Pin.Service]; !ok || bytes.Compare(e.item, was.item) > 0 {
			latest[e.Pin.Service] = e
		}
	}
	for _, e := range rows {
		if bytes.Equal(e.item, latest[e.Pin.Service].item) || bytes.Equal(e.item, first.item) {
			continue
		}
		if err := s.query(ctx, gocql.Quorum, s.names.soft.remove, k.App, k.ID, pinField, e.item).Exec(); err != nil {
			s.opts.Log.Debug("a row of a session that says nothing stays", "error", err)
			return
		}
	}
}

// encodeEvent writes an event as a row: item is service, time and provider, so that the last of a service's items is the one that
// counts; value says the same in a form with a version, which can grow.
func encodeEvent(e session.Event) (item, value []byte) {
	item = append([]byte(e.Pin.Service), 0)
	item = binary.BigEndian.AppendUint64(item, uint64(e.At.Unix())^1<<63)
	item = binary.BigEndian.AppendUint32(item, uint32(e.At.Nanosecond()))
	item = append(item, e.Pin.Provider...)
	value = binary.AppendUvarint([]byte{1}, uint64(len(e.Pin.Service)))
	value = append(append(value, e.Pin.Service...), e.Pin.Provider...)
	return item, value
}

func decodeEvent(item, value []byte) (session.Event, error) {
	if len(value) < 2 || value[0] != 1 {
		return session.Event{}, fmt.Errorf("%w: a session's row in a form that this program does not know", ErrCorrupt)
	}
	n, size := binary.Uvarint(value[1:])
	rest := value[1+max(size, 0):]
	if size <= 0 || n > uint64(len(rest)) || uint64(len(item)) < n+13 {
		return session.Event{}, fmt.Errorf("%w: a session's row", ErrCorrupt)
	}
	when := item[n+1 : n+13]
	at := time.Unix(int64(binary.BigEndian.Uint64(when)^1<<63), int64(binary.BigEndian.Uint32(when[8:]))).UTC()
	return session.Event{At: at, Pin: session.Pin{Service: string(rest[:n]), Provider: string(rest[n:])}}, nil
}
