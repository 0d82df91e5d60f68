package repair

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"segue/controlplane/seal"
)

// segment is one file of the log. live is how many bytes of payloads are still wanted; the log's lock guards it.
type segment struct {
	number uint64
	file   vfs.File
	size   int64
	live   int64
}

// request is a hint on its way to the disk.
type request struct {
	hint   Hint
	sealed []byte
	room   int64 // what admit set aside for it
	done   chan error
}

// Log is one directory: what was not taken by the store yet, and what was but has not been looked for since. One goroutine appends.
type Log struct {
	dir    string
	opts   LogOptions
	lock   io.Closer
	report Report
	idle   sync.WaitGroup
	broken atomic.Pointer[error]
	once   sync.Once
	door

	mu    sync.RWMutex // guards what follows
	index *index
	segs  []*segment // the last is written to
	bytes int64      // of all segments, and of what is queued
	ended []byte     // records of ended hints on their way to the disk
	space uint64     // free bytes of the disk, as last seen

	writer // the appender's alone
}

// door is the way to the appender.
type door struct {
	queue  chan *request
	gate   sync.RWMutex // held for reading by who appends, for writing by Close
	closed bool
}

// writer is what only the appender touches.
type writer struct {
	mark   vfs.File
	next   chain
	buf    []byte
	looked time.Time
}

// Report is what was found when the log was opened.
type Report struct {
	Torn    int64  // bytes that a power cut left of a frame that nobody was told of
	Warning string // what cannot be known
}

// Report tells what was found when the log was opened.
func (l *Log) Report() Report { return l.report }

// Append seals the payload and returns when the hint is on stable storage. An event that the log has already is not written again.
func (l *Log) Append(k Kind, key [32]byte, attempt string, payload []byte) (ID, error) {
	id, hash := identify(k, payload)
	r := &request{hint: Hint{ID: id, Kind: k, Key: key, Attempt: attempt, At: l.opts.Now().UTC(), Hash: hash}, done: make(chan error, 1)}
	var nonce [seal.NonceSize]byte
	_, _ = rand.Read(nonce[:]) // it never fails: the program ends where the system has no randomness
	var err error
	if r.sealed, err = seal.Seal(l.opts.Keys[0], nonce, payload, r.hint.bound()); err != nil {
		return id, fmt.Errorf("repair: nothing was written: %w", err)
	}
	if len(r.sealed) > MaxHint || len(attempt) > maxAttempt {
		return id, ErrTooLarge
	}
	l.gate.RLock()
	defer l.gate.RUnlock()
	if l.closed {
		return id, ErrClosed
	}
	if err := l.admit(r); err != nil {
		return id, err
	}
	l.queue <- r
	return id, <-r.done
}

// admit refuses what there is no room for.
func (l *Log) admit(r *request) error {
	if err := l.failed(); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.index.byID[r.hint.ID] != nil {
		return nil // it will not be written again
	}
	if oldest := l.index.oldest(); !oldest.IsZero() && r.hint.At.Sub(oldest) > l.opts.Age {
		return fmt.Errorf("%w: it is from %s", ErrOld, oldest.Format(time.RFC3339))
	}
	size := r.cost()
	if l.bytes+size > l.opts.Limit {
		return fmt.Errorf("%w: it has %d of at most %d bytes", ErrFull, l.bytes, l.opts.Limit)
	}
	if l.space < l.opts.Reserve {
		return fmt.Errorf("%w: the disk has %d bytes left", ErrFull, l.space)
	}
	l.bytes += size
	r.room = size
	return nil
}

// cost is at least what a hint takes on the disk.
func (r *request) cost() int64 { return int64(len(r.sealed)+len(r.hint.Attempt)) + 160 }

// End notes how a hint ended. The disk is told a little later: until then, a crash replays the hint again, which changes nothing.
func (l *Log) End(id ID, r Result) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.index.byID[id] == nil {
		return
	}
	l.index.end(id, r)
	l.ended = appendEnded(l.ended, id, r)
}

// hold sets a hint aside for a person, with the reason; retry takes it up again.
func (l *Log) hold(id ID, why string) { l.stage(id, stuck, why) }

