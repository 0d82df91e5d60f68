package embedded

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"segue/dataplane/ledger"
	"segue/dataplane/ledger/ledgertest"
	"segue/dataplane/session"
)

// onMem opens a store on a disk in memory.
func onMem(t testing.TB, fs vfs.FS, change func(*Options)) *Store {
	t.Helper()
	o := options(t)
	o.fs = fs
	if change != nil {
		change(&o)
	}
	s, err := Open("store", o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func done(t *ledger.Transaction) *ledger.Transaction {
	n := t.Clone()
	n.State, n.Version, n.Token = ledger.DoneSucceeded, t.Version+1, [16]byte{7}
	n.Current().Outcome = ledger.Succeeded
	n.Answer = &ledger.StoredAnswer{Status: 200, Sealed: make([]byte, 2000), Kept: true}
	return n
}

// acknowledged are the writes whose end the store told.
type acknowledged struct {
	mu       sync.Mutex
	rows     map[int]uint64 // sample → version
	sessions map[string]bool
}

// load writes with 16 writers until the power goes, and returns what was acknowledged before that.
func load(t *testing.T, s *Store, cut func() *vfs.MemFS) (*vfs.MemFS, *acknowledged) {
	t.Helper()
	const writers, enough = 16, 300
	ctx := t.Context()
	known := &acknowledged{rows: map[int]uint64{}, sessions: map[string]bool{}}
	var group sync.WaitGroup
	var acks atomic.Int64
	var off atomic.Bool
	for w := range writers {
		group.Go(func() {
			for i := 0; !off.Load(); i++ {
				n := w*100_000 + i
				row := ledgertest.Sample(n)
				write(t, known, &acks, func() error { _, _, err := s.Ledger().Claim(ctx, row); return err }, func() { known.rows[n] = 1 })
				write(t, known, &acks, func() error { _, _, err := s.Ledger().Advance(ctx, done(row)); return err }, func() { known.rows[n] = 2 })
				id := fmt.Sprint(n)
				e := session.Event{At: row.Created, Pin: session.Pin{Service: "payments", Provider: "stripe"}}
				write(t, known, &acks, func() error { return s.Sessions().Append(ctx, session.Key{ID: id}, e) }, func() { known.sessions[id] = true })
			}
		})
	}
	for acks.Load() < enough {
		runtime.Gosched() // gives the writers a turn; the loop ends by their count
	}
	known.mu.Lock() // what is noted now was acknowledged before the cut
	seen := &acknowledged{rows: map[int]uint64{}, sessions: map[string]bool{}}
	for k, v := range known.rows {
		seen.rows[k] = v
	}
	for k, v := range known.sessions {
		seen.sessions[k] = v
	}
	known.mu.Unlock()
	after := cut()
	off.Store(true)
	group.Wait()
	return after, seen
}

func write(t *testing.T, known *acknowledged, acks *atomic.Int64, do func() error, note func()) {
	if err := do(); err != nil {
		t.Errorf("a write failed: %v", err)
		return
	}
	known.mu.Lock()
	note()
	known.mu.Unlock()
	acks.Add(1)
}

// lost counts the acknowledged writes that are not there.
func (a *acknowledged) lost(t *testing.T, s *Store) int {
	t.Helper()
	n := 0
	for i, version := range a.rows {
		row, err := s.Ledger().Load(t.Context(), ledgertest.Sample(i).Key)
		switch {
		case errors.Is(err, ledger.ErrNotFound), err == nil && row.Version < version:
			n++
		case err != nil:
			t.Errorf("row %d: %v", i, err)
		case row.Pending() != indexed(t, s, row):
			t.Errorf("row %d is in %s, and its open entry is not as it should be", i, row.State)
		}
	}
	for id := range a.sessions {
		if _, err := s.Sessions().Load(t.Context(), session.Key{ID: id}); err != nil {
			n++
		}
	}
	return n
}

func indexed(t *testing.T, s *Store, row *ledger.Transaction) bool {
	t.Helper()
	ok, err := s.get(openKey(row.Created, row.Key.Hash()), func([]byte) error { return nil })
	if err != nil {
		t.Error(err)
	}
	return ok
}

// TestPowerCut pulls the plug under load: the disk keeps what was synced and, block by block, some of the rest. A hundred times.
func TestPowerCut(t *testing.T) {
	cuts, writes := uint64(100), 0
	if testing.Short() {
		cuts = 8
	}
	for seed := range cuts {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			after, known := powerCut(t, seed, nil)
			s := onMem(t, after, nil)
			defer shut(t, s)
			if n := known.lost(t, s); n > 0 {
				t.Errorf("%d acknowledged writes are lost", n)
			}
			writes += len(known.rows) + len(known.sessions)
		})
	}
	t.Logf("%d power cuts, %d acknowledged rows and sessions", cuts, writes)
}

