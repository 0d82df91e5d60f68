package ledgertest

import (
	"context"
	"fmt"
	"slices"
	"time"

	"segue/dataplane/ledger"
)

// watchOf is a watch over the only attempt of the nth sample.
func watchOf(n int) ledger.Watched {
	t := Sample(n)
	return ledger.Watched{Key: t.Key, Attempt: t.Current().ID, Until: time.Now().Add(48 * time.Hour).UTC().Truncate(time.Hour)}
}

// watching wants these samples' attempts to be watched, and no others.
func watching(ctx context.Context, s ledger.Watches, want ...int) error {
	var got, wanted []string
	err := s.Watched(ctx, func(t *ledger.Transaction, w ledger.Watched) bool {
		got = append(got, fmt.Sprint(t.ID, w.Key, w.Attempt, w.Until.UTC()))
		return true
	})
	if err != nil {
		return err
	}
	for _, n := range want {
		w := watchOf(n)
		wanted = append(wanted, fmt.Sprint(Sample(n).ID, w.Key, w.Attempt, w.Until))
	}
	slices.Sort(got)
	slices.Sort(wanted)
	if !slices.Equal(got, wanted) {
		return fmt.Errorf("watched are\n%v, want\n%v", got, wanted)
	}
	return nil
}

func watch(ctx context.Context, p Parts, ns ...int) error {
	for _, n := range ns {
		if err := p.Watches().Watch(ctx, watchOf(n)); err != nil {
			return err
		}
	}
	return nil
}

func watched(ctx context.Context, open func() Parts) error {
	p := open()
	if err := claim(ctx, p.Ledger(), Sample(1), Sample(2), Sample(3)); err != nil {
		return err
	}
	if err := watch(ctx, p, 1, 3, 9); err != nil { // of the last there is no row
		return err
	}
	if err := watching(ctx, p.Watches(), 1, 3); err != nil {
		return err
	}
	n := 0
	if err := p.Watches().Watched(ctx, func(*ledger.Transaction, ledger.Watched) bool { n++; return false }); err != nil || n != 1 {
		return fmt.Errorf("%d were yielded to who wanted one: %w", n, err)
	}
	return watching(ctx, open().Watches(), 1, 3)
}

func watchedTwice(ctx context.Context, open func() Parts) error {
	p := open()
	if err := claim(ctx, p.Ledger(), Sample(1)); err != nil {
		return err
	}
	if err := watch(ctx, p, 1, 1); err != nil {
		return err
	}
	return watching(ctx, p.Watches(), 1)
}

func unwatched(ctx context.Context, open func() Parts) error {
	p := open()
	if err := claim(ctx, p.Ledger(), Sample(1), Sample(2)); err != nil {
		return err
	}
	if err := watch(ctx, p, 1, 2); err != nil {
		return err
	}
	for _, n := range []int{1, 1, 9} { // that it is not there is no error
		if err := p.Watches().Unwatch(ctx, watchOf(n)); err != nil {
			return err
		}
	}
	return watching(ctx, p.Watches(), 2)
}

func unmended(ctx context.Context, open func() Parts) error {
	p := open()
	closed := next(Sample(2), ledger.DoneSucceeded, ledger.Succeeded)
	if err := claim(ctx, p.Ledger(), Sample(1), Sample(2), Sample(3)); err != nil {
		return err
	}
	if err := advance(ctx, p.Ledger(), closed); err != nil {
		return err
	}
	if n, err := p.Runs().Mend(ctx); err != nil || n != 0 {
		return fmt.Errorf("%d rows were mended: %w", n, err)
	}
	return opens(ctx, p.Ledger(), 1, 3)
}
