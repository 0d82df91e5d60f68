package embedded

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"segue/dataplane/ledger"
	"segue/dataplane/ledger/ledgertest"
	"segue/dataplane/session"
)

func claim(t testing.TB, s *Store, rows ...*ledger.Transaction) {
	t.Helper()
	for _, row := range rows {
		if _, won, err := s.Ledger().Claim(t.Context(), row); err != nil || !won {
			t.Fatalf("claim of %s: %v %v", row.ID, won, err)
		}
	}
}

func advance(t testing.TB, s *Store, row *ledger.Transaction) {
	t.Helper()
	if _, how, err := s.Ledger().Advance(t.Context(), row); err != nil || how != ledger.Stored {
		t.Fatalf("advance of %s: %v %v", row.ID, how, err)
	}
}

// TestNoClaim refuses rows that would have no place in the indices.
func TestNoClaim(t *testing.T) {
	s := onMem(t, vfs.NewMem(), nil)
	defer shut(t, s)
	for name, change := range map[string]func(*ledger.Transaction){
		"another version": func(r *ledger.Transaction) { r.Version = 2 },
		"no id":           func(r *ledger.Transaction) { r.ID = "" },
		"not in intent":   func(r *ledger.Transaction) { r.State = ledger.DoneSucceeded },
		"no attempt":      func(r *ledger.Transaction) { r.Attempts = nil },
		"too large":       func(r *ledger.Transaction) { r.Session = strings.Repeat("x", ledger.MaxRow) },
	} {
		row := ledgertest.Sample(1)
		change(row)
		if _, won, err := s.Ledger().Claim(t.Context(), row); err == nil || won {
			t.Errorf("%s: taken", name)
		}
	}
	claim(t, s, ledgertest.Sample(1))
}

// TestFull refuses claims on a disk that is nearly full, and still records outcomes and sessions.
func TestFull(t *testing.T) {
	fs := vfs.NewMem()
	fs.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 1 << 30, TotalBytes: 1 << 40})
	s := onMem(t, fs, func(o *Options) { o.Reserve = DefaultReserve })
	defer shut(t, s)
	row := ledgertest.Sample(1)
	claim(t, s, row)
	fs.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: DefaultReserve - 1, TotalBytes: 1 << 40})
	s.look()
	if _, won, err := s.Ledger().Claim(t.Context(), ledgertest.Sample(2)); !errors.Is(err, ErrFull) || won {
		t.Errorf("a claim on a full disk: %v %v", won, err)
	}
	if current, won, err := s.Ledger().Claim(t.Context(), row); err != nil || won || current.ID != row.ID {
		t.Errorf("a repeat on a full disk: %v %v", won, err)
	}
	if err := s.Refused(); !errors.Is(err, ErrFull) {
		t.Errorf("refused: %v", err)
	}
	advance(t, s, done(row))
	e := session.Event{At: row.Created, Pin: session.Pin{Service: "payments", Provider: "stripe"}}
	if err := s.Sessions().Append(t.Context(), session.Key{ID: "a"}, e); err != nil {
		t.Errorf("a session on a full disk: %v", err)
	}
	if st, err := s.Stats(); err != nil || !st.Full || st.Free != DefaultReserve-1 {
		t.Errorf("stats: %+v %v", st, err)
	}
	fs.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: DefaultReserve, TotalBytes: 1 << 40})
	s.look()
	claim(t, s, ledgertest.Sample(2))
}

// TestStats counts what is held through every change and over a reopening.
func TestStats(t *testing.T) {
	open := reopener(t)
	s := open()
	want := func(s *Store, n int, oldest time.Time) {
		t.Helper()
		if st, err := s.Stats(); err != nil || st.Held != n || !st.Oldest.Equal(oldest) {
			t.Errorf("stats: %+v %v, want %d since %v", st, err, n, oldest)
		}
	}
	want(s, 0, time.Time{})
	rows := make([]*ledger.Transaction, 4)
	for i := range rows {
		rows[i] = ledgertest.Sample(i)
		claim(t, s, rows[i])
	}
	want(s, 0, time.Time{})
	for i := 3; i > 0; i-- {
		rows[i].State, rows[i].Version = ledger.Held, 2
		advance(t, s, rows[i])
		want(s, 4-i, rows[i].Created)
	}
	rows[1].Version = 3 // held by another now
	advance(t, s, rows[1])
	want(s, 3, rows[1].Created)
	advance(t, s, done(rows[1]))
	want(s, 2, rows[2].Created)
	want(open(), 2, rows[2].Created)
}