// TestPowerCutNoSync shows that the test above would notice: without a sync, acknowledged writes are lost.
func TestPowerCutNoSync(t *testing.T) {
	after, known := powerCut(t, 1, func(o *Options) { o.write = pebble.NoSync })
	s := onMem(t, after, nil)
	defer shut(t, s)
	if n := known.lost(t, s); n == 0 {
		t.Error("nothing was lost without a sync: the disk of this test proves nothing")
	}
}

func powerCut(t *testing.T, seed uint64, change func(*Options)) (*vfs.MemFS, *acknowledged) {
	t.Helper()
	fs := vfs.NewCrashableMem()
	s := onMem(t, fs, change)
	defer shut(t, s)
	rng := rand.New(rand.NewPCG(seed, 1))
	return load(t, s, func() *vfs.MemFS {
		return fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: int(seed%4) * 25, RNG: rng})
	})
}

// walSyncs calls f before each sync of the log.
func walSyncs(f func() error) errorfs.Injector {
	return errorfs.InjectorFunc(func(op errorfs.Op) error {
		switch op.Kind {
		case errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo:
			if path.Ext(op.Path) == ".log" {
				return f()
			}
		default:
		}
		return nil
	})
}

// TestFailedSync lets a sync fail. Nothing that waited for it is acknowledged, the process is ended once, and nothing is written after.
func TestFailedSync(t *testing.T) {
	var bad atomic.Bool
	var fatals atomic.Int64
	mem := vfs.NewCrashableMem()
	s := onMem(t, errorfs.Wrap(mem, walSyncs(func() error {
		if bad.Load() {
			return syscall.EIO
		}
		return nil
	})), func(o *Options) { o.Fatal = func(error) { fatals.Add(1) } })
	defer func() { _ = s.Close() }() // it cannot end cleanly
	before := ledgertest.Sample(1)
	if _, _, err := s.Ledger().Claim(t.Context(), before); err != nil {
		t.Fatal(err)
	}
	bad.Store(true)
	if _, won, err := s.Ledger().Claim(t.Context(), ledgertest.Sample(2)); err == nil || won {
		t.Errorf("a claim whose sync failed was acknowledged: won %v", won)
	}
	bad.Store(false) // the disk says that it is well again: nobody believes it
	if _, _, err := s.Ledger().Claim(t.Context(), ledgertest.Sample(3)); err == nil {
		t.Error("a claim after a failed sync was acknowledged")
	}
	if _, err := s.Ledger().Load(t.Context(), before.Key); err == nil {
		t.Error("a read after a failed sync was answered")
	}
	if n := fatals.Load(); n != 1 {
		t.Errorf("the process was ended %d times", n)
	}
	again := onMem(t, mem.CrashClone(vfs.CrashCloneCfg{}), nil)
	defer shut(t, again)
	if _, err := again.Ledger().Load(t.Context(), before.Key); err != nil {
		t.Errorf("what was acknowledged before: %v", err)
	}
}

