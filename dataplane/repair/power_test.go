package repair

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// powerCut pulls the plug under sixteen writers, while hints end and segments go, and returns the disk and the hints whose
// acknowledgement was told before that and that nobody ended.
func powerCut(t *testing.T, seed uint64, unsynced bool) (*vfs.MemFS, []ID) {
	t.Helper()
	const writers = 16
	fs := vfs.NewCrashableMem()
	o := logOptions(t)
	o.fs, o.unsynced, o.Segment = fs, unsynced, 3000
	l := openLog(t, "log", o)
	rng := rand.New(rand.NewPCG(seed, 3))
	enough := int64(20 + rng.IntN(200))
	var mu sync.Mutex
	told := map[ID]bool{}
	var acks atomic.Int64
	var off atomic.Bool
	var group sync.WaitGroup
	for w := range writers {
		group.Go(func() {
			for i := 0; !off.Load(); i++ {
				id, err := l.Append(OfSession, [32]byte{byte(w)}, "", fmt.Appendf(nil, "%d %d %d", seed, w, i))
				if err != nil {
					t.Errorf("append: %v", err)
					return
				}
				keep := i%3 == 0
				if !keep {
					l.End(id, Superseded)
				}
				mu.Lock()
				if keep {
					told[id] = true
				}
				mu.Unlock()
				acks.Add(1)
			}
		})
	}
	for acks.Load() < enough {
		runtime.Gosched() // gives the writers a turn; the loop ends by their count
	}
	mu.Lock()
	var ids []ID
	for id := range told {
		ids = append(ids, id)
	}
	mu.Unlock()
	after := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: int(seed%5) * 25, RNG: rng})
	off.Store(true)
	group.Wait()
	shut(t, l)
	return after, ids
}

func lost(t *testing.T, fs vfs.FS, ids []ID) int {
	t.Helper()
	o := logOptions(t)
	o.fs = fs
	l, err := OpenLog("log", o)
	if err != nil {
		t.Errorf("after a power cut the log does not open: %v", err)
		return 0
	}
	defer shut(t, l)
	n := 0
	for _, id := range ids {
		e, ok := l.find(id)
		if !ok {
			n++
			continue
		}
		if _, err := l.payload(&e); err != nil {
			t.Error(err)
		}
	}
	return n
}

// TestPowerCut: the disk keeps what was synced and, block by block, some of the rest. A hundred times.
func TestPowerCut(t *testing.T) {
	kept := 0
	for seed := range uint64(100) {
		after, ids := powerCut(t, seed, false)
		if n := lost(t, after, ids); n > 0 {
			t.Errorf("seed %d: %d of %d acknowledged hints are lost", seed, n, len(ids))
		}
		kept += len(ids)
	}
	t.Logf("100 power cuts, %d acknowledged hints, 0 lost", kept)
}

// TestPowerCutNoSync shows that the test above would notice: without a sync, acknowledged hints are lost.
func TestPowerCutNoSync(t *testing.T) {
	after, ids := powerCut(t, 0, true)
	o := logOptions(t)
	o.fs = after
	l, err := OpenLog("log", o)
	if err != nil {
		return // the directory itself was never synced, or files are missing: noticed
	}
	defer shut(t, l)
	n := 0
	for _, id := range ids {
		if _, ok := l.find(id); !ok {
			n++
		}
	}
	if n == 0 {
		t.Error("nothing was lost without a sync: the disk of this test proves nothing")
	}
}
