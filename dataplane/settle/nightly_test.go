package settle

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"segue/controlplane/policy"
	"segue/dataplane/ledger"
)

// TestWatchSurvives: an attempt that a settle window closed comes to light after its agent was started anew.
func TestWatchSurvives(t *testing.T) {
	b := newBank(t, always("dropped"))
	f := newFleet(t, func(c *policy.Contract) { c.Recourse.Settle = time.Second }, b)
	f.svc.Operations = []*policy.Operation{{OperationSpec: policy.OperationSpec{Name: "charge", Leave: policy.Leave{Traced: true}}}}
	d := f.agent("a", "1")
	d.Run(context.Background(), f.claim(d, "k", policy.Leave{Traced: true}))
	f.start(d)
	f.forward(time.Minute)
	reference := f.until("k", "not_sent", isState(ledger.Refused)).Current().Reference
	d.Stop()
	f.start(f.agent("a", "2"))
	b.set(func() { b.executed[reference]++ })
	row := f.until("k", "succeeded", func(t *ledger.Transaction) bool {
		f.forward(firstWatch / 10)
		return t.State == ledger.DoneSucceeded
	})
	if b.sent() != 1 {
		t.Errorf("row %+v, %d charges", row, b.sent())
	}
	for end := time.Now().Add(time.Minute); f.watchedNow() != 0; <-time.NewTimer(5 * time.Millisecond).C {
		if time.Now().After(end) {
			t.Fatal("it is watched on")
		}
	}
}

func (f *fleet) watchedNow() (n int) {
	f.t.Helper()
	if err := f.store.Watches().Watched(context.Background(), func(*ledger.Transaction, ledger.Watched) bool { n++; return true }); err != nil {
		f.t.Fatal(err)
	}
	return n
}

type goodRuns = ledger.Runs

// mending counts the looks through all rows.
type mending struct {
	goodRuns
	n atomic.Int64
}

func (m *mending) Mend(ctx context.Context) (int, error) {
	m.n.Add(1)
	return m.goodRuns.Mend(ctx)
}

// TestNightly: once a night an agent looks through all rows.
func TestNightly(t *testing.T) {
	f := newFleet(t, nil, newBank(t, always("ok")))
	d := f.agent("a", "1")
	looks := &mending{goodRuns: d.cfg.Runs}
	d.cfg.Runs = looks
	f.start(d)
	for night := int64(1); night <= 2; night++ {
		f.forward(24 * time.Hour)
		for end := time.Now().Add(time.Minute); looks.n.Load() < night; <-time.NewTimer(5 * time.Millisecond).C {
			if time.Now().After(end) {
				t.Fatalf("night %d: nobody looked", night)
			}
			d.nudge()
		}
	}
	if n := looks.n.Load(); n != 2 {
		t.Errorf("two nights: %d looks", n)
	}
}

// TestNextNight: it is three o'clock somewhere.
func TestNextNight(t *testing.T) {
	day := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	for hour, want := range map[int]time.Time{0: day.Add(3 * time.Hour), 2: day.Add(3 * time.Hour), 3: day.Add(27 * time.Hour), 23: day.Add(27 * time.Hour)} {
		if got := nextNight(day.Add(time.Duration(hour) * time.Hour)); !got.Equal(want) {
			t.Errorf("after %d h: %v", hour, got)
		}
	}
}
