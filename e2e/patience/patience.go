// Package patience is for tests that wait: a deadline that does not count the time in which the machine's disk stood still.
//
// Tests of durable things share a disk with whatever else the machine does, and a disk can stand still for ten seconds. Nothing is wrong
// then with what is tested. The package's one owner of state is the watch: how long the disk of the temporary directory stood still
// since the first question.
package patience

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

const (
	every  = 250 * time.Millisecond // between two looks at the disk
	unfair = time.Second            // a write that takes longer is a standstill
)

// watch adds up standstills.
type watch struct {
	past  atomic.Int64 // ns, of standstills that ended
	since atomic.Int64 // when the write began that is under way, ns since the watch's start; 0: none is
	start time.Time
}

var (
	once sync.Once
	disk watch
)

// Stood tells for how long the disk has stood still so far, a standstill that goes on included.
func Stood() time.Duration {
	once.Do(func() {
		disk.start = time.Now()
		go disk.look()
	})
	stood := time.Duration(disk.past.Load())
	if since := disk.since.Load(); since > 0 {
		if now := time.Since(disk.start) - time.Duration(since); now > unfair {
			stood += now
		}
	}
	return stood
}

// look writes a byte through to the disk again and again, until the process ends.
func (w *watch) look() {
	f, err := os.CreateTemp("", "patience-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "patience: standstills of the disk are not seen:", err)
		return
	}
	_ = os.Remove(f.Name()) // the open file is all that is needed
	for range time.Tick(every) {
		began := time.Since(w.start)
		w.since.Store(int64(began))
		_, werr := f.WriteAt([]byte{1}, 0)
		serr := f.Sync()
		took := time.Since(w.start) - began
		if took > unfair {
			w.past.Add(int64(took))
			fmt.Fprintf(os.Stderr, "patience: the disk stood still for %.1f s\n", took.Seconds())
		}
		w.since.Store(0)
		if werr != nil || serr != nil {
			fmt.Fprintln(os.Stderr, "patience: standstills of the disk are not seen any more:", werr, serr)
			return
		}
	}
}

// Await asks again, every tick, until done has no complaint, and returns its last complaint when the time is up: within, and as long
// again as the disk stood still meanwhile.
func Await(within, tick time.Duration, done func() error) error {
	before, began := Stood(), time.Now()
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		err := done()
		if err == nil || time.Since(began) > within+Stood()-before {
			return err
		}
		<-ticker.C
	}
}
