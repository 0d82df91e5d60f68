package repair

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"segue/dataplane/ledger"
	"segue/dataplane/ledger/ledgertest"
	"segue/dataplane/session"
	"segue/e2e/patience"
)

// plainSessions and plainLedger answer at once and allocate nothing: what is measured before them is the wrapper's own.
type plainSessions struct {
	session.Store
	s *session.Session
}

func (p plainSessions) Load(context.Context, session.Key) (*session.Session, error) { return p.s, nil }

func (p plainSessions) Append(context.Context, session.Key, ...session.Event) error { return nil }

type plainLedger struct {
	ledger.Store
	t *ledger.Transaction
}

func (p plainLedger) Load(context.Context, ledger.Key) (*ledger.Transaction, error) { return p.t, nil }

func (p plainLedger) Claim(context.Context, *ledger.Transaction) (*ledger.Transaction, bool, error) {
	return nil, true, nil
}

func (p plainLedger) Advance(context.Context, *ledger.Transaction) (*ledger.Transaction, ledger.Written, error) {
	return nil, ledger.Stored, nil
}

func (p plainLedger) Own(context.Context, ledger.Object) error { return nil }

// calls are what one effect and one read ask of the stores.
func calls(t testing.TB, l ledger.Store, s session.Store) map[string]func() {
	row, o, k := ledgertest.Sample(1), ledger.Object{App: "default", Service: "payments", ID: "ch_1", Provider: "main"}, talk1
	event := []session.Event{pin(1, "payments", "main")}
	ctx := context.Background()
	return map[string]func(){
		"effect": func() {
			_, err0 := s.Load(ctx, k)
			_, err := l.Load(ctx, row.Key)
			_, _, err2 := l.Claim(ctx, row)
			_, _, err3 := l.Advance(ctx, row)
			if err := errors.Join(err0, err, err2, err3, l.Own(ctx, o), s.Append(ctx, k, event...)); err != nil {
				t.Fatal(err)
			}
		},
		"read": func() {
			if _, err := s.Load(ctx, k); err != nil {
				t.Fatal(err)
			}
		},
	}
}

func plain(t testing.TB) (*Repair, plainLedger, plainSessions) {
	l, s := plainLedger{t: ledgertest.Sample(1)}, plainSessions{s: &session.Session{Key: talk1}}
	return New(openLog(t, patience.Dir(t), logOptions(t)), l, s, Options{}), l, s
}

// TestCalmCostsNothing: while the store answers and nothing waits, a call costs no memory beside the store's own.
func TestCalmCostsNothing(t *testing.T) {
	r, _, _ := plain(t)
	s := r.Sessions()
	for name, call := range calls(t, r.Ledger(), s) {
		call()
		if n := testing.AllocsPerRun(200, func() {
			call()
		}); n > 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// BenchmarkCalm is one effect and one read by stores that answer at once: alone, and behind the log of hints.
func BenchmarkCalm(b *testing.B) {
	r, l, s := plain(b)
	for _, c := range []struct {
		name  string
		calls map[string]func()
	}{{"alone", calls(b, l, s)}, {"behind", calls(b, r.Ledger(), r.Sessions())}} {
		for _, name := range []string{"effect", "read"} {
			b.Run(fmt.Sprint(name, "/", c.name), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					c.calls[name]()
				}
			})
		}
	}
}

// TestLately: what is remembered follows reads and writes, and a read that was under way while something was written does not undo it.
func TestLately(t *testing.T) {
	l := newLately()
	read := &session.Session{Key: talk1, Pins: []session.Pin{{Service: "a", Provider: "p1", At: base}}}
	l.set(talk1, read, l.generation(talk1))
	for n := range 2*latelyWrites + 1 {
		l.change(talk1, []session.Event{pin(n+1, "b", fmt.Sprint("p", n))})
	}
	if s := l.find(talk1); s.Pinned("a") != "p1" || s.Pinned("b") != fmt.Sprint("p", 2*latelyWrites) || len(read.Pins) != 1 {
		t.Errorf("%+v; it was read as %+v", s, read)
	}
	g := l.generation(talk1)
	l.change(talk1, []session.Event{pin(99, "c", "p")})
	l.set(talk1, read, g)
	if s := l.find(talk1); s.Pinned("c") != "p" {
		t.Errorf("a read from before undid a write: %+v", s)
	}
	l.set(talk1, nil, l.generation(talk1))
	if s := l.find(talk1); s != nil {
		t.Errorf("a session that is gone: %+v", s)
	}
	l.change(talk1, []session.Event{{}}) // no store takes it
	if s := l.find(talk1); s != nil {
		t.Errorf("of a write that cannot be: %+v", s)
	}
	for n := range 2 * latelyRows { // others take the room
		l.set(session.Key{ID: fmt.Sprint(n)}, read, l.generation(session.Key{ID: fmt.Sprint(n)}))
	}
	if s := l.find(session.Key{ID: "nobody"}); s != nil {
		t.Errorf("of a key that was never seen: %+v", s)
	}
}

