package patience

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// dirs are what tests that run have in memory: one directory each, as with t.TempDir, which goes after all that was put to the test's end later.
var dirs = struct {
	sync.Mutex
	of map[testing.TB]*dir
}{of: map[testing.TB]*dir{}}

type dir struct {
	path string
	n    int
}

// Dir is t.TempDir in the machine's memory, where there is room: for tests of what has deadlines of its own, which a disk that stands still
// would let pass.
func Dir(t testing.TB) string {
	t.Helper()
	quick := Quick()
	if quick == "" {
		return t.TempDir()
	}
	dirs.Lock()
	defer dirs.Unlock()
	d := dirs.of[t]
	if d == nil {
		path, err := os.MkdirTemp(quick, "segue-test-")
		if err != nil {
			t.Fatal(err)
		}
		d = &dir{path: path}
		dirs.of[t] = d
		t.Cleanup(func() {
			dirs.Lock()
			delete(dirs.of, t)
			dirs.Unlock()
			if err := os.RemoveAll(path); err != nil {
				t.Error(err)
			}
		})
	}
	d.n++
	fresh := filepath.Join(d.path, fmt.Sprintf("%03d", d.n))
	if err := os.Mkdir(fresh, 0o777); err != nil {
		t.Fatal(err)
	}
	return fresh
}
