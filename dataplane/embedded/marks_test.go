package embedded

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"segue/dataplane/ledger/ledgertest"
)

// newestMark is the mark of the newest log in a directory.
func newestMark(t *testing.T, dir string) (newest mark) {
	t.Helper()
	for _, k := range marksIn(t, filepath.Join(dir, marksName)) {
		if k.log > newest.log {
			newest = k
		}
	}
	if newest.length == 0 {
		t.Fatal("no log is marked")
	}
	return newest
}

func marksIn(t *testing.T, file string) []mark {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var all []mark
	for i := range maxMarks {
		k, ok := markOf(b[i*markSize:])
		if !ok {
			t.Fatalf("mark %d of %s is damaged", i, file)
		}
		all = append(all, k)
	}
	return all
}

func logFile(dir string, k mark) string { return filepath.Join(dir, fmt.Sprintf("%06d.log", k.log)) }

func copied(t *testing.T, dir string) string {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; {
		to := t.TempDir()
		err := os.CopyFS(to, os.DirFS(dir))
		switch {
		case err == nil:
			return to
		case !errors.Is(err, fs.ErrNotExist) || time.Now().After(deadline): // an open store drops the tables that it has merged
			t.Fatal(err)
		}
	}
}

// holds opens a directory and finds every row in it. It returns what the opening said.
func holds(t *testing.T, dir string, rows int) string {
	t.Helper()
	var said bytes.Buffer
	o := options(t)
	o.Log = slog.New(slog.NewTextHandler(&said, nil))
	s, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	defer shut(t, s)
	for i := range rows {
		if _, err := s.Ledger().Load(t.Context(), ledgertest.Sample(i).Key); err != nil {
			t.Fatalf("row %d: %v", i, err)
		}
	}
	return said.String()
}

// refuses opens a directory that lost a part of a log, and takes the file back in after the refusal.
func refuses(t *testing.T, dir string, k mark, found string) {
	t.Helper()
	s, err := Open(dir, options(t))
	if err == nil {
		shut(t, s)
		t.Fatal("it opened")
	}
	for _, want := range []string{logFile(dir, k), found, fmt.Sprint(k.length, " bytes"), "Put back", filepath.Join(dir, marksName)} {
		if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not said: %v", want, err)
		}
	}
}

// TestCutLog cuts the log of a store that was killed, wherever: it does not open, until the log is back or somebody says to go on.
func TestCutLog(t *testing.T) {
	dir, rows := filled(t, false)
	k := newestMark(t, dir)
	for part := range int64(17) {
		hurt := copied(t, dir)
		length := k.length * part / 16
		if part == 16 {
			length = k.length - 1
		}
		if err := os.Truncate(logFile(hurt, k), length); err != nil {
			t.Fatal(err)
		}
		refuses(t, hurt, k, fmt.Sprintf("has %d bytes", length))
		refuses(t, hurt, k, fmt.Sprintf("has %d bytes", length)) // a second start does not forget it
		putBack(t, logFile(dir, k), logFile(hurt, k))
		holds(t, hurt, rows)
	}
	hurt := copied(t, dir)
	if err := os.Remove(logFile(hurt, k)); err != nil {
		t.Fatal(err)
	}
	refuses(t, hurt, k, "is missing")
	if err := os.Remove(filepath.Join(hurt, marksName)); err != nil {
		t.Fatal(err)
	}
	holds(t, hurt, 0)
}

