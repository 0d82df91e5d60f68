package sessiontest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"segue/dataplane/session"
)

func writer(run string, s *session.Session, n int) session.Writer {
	return session.Writer{Run: run, Session: s, Now: base.Add(time.Duration(n) * time.Second)}
}

// equal holds a stored session against the one that events make.
func equal(ctx context.Context, s session.Store, events ...session.Event) error {
	got, err := s.Load(ctx, key)
	if err != nil {
		return fmt.Errorf("load: %w", err)
	}
	want, err := session.Apply(nil, key, events...)
	if err != nil {
		return err
	}
	a, errA := session.Encode(got)
	b, errB := session.Encode(want)
	if errA != nil || errB != nil || !slices.Equal(a, b) {
		return fmt.Errorf("the session is %+v, want %+v (%w)", got, want, errors.Join(errA, errB))
	}
	return nil
}

func someEvents() []session.Event {
	w := writer("r1", nil, 1)
	count, _ := w.Count("payments", "points", 5, nil) // far from every bound
	return []session.Event{
		event(1, "payments", "stripe"), w.Write("payments", "card", []byte{0, 1, 2}), count,
		w.Items("payments", "cart", []session.Named{{Digest: "tea", Value: []byte("t")}, {Digest: "cup", Value: []byte("c")}}, nil),
		w.Token("payments", "card", "stripe", []byte("tok"), session.Stamp{}), w.Write("chat", "gone", nil),
	}
}

func fields(ctx context.Context, open func() session.Store) error {
	s := open()
	events := someEvents()
	err := errors.Join(s.Append(ctx, key, events[0]), s.Append(ctx, key, events[1:4]...), s.Append(ctx, key, events[4:]...))
	if err = errors.Join(err, equal(ctx, s, events...)); err != nil {
		return err
	}
	got, err := s.Load(ctx, key)
	if err != nil {
		return err
	}
	got.Fields[0].Service, got.Fields[2].Items[0].Digest = "changed in hand", "changed in hand"
	if err := equal(ctx, s, events...); err != nil {
		return fmt.Errorf("in hand: %w", err)
	}
	s = open()
	return errors.Join(s.Append(ctx, key, events[1]), equal(ctx, s, events...))
}

// apart writes what two regions wrote without knowledge of each other, at once.
func apart(ctx context.Context, open func() session.Store) error {
	s := open()
	begin := someEvents()
	if err := s.Append(ctx, key, begin...); err != nil {
		return err
	}
	base, err := s.Load(ctx, key)
	if err != nil {
		return err
	}
	var group sync.WaitGroup
	errs := make([]error, racers)
	made := make([]session.Event, 2*racers)
	for n := range racers {
		w := writer(fmt.Sprint("run-", n), base, n)
		var count session.Event
		if count, err = w.Count("payments", "points", int64(n), nil); err != nil {
			return err
		}
		made[2*n], made[2*n+1] = count, w.Items("payments", "cart", []session.Named{{Digest: fmt.Sprint("item-", n), Value: []byte{byte(n)}}}, []string{"tea"})
		group.Go(func() { errs[n] = errors.Join(s.Append(ctx, key, made[2*n]), s.Append(ctx, key, made[2*n+1])) })
	}
	group.Wait()
	return errors.Join(errors.Join(errs...), equal(ctx, s, append(begin, made...)...))
}

func swaps(ctx context.Context, open func() session.Store) error {
	s := open()
	w := writer("r1", nil, 1)
	first, other := w.Write("payments", "card", []byte("first")), w.Write("payments", "card", []byte("other"))
	other.Field.Stamp.By = "r2"
	if won, err := s.Swap(ctx, key, 0, first); err != nil || !won {
		return fmt.Errorf("the first swap: %v, %w", won, err)
	}
	for _, old := range []uint64{0, 2, 1 << 40} {
		if won, err := s.Swap(ctx, key, old, other); err != nil || won {
			return fmt.Errorf("a swap that saw number %d: %v, %w", old, won, err)
		}
	}
	if err := equal(ctx, s, session.Guarded(1, []session.Event{first})...); err != nil {
		return err
	}
	s = open()
	if won, err := s.Swap(ctx, key, 1, other); err != nil || !won {
		return fmt.Errorf("the second swap: %v, %w", won, err)
	}
	return equal(ctx, s, session.Guarded(1, []session.Event{first})[0], session.Guarded(2, []session.Event{other})[0])
}

