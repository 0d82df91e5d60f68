package ledgertest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"segue/dataplane/ledger"
)

// opens checks that exactly these samples are open, oldest first.
func opens(ctx context.Context, s ledger.Store, want ...int) error {
	var got []string
	err := s.Open(ctx, func(t *ledger.Transaction) bool {
		got = append(got, t.ID)
		return true
	})
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	return ids("open", got, want)
}

func ids(what string, got []string, want []int) error {
	names := make([]string, len(want))
	for i, n := range want {
		names[i] = Sample(n).ID
	}
	if !slices.Equal(got, names) {
		return fmt.Errorf("%s: %v, want %v", what, got, names)
	}
	return nil
}

func openFollows(ctx context.Context, open func() ledger.Store) error {
	s, t := open(), Sample(1)
	if err := claim(ctx, s, t); err != nil {
		return err
	}
	refused := next(t, ledger.Refused, ledger.NotSent)
	reopened := next(refused, ledger.Intent, ledger.NotSent)
	reopened.Run, reopened.Epoch = "another/run", 1
	heldBy := next(reopened, ledger.Held, ledger.Unknown)
	taken := next(heldBy, ledger.Held, ledger.Unknown)
	taken.Run = "a-third/run"
	done := next(taken, ledger.DoneSucceeded, ledger.Succeeded)
	for _, step := range []*ledger.Transaction{refused, reopened, heldBy, taken, done} {
		if err := advance(ctx, s, step); err != nil {
			return err
		}
		want := []int{1}
		if !step.Pending() {
			want = nil
		}
		if err := opens(ctx, s, want...); err != nil {
			return fmt.Errorf("in %s: %w", step.State, err)
		}
	}
	return nil
}

func openOrder(ctx context.Context, open func() ledger.Store) error {
	s := open()
	if err := claim(ctx, s, Sample(5), Sample(2), Sample(9), Sample(1), Sample(7)); err != nil {
		return err
	}
	if err := advance(ctx, s, next(Sample(2), ledger.DoneDeclined, ledger.Declined), next(Sample(9), ledger.Held, ledger.Unknown)); err != nil {
		return err
	}
	var got []string
	err := s.Open(ctx, func(t *ledger.Transaction) bool {
		got = append(got, t.ID)
		return len(got) < 2
	})
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	return errors.Join(ids("the first two", got, []int{1, 5}), opens(ctx, s, 1, 5, 7, 9))
}

// openWrites walks more rows than a page and closes each as it comes, as an agent does at its start.
func openWrites(ctx context.Context, open func() ledger.Store) error {
	const rows = 300
	s := open()
	var group sync.WaitGroup
	errs := make([]error, rows)
	for n := range rows {
		group.Go(func() { errs[n] = claim(ctx, s, Sample(n)) })
	}
	group.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	seen := 0
	var inner error
	err := s.Open(ctx, func(t *ledger.Transaction) bool {
		seen++
		inner = errors.Join(inner, advance(ctx, s, next(t, ledger.DoneSucceeded, ledger.Succeeded)))
		return inner == nil
	})
	if err = errors.Join(err, inner); err != nil {
		return err
	}
	if seen != rows {
		return fmt.Errorf("%d of %d open rows came", seen, rows)
	}
	return opens(ctx, s)
}

func recents(ctx context.Context, s ledger.Store, q ledger.Query, want ...int) error {
	rows, err := s.Recent(ctx, q)
	if err != nil {
		return fmt.Errorf("recent %+v: %w", q, err)
	}
	got := make([]string, len(rows))
	for i, t := range rows {
		got[i] = t.ID
	}
	return ids(fmt.Sprintf("recent %+v", q), got, want)
}

func recentOrder(ctx context.Context, open func() ledger.Store) error {
	s := open()
	var newest []int
	for n := range 60 {
		if err := claim(ctx, s, Sample((n*7)%60)); err != nil {
			return err
		}
		newest = append(newest, 59-n)
	}
	return errors.Join(
		recents(ctx, s, ledger.Query{}, newest[:50]...), recents(ctx, s, ledger.Query{Limit: 3}, newest[:3]...),
		recents(ctx, s, ledger.Query{Limit: 100_000}, newest...), recents(ctx, s, ledger.Query{Limit: -1}, newest[:50]...),
	)
}

