package settle

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"segue/controlplane/policy"
	"segue/dataplane/ledger"
)

// offBy lets a driver's store have another clock than its machine.
func (f *fleet) offBy(d *Driver) *atomic.Int64 {
	off := &atomic.Int64{}
	d.cfg.Time = func(context.Context) (time.Time, error) { return f.now().Add(-time.Duration(off.Load())), nil }
	return off
}

func (f *fleet) look(d *Driver) {
	f.t.Helper()
	if err := d.see(context.Background()); err != nil {
		f.t.Fatal(err)
	}
}

// TestClockOff: a machine whose clock is more than a second from the store's sends nothing: no first send, no re-drive, nothing elsewhere. What it learns is
// taken all the same.
func TestClockOff(t *testing.T) {
	b := newBank(t, always("ok"))
	b.enforced = true
	f := newFleet(t, nil, b)
	d := f.agent("a", "1")
	off := f.offBy(d)
	for _, c := range []struct {
		off  time.Duration
		good bool
	}{{0, true}, {900 * time.Millisecond, true}, {-900 * time.Millisecond, true}, {5 * time.Second, false}, {-5 * time.Second, false}, {0, true}} {
		off.Store(int64(c.off))
		f.look(d)
		if err := d.Clock(); (err == nil) != c.good || err != nil && !errors.Is(err, ErrClock) {
			t.Errorf("off by %v: %v", c.off, err)
		}
	}
	j := f.claim(d, "k1", policy.Leave{})
	f.forward(time.Hour) // somebody set the clock, between two looks
	if end := d.Run(context.Background(), f.late(j)); end.Kind != ledger.Refuse || b.sent() != 0 {
		t.Errorf("a first send: %+v, %d charges", end, b.sent())
	}
	f.look(d)
	if err := d.Clock(); err != nil {
		t.Errorf("both clocks were set: %v", err)
	}
}

// late gives a job time by the clock of now: that was set meanwhile.
func (f *fleet) late(j *Job) *Job {
	j.Deadline = f.now().Add(3 * time.Second)
	return j
}

// TestClockOffIsNotRedriven: between a send and its re-drive the clock went off.
func TestClockOffIsNotRedriven(t *testing.T) {
	b := newBank(t, nil)
	b.set(func() { b.enforced, b.mute = true, true })
	f := newFleet(t, func(c *policy.Contract) { c.Recourse = policy.Recourse{} }, b)
	b.set(func() { b.script = func(int) string { f.forward(time.Minute); return "lost" } })
	d := f.agent("a", "1")
	f.offBy(d)
	f.look(d)
	j := f.claim(d, "k", policy.Leave{})
	j.Deadline = j.Deadline.Add(time.Hour)
	end := d.Run(context.Background(), j)
	if end.Kind != ledger.Hold || b.sent() != 1 || f.row("k").State != ledger.Held || !strings.Contains(ledger.Next(end.Tx, ledger.Evidence{Attempt: end.Tx.Current().ID, Kind: ledger.FromTimer, Outcome: ledger.Unknown}, d.again(end.Tx)).Why, "clock") {
		t.Errorf("end %+v, %d charges", end, b.sent())
	}
}

// sent is how many charges arrived there.
func (b *bank) sent() (n int) {
	b.set(func() { n = b.charges })
	return n
}

// again are the circumstances of a caller who comes back.
func (d *Driver) again(t *ledger.Transaction) ledger.Circumstances {
	c := d.Circumstances(t)
	c.Live, c.Deadline, c.Changed, c.Run = true, c.Now.Add(time.Hour), false, t.Run
	return c
}