func (l *Log) retry(id ID) { l.stage(id, pending, "") }

func (l *Log) stage(id ID, to stage, why string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e := l.index.byID[id]; e != nil {
		l.index.set(e, to, why)
	}
}

// seen forgets a replayed hint: the store has it.
func (l *Log) seen(id ID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e := l.index.byID[id]; e != nil && e.stage == replayed {
		l.index.drop(e)
	}
}

// payload reads what a hint says.
func (l *Log) payload(e *entry) ([]byte, error) {
	sealed, err := l.sealed(e.ID)
	if err != nil {
		return nil, err
	}
	id, err := seal.KeyID(sealed)
	if err != nil {
		return nil, fmt.Errorf("repair: hint %x: %w", e.ID, err)
	}
	for _, k := range l.opts.Keys {
		if k.ID() != id {
			continue
		}
		b, err := seal.Open(k, sealed, e.bound())
		if err != nil {
			return nil, fmt.Errorf("%w: hint %x: %w", ErrCorrupt, e.ID, err)
		}
		if again, hash := identify(e.Kind, b); again != e.ID || hash != e.Hash {
			return nil, fmt.Errorf("%w: hint %x is not what was recorded", ErrCorrupt, e.ID)
		}
		return b, nil
	}
	return nil, fmt.Errorf("repair: hint %x: its key %q is not among the agent's", e.ID, id)
}

// sealed reads under the lock: a segment that is given up meanwhile takes its file along.
func (l *Log) sealed(id ID) ([]byte, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	e := l.index.byID[id]
	if e == nil {
		return nil, fmt.Errorf("%w: %x", ErrUnknown, id)
	}
	return e.read()
}

func (e *entry) read() ([]byte, error) {
	b := make([]byte, e.size)
	if _, err := e.seg.file.ReadAt(b, e.at); err != nil {
		return nil, fmt.Errorf("repair: hint %x: %w", e.ID, err)
	}
	return b, nil
}

func (l *Log) waits(p place) bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.index.waits(p)
}

func (l *Log) of(p place, stages ...stage) []entry {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.index.of(p, stages...)
}

func (l *Log) waiting(limit int, pass func(*entry) bool) []entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.index.waiting(limit, pass)
}

func (l *Log) all(pass func(*entry) bool) []entry {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.index.all(pass)
}

func (l *Log) find(id ID) (entry, bool) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if e := l.index.byID[id]; e != nil {
		return *e, true
	}
	return entry{}, false
}

// backlog tells whether anything waits for the store and may be replayed, so that somebody asks for the store all the time.
func (l *Log) backlog(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.index.count[pending] > 0 && now.Sub(l.index.oldest()) <= l.opts.Age
}

// crowded tells whether the log has used half of its space.
func (l *Log) crowded() bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.bytes > l.opts.Limit/2
}

// is tells whether a hint stands at a stage.
func (l *Log) is(id ID, s stage) bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	e := l.index.byID[id]
	return e != nil && e.stage == s
}

// failed returns why nothing is written any more.
func (l *Log) failed() error {
	if p := l.broken.Load(); p != nil {
		return *p
	}
	return nil
}

func (l *Log) fail(err error) error {
	err = fmt.Errorf("repair: the disk failed, and what it has is unknown: %w", err)
	l.once.Do(func() {
		l.broken.Store(&err)
		l.opts.Fatal(err)
	})
	return l.failed()
}

// look finds how much space is left. Where the system does not say, space is taken to be there.
func (l *Log) look() {
	free := uint64(math.MaxUint64)
	if u, err := l.opts.fs.GetDiskUsage(l.dir); err == nil {
		free = u.AvailBytes
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.space, l.looked = free, time.Now()
}

// Close writes what is queued and lets the directory go.
func (l *Log) Close() error {
	l.gate.Lock()
	defer l.gate.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	close(l.queue)
	l.idle.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := errors.Join(l.closeFiles(), l.lock.Close()); err != nil {
		return fmt.Errorf("repair: close: %w", err)
	}
	return nil
}
