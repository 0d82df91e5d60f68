// Package patience is for tests that wait: a deadline that does not count the time in which the machine's disk, or the machine, stood still.
//
// Tests of durable things share a disk with whatever else the machine does, and a disk can stand still for ten seconds. Nothing is wrong
// then with what is tested. The package's one owner of state is the watch: how long the disk of the temporary directory stood still
// since the first question. A deadline begins anew when the disk has come back: whoever waited for it has yet to do the work.
package patience

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

const (
	every  = 250 * time.Millisecond // between two looks at the disk
	unfair = time.Second            // a write that takes longer is a standstill, and so is a process that does not run for longer
	echo   = 10 * time.Second       // for so long leases and leaderships show what a standstill did
	least  = 30 * time.Second       // an event that is to come is not missed before: a machine may have thirty others to serve
)

// watch adds up standstills.
type watch struct {
	past  atomic.Int64 // ns, of standstills that ended
	since atomic.Int64 // when the write began that is under way, ns since the watch's start; 0: none is
	ended atomic.Int64 // when the last standstill ended, ns since the watch's start; 0: none was
	start time.Time

	mu    sync.Mutex
	round chan struct{} // closed when the look that comes next, or is under way, has ended
	blind bool          // nobody looks any more
}

var (
	once sync.Once
	disk watch
)

// Stood tells for how long the disk has stood still so far, a standstill that goes on included.
func Stood() time.Duration {
	disk.begin()
	stood := time.Duration(disk.past.Load())
	if since := disk.since.Load(); since > 0 {
		if now := time.Since(disk.start) - time.Duration(since); now > unfair {
			stood += now
		}
	}
	return stood
}

func (w *watch) begin() {
	once.Do(func() {
		w.start, w.round = time.Now(), make(chan struct{})
		go w.look()
	})
}

// look writes a byte through to the disk again and again, until the process ends.
func (w *watch) look() {
	f, err := os.CreateTemp("", "patience-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "patience: standstills of the disk are not seen:", err)
		w.wake(true)
		return
	}
	_ = os.Remove(f.Name()) // the open file is all that is needed
	last := time.Since(w.start)
	for range time.Tick(every) {
		began := time.Since(w.start)
		w.since.Store(int64(began))
		_, werr := f.WriteAt([]byte{1}, 0)
		serr := f.Sync()
		now := time.Since(w.start)
		if took := now - began; took > unfair {
			w.add(took)
			fmt.Fprintf(os.Stderr, "patience: the disk stood still for %.1f s\n", took.Seconds())
		}
		if slept := began - last - every; slept > unfair {
			w.add(slept)
			fmt.Fprintf(os.Stderr, "patience: this process stood still for %.1f s\n", slept.Seconds())
		}
		last = now
		w.since.Store(0)
		failed := werr != nil || serr != nil
		w.wake(failed)
		if failed {
			fmt.Fprintln(os.Stderr, "patience: standstills of the disk are not seen any more:", werr, serr)
			return
		}
	}
}

func (w *watch) add(d time.Duration) {
	w.past.Add(int64(d))
	w.ended.Store(int64(time.Since(w.start)))
}

// wake wakes who waits for a look.
func (w *watch) wake(blind bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	close(w.round)
	w.round, w.blind = make(chan struct{}), blind
}

// looked waits until one whole look, begun after this call, has ended: what the disk does right now is known then.
func (w *watch) looked() {
	w.begin()
	for range 2 { // the first may have begun before
		w.mu.Lock()
		round, blind := w.round, w.blind
		w.mu.Unlock()
		if blind {
			return
		}
		<-round
	}
}

// Excuses tells whether the disk may be to blame for what has happened since a moment: it stood still then, or shortly before.
func Excuses(since time.Time) bool {
	disk.looked()
	ended := disk.ended.Load()
	return ended > 0 && disk.start.Add(time.Duration(ended)+echo).After(since)
}

// deadline is a time that begins anew whenever the disk has stood still.
type deadline struct {
	within, stood time.Duration
	from          time.Time
}

func begin(within time.Duration) *deadline {
	return &deadline{within, Stood(), time.Now()}
}

// over tells whether the time is up. Just before it says so it looks at the disk: a standstill that has begun a moment ago is none yet.
func (d *deadline) over() bool {
	if d.left() > 0 {
		return false
	}
	disk.looked()
	return d.left() <= 0
}

func (d *deadline) left() time.Duration {
	if stood := Stood(); stood != d.stood {
		d.stood, d.from = stood, time.Now()
	}
	return d.within - time.Since(d.from)
}

// Await waits for an event: it asks again, every tick, until done has no complaint, and returns its last complaint when the time is up.
// That is half a minute at least. Where the time is itself what is tested, Promise is the one to ask.
func Await(within, tick time.Duration, done func() error) error {
	return Promise(max(within, least), tick, done)
}

// Promise is Await with exactly this time, as often as the disk lets it begin.
func Promise(within, tick time.Duration, done func() error) error {
	d := begin(within)
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		over := d.over() // before the question: the last one is asked after the time
		err := done()
		if err == nil || over && d.over() {
			return err
		}
		<-ticker.C
	}
}

// Context ends with its parent, or when the time is up as for Await.
func Context(parent context.Context, within time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(parent)
	d := begin(max(within, least))
	go func() { // ends with the context
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for !d.over() {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
		}
		cancel(fmt.Errorf("not within %v: %w", d.within, context.DeadlineExceeded))
	}()
	return ctx, func() { cancel(context.Canceled) }
}
