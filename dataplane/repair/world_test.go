package repair

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"segue/controlplane/seal"
	"segue/dataplane/embedded"
	"segue/dataplane/ledger"
	"segue/dataplane/session"
	"segue/e2e/patience"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		child(dir)
		return
	}
	goleak.VerifyTestMain(m)
}

var errCut = errors.New("the link is cut")

// link is the way to a store: it can be cut, it can lose answers, and it can be slow.
type link struct {
	cut, loses atomic.Bool
	delay      atomic.Int64
	calls      atomic.Int64
	saw        func(session.Key, []session.Event) // what came through
}

func (l *link) call(ctx context.Context, do func() error) error {
	if d := time.Duration(l.delay.Load()); d > 0 {
		select {
		case <-time.After(d):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if l.cut.Load() {
		return errCut
	}
	l.calls.Add(1)
	if err := do(); err != nil {
		return err
	}
	if l.loses.Load() {
		return fmt.Errorf("%w after the store had answered", errCut)
	}
	return nil
}

type linkedSessions struct {
	session.Store
	l *link
}

func (s linkedSessions) Load(ctx context.Context, k session.Key) (out *session.Session, err error) {
	err = s.l.call(ctx, func() (err error) { out, err = s.Store.Load(ctx, k); return err })
	return out, err
}

func (s linkedSessions) Append(ctx context.Context, k session.Key, events ...session.Event) error {
	return s.l.call(ctx, func() error {
		if s.l.saw != nil {
			s.l.saw(k, events)
		}
		return s.Store.Append(ctx, k, events...)
	})
}

func (s linkedSessions) Swap(ctx context.Context, k session.Key, old uint64, events ...session.Event) (won bool, err error) {
	err = s.l.call(ctx, func() (err error) { won, err = s.Store.Swap(ctx, k, old, events...); return err })
	return won, err
}

func (s linkedSessions) History(ctx context.Context, k session.Key, yield func(session.Event) bool) error {
	return s.l.call(ctx, func() error { return s.Store.History(ctx, k, yield) })
}

type linkedLedger struct {
	ledger.Store
	l *link
}

func (s linkedLedger) Load(ctx context.Context, k ledger.Key) (out *ledger.Transaction, err error) {
	err = s.l.call(ctx, func() (err error) { out, err = s.Store.Load(ctx, k); return err })
	return out, err
}

func (s linkedLedger) Claim(ctx context.Context, t *ledger.Transaction) (out *ledger.Transaction, won bool, err error) {
	err = s.l.call(ctx, func() (err error) { out, won, err = s.Store.Claim(ctx, t); return err })
	if err != nil {
		return nil, false, err
	}
	return out, won, nil
}

func (s linkedLedger) Advance(ctx context.Context, t *ledger.Transaction) (out *ledger.Transaction, how ledger.Written, err error) {
	err = s.l.call(ctx, func() (err error) { out, how, err = s.Store.Advance(ctx, t); return err })
	if err != nil {
		return nil, 0, err
	}
	return out, how, nil
}

func (s linkedLedger) Own(ctx context.Context, o ledger.Object) error {
	return s.l.call(ctx, func() error { return s.Store.Own(ctx, o) })
}

func (s linkedLedger) Owner(ctx context.Context, app, service, id string) (out ledger.Object, err error) {
	err = s.l.call(ctx, func() (err error) { out, err = s.Store.Owner(ctx, app, service, id); return err })
	return out, err
}

func key(id string) seal.Key {
	k, err := seal.NewKey(id, bytes.Repeat([]byte{7}, seal.KeySize))
	if err != nil {
		panic(err)
	}
	return k
}

func keysOf() []seal.Key { return []seal.Key{key("k1")} }

// logOptions are a test's: the disk may not fail, and the machine's own space does not matter.
func logOptions(t testing.TB) LogOptions {
	return LogOptions{
		Keys: keysOf(), Reserve: 1, lazy: time.Millisecond, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Fatal: func(err error) { t.Errorf("the log ended the process: %v", err) },
	}
}

func openLog(t testing.TB, dir string, o LogOptions) *Log {
	t.Helper()
	l, err := OpenLog(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { shut(t, l) })
	return l
}

func shut(t testing.TB, c io.Closer) {
	t.Helper()
	if err := c.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

func openStore(t testing.TB, dir string) *embedded.Store {
	t.Helper()
	s, err := embedded.Open(dir, embedded.Options{Reserve: 1, Fatal: func(err error) { t.Errorf("the store ended the process: %v", err) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { shut(t, s) })
	return s
}

// region is one agent's part: its log, its link and its Repair.
type region struct {
	*Repair
	link *link
}

// newRegion joins a region to a store.
func newRegion(t testing.TB, s *embedded.Store, change func(*Options, *LogOptions)) *region {
	t.Helper()
	o, lo := Options{Timeout: 10 * time.Second}, logOptions(t)
	if change != nil {
		change(&o, &lo)
	}
	r := &region{link: &link{}}
	r.Repair = New(openLog(t, patience.Dir(t), lo), linkedLedger{s.Ledger(), r.link}, linkedSessions{s.Sessions(), r.link}, o)
	t.Cleanup(r.Stop)
	return r
}

func (r *region) start(t testing.TB) {
	t.Helper()
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
}

// until polls.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within a minute", what)
		}
		<-time.After(time.Millisecond)
	}
}

func (r *region) drained(t testing.TB) {
	t.Helper()
	until(t, "the backlog is gone", func() bool { return r.Stats().Pending == 0 })
}

var (
	base  = time.Date(2026, 11, 21, 10, 0, 0, 42, time.UTC)
	talk1 = session.Key{App: "default", ID: "ses_1"}
)

func pin(n int, service, provider string) session.Event {
	return session.Event{At: base.Add(time.Duration(n) * time.Second), Pin: session.Pin{Service: service, Provider: provider}}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func pinned(t testing.TB, s session.Store, k session.Key, service, want string) {
	t.Helper()
	got, err := s.Load(t.Context(), k)
	if err != nil || got.Pinned(service) != want {
		t.Errorf("%s of %s: %+v, %v; want %s", service, k.ID, got, err, want)
	}
}