func putBack(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestTornTail leaves more in a log than is known of it: a write that was under way when the power went.
func TestTornTail(t *testing.T) {
	dir, rows := filled(t, false)
	k := newestMark(t, dir)
	for _, tail := range [][]byte{{1}, make([]byte, 100), bytes.Repeat([]byte{0xa5}, 40_000)} {
		torn := copied(t, dir)
		f, err := os.OpenFile(logFile(torn, k), os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			t.Fatal(err)
		}
		_, err = f.Write(tail)
		if err := errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
		holds(t, torn, rows)
	}
}

// TestDamagedMarks opens with marks that say nothing, and says so once.
func TestDamagedMarks(t *testing.T) {
	dir, rows := filled(t, false)
	whole, err := os.ReadFile(filepath.Join(dir, marksName))
	if err != nil {
		t.Fatal(err)
	}
	flip := func(at int) []byte { b := bytes.Clone(whole); b[at] ^= 0x40; return b }
	for name, b := range map[string][]byte{
		"log flipped": flip(0), "length flipped": flip(8), "sum flipped": flip(16), "a free one flipped": flip(len(whole) / 2),
		"cut": whole[:40], "emptied": {}, "missing": nil, "longer": append(bytes.Clone(whole), 1), "all ones": bytes.Repeat([]byte{0xff}, len(whole)),
	} {
		hurt := copied(t, dir)
		file := filepath.Join(hurt, marksName)
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if b == nil {
			_ = os.Remove(file) // the opening below tells
		}
		if said := holds(t, hurt, rows); !strings.Contains(said, "marks are missing or damaged") || !strings.Contains(said, file) {
			t.Errorf("%s: it said %q", name, said)
		}
		if said := holds(t, hurt, rows); strings.Contains(said, "marks") && name != "longer" {
			t.Errorf("%s: again it said %q", name, said)
		}
	}
	if said := holds(t, t.TempDir(), 0); said != "" {
		t.Errorf("of a new directory it said %q", said)
	}
}

// TestOldMarks opens with the marks of an earlier time, as a power cut may leave them: they are behind.
func TestOldMarks(t *testing.T) {
	const rows = 40
	dir := t.TempDir()
	s, err := Open(dir, options(t))
	if err != nil {
		t.Fatal(err)
	}
	defer shut(t, s)
	var olds []string
	for i := range rows {
		claim(t, s, ledgertest.Sample(i))
		if i%10 == 0 {
			olds = append(olds, copied(t, dir))
		}
	}
	for _, old := range olds {
		now := copied(t, dir)
		putBack(t, filepath.Join(old, marksName), filepath.Join(now, marksName))
		holds(t, now, rows)
	}
}

// TestMarksFollow goes through many logs, which Pebble removes and writes over. Every mark is of a log that is there, closed or killed.
func TestMarksFollow(t *testing.T) {
	dir := t.TempDir()
	n := 0
	for range 3 {
		s, err := Open(dir, options(t))
		if err != nil {
			t.Fatal(err)
		}
		for range 12 {
			claim(t, s, ledgertest.Sample(n))
			n++
			if err := s.db.Flush(); err != nil {
				t.Fatal(err)
			}
			claim(t, s, ledgertest.Sample(n))
			n++
		}
		killed := copied(t, dir)
		k := newestMark(t, killed)
		holds(t, killed, n)
		shut(t, s)
		if after := newestMark(t, dir); after.log <= k.log {
			t.Errorf("closed: log %d is marked, and %d was before", after.log, k.log)
		}
	}
	holds(t, dir, n)
	holds(t, dir, n)
}

// writeback is a disk that writes the marks down whenever it likes, not only when it is told to.
type writeback struct {
	vfs.FS
	mu  sync.Mutex
	rng *rand.Rand
}

func (w *writeback) OpenReadWrite(name string, c vfs.DiskWriteCategory, o ...vfs.OpenOption) (vfs.File, error) {
	f, err := w.FS.OpenReadWrite(name, c, o...)
	if err != nil || path.Base(name) != marksName {
		return f, err
	}
	return &eager{File: f, w: w}, nil
}

func (w *writeback) chance(n int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rng.IntN(n) == 0
}

type eager struct {
	vfs.File
	w *writeback
}

func (f *eager) WriteAt(p []byte, at int64) (int, error) {
	n, err := f.File.WriteAt(p, at)
	if err == nil && f.w.chance(3) {
		err = f.Sync()
	}
	return n, err
}

// TestHonestPowerCut pulls the plug a hundred times, under writers and while logs come and go. No directory is refused.
func TestHonestPowerCut(t *testing.T) {
	const seed, cuts = 7, 100
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	mem := vfs.NewCrashableMem()
	s := onMem(t, &writeback{FS: mem, rng: rand.New(rand.NewPCG(seed, 2))}, nil)
	defer shut(t, s)
	marked := 0
	for cut := range cuts {
		clone := burst(t, s, cut, rng.IntN(bursts), func() *vfs.MemFS {
			return mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(4) * 33, RNG: rng})
		})
		marked += reopenCut(t, clone)
	}
	if marked < cuts/4 {
		t.Errorf("%d of %d cuts kept a mark: this proves little", marked, cuts)
	}
}

const bursts = 24 // claims of a burst

// burst claims rows by several writers, while another begins new logs, and cuts after some of them.
func burst(t *testing.T, s *Store, round, after int, cut func() *vfs.MemFS) *vfs.MemFS {
	const writers = 4
	var acks atomic.Int64
	var group sync.WaitGroup
	defer group.Wait()
	for w := range writers {
		group.Go(func() {
			for i := range bursts / writers {
				if _, _, err := s.Ledger().Claim(t.Context(), ledgertest.Sample(round*bursts+w*bursts/writers+i)); err != nil {
					t.Errorf("claim: %v", err)
				}
				acks.Add(1)
			}
		})
	}
	group.Go(func() {
		for range 2 {
			if err := s.db.Flush(); err != nil {
				t.Errorf("flush: %v", err)
			}
		}
	})
	for acks.Load() < int64(after) {
		runtime.Gosched()
	}
	return cut()
}

// reopenCut opens what a power cut left, and says whether a mark was left to it.
func reopenCut(t *testing.T, fs *vfs.MemFS) int {
	t.Helper()
	m := &marks{FS: fs, dir: "store", log: slog.New(slog.DiscardHandler)}
	if err := m.read(); err != nil {
		t.Fatal(err)
	}
	shut(t, onMem(t, fs, nil))
	if m.known == [maxMarks]mark{} {
		return 0
	}
	return 1
}

