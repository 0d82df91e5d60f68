package settle

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"segue/controlplane/policy"
	"segue/dataplane/ledger"
	"segue/dataplane/message"
)

// silent is a store that loses its answers: what is written stands, or comes to stand later.
type silent struct {
	ledger.Store
	mute atomic.Bool
	late atomic.Pointer[ledger.Transaction] // a claim that is held back while mute
}

var errSilent = errors.New("no answer")

func (s *silent) Claim(ctx context.Context, t *ledger.Transaction) (*ledger.Transaction, bool, error) {
	if s.mute.Load() {
		s.late.Store(t.Clone())
		return nil, false, errSilent
	}
	return s.Store.Claim(ctx, t)
}

func (s *silent) Load(ctx context.Context, k ledger.Key) (*ledger.Transaction, error) {
	if s.mute.Load() {
		return nil, errSilent
	}
	return s.Store.Load(ctx, k)
}

// lost makes a call's claim of which nobody hears, as the proxy does.
func (f *fleet) lost(d *Driver, s *silent, key string) *ledger.Transaction {
	f.t.Helper()
	now := f.now()
	t := ledger.New(d.NewID(now), ledger.Key{App: "default", Service: "payments", Key: key}, "charge", [32]byte{1}, now)
	if _, err := d.Intend(t, f.svc.Candidates[0], &message.Request{Method: "POST", Path: "/v1/charges", Body: []byte("amount=1")}, now); err != nil {
		f.t.Fatal(err)
	}
	s.mute.Store(true)
	if _, err := d.Claim(context.Background(), t); !errors.Is(err, errSilent) {
		f.t.Fatalf("claimed: %v", err)
	}
	d.Stray(t, true)
	return t
}

// A claim of which nobody knew, and for which nothing was sent, is closed when it turns out to stand: its run lives, so that nobody else would
// take it over. Also where it comes to stand only after the first look.
func TestStrayClaimIsClosed(t *testing.T) {
	for _, late := range []bool{false, true} {
		b := newBank(t, always("ok"))
		f := newFleet(t, nil, b)
		d := f.agent("a", "1")
		s := &silent{Store: f.store.Ledger()}
		d.cfg.Store = s
		claim := f.lost(d, s, "k")
		arrives := func() {
			if _, won, err := f.store.Ledger().Claim(t.Context(), s.late.Load()); err != nil || !won {
				t.Fatalf("won %v: %v", won, err)
			}
		}
		if !late {
			arrives()
		}
		f.forward(strayLooks[0])
		d.gather(t.Context()) // the store is mute still: that was no look
		s.mute.Store(false)
		f.forward(strayLooks[0])
		d.gather(t.Context())
		if late {
			arrives()
			f.forward(strayLooks[1])
			d.gather(t.Context())
		}
		row := f.row("k")
		if row.State != ledger.Refused || !row.Told || row.ID != claim.ID || row.Current().Outcome != ledger.NotSent || len(d.strays.list) > 0 {
			t.Errorf("late %v: %+v; %d strays", late, row, len(d.strays.list))
		}
		if n := d.Unknowns()["payments"].Open; n != 0 || b.charges != 0 {
			t.Errorf("late %v: %d count as unknown, %d charges", late, n, b.charges)
		}
	}
}

// What was sent before is not closed: it is looked for as any unknown outcome. What somebody else has meanwhile is his.
func TestStrayOfOthers(t *testing.T) {
	f := newFleet(t, nil, newBank(t, always("ok")))
	d := f.agent("a", "1")
	sent := f.claim(d, "sent", policy.Leave{}).Tx
	d.Stray(sent, false)
	taken := f.claim(d, "taken", policy.Leave{}).Tx
	d.Stray(taken, true)
	other := taken.Clone()
	other.TakeOver("b/1", f.now())
	d.Stamp(other, f.now())
	if _, how, err := f.store.Ledger().Advance(t.Context(), other); err != nil || how != ledger.Stored {
		t.Fatalf("%d: %v", how, err)
	}
	f.forward(time.Minute)
	d.gather(t.Context())
	if row := f.row("sent"); row.State != ledger.Intent {
		t.Errorf("what was sent is %s", row.State)
	}
	if row := f.row("taken"); row.Token != other.Token {
		t.Errorf("another's row was written: %+v", row)
	}
	if _, known := d.unknowns.next(sent.Key); !known || len(d.strays.list) > 0 {
		t.Errorf("looked for: %v; %d strays", known, len(d.strays.list))
	}
}

// One that never comes to stand is looked for four times.
func TestStrayThatNeverCame(t *testing.T) {
	f := newFleet(t, nil, newBank(t, always("ok")))
	d := f.agent("a", "1")
	s := &silent{Store: f.store.Ledger()}
	d.cfg.Store = s
	f.lost(d, s, "k")
	s.mute.Store(false)
	looks := 0
	for ; len(d.strays.list) > 0 && looks < 10; looks++ {
		f.forward(10 * time.Minute)
		d.gather(t.Context())
	}
	if looks != len(strayLooks) {
		t.Errorf("%d looks", looks)
	}
}
