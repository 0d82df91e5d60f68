package ledgertest_test

import (
	"context"
	"slices"
	"sync"
	"testing"

	"segue/dataplane/embedded"
	"segue/dataplane/ledger"
	"segue/dataplane/ledger/ledgertest"
)

// store is a good store with one rule broken.
type store struct {
	ledger.Store
	claim   func(context.Context, *ledger.Transaction) (*ledger.Transaction, bool, error)
	advance func(context.Context, *ledger.Transaction) (*ledger.Transaction, ledger.Written, error)
	load    func(context.Context, ledger.Key) (*ledger.Transaction, error)
	byID    func(context.Context, string) (*ledger.Transaction, error)
	open    func(context.Context, func(*ledger.Transaction) bool) error
	recent  func(context.Context, ledger.Query) ([]*ledger.Transaction, error)
	own     func(context.Context, ledger.Object) error
	owner   func(context.Context, string, string, string) (ledger.Object, error)
}

func (s *store) Claim(ctx context.Context, t *ledger.Transaction) (*ledger.Transaction, bool, error) {
	return s.claim(ctx, t)
}
func (s *store) Advance(ctx context.Context, t *ledger.Transaction) (*ledger.Transaction, ledger.Written, error) {
	return s.advance(ctx, t)
}
func (s *store) Load(ctx context.Context, k ledger.Key) (*ledger.Transaction, error) {
	return s.load(ctx, k)
}
func (s *store) ByID(ctx context.Context, id string) (*ledger.Transaction, error) {
	return s.byID(ctx, id)
}
func (s *store) Open(ctx context.Context, yield func(*ledger.Transaction) bool) error {
	return s.open(ctx, yield)
}
func (s *store) Recent(ctx context.Context, q ledger.Query) ([]*ledger.Transaction, error) {
	return s.recent(ctx, q)
}
func (s *store) Own(ctx context.Context, o ledger.Object) error { return s.own(ctx, o) }
func (s *store) Owner(ctx context.Context, app, service, id string) (ledger.Object, error) {
	return s.owner(ctx, app, service, id)
}

func wrap(good ledger.Store) *store {
	return &store{
		Store: good, claim: good.Claim, advance: good.Advance, load: good.Load, byID: good.ByID, open: good.Open,
		recent: good.Recent, own: good.Own, owner: good.Owner,
	}
}

// mutant breaks one rule; the case red must notice.
type mutant struct {
	name   string
	red    string
	breaks func(s *store)
}