// TestSweep removes old rows with every trace of them, and none that is open, was touched since, or is an owner.
func TestSweep(t *testing.T) {
	s := onMem(t, vfs.NewMem(), nil)
	defer shut(t, s)
	const many = sweepBatch + 10
	for i := range many {
		row := ledgertest.Sample(i)
		claim(t, s, row)
		if i != 1 {
			advance(t, s, done(row))
		}
	}
	later := ledgertest.Sample(0).Created.Add(DefaultKeep + 24*time.Hour)
	touched := done(done(ledgertest.Sample(2)))
	touched.Updated = later
	advance(t, s, touched)
	owner := ledger.Object{App: "default", Service: "payments", ID: "ch_1", Provider: "stripe"}
	if err := s.Ledger().Own(t.Context(), owner); err != nil {
		t.Fatal(err)
	}
	for i, at := range []time.Time{ledgertest.Sample(0).Created, later} {
		e := session.Event{At: at, Pin: session.Pin{Service: "payments", Provider: "stripe"}}
		for _, id := range []string{"old", "new"}[i:] { // the new one changes once more
			if err := s.Sessions().Append(t.Context(), session.Key{ID: id}, e); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n, err := s.sweep(t.Context(), later.Add(-DefaultKeep)); err != nil || n != 0 {
		t.Fatalf("%d young rows were swept: %v", n, err)
	}
	if n, err := s.sweep(t.Context(), later); err != nil || n != many-2+1 {
		t.Fatalf("swept %d of %d: %v", n, many-2+1, err)
	}
	left := map[byte]int{}
	if err := s.each(nil, nil, func(key, _ []byte) (bool, error) { left[key[0]]++; return true, nil }); err != nil {
		t.Fatal(err)
	}
	want := map[byte]int{formatPrefix: 1, rowPrefix: 2, idPrefix: 2, createdPrefix: 2, namePrefix: 2, openPrefix: 1, objectPrefix: 1, sessionPrefix: 1, updatedPrefix: 1, historyPrefix: 2}
	if fmt.Sprint(left) != fmt.Sprint(want) {
		t.Errorf("left %v, want %v", left, want)
	}
	claim(t, s, ledgertest.Sample(0)) // the key is free again
}

// TestClosed answers everything with ErrClosed, and closes twice without harm.
func TestClosed(t *testing.T) {
	s := onMem(t, vfs.NewMem(), nil)
	shut(t, s)
	shut(t, s)
	ctx, l, row := t.Context(), s.Ledger(), ledgertest.Sample(1)
	_, _, claimed := l.Claim(ctx, row)
	_, _, advanced := l.Advance(ctx, row)
	_, loaded := l.Load(ctx, row.Key)
	_, byID := l.ByID(ctx, row.ID)
	_, recents := l.Recent(ctx, ledger.Query{})
	_, owner := l.Owner(ctx, "", "", "")
	_, sess := s.Sessions().Load(ctx, session.Key{})
	_, stats := s.Stats()
	appended := s.Sessions().Append(ctx, session.Key{}, session.Event{Pin: session.Pin{Service: "a"}})
	opened := l.Open(ctx, func(*ledger.Transaction) bool { return true })
	for i, err := range []error{claimed, advanced, loaded, byID, recents, owner, sess, stats, appended, opened, l.Own(ctx, ledger.Object{})} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("call %d: %v", i, err)
		}
	}
}

// TestInUse: one process, one directory. The second is told so, in this process and from another.
func TestInUse(t *testing.T) {
	if dir := os.Getenv("SEGUE_TEST_OPEN"); dir != "" {
		_, err := Open(dir, Options{})
		fmt.Println(errors.Is(err, ErrInUse), err)
		return
	}
	dir := t.TempDir()
	s, err := Open(dir, options(t))
	if err != nil {
		t.Fatal(err)
	}
	defer shut(t, s)
	if _, err := Open(dir, options(t)); !errors.Is(err, ErrInUse) {
		t.Errorf("a second opening here: %v", err)
	}
	other := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestInUse$")
	other.Env = append(os.Environ(), "SEGUE_TEST_OPEN="+dir)
	if out, err := other.CombinedOutput(); err != nil || !strings.HasPrefix(string(out), "true embedded: the directory is in use") {
		t.Errorf("a second process: %v\n%s", err, out)
	}
	claim(t, s, ledgertest.Sample(1))
}

