package embedded

import (
	"bytes"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2"
)

// TestWhatCannotBeOpenedSaysSoInOneLine: with the directory and what to do, and without the stack that Pebble's errors print into logs.
func TestWhatCannotBeOpenedSaysSoInOneLine(t *testing.T) {
	fine := filepath.Join(t.TempDir(), "fine")
	s, err := Open(fine, options(t))
	must(t, err)
	must(t, s.Close())
	for name, c := range map[string]struct {
		spoil func(t *testing.T, dir string)
		want  string
	}{
		"a table":      {func(t *testing.T, dir string) { spoilt(t, dir, "*.sst") }, "restore it from a copy"},
		"the manifest": {func(t *testing.T, dir string) { spoilt(t, dir, "MANIFEST*") }, "restore it from a copy"},
		"a file in its place": {func(t *testing.T, dir string) {
			must(t, os.RemoveAll(dir))
			must(t, os.WriteFile(dir, []byte("hi"), 0o600))
		}, "move it away"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "store")
			must(t, os.CopyFS(dir, os.DirFS(fine)))
			c.spoil(t, dir)
			var log bytes.Buffer
			o := options(t)
			o.Log = slog.New(slog.NewTextHandler(&log, nil))
			_, err := Open(dir, o)
			if err == nil || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("it says %v", err)
			}
			if text := log.String(); strings.Contains(text, "stack trace") || strings.Contains(text, ".go:") {
				t.Errorf("the log has a stack:\n%.600s", text)
			}
		})
	}
}

func spoilt(t *testing.T, dir, pattern string) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, pattern))
	must(t, err)
	if len(names) == 0 {
		t.Fatalf("no %s in the store", pattern)
	}
	for _, name := range names {
		b, err := os.ReadFile(name)
		must(t, err)
		for i := range min(len(b), 200) {
			b[i] ^= 0x5a
		}
		must(t, os.WriteFile(name, b, 0o600))
	}
}

// What is no damage is not called one: the fix is another.
func TestWhatIsNoDamage(t *testing.T) {
	for want, err := range map[string]error{
		"chown":       &fs.PathError{Op: "open", Path: "/x/LOCK", Err: syscall.EACCES},
		"make room":   &fs.PathError{Op: "write", Path: "/x/1.log", Err: syscall.ENOSPC},
		"for writing": &fs.PathError{Op: "open", Path: "/x/LOCK", Err: syscall.EROFS},
	} {
		got := unopened("/x", err)
		if !strings.Contains(got.Error(), want) || !strings.HasPrefix(got.Error(), "embedded: /x cannot be opened") || errors.Is(got, ErrCorrupt) || !errors.Is(got, err) {
			t.Errorf("%v", got)
		}
	}
	if got := unopened("/x", pebble.ErrCorruption); !errors.Is(got, ErrCorrupt) || !errors.Is(got, pebble.ErrCorruption) {
		t.Errorf("%v", got)
	}
	if got := unfit("/x", ErrNewer); !errors.Is(got, ErrNewer) || strings.Contains(got.Error(), "restore") {
		t.Errorf("%v", got)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
