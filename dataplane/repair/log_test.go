package repair

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"path"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"segue/controlplane/seal"
	"segue/e2e/patience"
)

// put appends an event that n tells apart.
func put(t testing.TB, l *Log, n int) ID {
	t.Helper()
	id, err := l.Append(OfSession, [32]byte{byte(n)}, "", text(n))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func text(n int) []byte { return fmt.Appendf(nil, "event %d", n) }

// has checks that the pending hints are these, in order.
func has(t testing.TB, l *Log, want ...ID) {
	t.Helper()
	var got []ID
	for _, e := range l.waiting(1<<20, func(e *entry) bool { return e.stage == pending }) {
		got = append(got, e.ID)
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the log has %x, want %x", got, want)
	}
}

// TestLogKeeps: what was appended is there after a reopening, whole and in order; what ended is not; the journal is.
func TestLogKeeps(t *testing.T) {
	dir := patience.Dir(t)
	l := openLog(t, dir, logOptions(t))
	var ids []ID
	for n := range 5 {
		ids = append(ids, put(t, l, n))
	}
	long := bytes.Repeat([]byte("x"), 3<<18)
	big, err := l.Append(OfTransaction, [32]byte{9}, "at_1", long)
	must(t, err)
	l.End(ids[1], Superseded)
	l.End(ids[3], Applied)
	shut(t, l)
	l = openLog(t, dir, logOptions(t))
	has(t, l, ids[0], ids[2], ids[4], big)
	if n := l.index.count[replayed]; n != 1 {
		t.Errorf("%d hints are in the journal", n)
	}
	for _, n := range []int{0, 2, 4, 3} {
		e, _ := l.find(ids[n])
		if b, err := l.payload(&e); err != nil || !bytes.Equal(b, text(n)) {
			t.Errorf("hint %d says %q, %v", n, b, err)
		}
	}
	e, _ := l.find(big)
	if b, err := l.payload(&e); err != nil || !bytes.Equal(b, long) || e.Attempt != "at_1" || e.Kind != OfTransaction {
		t.Errorf("the large hint has %d bytes, %v: %+v", len(b), err, e.Hint)
	}
	if next := put(t, l, 77); l.waits(place{OfSession, [32]byte{77}}) != true || next == ids[0] {
		t.Error("the log takes nothing after a reopening")
	}
	if e, _ := l.find(put(t, l, 78)); e.Seq != 8 {
		t.Errorf("the numbers went on at %d", e.Seq)
	}
}

// TestLogOnce: an event is one hint, however often and from however many sides it comes.
func TestLogOnce(t *testing.T) {
	dir := patience.Dir(t)
	l := openLog(t, dir, logOptions(t))
	var group sync.WaitGroup
	for range 16 {
		group.Go(func() { put(t, l, 1) })
	}
	group.Wait()
	id := put(t, l, 1)
	has(t, l, id)
	room := l.bytes
	l.End(id, Applied)
	put(t, l, 1) // the store has it
	has(t, l)
	l.seen(id)
	put(t, l, 1) // nobody remembers
	has(t, l, id)
	shut(t, l)
	l = openLog(t, dir, logOptions(t))
	has(t, l, id)
	if l.bytes > 3*room+1000 {
		t.Errorf("the log has %d bytes; with one event it had %d", l.bytes, room)
	}
}

// TestLogSealed: nothing of what a hint says can be read in the files, and only its key opens it.
func TestLogSealed(t *testing.T) {
	dir := patience.Dir(t)
	l := openLog(t, dir, logOptions(t))
	const canary = "4242424242424242"
	id, err := l.Append(OfSession, [32]byte{1}, "", []byte(canary))
	must(t, err)
	shut(t, l)
	b, err := readFile(vfs.Default, path.Join(dir, nameOf(1)))
	must(t, err)
	if bytes.Contains(b, []byte(canary)) {
		t.Error("the payload stands in the file")
	}
	o := logOptions(t)
	o.Keys = []seal.Key{key("k2")}
	l = openLog(t, dir, o)
	e, _ := l.find(id)
	if _, err := l.payload(&e); err == nil {
		t.Error("another key opened it")
	}
	shut(t, l)
	o.Keys = append(o.Keys, key("k1"))
	l = openLog(t, dir, o)
	if b, err := l.payload(&e); err != nil || string(b) != canary {
		t.Errorf("an old key does not open it: %q %v", b, err)
	}
}

// TestLogBounds: a log that is full refuses with ErrFull and keeps what it has; room comes back with the replay.
func TestLogBounds(t *testing.T) {
	o := logOptions(t)
	o.Limit, o.Segment = 20_000, 2000
	l := openLog(t, patience.Dir(t), o)
	var ids []ID
	var err error
	for n := 0; err == nil && n < 1000; n++ {
		var id ID
		if id, err = l.Append(OfSession, [32]byte{byte(n)}, "", fmt.Appendf(nil, "%0300d", n)); err == nil {
			ids = append(ids, id)
		}
	}
	if !errors.Is(err, ErrFull) || len(ids) < 20 {
		t.Fatalf("%d hints, then %v", len(ids), err)
	}
	has(t, l, ids...)
	if l.bytes > o.Limit+int64(frameHead+frameTail)*int64(len(ids)) {
		t.Errorf("%d bytes", l.bytes)
	}
	for _, id := range ids[1:] {
		l.End(id, Superseded)
	}
	until(t, "room comes back, though the first hint is held up", func() bool {
		_, err := l.Append(OfSession, [32]byte{1}, "", []byte("more"))
		return err == nil
	})
	e, _ := l.find(ids[0])
	until(t, "the first hint moved", func() bool { e, _ = l.find(ids[0]); return e.seg.number > 1 })
	if _, err := l.payload(&e); err != nil {
		t.Errorf("the hint that was moved: %v", err)
	}
	dir := l.dir
	shut(t, l)
	l = openLog(t, dir, o)
	if e, ok := l.find(ids[0]); !ok || e.Seq != 1 || e.stage != pending {
		t.Errorf("the hint that was moved is %+v after a reopening", e)
	}
	full := logOptions(t)
	full.Reserve = 1 << 62
	l = openLog(t, patience.Dir(t), full)
	if _, err := l.Append(OfSession, [32]byte{}, "", nil); !errors.Is(err, ErrFull) {
		t.Errorf("a full disk: %v", err)
	}
	if _, err := l.Append(OfSession, [32]byte{}, "", make([]byte, MaxHint)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("too large: %v", err)
	}
}

// TestLogAge: past its age the oldest hint stops new ones until it has ended.
func TestLogAge(t *testing.T) {
	var now atomic.Int64
	o := logOptions(t)
	o.Age, o.Now = time.Hour, func() time.Time { return base.Add(time.Duration(now.Load())) }
	l := openLog(t, patience.Dir(t), o)
	id := put(t, l, 1)
	now.Store(int64(time.Hour))
	second := put(t, l, 2)
	now.Store(int64(time.Hour + 1))
	if _, err := l.Append(OfSession, [32]byte{}, "", text(3)); !errors.Is(err, ErrOld) {
		t.Errorf("past the age: %v", err)
	}
	has(t, l, id, second)
	l.End(id, Applied)
	put(t, l, 3)
}

// TestLogShared counts: sixteen writers on a slow disk share their syncs.
func TestLogShared(t *testing.T) {
	const writers, each = 16, 20
	var syncs atomic.Int64
	o := logOptions(t)
	o.fs = errorfs.Wrap(vfs.NewMem(), syncing(func() error {
		syncs.Add(1)
		<-time.After(time.Millisecond)
		return nil
	}))
	l := openLog(t, "log", o)
	syncs.Store(0)
	var group sync.WaitGroup
	for w := range writers {
		group.Go(func() {
			for i := range each {
				put(t, l, w*each+i)
			}
		})
	}
	group.Wait()
	if n := syncs.Load(); n > writers*each/4 {
		t.Errorf("%d syncs for %d hints: they are not shared", n, writers*each)
	}
}

func syncing(f func() error) errorfs.Injector {
	return errorfs.InjectorFunc(func(op errorfs.Op) error {
		switch op.Kind {
		case errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo:
			return f()
		default:
			return nil
		}
	})
}

// TestLogFailedSync: nothing that waited for a sync that failed is acknowledged, and nothing is written after it.
func TestLogFailedSync(t *testing.T) {
	var bad atomic.Bool
	var fatals atomic.Int64
	mem := vfs.NewCrashableMem()
	o := logOptions(t)
	o.Fatal = func(error) { fatals.Add(1) }
	o.fs = errorfs.Wrap(mem, syncing(func() error {
		if bad.Load() {
			return syscall.EIO
		}
		return nil
	}))
	l := openLog(t, "log", o)
	id := put(t, l, 1)
	bad.Store(true)
	if _, err := l.Append(OfSession, [32]byte{}, "", text(2)); err == nil {
		t.Error("a hint whose sync failed was acknowledged")
	}
	bad.Store(false)
	if _, err := l.Append(OfSession, [32]byte{}, "", text(3)); err == nil {
		t.Error("a hint after a failed sync was acknowledged")
	}
	if n := fatals.Load(); n != 1 {
		t.Errorf("the process was ended %d times", n)
	}
	o = logOptions(t)
	o.fs = mem.CrashClone(vfs.CrashCloneCfg{})
	has(t, openLog(t, "log", o), id)
}

// TestLogInUse: one process at a time.
func TestLogInUse(t *testing.T) {
	dir := patience.Dir(t)
	openLog(t, dir, logOptions(t))
	if _, err := OpenLog(dir, logOptions(t)); !errors.Is(err, ErrInUse) {
		t.Errorf("a second opening: %v", err)
	}
	if _, err := OpenLog(patience.Dir(t), LogOptions{}); !errors.Is(err, errNoKey) {
		t.Errorf("no key: %v", err)
	}
}

// files are a closed log's.
type files map[string][]byte

// closedLog writes three hints to two segments, and returns the files and what must be found.
func closedLog(t *testing.T) (files, []ID) {
	t.Helper()
	fs := vfs.NewMem()
	o := logOptions(t)
	o.fs = fs
	l := openLog(t, "log", o)
	ids := []ID{put(t, l, 1)}
	shut(t, l)
	l = openLog(t, "log", o)
	ids = append(ids, put(t, l, 2), put(t, l, 3))
	shut(t, l)
	out := files{}
	names, err := fs.List("log")
	must(t, err)
	for _, n := range names {
		if n != "LOCK" {
			out[n], err = readFile(fs, path.Join("log", n))
			must(t, err)
		}
	}
	return out, ids
}

func (f files) disk(t *testing.T) vfs.FS {
	t.Helper()
	fs := vfs.NewMem()
	must(t, fs.MkdirAll("log", 0o700))
	for name, b := range f {
		w, err := fs.Create(path.Join("log", name), diskCategory)
		must(t, err)
		_, err = w.Write(append([]byte(nil), b...))
		must(t, errors.Join(err, w.Close()))
	}
	return fs
}

func (f files) with(name string, b []byte) files {
	out := files{}
	for n, v := range f {
		out[n] = v
	}
	if out[name] = b; b == nil {
		delete(out, name)
	}
	return out
}

// opened opens a log on these files. Silent is true if it says of no damage and yet not all hints are there.
func (f files) opened(t *testing.T, want []ID) (report Report, silent bool, err error) {
	t.Helper()
	o := logOptions(t)
	o.fs = f.disk(t)
	l, err := OpenLog("log", o)
	if err != nil {
		return Report{}, false, err
	}
	defer shut(t, l)
	whole := true
	for _, id := range want {
		e, ok := l.find(id)
		if ok {
			_, err := l.payload(&e)
			ok = err == nil
		}
		whole = whole && ok
	}
	return l.Report(), l.Report().Torn == 0 && !whole, nil
}

// TestEveryByte changes each byte of each file, and cuts each file at each length: the log refuses to open, or, where only the mark is
// hurt, says so and has everything.
func TestEveryByte(t *testing.T) {
	whole, ids := closedLog(t)
	if report, silent, err := whole.opened(t, ids); err != nil || silent || report != (Report{}) {
		t.Fatalf("the log as it was: %v %+v", err, report)
	}
	tried := 0
	check := func(name, what string, b []byte) {
		tried++
		report, silent, err := whole.with(name, b).opened(t, ids)
		switch {
		case name == markName:
			if err != nil || silent || b != nil && report.Warning == "" {
				t.Errorf("%s %s: %v, %+v", name, what, err, report)
			}
		case !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrNewer):
			t.Errorf("%s %s: %v, %+v", name, what, err, report)
		}
	}
	for name, b := range whole {
		for i := range b {
			for _, bits := range []byte{0xff, 1 << (i % 8)} {
				hurt := append([]byte(nil), b...)
				hurt[i] ^= bits
				check(name, fmt.Sprintf("with byte %d of %d changed by %02x", i, len(b), bits), hurt)
			}
			check(name, fmt.Sprintf("cut to %d of %d bytes", i, len(b)), b[:i:i])
		}
		check(name, "removed", nil)
		if name == nameOf(1) {
			check(name, "with a byte more", append(append([]byte(nil), b...), 0))
		}
	}
	t.Logf("%d damaged logs", tried)
}

