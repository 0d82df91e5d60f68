package sessiontest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"segue/dataplane/session"
)

// racers is how many goroutines change one session at once.
const racers = 16

// Case is one promise of a store. Check returns what is wrong.
type Case struct {
	Name  string
	Check func(ctx context.Context, open func() session.Store) error
}

// Run holds a store against every promise. fresh makes an empty store; each call of open returns it, closed and opened again.
func Run(t *testing.T, fresh func(t *testing.T) (open func() session.Store)) {
	t.Helper()
	for _, c := range Cases {
		t.Run(c.Name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if err := c.Check(ctx, fresh(t)); err != nil {
				t.Error(err)
			}
		})
	}
}

// Cases are the promises.
var Cases = []Case{
	{"a session that nobody began is not found", notFound},
	{"a pin is read back", readBack},
	{"the latest pin of a service wins, in any order", latest},
	{"services have pins of their own", perService},
	{"sessions that look alike are apart", alike},
	{"events that came at once are all there", concurrent},
	{"a refused event changes nothing", refused},
	{"sessions in hand are copies", copies},
	{"everything is there after a reopening", reopened},
	{"fields are read back", fields},
	{"fields that are written apart are all there", apart},
	{"a swap wins once", swaps},
	{"a swap whose answer was lost is not made twice", swapAgain},
	{"racing swaps lose nothing", racingSwaps},
	{"the history is whole and makes the same session", history},
}

var (
	key  = session.Key{App: "default", ID: "ses_1"}
	base = time.Date(2026, 11, 21, 10, 0, 0, 42, time.UTC)
)

func event(n int, service, provider string) session.Event {
	return session.Event{At: base.Add(time.Duration(n) * time.Second), Pin: session.Pin{Service: service, Provider: provider}}
}

// pinned checks where the services of a session are: service, provider, service, provider …
func pinned(ctx context.Context, s session.Store, k session.Key, want ...string) error {
	got, err := s.Load(ctx, k)
	if err != nil {
		return fmt.Errorf("load: %w", err)
	}
	if got.Key != k || len(got.Pins) != len(want)/2 {
		return fmt.Errorf("the session is %+v, want %v", got, want)
	}
	for i := 0; i < len(want); i += 2 {
		if p := got.Pinned(want[i]); p != want[i+1] {
			return fmt.Errorf("%s is pinned to %q, want %q", want[i], p, want[i+1])
		}
	}
	return nil
}

func notFound(ctx context.Context, open func() session.Store) error {
	s := open()
	if err := s.Append(ctx, key); err != nil {
		return fmt.Errorf("no events: %w", err)
	}
	if _, err := s.Load(ctx, key); !errors.Is(err, session.ErrNotFound) {
		return fmt.Errorf("%w instead of ErrNotFound", err)
	}
	return nil
}

func readBack(ctx context.Context, open func() session.Store) error {
	s := open()
	err := errors.Join(s.Append(ctx, key, event(1, "payments", "stripe")), s.Append(ctx, key, event(4, "payments", "adyen")))
	if err != nil {
		return err
	}
	got, err := s.Load(ctx, key)
	if err != nil {
		return fmt.Errorf("load: %w", err)
	}
	last := event(4, "payments", "adyen")
	last.Pin.At = last.At
	want := &session.Session{Key: key, Pins: []session.Pin{last.Pin}, Created: event(1, "", "").At, Updated: last.At}
	if !reflect.DeepEqual(got, want) {
		return fmt.Errorf("the session is %+v, want %+v", got, want)
	}
	return nil
}

func latest(ctx context.Context, open func() session.Store) error {
	s := open()
	err := errors.Join(
		s.Append(ctx, key, event(5, "payments", "stripe")), s.Append(ctx, key, event(2, "payments", "adyen")),
		s.Append(ctx, key, event(7, "payments", "legacy"), event(6, "payments", "adyen")),
	)
	return errors.Join(err, pinned(ctx, s, key, "payments", "legacy"))
}

func perService(ctx context.Context, open func() session.Store) error {
	s := open()
	err := errors.Join(s.Append(ctx, key, event(5, "payments", "stripe")), s.Append(ctx, key, event(2, "messages", "twilio")))
	return errors.Join(err, pinned(ctx, s, key, "payments", "stripe", "messages", "twilio"))
}

func alike(ctx context.Context, open func() session.Store) error {
	s := open()
	keys := []session.Key{{App: "a", ID: "bc"}, {App: "ab", ID: "c"}, {ID: "abc"}, {App: "A", ID: "bc"}}
	var err error
	for i, k := range keys {
		err = errors.Join(err, s.Append(ctx, k, event(i, "payments", fmt.Sprint("p", i))))
	}
	for i, k := range keys {
		err = errors.Join(err, pinned(ctx, s, k, "payments", fmt.Sprint("p", i)))
	}
	return err
}

func concurrent(ctx context.Context, open func() session.Store) error {
	s := open()
	var group sync.WaitGroup
	start := make(chan struct{})
	errs := make([]error, racers)
	var want []string
	for n := range racers {
		service := fmt.Sprint("service-", n)
		want = append(want, service, "second")
		group.Go(func() {
			<-start
			errs[n] = errors.Join(s.Append(ctx, key, event(n, service, "first")), s.Append(ctx, key, event(n+1, service, "second")))
		})
	}
	close(start)
	group.Wait()
	return errors.Join(errors.Join(errs...), pinned(ctx, s, key, want...))
}

func refused(ctx context.Context, open func() session.Store) error {
	s := open()
	if err := s.Append(ctx, key, event(1, "payments", "stripe")); err != nil {
		return err
	}
	if err := s.Append(ctx, key, event(2, "payments", "adyen"), event(3, "", "nowhere")); err == nil {
		return errors.New("a pin without a service was taken")
	}
	crowd := make([]session.Event, session.MaxPins)
	for i := range crowd {
		crowd[i] = event(2, fmt.Sprint("service-", i), "p")
	}
	if err := s.Append(ctx, key, crowd...); !errors.Is(err, session.ErrTooManyPins) {
		return fmt.Errorf("a crowd of pins: %w", err)
	}
	return pinned(ctx, s, key, "payments", "stripe")
}

func copies(ctx context.Context, open func() session.Store) error {
	s := open()
	if err := s.Append(ctx, key, event(1, "payments", "stripe")); err != nil {
		return err
	}
	got, err := s.Load(ctx, key)
	if err != nil {
		return fmt.Errorf("load: %w", err)
	}
	got.Pins[0].Provider = "changed in hand"
	return pinned(ctx, s, key, "payments", "stripe")
}

func reopened(ctx context.Context, open func() session.Store) error {
	s := open()
	if err := s.Append(ctx, key, event(1, "payments", "stripe")); err != nil {
		return err
	}
	s = open()
	return errors.Join(
		pinned(ctx, s, key, "payments", "stripe"), s.Append(ctx, key, event(2, "payments", "adyen")), pinned(ctx, s, key, "payments", "adyen"),
	)
}
