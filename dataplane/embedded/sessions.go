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
	old, err := s.row(h)
	if err != nil {
		return err
	}
	next, err := session.Apply(old, k, events...)
	if err != nil {
		return fmt.Errorf("embedded: nothing was written: %w", err)
	}
	if err := s.put(h, old, next); err != nil {
		return err
	}
	s.known.talks.set(k, next)
	return nil
}

func (s sessions) put(h hash, old, next *session.Session) error {
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
	}
	set(b, entry, nil)
	return s.commit(b, s.opts.write)
}