// slow is a log's file during whose sync more is written, and whose sync may fail.
type slow struct {
	vfs.File
	during func()
	full   bool
	err    error
}

func (f *slow) Sync() error                { f.during(); return f.err }
func (f *slow) SyncData() error            { f.during(); return f.err }
func (f *slow) SyncTo(int64) (bool, error) { f.during(); return f.full, f.err }

// TestMarkAfterSync: a mark tells of what was written before a sync began, once that ended well.
func TestMarkAfterSync(t *testing.T) {
	syncs := map[string]func(vfs.File) error{
		"sync": vfs.File.Sync, "data": vfs.File.SyncData,
		"to": func(f vfs.File) error { _, err := f.SyncTo(1); return err },
	}
	for name, sync := range syncs {
		for _, c := range []struct {
			full bool
			err  error
			want int64
		}{{true, nil, 10}, {true, syscall.EIO, 0}, {false, nil, 0}} {
			if !c.full && name != "to" {
				continue
			}
			fs := vfs.NewMem()
			m, err := openMarks(fs, "", slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			file, err := fs.Create("000007.log", "")
			if err != nil {
				t.Fatal(err)
			}
			l := &markedLog{marks: m, number: 7}
			l.File = &slow{File: file, full: c.full, err: c.err, during: func() {
				if m.known[m.place(7)].length != 0 {
					t.Errorf("%s: marked before its end", name)
				}
				_, _ = l.Write(make([]byte, 5))
			}}
			_, _ = l.Write(make([]byte, 10))
			if err := sync(l); !errors.Is(err, c.err) {
				t.Errorf("%s: %v", name, err)
			}
			if got := m.known[m.place(7)].length; got != c.want {
				t.Errorf("%s: %+v: %d bytes are marked, want %d", name, c, got, c.want)
			}
		}
	}
}

// TestMarksFail lets the marks' own file fail: the store goes on and says so once, and its directory opens again.
func TestMarksFail(t *testing.T) {
	for name, kind := range map[string]errorfs.OpKind{"write": errorfs.OpFileWriteAt, "sync": errorfs.OpFileSyncData} {
		var bad atomic.Bool
		var said bytes.Buffer
		mem := vfs.NewMem()
		s := onMem(t, errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if bad.Load() && op.Kind == kind && path.Base(op.Path) == marksName {
				return syscall.EIO
			}
			return nil
		})), func(o *Options) { o.Log = slog.New(slog.NewTextHandler(&said, nil)) })
		m := s.log.lock.marks
		claim(t, s, ledgertest.Sample(0))
		bad.Store(true)
		claim(t, s, ledgertest.Sample(1))
		claim(t, s, ledgertest.Sample(2))
		k := m.known[0]
		for range 2 {
			if err := m.Remove(m.PathJoin("store", fmt.Sprintf("%06d.log", k.log))); !errors.Is(err, syscall.EIO) {
				t.Errorf("%s: the log of a mark that may be on the disk was removed: %v", name, err)
			}
			bad.Store(kind == errorfs.OpFileWriteAt) // a sync that is said to work again proves nothing
		}
		bad.Store(false)
		shut(t, s)
		if n := strings.Count(said.String(), "marks cannot be written"); n != 1 {
			t.Errorf("%s: it was said %d times: %s", name, n, said.String())
		}
		again := onMem(t, mem, nil)
		if _, err := again.Ledger().Load(t.Context(), ledgertest.Sample(2).Key); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		shut(t, again)
	}
}

// TestManyLogs: the oldest of too many is forgotten, and none is in two places.
func TestManyLogs(t *testing.T) {
	fs := vfs.NewMem()
	m, err := openMarks(fs, "", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for n := range uint64(2 * maxMarks) {
		m.durable(n+1, 10)
		m.durable(n+1, 20)
		m.durable(n+1, 15) // never back
	}
	seen := map[uint64]bool{}
	for _, k := range m.known {
		if k.log <= maxMarks || k.length != 20 || seen[k.log] {
			t.Errorf("mark %+v", k)
		}
		seen[k.log] = true
	}
	if err := m.forget(2 * maxMarks); err != nil || m.known[m.place(99)] != (mark{}) {
		t.Errorf("a forgotten log leaves no free place: %v", err)
	}
	before := m.known
	if err := m.close(); err != nil {
		t.Fatal(err)
	}
	m.durable(99, 1)
	if err := m.forget(1); !errors.Is(err, ErrClosed) || m.known != before {
		t.Errorf("after the end: %v", err)
	}
	again := &marks{FS: fs, log: slog.New(slog.DiscardHandler)}
	if err := again.read(); err != nil || again.known != before {
		t.Errorf("read back: %v %v", again.known, err)
	}
}
