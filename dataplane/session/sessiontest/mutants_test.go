package sessiontest_test

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"testing"

	"segue/dataplane/embedded"
	"segue/dataplane/session"
	"segue/dataplane/session/sessiontest"
)

// store is a good store with one rule broken.
type store struct {
	session.Store
	load   func(context.Context, session.Key) (*session.Session, error)
	append func(context.Context, session.Key, ...session.Event) error
	swap   func(context.Context, session.Key, uint64, ...session.Event) (bool, error)
	told   func(context.Context, session.Key, func(session.Event) bool) error
}

func (s *store) Load(ctx context.Context, k session.Key) (*session.Session, error) {
	return s.load(ctx, k)
}

func (s *store) Append(ctx context.Context, k session.Key, events ...session.Event) error {
	return s.append(ctx, k, events...)
}

func (s *store) Swap(ctx context.Context, k session.Key, old uint64, events ...session.Event) (bool, error) {
	return s.swap(ctx, k, old, events...)
}

func (s *store) History(ctx context.Context, k session.Key, yield func(session.Event) bool) error {
	return s.told(ctx, k, yield)
}

// memory is a store of its own making, so that rules can be broken which no wrapper breaks.
func memory(apply func(*session.Session, session.Key, ...session.Event) (*session.Session, error), key func(session.Key) session.Key) func(*store) {
	return func(s *store) {
		var mu sync.Mutex
		rows := map[session.Key]*session.Session{}
		s.load = func(_ context.Context, k session.Key) (*session.Session, error) {
			mu.Lock()
			defer mu.Unlock()
			if row := rows[key(k)]; row != nil {
				return row, nil
			}
			return nil, session.ErrNotFound
		}
		s.append = func(_ context.Context, k session.Key, events ...session.Event) error {
			mu.Lock()
			defer mu.Unlock()
			next, err := apply(rows[key(k)], k, events...)
			if err == nil && len(events) > 0 {
				rows[key(k)] = next
			}
			return err
		}
	}
}

func same(k session.Key) session.Key { return k }

// lastWins takes the pin that comes last, whatever its time.
func lastWins(s *session.Session, k session.Key, events ...session.Event) (*session.Session, error) {
	for _, e := range events {
		if s != nil {
			e.At = s.Updated.Add(1)
		}
		var err error
		if s, err = session.Apply(s, k, e); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// forgetful keeps only the last events.
func forgetful(_ *session.Session, k session.Key, events ...session.Event) (*session.Session, error) {
	return session.Apply(nil, k, events...)
}

// TestMutants breaks a good store in one way at a time: the suite must turn red, and each of its cases must turn red for some mutant.
func TestMutants(t *testing.T) {
	caught := map[string]bool{"everything is there after a reopening": true} // TestForgetful
	for _, m := range []struct {
		name, red string
		breaks    func(*store)
	}{
		{"a missing session is an empty one", "a session that nobody began is not found", func(s *store) {
			s.load = func(_ context.Context, k session.Key) (*session.Session, error) { return &session.Session{Key: k}, nil }
		}},
		{"a change of nothing makes a session", "a session that nobody began is not found", func(s *store) {
			s.append = func(ctx context.Context, k session.Key, e ...session.Event) error {
				return s.Store.Append(ctx, k, append(e, session.Event{Pin: session.Pin{Service: "x"}})...)
			}
		}},
		{"the first time is lost", "a pin is read back", memory(forgetful, same)},
		{"the last event wins", "the latest pin of a service wins, in any order", memory(lastWins, same)},
		{"one pin for all services", "services have pins of their own", memory(forgetful, same)},
		{"the application does not count", "sessions that look alike are apart", memory(session.Apply, func(k session.Key) session.Key { return session.Key{ID: k.App + k.ID} })},
		{"one of many events is lost", "events that came at once are all there", memory(forgetful, same)},
		{"events are written one by one", "a refused event changes nothing", func(s *store) {
			s.append = func(ctx context.Context, k session.Key, events ...session.Event) error {
				for _, e := range events {
					if err := s.Store.Append(ctx, k, e); err != nil {
						return err
					}
				}
				return nil
			}
		}},
		{"sessions are shared", "sessions in hand are copies", memory(session.Apply, same)},
		{"tokens are lost", "fields are read back", func(s *store) {
			s.append = func(ctx context.Context, k session.Key, events ...session.Event) error {
				events = slices.Clone(events)
				for i := range events {
					events[i].Field.Tokens = nil
				}
				return s.Store.Append(ctx, k, events...)
			}
		}},
		{"the later set wins as a whole", "fields that are written apart are all there", func(s *store) {
			s.append = func(ctx context.Context, k session.Key, events ...session.Event) error {
				old, err := s.Store.Load(ctx, k)
				if err == nil && old.Field("payments", "points").Sum() > 100 {
					return nil
				}
				return s.Store.Append(ctx, k, events...)
			}
		}},
		{"a swap is an append", "a swap wins once", func(s *store) {
			s.swap = func(ctx context.Context, k session.Key, old uint64, events ...session.Event) (bool, error) {
				return true, s.Store.Append(ctx, k, session.Guarded(old+1, events)...)
			}
		}},
		{"its own swap is somebody else's", "a swap whose answer was lost is not made twice", func(s *store) {
			s.swap = func(ctx context.Context, k session.Key, old uint64, events ...session.Event) (bool, error) {
				if found, err := s.Store.Load(ctx, k); err == nil && found.Guard != old {
					return false, nil
				}
				return s.Store.Swap(ctx, k, old, events...)
			}
		}},
		{"look, then write", "racing swaps lose nothing", func(s *store) {
			s.swap = func(ctx context.Context, k session.Key, old uint64, events ...session.Event) (bool, error) {
				if found, err := s.Store.Load(ctx, k); err == nil && found.Guard != old {
					return false, nil
				}
				runtime.Gosched()
				return true, s.Store.Append(ctx, k, session.Guarded(old+1, events)...)
			}
		}},
		{"swaps are not in the history", "the history is whole and makes the same session", func(s *store) {
			s.told = func(ctx context.Context, k session.Key, yield func(session.Event) bool) error {
				return s.Store.History(ctx, k, func(e session.Event) bool { return e.Guard > 0 || yield(e) })
			}
		}},
	} {
		t.Run(m.name, func(t *testing.T) {
			caught[m.red] = true
			broken := &store{Store: open(t).Sessions()}
			broken.load, broken.append, broken.swap, broken.told = broken.Store.Load, broken.Store.Append, broken.Store.Swap, broken.Store.History
			m.breaks(broken)
			if err := check(t, m.red, func() session.Store { return broken }); err == nil {
				t.Errorf("%q did not notice", m.red)
			}
		})
	}
	for _, c := range sessiontest.Cases {
		if !caught[c.Name] {
			t.Errorf("no mutant shows that %q can fail", c.Name)
		}
	}
}

// TestForgetful loses everything at each opening.
func TestForgetful(t *testing.T) {
	if err := check(t, "everything is there after a reopening", func() session.Store { return open(t).Sessions() }); err == nil {
		t.Error("nobody noticed that nothing was kept")
	}
}

func check(t *testing.T, name string, open func() session.Store) error {
	t.Helper()
	for _, c := range sessiontest.Cases {
		if c.Name == name {
			return c.Check(t.Context(), open)
		}
	}
	t.Fatalf("there is no case %q", name)
	return nil
}

func open(t *testing.T) *embedded.Store {
	t.Helper()
	s, err := embedded.Open(t.TempDir(), embedded.Options{Reserve: 1, Fatal: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}