var mutants = []mutant{
	{"a row loses its answer", "a claim is read back whole", func(s *store) {
		s.load = func(ctx context.Context, k ledger.Key) (*ledger.Transaction, error) {
			t, err := s.Store.Load(ctx, k)
			if t != nil {
				t.Answer = nil
			}
			return t, err
		}
	}},
	{"a missing row is an empty one", "a key without a row is not found", func(s *store) {
		s.load = func(ctx context.Context, k ledger.Key) (*ledger.Transaction, error) {
			if t, err := s.Store.Load(ctx, k); err == nil {
				return t, nil
			}
			return &ledger.Transaction{Key: k}, nil
		}
	}},
	{"every claim wins", "one of many claims wins and all see the winner", func(s *store) {
		s.claim = func(ctx context.Context, t *ledger.Transaction) (*ledger.Transaction, bool, error) {
			_, _, err := s.Store.Claim(ctx, t)
			return t, true, err
		}
	}},
	{"a loser sees its own row", "a claim does not touch a row that is there", func(s *store) {
		s.claim = func(ctx context.Context, t *ledger.Transaction) (*ledger.Transaction, bool, error) {
			_, won, err := s.Store.Claim(ctx, t)
			return t, won, err
		}
	}},
	{"a claim replaces the row", "a claim does not touch a row that is there", func(s *store) {
		s.claim = func(ctx context.Context, t *ledger.Transaction) (*ledger.Transaction, bool, error) {
			current, won, err := s.Store.Claim(ctx, t)
			if err == nil && !won {
				over := current.Clone()
				over.Version, over.Token = current.Version+1, t.Token
				_, _, err = s.Store.Advance(ctx, over)
			}
			return current, won, err
		}
	}},
	{"a claim has no open entry", "a claim writes its open entry", only(func(t *ledger.Transaction) bool { return t.State == ledger.Held })},
	{"no version guard", "a version guards each write", unguarded},
	{"no version guard under a race", "one of many advances wins", unguarded},
	{"a lost advance says stored", "a lost advance returns the row as it is", func(s *store) {
		s.advance = func(ctx context.Context, t *ledger.Transaction) (*ledger.Transaction, ledger.Written, error) {
			current, _, err := s.Store.Advance(ctx, t)
			return current, ledger.Stored, err
		}
	}},
	{"a lost advance returns what was tried", "a lost advance returns the row as it is", func(s *store) {
		s.advance = func(ctx context.Context, t *ledger.Transaction) (*ledger.Transaction, ledger.Written, error) {
			_, how, err := s.Store.Advance(ctx, t)
			return t, how, err
		}
	}},
	{"an advance makes a row", "an advance needs a row", func(s *store) {
		s.advance = func(ctx context.Context, t *ledger.Transaction) (*ledger.Transaction, ledger.Written, error) {
			if _, err := s.Store.Load(ctx, t.Key); err == nil {
				return s.Store.Advance(ctx, t)
			}
			c := t.Clone()
			c.Version = 1
			_, _, err := s.Store.Claim(ctx, c)
			return t, ledger.Stored, err
		}
	}},
	{"the token is dropped", "the token tells whose write it was", func(s *store) {
		s.advance = func(ctx context.Context, t *ledger.Transaction) (*ledger.Transaction, ledger.Written, error) {
			c := t.Clone()
			c.Token = [16]byte{}
			return s.Store.Advance(ctx, c)
		}
	}},
	{"held rows have no entry", "open entries follow the state", only(func(t *ledger.Transaction) bool { return t.State == ledger.Intent })},
	{"open in any order", "open transactions come oldest first, until told to stop", func(s *store) {
		s.open = func(ctx context.Context, yield func(*ledger.Transaction) bool) error {
			rows := all(ctx, s.Store)
			slices.Reverse(rows)
			for _, t := range rows {
				if !yield(t) {
					break
				}
			}
			return nil
		}
	}},
	{"open does not stop", "open transactions come oldest first, until told to stop", func(s *store) {
		s.open = func(ctx context.Context, yield func(*ledger.Transaction) bool) error {
			return s.Store.Open(ctx, func(t *ledger.Transaction) bool { yield(t); return true })
		}
	}},
	{"open gives one page", "while open transactions are walked, they can be written", func(s *store) {
		s.open = func(ctx context.Context, yield func(*ledger.Transaction) bool) error {
			for _, t := range all(ctx, s.Store)[:min(256, len(all(ctx, s.Store)))] {
				if !yield(t) {
					break
				}
			}
			return nil
		}
	}},
	{"recent is oldest first", "recent ones come newest first, as many as asked", func(s *store) {
		s.recent = func(ctx context.Context, q ledger.Query) ([]*ledger.Transaction, error) {
			rows, err := s.Store.Recent(ctx, q)
			slices.Reverse(rows)
			return rows, err
		}
	}},
	{"recent has no limit", "recent ones come newest first, as many as asked", filterless(func(q *ledger.Query) { q.Limit = 500 })},
	{"no filter by service", "recent ones pass every filter", filterless(func(q *ledger.Query) { q.Service = "" })},
	{"no filter by provider", "recent ones pass every filter", filterless(func(q *ledger.Query) { q.Provider = "" })},
	{"no filter by key", "recent ones pass every filter", filterless(func(q *ledger.Query) { q.Key = "" })},
	{"no filter by state", "recent ones pass every filter", filterless(func(q *ledger.Query) { q.State = 0 })},
	{"owners are not kept per application", "the owner of an object is known per application and service", func(s *store) {
		s.own = func(ctx context.Context, o ledger.Object) error {
			other := o
			other.App = "x"
			if err := s.Store.Own(ctx, other); err != nil {
				return err
			}
			return s.Store.Own(ctx, o)
		}
	}},
	{"the first owner stays", "the owner of an object is known per application and service", func(s *store) {
		s.own = func(ctx context.Context, o ledger.Object) error {
			if _, err := s.Store.Owner(ctx, o.App, o.Service, o.ID); err == nil {
				return nil
			}
			return s.Store.Own(ctx, o)
		}
	}},
	{"rows are shared", "rows in hand are copies", func(s *store) {
		var mu sync.Mutex
		rows := map[ledger.Key]*ledger.Transaction{}
		s.claim = func(ctx context.Context, t *ledger.Transaction) (*ledger.Transaction, bool, error) {
			current, won, err := s.Store.Claim(ctx, t)
			mu.Lock()
			defer mu.Unlock()
			rows[t.Key] = t
			return current, won, err
		}
		s.load = func(ctx context.Context, k ledger.Key) (*ledger.Transaction, error) {
			mu.Lock()
			defer mu.Unlock()
			return rows[k], nil
		}
	}},
	{"keys are joined without lengths", "keys that look alike are apart", func(s *store) {
		join := func(k ledger.Key) ledger.Key { return ledger.Key{Key: k.App + k.Service + k.Key} }
		s.claim = func(ctx context.Context, t *ledger.Transaction) (*ledger.Transaction, bool, error) {
			c := t.Clone()
			c.Key = join(t.Key)
			return s.Store.Claim(ctx, c)
		}
	}},
	{"claims come one at a time, but the last is lost", "many keys at once", func(s *store) {
		var mu sync.Mutex
		n := 0
		s.claim = func(ctx context.Context, t *ledger.Transaction) (*ledger.Transaction, bool, error) {
			mu.Lock()
			defer mu.Unlock()
			if n++; n == 100 {
				return t, true, nil
			}
			return s.Store.Claim(ctx, t)
		}
	}},
}

