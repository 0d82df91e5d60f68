package cassandra

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gocql/gocql"

	"segue/dataplane/session"
)

// The fields under which a session's rows stand.
const (
	pinField   = "pin"   // an event that is a pin and nothing else, in the form that every version reads
	eventField = "event" // any other event
	guardField = "guard" // the number of the last swap: written by lightweight transactions only
)

const (
	maxPins = 4 * session.MaxPins // rows of a session, from where on those that say nothing any more are removed
	day     = 24 * time.Hour
	maxDays = 1000 // pages of a history that are looked at
)

// guardItem is the key of a session's one guard row.
var guardItem = []byte{0}

// sessions is the store as session.Store. Each event is a row that is never changed, so that no two writers can be in each other's way
// and it does not matter in which order replicas hear of them; what they come to is for session.Apply.
type sessions struct{ *Store }

// event is a row of a session.
type event struct {
	session.Event
	field       string
	item, value []byte
	life        int // seconds that are left to it
}

// Load reads a session.
func (s sessions) Load(ctx context.Context, k session.Key) (*session.Session, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	events, err := s.events(ctx, gocql.Quorum, k)
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

func (s sessions) events(ctx context.Context, level gocql.Consistency, k session.Key) (found []event, err error) {
	err = s.often(ctx, func(ctx context.Context) error {
		found = nil
		iter := s.read(ctx, level, s.names.soft.load, k.App, k.ID).Iter()
		var e event
		for iter.Scan(&e.field, &e.item, &e.value, &e.life) {
			if e.field != guardField {
				found = append(found, e)
			}
			e = event{}
		}
		return iter.Close()
	})
	if err != nil {
		return nil, fmt.Errorf("cassandra: session: %w", err)
	}
	for i := range found {
		if err := found[i].decode(); err != nil {
			return nil, err
		}
	}
	return found, nil
}

func (e *event) decode() (err error) {
	switch e.field {
	case pinField:
		e.Event, err = decodeEvent(e.item, e.value)
	case eventField:
		if e.Event, err = session.DecodeEvent(e.value); err != nil {
			err = fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
	default:
		err = fmt.Errorf("%w: a session's row of a kind that this program does not know", ErrCorrupt)
	}
	return err
}

// rowOfEvent writes an event as a row.
func rowOfEvent(e session.Event) (event, error) {
	if e.Field.Name == "" && e.Guard == 0 {
		item, value := encodeEvent(e)
		return event{Event: e, field: pinField, item: item, value: value}, nil
	}
	value, err := session.EncodeEvent(&e)
	return event{Event: e, field: eventField, item: append(binary.BigEndian.AppendUint64(nil, uint64(e.Clock())), e.Digest()...), value: value}, err
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
	there, rows, err := s.judge(ctx, k, events)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotWritten, err)
	}
	var group sync.WaitGroup
	var remembered error
	group.Go(func() { remembered = s.remember(ctx, k, rows) })
	err = s.put(ctx, k, rows)
	group.Wait()
	if err := errors.Join(err, remembered); err != nil {
		return fmt.Errorf("%w: session: %w", ErrUnknown, err)
	}
	if len(there) > maxPins {
		s.prune(ctx, k, there)
	}
	return nil
}

// judge refuses events that the session cannot take, before anything is written.
func (s sessions) judge(ctx context.Context, k session.Key, events []session.Event) (there, rows []event, err error) {
	if there, err = s.events(ctx, gocql.Quorum, k); err != nil {
		return nil, nil, err
	}
	old, err := apply(nil, k, there)
	if err == nil {
		_, err = session.Apply(old, k, events...)
	}
	for _, e := range events {
		row, encoded := rowOfEvent(e)
		rows, err = append(rows, row), errors.Join(err, encoded)
	}
	return there, rows, err
}

// put writes rows of one session. All stand in one partition: a batch there is written as a whole.
func (s sessions) put(ctx context.Context, k session.Key, rows []event) error {
	return s.often(ctx, func(ctx context.Context) error {
		b := s.driver.Load().NewBatch(gocql.UnloggedBatch).WithContext(ctx)
		b.SetConsistency(gocql.Quorum)
		for _, e := range rows {
			b.Query(s.names.soft.add, k.App, k.ID, e.field, e.item, e.value, seconds(s.opts.Keep))
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

// prune removes the rows that say nothing any more. What they said stays in the history.
func (s sessions) prune(ctx context.Context, k session.Key, rows []event) {
	now, err := apply(nil, k, rows)
	if err != nil {
		return
	}
	for i := range rows {
		if e := &rows[i]; now.Says(&e.Event) {
			continue
		}
		if err := s.query(ctx, gocql.Quorum, s.names.soft.remove, k.App, k.ID, rows[i].field, rows[i].item).Exec(); err != nil {
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