// TestEveryByteWithoutMark: without the mark only the last frame can be taken for one that a power cut tore, and that is reported.
func TestEveryByteWithoutMark(t *testing.T) {
	whole, ids := closedLog(t)
	whole = whole.with(markName, nil)
	for name, b := range whole {
		for i := range b {
			hurt := append([]byte(nil), b...)
			hurt[i] ^= 1 << (i % 8)
			if report, silent, err := whole.with(name, hurt).opened(t, ids); err == nil && (silent || report.Torn == 0) {
				t.Errorf("%s with byte %d of %d changed: nobody said anything", name, i, len(b))
			}
		}
	}
}

// TestTornTail: bytes that never were acknowledged are cut off and reported, and the log goes on.
func TestTornTail(t *testing.T) {
	whole, ids := closedLog(t)
	rng := rand.New(rand.NewPCG(1, 2))
	_, next, err := scan(whole[nameOf(2)], 2, func([]byte, int64) error { return nil })
	must(t, err)
	frame, _ := endFrame(append(beginFrame(nil), appendEnded(nil, ids[0], Superseded)...), next)
	for n := 1; n < len(frame); n++ {
		tail := append([]byte(nil), frame[:n]...)
		if n%3 == 0 {
			for i := range tail {
				tail[i] = byte(rng.Uint32())
			}
		}
		hurt := whole.with(nameOf(2), append(append([]byte(nil), whole[nameOf(2)]...), tail...))
		o := logOptions(t)
		o.fs = hurt.disk(t)
		for round := range 2 {
			l, err := OpenLog("log", o)
			if err != nil {
				t.Fatalf("%d bytes of a frame, round %d: %v", n, round, err)
			}
			if torn := l.Report().Torn; round == 0 && torn != int64(n) || round == 1 && torn != 0 {
				t.Errorf("%d bytes of a frame, round %d: %d are reported", n, round, torn)
			}
			has(t, l, ids...)
			shut(t, l)
		}
	}
}