var plantMutant = mutant{"a plant is no row", "a planted row keeps a late claim out", func(s *store) {
	s.claim = func(ctx context.Context, t *ledger.Transaction) (*ledger.Transaction, bool, error) {
		if t.Planted() {
			return t, true, nil
		}
		return s.Store.Claim(ctx, t)
	}
}}

func unguarded(s *store) {
	s.advance = func(ctx context.Context, t *ledger.Transaction) (*ledger.Transaction, ledger.Written, error) {
		for {
			current, how, err := s.Store.Advance(ctx, t)
			if err != nil || how == ledger.Stored || current == nil {
				return current, how, err
			}
			t = t.Clone()
			t.Version = current.Version + 1
		}
	}
}

func only(keep func(*ledger.Transaction) bool) func(*store) {
	return func(s *store) {
		s.open = func(ctx context.Context, yield func(*ledger.Transaction) bool) error {
			return s.Store.Open(ctx, func(t *ledger.Transaction) bool { return !keep(t) || yield(t) })
		}
	}
}

func filterless(drop func(*ledger.Query)) func(*store) {
	return func(s *store) {
		s.recent = func(ctx context.Context, q ledger.Query) ([]*ledger.Transaction, error) {
			drop(&q)
			return s.Store.Recent(ctx, q)
		}
	}
}

func all(ctx context.Context, s ledger.Store) []*ledger.Transaction {
	var rows []*ledger.Transaction
	_ = s.Open(ctx, func(t *ledger.Transaction) bool { rows = append(rows, t); return true })
	return rows
}

// TestMutants breaks a good store in one way at a time: the suite must turn red, and each of its cases must turn red for some mutant.
func TestMutants(t *testing.T) {
	caught := map[string]bool{"everything is there after a reopening": true} // TestForgetful
	for _, m := range append(mutants, plantMutant) {
		t.Run(m.name, func(t *testing.T) {
			caught[m.red] = true
			good := open(t, t.TempDir())
			broken := wrap(good.Ledger())
			m.breaks(broken)
			if err := check(t, m.red, func() ledger.Store { return broken }); err == nil {
				t.Errorf("%q did not notice", m.red)
			} else {
				t.Log(err)
			}
		})
	}
	for _, c := range ledgertest.Cases {
		if !caught[c.Name] {
			t.Errorf("no mutant shows that %q can fail", c.Name)
		}
	}
}

// TestForgetful loses everything at each opening.
func TestForgetful(t *testing.T) {
	for _, name := range []string{"everything is there after a reopening", "a claim writes its open entry", "the owner of an object is known per application and service"} {
		if err := check(t, name, func() ledger.Store { return open(t, t.TempDir()).Ledger() }); err == nil {
			t.Errorf("%q did not notice that nothing was kept", name)
		}
	}
}

func check(t *testing.T, name string, open func() ledger.Store) error {
	t.Helper()
	for _, c := range ledgertest.Cases {
		if c.Name == name {
			return c.Check(t.Context(), open)
		}
	}
	t.Fatalf("there is no case %q", name)
	return nil
}

func open(t *testing.T, dir string) *embedded.Store {
	t.Helper()
	s, err := embedded.Open(dir, embedded.Options{Reserve: 1, Fatal: func(err error) { t.Error(err) }})
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