func swapAgain(ctx context.Context, open func() session.Store) error {
	s := open()
	w := writer("r1", nil, 1)
	e := w.Write("payments", "card", []byte("once"))
	for range 3 {
		if won, err := s.Swap(ctx, key, 0, e); err != nil || !won {
			return fmt.Errorf("the same swap again: %v, %w", won, err)
		}
	}
	got, err := s.Load(ctx, key)
	if err != nil || got.Guard != 1 {
		return fmt.Errorf("%+v, %w", got, err)
	}
	return nil
}

// racingSwaps takes from a counter with a floor from many sides: it ends at the floor, and nobody took what was not there.
func racingSwaps(ctx context.Context, open func() session.Store) error {
	s := open()
	const stock, each = 12, 2
	floor := int64(0)
	w := writer("r0", nil, 1)
	fill, err := w.Count("payments", "stock", stock, &floor)
	if err != nil {
		return err
	}
	if won, err := s.Swap(ctx, key, 0, fill); err != nil || !won {
		return fmt.Errorf("fill: %v, %w", won, err)
	}
	var group sync.WaitGroup
	taken, errs := make([]int, racers), make([]error, racers)
	for n := range racers {
		group.Go(func() { taken[n], errs[n] = take(ctx, s, fmt.Sprint("r", n+1), each, &floor) })
	}
	group.Wait()
	sum := 0
	for _, n := range taken {
		sum += n
	}
	got, err := s.Load(ctx, key)
	if err = errors.Join(errors.Join(errs...), err); err != nil {
		return err
	}
	if left := got.Field("payments", "stock").Sum(); sum != stock || left != 0 {
		return fmt.Errorf("%d of %d were taken, %d are left", sum, stock, left)
	}
	return nil
}

// take takes one at a time until nothing is left or it has enough.
func take(ctx context.Context, s session.Store, run string, most int, floor *int64) (taken int, err error) {
	for taken < most {
		at, err := s.Load(ctx, key)
		if err != nil {
			return taken, err
		}
		w := writer(run, at, 2)
		e, err := w.Count("payments", "stock", -1, floor)
		if errors.Is(err, session.ErrFloor) {
			return taken, nil
		}
		if err != nil {
			return taken, err
		}
		won, err := s.Swap(ctx, key, at.Guard, e)
		if err != nil {
			return taken, err
		}
		if won {
			taken++
		}
	}
	return taken, nil
}

func history(ctx context.Context, open func() session.Store) error {
	s := open()
	if err := told(ctx, s); err != nil {
		return fmt.Errorf("of nobody: %w", err)
	}
	events := someEvents()
	want := slices.Clone(events)
	if err := s.Append(ctx, key, events...); err != nil {
		return err
	}
	for n := range 300 { // more than a page of any store
		at, err := s.Load(ctx, key)
		if err != nil {
			return err
		}
		w := writer("r1", at, n)
		e := w.Write("payments", "card", []byte{byte(n)})
		if n%2 == 0 {
			if err := s.Append(ctx, key, e); err != nil {
				return err
			}
		} else if won, err := s.Swap(ctx, key, at.Guard, e); err != nil || !won {
			return fmt.Errorf("swap %d: %v, %w", n, won, err)
		} else {
			e.Guard = at.Guard + 1
		}
		want = append(want, e)
		if n == 150 {
			s = open()
		}
	}
	return errors.Join(s.Append(ctx, key, events[0]), told(ctx, s, want...), equal(ctx, s, want...))
}

// told holds a history against what was written.
func told(ctx context.Context, s session.Store, want ...session.Event) error {
	want = slices.Clone(want)
	slices.SortFunc(want, func(a, b session.Event) int { return session.Compare(&a, &b) })
	n := 0
	err := s.History(ctx, key, func(e session.Event) bool {
		if n < len(want) && session.Compare(&e, &want[n]) != 0 {
			n = len(want) + 1
		}
		n++
		return n <= len(want)
	})
	if err != nil || n != len(want) {
		return fmt.Errorf("the history differs at event %d of %d (%w)", n, len(want), err)
	}
	if len(want) < 2 {
		return nil
	}
	n = 0
	err = s.History(ctx, key, func(session.Event) bool { n++; return false })
	if err != nil || n != 1 {
		return fmt.Errorf("after the first event %d more came (%w)", n, err)
	}
	return nil
}
