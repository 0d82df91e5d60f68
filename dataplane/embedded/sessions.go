package embedded

import (
	"bytes"
	"context"
	"fmt"

	"segue/dataplane/session"
)

// sessions is the store as session.Store.
type sessions struct{ *Store }

// Load reads a session.
func (s sessions) Load(_ context.Context, k session.Key) (*session.Session, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	found, writes, ok := s.known.talks.find(k)
	if !ok {
		var err error
		if found, err = s.settled(k.Hash()); err != nil {
			return nil, err
		}
		s.known.talks.learn(k, found, writes)
	}
	if found == nil {
		return nil, session.ErrNotFound
	}
	if len(found.Fields) > 0 {
		return session.Apply(found, k)
	}
	mine := &struct { // who loads a session may write to it: a copy, in one piece of memory
		session.Session
		room [2]session.Pin
	}{Session: *found}
	mine.Pins = append(mine.room[:0:len(mine.room)], found.Pins...)
	return &mine.Session, nil
}

// settled reads a session from the files, and returns when what it read is on the disk.
func (s sessions) settled(h hash) (*session.Session, error) {
	found, err := s.row(h)
	if err != nil {
		return nil, err
	}
	if st := s.stripe(h); st.busy.Load() {
		st.wait()
	}
	return found, s.failed()
}

func (s sessions) row(h hash) (*session.Session, error) {
	var found *session.Session
	_, err := s.get(sessionKey(h), func(v []byte) (err error) {
		found, err = session.Decode(v)
		return err
	})
	if err != nil {
		return nil, err
	}
	return found, nil
}

// Append changes a session by events.
func (s sessions) Append(ctx context.Context, k session.Key, events ...session.Event) error {
	if len(events) == 0 {
		return nil
	}
	h := k.Hash()
	done, err := transactions(s).begin(ctx, h)
	if err != nil {
		return err
	}
	defer done()
	_, err = s.change(k, h, nil, events)
	return err
}

// Swap changes a session by events if its last swap is the one that the caller saw.
func (s sessions) Swap(ctx context.Context, k session.Key, old uint64, events ...session.Event) (bool, error) {
	h := k.Hash()
	done, err := transactions(s).begin(ctx, h)
	if err != nil {
		return false, err
	}
	defer done()
	return s.change(k, h, &old, session.Guarded(old+1, events))
}

// change is called with the row's lock. guard nil: whatever the last swap was.
func (s sessions) change(k session.Key, h hash, guard *uint64, events []session.Event) (bool, error) {
	old, err := s.row(h)
	if err != nil {
		return false, err
	}
	if guard != nil {
		switch last := orNone(old); {
		case last == *guard+1 && s.has(h, events): // this very swap, whose answer was lost
			return true, nil
		case last != *guard:
			return false, nil
		}
	}
	next, err := session.Apply(old, k, events...)
	if err != nil {
		return false, fmt.Errorf("embedded: nothing was written: %w", err)
	}
	if err := s.put(h, old, next, events); err != nil {
		return false, err
	}
	s.known.talks.set(k, next)
	return true, nil
}

func orNone(s *session.Session) uint64 {
	if s == nil {
		return 0
	}
	return s.Guard
}

// has tells whether the history has all of these events.
func (s sessions) has(h hash, events []session.Event) bool {
	for i := range events {
		if there, err := s.get(historyKey(h, &events[i]), func([]byte) error { return nil }); err != nil || !there {
			return false
		}
	}
	return len(events) > 0
}

// put writes a session, and its events into the history. One that an older program wrote has no history: that begins with its pins.
func (s sessions) put(h hash, old, next *session.Session, events []session.Event) error {
	row, err := session.Encode(next)
	if err != nil {
		return fmt.Errorf("embedded: nothing was written: %w", err)
	}
	b := s.db.NewBatch()
	set(b, sessionKey(h), row)
	entry := updatedKey(next.Updated, h)
	if old != nil {
		if was := updatedKey(old.Updated, h); !bytes.Equal(was, entry) {
			remove(b, was)
		}
		begun, err := s.begun(h)
		if err != nil {
			return err
		}
		if !begun {
			events = append(session.Beginning(old), events...)
		}
	}
	set(b, entry, nil)
	for i := range events {
		event, err := session.EncodeEvent(&events[i])
		if err != nil {
			return fmt.Errorf("embedded: nothing was written: %w", err)
		}
		set(b, historyKey(h, &events[i]), event)
	}
	return s.commit(b, s.opts.write)
}

// begun tells whether a session has a history.
func (s sessions) begun(h hash) (begun bool, err error) {
	err = s.each(historyBounds(h), nil, func(_, _ []byte) (bool, error) {
		begun = true
		return false, nil
	})
	return begun, err
}

// historyPage is how many events are read at a time.
const historyPage = 256

// History yields a session's events, a page at a time: the store may be closed in between.
func (s sessions) History(ctx context.Context, k session.Key, yield func(session.Event) bool) error {
	var last []byte
	for {
		page, end, err := s.page(ctx, k.Hash(), last)
		if err != nil {
			return err
		}
		for _, e := range page {
			if !yield(e) {
				return nil
			}
		}
		if end == nil {
			return nil
		}
		last = end
	}
}

func (s sessions) page(ctx context.Context, h hash, start []byte) (events []session.Event, end []byte, err error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, fmt.Errorf("embedded: history: %w", err)
	}
	if err := s.enter(); err != nil {
		return nil, nil, err
	}
	defer s.leave()
	if st := s.stripe(h); st.busy.Load() { // what is being written is not told before it is on the disk
		st.wait()
	}
	err = s.each(historyBounds(h), start, func(key, value []byte) (bool, error) {
		e, err := session.DecodeEvent(value)
		if err != nil {
			return false, err
		}
		if events = append(events, e); len(events) == historyPage {
			end = append([]byte(nil), key...)
		}
		return end == nil, nil
	})
	return events, end, err
}