// TestDiskFailsAtTheStart: a disk that takes no new file while the log of the last life is put in order ends the process; it does not hang.
func TestDiskFailsAtTheStart(t *testing.T) {
	mem := vfs.NewCrashableMem()
	s := onMem(t, mem, nil)
	if _, _, err := s.Ledger().Claim(t.Context(), ledgertest.Sample(1)); err != nil {
		t.Fatal(err)
	}
	left := mem.CrashClone(vfs.CrashCloneCfg{})
	shut(t, s)
	var bad atomic.Bool
	bad.Store(true)
	o := options(t)
	o.fs = errorfs.Wrap(left, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if bad.Load() && op.Kind == errorfs.OpCreate && path.Ext(op.Path) == ".sst" {
			return syscall.EIO
		}
		return nil
	}))
	told := make(chan error, 1)
	o.Fatal = func(err error) {
		told <- err
		bad.Store(false) // so that what would be over goes on to its end
	}
	if _, err := Open("store", o); !errors.Is(err, syscall.EIO) {
		t.Errorf("it opened: %v", err)
	}
	if err := <-told; !errors.Is(err, syscall.EIO) {
		t.Errorf("the process was ended with %v", err)
	}
}

// TestReadsAreDurable holds a sync back: a row that is not on the disk yet is told to nobody.
func TestReadsAreDurable(t *testing.T) {
	var hold atomic.Bool
	waiting, release := make(chan struct{}, 8), make(chan struct{})
	s := onMem(t, errorfs.Wrap(vfs.NewMem(), walSyncs(func() error {
		if hold.Load() {
			waiting <- struct{}{}
			<-release
		}
		return nil
	})), nil)
	defer shut(t, s)
	row := ledgertest.Sample(1)
	event := session.Event{At: row.Created, Pin: session.Pin{Service: "payments", Provider: "stripe"}}
	hold.Store(true)
	var group sync.WaitGroup
	group.Go(func() { _, _, _ = s.Ledger().Claim(t.Context(), row) })
	<-waiting
	group.Go(func() { _ = s.Sessions().Append(t.Context(), session.Key{ID: "a"}, event) })
	told := make(chan string, 3)
	for !seen(t, s, rowKey(row.Key.Hash())) || !seen(t, s, sessionKey(session.Key{ID: "a"}.Hash())) {
		runtime.Gosched() // until both are visible to who reads past the store
	}
	group.Go(func() { _, _ = s.Ledger().Load(t.Context(), row.Key); told <- "load" })
	group.Go(func() { _, _ = s.Ledger().ByID(t.Context(), row.ID); told <- "by id" })
	group.Go(func() { _, _ = s.Sessions().Load(t.Context(), session.Key{ID: "a"}); told <- "session" })
	select {
	case who := <-told:
		t.Errorf("%s told a row that is not on the disk", who)
	case <-time.After(50 * time.Millisecond):
	}
	hold.Store(false)
	close(release)
	group.Wait()
}

func seen(t *testing.T, s *Store, key []byte) bool {
	t.Helper()
	ok, err := s.get(key, func([]byte) error { return nil })
	if err != nil {
		t.Error(err)
	}
	return ok
}

// TestGroupCommit counts: sixteen writers on a slow disk share their syncs.
func TestGroupCommit(t *testing.T) {
	const writers, each = 16, 20
	var syncs atomic.Int64
	s := onMem(t, errorfs.Wrap(vfs.NewMem(), walSyncs(func() error {
		syncs.Add(1)
		<-time.After(time.Millisecond)
		return nil
	})), nil)
	defer shut(t, s)
	syncs.Store(0)
	var group sync.WaitGroup
	for w := range writers {
		group.Go(func() {
			for i := range each {
				if _, won, err := s.Ledger().Claim(context.Background(), ledgertest.Sample(w*each+i)); err != nil || !won {
					t.Errorf("claim: %v %v", won, err)
				}
			}
		})
	}
	group.Wait()
	if n := syncs.Load(); n > writers*each/4 {
		t.Errorf("%d syncs for %d claims: they are not shared", n, writers*each)
	}
}