// TestFormat refuses directories that this program would misread.
func TestFormat(t *testing.T) {
	for name, c := range map[string]struct {
		key, value []byte
		want       error
	}{
		"a newer one":     {[]byte{formatPrefix}, []byte{format + 1}, ErrNewer},
		"version nought":  {[]byte{formatPrefix}, []byte{0}, ErrCorrupt},
		"a long one":      {[]byte{formatPrefix}, []byte{1, 1}, ErrCorrupt},
		"somebody else's": {[]byte("theirs"), []byte{1}, ErrCorrupt},
	} {
		fs := vfs.NewMem()
		db, err := pebble.Open("store", &pebble.Options{FS: fs, FormatMajorVersion: pebble.FormatNewest})
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(db.Set(c.key, c.value, pebble.Sync), db.Close()); err != nil {
			t.Fatal(err)
		}
		o := options(t)
		o.fs = fs
		for range 2 { // and the directory is let go
			if _, err := Open("store", o); !errors.Is(err, c.want) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// TestCorrupt damages each file of a directory in turn. Either Open says so, or every row is read whole or with an error: none is
// wrong and none is silently gone.
func TestCorrupt(t *testing.T) {
	for _, flushed := range []bool{true, false} {
		dir, rows := filled(t, flushed)
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			for _, damage := range damages(e.Name(), flushed) {
				t.Run(fmt.Sprintf("%v/%s/%s", flushed, e.Name(), damage.name), func(t *testing.T) {
					hurt := t.TempDir()
					if err := os.CopyFS(hurt, os.DirFS(dir)); err != nil {
						t.Fatal(err)
					}
					file := filepath.Join(hurt, e.Name())
					b, err := os.ReadFile(file)
					if err != nil || len(b) < 2 {
						t.Skip("an empty file")
					}
					if err := os.WriteFile(file, damage.do(b), 0o600); err != nil {
						t.Fatal(err)
					}
					judge(t, hurt, rows)
				})
			}
		}
	}
}

type damage struct {
	name string
	do   func([]byte) []byte
}

// damages are what befalls a file. The end of a log that was never closed may be torn: that is how a power cut leaves it, and no
// reader can tell. Damage before its end is told.
func damages(name string, flushed bool) []damage {
	flip := func(part int) func([]byte) []byte {
		return func(b []byte) []byte { b[len(b)*part/100] ^= 0x55; return b }
	}
	all := []damage{{"flip at 0 %", flip(0)}, {"flip at 10 %", flip(10)}, {"flip at 50 %", flip(50)}}
	if flushed || filepath.Ext(name) != ".log" {
		all = append(all, damage{"flip at 99 %", flip(99)}, damage{"cut at half", func(b []byte) []byte { return b[:len(b)/2] }}, damage{"emptied", func([]byte) []byte { return nil }})
	}
	return all
}

// filled makes a directory with rows: closed, or as a killed process leaves it.
func filled(t *testing.T, flushed bool) (string, int) {
	t.Helper()
	const rows = 200
	dir := t.TempDir()
	s, err := Open(dir, options(t))
	if err != nil {
		t.Fatal(err)
	}
	for i := range rows {
		claim(t, s, ledgertest.Sample(i))
	}
	copied := dir
	if !flushed {
		copied = t.TempDir()
		if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
	}
	shut(t, s)
	return copied, rows
}

func judge(t *testing.T, dir string, rows int) {
	t.Helper()
	o := options(t)
	s, err := Open(dir, o)
	if err != nil {
		if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), dir) {
			t.Errorf("the error names neither damage nor directory: %v", err)
		}
		return
	}
	defer func() { _ = s.Close() }()
	for i := range rows {
		want := ledgertest.Sample(i)
		got, err := s.Ledger().Load(t.Context(), want.Key)
		switch {
		case errors.Is(err, ledger.ErrNotFound):
			t.Fatalf("row %d is silently gone", i)
		case err == nil && got.ID != want.ID:
			t.Fatalf("row %d is %s", i, got.ID)
		}
	}
}