func recentFilters(ctx context.Context, open func() ledger.Store) error {
	s := open()
	other, moved, twin := Sample(2), Sample(3), Sample(6)
	other.Key.Service = "messages"
	moved.Attempts[0].Outcome = ledger.NotSent
	moved.Attempts = append(moved.Attempts, Sample(30).Attempts...)
	moved.Attempts[1].Provider = "adyen"
	twin.Key.App, twin.Key.Key = "another", Sample(1).Key.Key
	if err := claim(ctx, s, Sample(1), other, moved, Sample(4), Sample(5), twin); err != nil {
		return err
	}
	if err := advance(ctx, s, next(Sample(4), ledger.Held, ledger.Unknown), next(Sample(5), ledger.DoneSucceeded, ledger.Succeeded)); err != nil {
		return err
	}
	return errors.Join(
		recents(ctx, s, ledger.Query{Service: "messages"}, 2),
		recents(ctx, s, ledger.Query{Service: "nobody"}),
		recents(ctx, s, ledger.Query{Provider: "adyen"}, 3),
		recents(ctx, s, ledger.Query{Provider: "stripe"}, 6, 5, 4, 3, 2, 1),
		recents(ctx, s, ledger.Query{Key: "key-1"}, 6, 1),
		recents(ctx, s, ledger.Query{Key: "key-1", Limit: 1}, 6),
		recents(ctx, s, ledger.Query{Key: "key-"}),
		recents(ctx, s, ledger.Query{State: ledger.Intent}, 6, 3, 2, 1),
		recents(ctx, s, ledger.Query{State: ledger.Held}, 4),
		recents(ctx, s, ledger.Query{State: ledger.DoneSucceeded}, 5),
		recents(ctx, s, ledger.Query{State: ledger.Intent, Service: "payments", Provider: "stripe", Key: "key-1"}, 6, 1),
		recents(ctx, s, ledger.Query{State: ledger.Held, Key: "key-1"}),
	)
}

func owners(ctx context.Context, open func() ledger.Store) error {
	s := open()
	o := ledger.Object{App: "default", Service: "payments", ID: "ch_1", Provider: "stripe", Account: "acct", Transaction: "tx_1"}
	for range 2 { // once more is no harm
		if err := s.Own(ctx, o); err != nil {
			return fmt.Errorf("own: %w", err)
		}
	}
	for _, other := range []ledger.Object{{App: "x", Service: "payments", ID: "ch_1"}, {App: "default", Service: "x", ID: "ch_1"}, {App: "default", Service: "payments", ID: "ch_"}, {App: "default", Service: "paymentsch", ID: "_1"}} {
		if got, err := s.Owner(ctx, other.App, other.Service, other.ID); !errors.Is(err, ledger.ErrNotFound) {
			return fmt.Errorf("%+v has the owner %+v: %w", other, got, err)
		}
	}
	moved := o
	moved.Provider = "adyen" // the last word counts
	return errors.Join(owned(ctx, s, o), owned(ctx, open(), o), open().Own(ctx, moved), owned(ctx, open(), moved))
}

func owned(ctx context.Context, s ledger.Store, want ledger.Object) error {
	got, err := s.Owner(ctx, want.App, want.Service, want.ID)
	if err != nil || got != want {
		return fmt.Errorf("the owner is %+v, want %+v: %w", got, want, err)
	}
	return nil
}

func copies(ctx context.Context, open func() ledger.Store) error {
	s, t := open(), Sample(1)
	want := t.Clone()
	if err := claim(ctx, s, t); err != nil {
		return err
	}
	t.Current().Provider, t.State, t.Version = "changed in hand", ledger.Held, 77
	got, err := s.Load(ctx, want.Key)
	if err != nil {
		return fmt.Errorf("load: %w", err)
	}
	got.Current().Provider, got.Run = "changed in hand", "changed in hand"
	return is(ctx, s, want)
}

func alike(ctx context.Context, open func() ledger.Store) error {
	s := open()
	var rows []*ledger.Transaction
	for n, k := range []ledger.Key{{App: "a", Service: "b", Key: "c"}, {App: "ab", Key: "c"}, {Service: "ab", Key: "c"}, {App: "a", Key: "bc"}, {Key: "abc"}, {App: "a", Service: "b", Key: "C"}} {
		t := Sample(n)
		t.Key = k
		rows = append(rows, t)
	}
	err := claim(ctx, s, rows...)
	for _, t := range rows {
		err = errors.Join(err, is(ctx, s, t))
	}
	return err
}

func reopened(ctx context.Context, open func() ledger.Store) error {
	s := open()
	done := next(Sample(2), ledger.DoneSucceeded, ledger.Succeeded)
	err := errors.Join(claim(ctx, s, Sample(1), Sample(2), Sample(3)), advance(ctx, s, done, next(Sample(3), ledger.Held, ledger.Unknown)))
	if err != nil {
		return err
	}
	s = open()
	return errors.Join(
		is(ctx, s, Sample(1)), is(ctx, s, done), opens(ctx, s, 1, 3), recents(ctx, s, ledger.Query{}, 3, 2, 1),
		advance(ctx, s, next(Sample(1), ledger.DoneDeclined, ledger.Declined)), opens(ctx, s, 3),
	)
}

// manyKeys lets racers work on keys of their own: nobody is in another's way.
func manyKeys(ctx context.Context, open func() ledger.Store) error {
	s := open()
	err := race(func(n int) error {
		for i := range 8 {
			t := Sample(n*100 + i)
			heldBy := next(t, ledger.Held, ledger.Unknown)
			done := next(heldBy, ledger.DoneSucceeded, ledger.Succeeded)
			if err := errors.Join(claim(ctx, s, t), advance(ctx, s, heldBy, done), is(ctx, s, done)); err != nil {
				return err
			}
		}
		return nil
	})
	rows, errRecent := s.Recent(ctx, ledger.Query{Limit: 500})
	if len(rows) != racers*8 {
		err = errors.Join(err, fmt.Errorf("%d rows of %d: %w", len(rows), racers*8, errRecent))
	}
	return errors.Join(err, opens(ctx, s))
}
