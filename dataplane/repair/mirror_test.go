package repair

import (
	"bytes"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"segue/controlplane/seal"
	"segue/dataplane/embedded"
	"segue/dataplane/ledger"
	"segue/dataplane/session"
	"segue/e2e/patience"
)

// wire is the way to a mirror; it can be cut.
type wire struct {
	to  *Mirrored
	cut atomic.Bool
}

func (w *wire) Keep(c Copy) error {
	if w.cut.Load() {
		return errCut
	}
	again, err := DecodeCopy(EncodeCopy(c)) // as it travels
	if err != nil {
		return err
	}
	return w.to.Keep("a-1", again)
}

func (w *wire) Beat(b Beat) error {
	if w.cut.Load() {
		return errCut
	}
	return w.to.Beat("a-1", b)
}

func mirrored(t *testing.T, dir string, s *embedded.Store, l *link) *Mirrored {
	t.Helper()
	m, err := OpenMirrored(dir, linkedLedger{s.Ledger(), l}, linkedSessions{s.Sessions(), l}, MirroredOptions{Log: logOptions(t), Silence: 2 * beatEvery})
	must(t, err)
	t.Cleanup(func() { shut(t, m) })
	return m
}

func (m *Mirrored) has(t *testing.T, what string, n int) {
	t.Helper()
	until(t, fmt.Sprintf("%s: the mirror keeps %d hints", what, n), func() bool { got, _ := m.Waiting(); return got == n })
}

// TestMirrorReplays: what an agent acknowledged and took to its grave gets into the store all the same, once.
func TestMirrorReplays(t *testing.T) {
	t.Parallel()
	s := openStore(t, patience.Dir(t))
	dir, theirs := patience.Dir(t), &link{}
	way := &wire{to: mirrored(t, dir, s, theirs)}
	a := newRegion(t, s, func(o *Options, _ *LogOptions) { o.Mirror = way })
	a.start(t)
	row := claimed(t, a.Ledger(), 1)
	a.link.cut.Store(true)
	theirs.cut.Store(true)
	for n := range 20 {
		must(t, a.Sessions().Append(t.Context(), talk1, pin(n, "payments", fmt.Sprint("p", n))))
	}
	advance(t, a.Ledger(), finished(row, ledger.DoneSucceeded, ledger.Succeeded), ledger.Hinted)
	way.to.has(t, "in the outage", 21)
	if !way.to.origins["a-1"].Stats().Paused {
		t.Error("the hints of an agent that lives are replayed by its mirror")
	}
	a.Stop() // for good: nothing of its disk is read again
	must(t, way.to.Close())
	way.to = mirrored(t, dir, s, theirs) // and the mirror's machine started again meanwhile
	way.to.has(t, "after a start", 21)
	theirs.cut.Store(false)
	way.to.has(t, "after the silence", 0)
	pinned(t, s.Sessions(), talk1, "payments", "p19")
	got, err := s.Ledger().Load(t.Context(), row.Key)
	if err != nil || got.State != ledger.DoneSucceeded || got.Version != 2 {
		t.Errorf("%+v, %v", got, err)
	}
	a.link.cut.Store(false) // it comes back after all
	before, err := s.Sessions().Load(t.Context(), talk1)
	must(t, err)
	a.start(t)
	a.drained(t)
	after, err := s.Sessions().Load(t.Context(), talk1)
	if again, err2 := s.Ledger().Load(t.Context(), row.Key); err != nil || err2 != nil || again.Version != 2 || !after.Updated.Equal(before.Updated) || a.Stats().Held != 0 {
		t.Errorf("replayed twice: %+v %v, %+v %v", after, err, again, err2)
	}
	until(t, "it is heard again", func() bool { _, silent := way.to.Waiting(); return silent == 0 })
}

// TestMirrorForgets: what its agent replayed itself is over at the mirror too, also where the word of it got lost.
func TestMirrorForgets(t *testing.T) {
	t.Parallel()
	s := openStore(t, patience.Dir(t))
	way := &wire{to: mirrored(t, patience.Dir(t), s, &link{})}
	var ahead atomic.Int64 // the whole beat speaks of what is older than some seconds
	a := newRegion(t, s, func(o *Options, _ *LogOptions) {
		o.Mirror, o.Now = way, func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	})
	a.start(t)
	a.link.cut.Store(true)
	must(t, a.Sessions().Append(t.Context(), talk1, pin(1, "payments", "stripe")))
	way.to.has(t, "in the outage", 1)
	a.link.cut.Store(false)
	way.to.has(t, "after the replay", 0)
	a.link.cut.Store(true)
	must(t, a.Sessions().Append(t.Context(), talk1, pin(2, "payments", "adyen")))
	way.to.has(t, "again", 1)
	way.cut.Store(true)
	if err := a.Sessions().Append(t.Context(), talk1, pin(3, "payments", "stripe")); !errors.Is(err, errCut) {
		t.Errorf("a hint that the mirror has not got was acknowledged: %v", err)
	}
	a.link.cut.Store(false)
	a.drained(t)
	until(t, "the word of it gets lost", func() bool {
		a.ended.mu.Lock()
		defer a.ended.mu.Unlock()
		return a.ended.lost && len(a.ended.ids) == 0
	})
	ahead.Store(int64(2 * wholeLag))
	way.cut.Store(false)
	way.to.has(t, "after a whole beat", 0)
}

// TestMirrorRefuses what it could not replay, or not keep.
func TestMirrorRefuses(t *testing.T) {
	s := openStore(t, patience.Dir(t))
	m := mirrored(t, patience.Dir(t), s, &link{})
	o := logOptions(t)
	other, err := seal.NewKey("other", bytes.Repeat([]byte{9}, seal.KeySize))
	must(t, err)
	o.Keys = []seal.Key{other}
	foreign, err := openLog(t, patience.Dir(t), o).sealed(OfSession, talk1.Hash(), "", []byte("{}"))
	must(t, err)
	if err := m.Keep("a-1", foreign); !errors.Is(err, errForeign) {
		t.Errorf("a hint under a foreign key: %v", err)
	}
	mine, err := openLog(t, patience.Dir(t), logOptions(t)).sealed(OfSession, talk1.Hash(), "", []byte("{}"))
	must(t, err)
	forged := mine
	forged.Key = session.Key{ID: "another"}.Hash()
	if err := m.Keep("a-1", forged); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a hint about something else: %v", err)
	}
	for _, name := range []string{"", "..", "../x", "a/b", ".hidden", "a b"} {
		if m.Keep(name, mine) == nil || m.Beat(name, Beat{}) == nil {
			t.Errorf("an agent called %q", name)
		}
	}
	for n := range maxOrigins - 1 { // a-1 is there
		must(t, m.Keep(fmt.Sprint("agent-", n), mine))
	}
	if err := m.Keep("one-more", mine); err == nil {
		t.Error("there is no end of agents")
	}
	for _, bad := range [][]byte{nil, {9}, EncodeCopy(mine)[:40], append(EncodeCopy(mine), EncodeCopy(mine)...), appendEnded(nil, ID{1}, Applied)} {
		if _, err := DecodeCopy(bad); err == nil {
			t.Errorf("%x was read as a copy", bad)
		}
	}
	var id ID
	if id.UnmarshalText([]byte("12")) == nil || id.UnmarshalText([]byte(mine.ID.String())) != nil || id != mine.ID {
		t.Error("ids as text")
	}
}