// TestOutageIsFast: in an outage only the watch waits for the store, and the first call after it goes through.
func TestOutageIsFast(t *testing.T) {
	t.Parallel()
	s := openStore(t, patience.Dir(t))
	r := newRegion(t, s, nil)
	r.start(t)
	r.link.cut.Store(true)
	must(t, r.Sessions().Append(t.Context(), talk1, pin(1, "payments", "stripe")))
	r.link.delay.Store(int64(20 * time.Second)) // who asks now waits
	begun := time.Now()
	if _, err := r.Sessions().Load(t.Context(), session.Key{ID: "unknown here"}); !errors.Is(err, ErrAway) {
		t.Errorf("%v", err)
	}
	must(t, r.Sessions().Append(t.Context(), session.Key{ID: "new"}, pin(1, "payments", "stripe")))
	pinned(t, r.Sessions(), session.Key{ID: "new"}, "payments", "stripe")
	if took := time.Since(begun); took > 15*time.Second {
		t.Errorf("three calls took %s", took)
	}
	r.Stop()
	r.link.delay.Store(0)
	r.link.cut.Store(false)
	r.start(t)
	r.drained(t)
}

// TestWatch: without anything that waits, the store is found again too.
func TestWatch(t *testing.T) {
	t.Parallel()
	s := openStore(t, patience.Dir(t))
	r := newRegion(t, s, nil)
	r.start(t)
	r.link.cut.Store(true)
	if _, err := r.Sessions().Load(t.Context(), talk1); !errors.Is(err, errCut) {
		t.Fatalf("%v", err)
	}
	r.link.cut.Store(false)
	until(t, "the store is found again", func() bool { return !r.Stats().Down })
}

// TestOwnerHinted: who owns an object is known here through an outage, and to everybody after it.
func TestOwnerHinted(t *testing.T) {
	t.Parallel()
	s := openStore(t, patience.Dir(t))
	r := newRegion(t, s, nil)
	o := ledger.Object{App: "default", Service: "payments", ID: "ch_1", Provider: "stripe", Account: "acct", Transaction: "tx_1"}
	r.link.cut.Store(true)
	must(t, r.Ledger().Own(t.Context(), o))
	if got, err := r.Ledger().Owner(t.Context(), o.App, o.Service, o.ID); err != nil || got != o {
		t.Errorf("in the outage: %+v, %v", got, err)
	}
	if _, err := r.Ledger().Owner(t.Context(), o.App, o.Service, "ch_2"); !errors.Is(err, errCut) {
		t.Errorf("another in the outage: %v", err)
	}
	r.link.cut.Store(false)
	if dry, err := r.DryRun(t.Context(), Filter{}); err != nil || len(dry) != 1 || dry[0].Does != "apply" || dry[0].About != "ch_1 belongs to stripe" {
		t.Errorf("%+v, %v", dry, err)
	}
	r.start(t)
	r.drained(t)
	if got, err := s.Ledger().Owner(t.Context(), o.App, o.Service, o.ID); err != nil || got != o {
		t.Errorf("after it: %+v, %v", got, err)
	}
	if got, err := r.Sync(t.Context()); err != nil || got != (Synced{Seen: 1}) {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestFullRefusesClaims: where the outcome of what is sent could not be hinted any more, nothing new is claimed; what was sent is still hinted.
func TestFullRefusesClaims(t *testing.T) {
	t.Parallel()
	s := openStore(t, patience.Dir(t))
	r := newRegion(t, s, func(_ *Options, l *LogOptions) { l.Limit = 40_000 })
	row := claimed(t, r.Ledger(), 1)
	r.link.cut.Store(true)
	var err error
	for n := 0; err == nil; n++ {
		err = r.Sessions().Append(t.Context(), talk1, pin(n, "payments", "stripe"))
	}
	if !errors.Is(err, ErrFull) {
		t.Fatal(err)
	}
	until(t, "claims are refused", func() bool {
		_, _, err := r.Ledger().Claim(t.Context(), ledgertest.Sample(2))
		return errors.Is(err, ledger.ErrNoRoom) && errors.Is(err, ErrFull)
	})
	if r.Stats().Full == nil {
		t.Error("the figures do not say that it is full")
	}
	advance(t, r.Ledger(), finished(row, ledger.DoneSucceeded, ledger.Succeeded), ledger.Hinted)
	r.link.cut.Store(false)
	r.start(t)
	r.drained(t)
	must(t, r.Sessions().Append(t.Context(), talk1, pin(9999, "payments", "adyen")))
	if got, err := s.Ledger().Load(t.Context(), row.Key); err != nil || got.State != ledger.DoneSucceeded {
		t.Errorf("%+v, %v", got, err)
	}
}
