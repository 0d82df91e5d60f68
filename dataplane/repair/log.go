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
	tight  atomic.Bool // new work was refused a moment ago
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

// Copy is a hint with its sealed payload: what is written, and what goes to a mirror.
type Copy struct {
	Hint
	Sealed []byte
}

// sealed makes a hint of an event.
func (l *Log) sealed(k Kind, key [32]byte, attempt string, payload []byte) (Copy, error) {
	id, hash := identify(k, payload)
	c := Copy{Hint: Hint{ID: id, Kind: k, Key: key, Attempt: attempt, At: l.opts.Now().UTC(), Hash: hash}}
	var nonce [seal.NonceSize]byte
	_, _ = rand.Read(nonce[:]) // it never fails: the program ends where the system has no randomness
	var err error
	if c.Sealed, err = seal.Seal(l.opts.Keys[0], nonce, payload, c.bound()); err != nil {
		return c, fmt.Errorf("repair: nothing was written: %w", err)
	}
	if len(c.Sealed) > MaxHint || len(attempt) > maxAttempt {
		return c, ErrTooLarge
	}
	return c, nil
}

// Append seals the payload and returns when the hint is on stable storage.
func (l *Log) Append(k Kind, key [32]byte, attempt string, payload []byte) (ID, error) {
	c, err := l.sealed(k, key, attempt, payload)
	if err != nil {
		return c.ID, err
	}
	return c.ID, l.Keep(c)
}

// Keep returns when a hint is on stable storage. An event that the log has already is not written again.
func (l *Log) Keep(c Copy) error {
	r := &request{hint: c.Hint, sealed: c.Sealed, done: make(chan error, 1)}
	l.gate.RLock()
	defer l.gate.RUnlock()
	if l.closed {
		return ErrClosed
	}
	if err := l.admit(r); err != nil {
		return err
	}
	l.queue <- r
	return <-r.done
}

// admit refuses what there is no room for. The last of the room is for outcomes of what was sent.
func (l *Log) admit(r *request) error {
	if err := l.failed(); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.index.byID[r.hint.ID] != nil {
		return nil // it will not be written again
	}
	size := r.cost()
	if err := l.room(size, r.hint.Kind == OfSession, r.hint.At); err != nil {
		return err
	}
	l.bytes += size
	r.room = size
	return nil
}

// room tells why so many bytes more are not taken; the caller holds the lock. New work leaves some to outcomes.
func (l *Log) room(size int64, fresh bool, now time.Time) error {
	limit := l.opts.Limit
	if fresh {
		limit -= limit / forOutcomes
	}
	switch oldest := l.index.oldest(pending); {
	case !oldest.IsZero() && now.Sub(oldest) > l.opts.Age:
		return fmt.Errorf("%w: it is from %s", ErrOld, oldest.Format(time.RFC3339))
	case l.bytes+size > limit:
		return fmt.Errorf("%w: it has %d of at most %d bytes", ErrFull, l.bytes, l.opts.Limit)
	case l.space < l.opts.Reserve:
		return fmt.Errorf("%w: the disk has %d bytes left", ErrFull, l.space)
	default:
		return nil
	}
}

// Refused tells why no new work is taken, or nil. It is asked for each call, and looks closer only where it was not well a moment ago.
func (l *Log) Refused() error {
	if !l.tight.Load() {
		return nil
	}
	return l.refused()
}

func (l *Log) refused() error {
	if err := l.failed(); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.room(l.opts.Limit/(4*forOutcomes), true, l.opts.Now())
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
	sealed, err := l.stored(e.ID)
	if err != nil {
		return nil, err
	}
	return l.opened(&Copy{e.Hint, sealed})
}

// opened is what a hint says, if a key of this agent opens it and it is what was recorded.
func (l *Log) opened(c *Copy) ([]byte, error) {
	id, err := seal.KeyID(c.Sealed)
	if err != nil {
		return nil, fmt.Errorf("repair: hint %x: %w", c.ID, err)
	}
	for _, k := range l.opts.Keys {
		if k.ID() != id {
			continue
		}
		b, err := seal.Open(k, c.Sealed, c.bound())
		if err != nil {
			return nil, fmt.Errorf("%w: hint %x: %w", ErrCorrupt, c.ID, err)
		}
		if again, hash := identify(c.Kind, b); again != c.ID || hash != c.Hash {
			return nil, fmt.Errorf("%w: hint %x is not what was recorded", ErrCorrupt, c.ID)
		}
		return b, nil
	}
	return nil, fmt.Errorf("repair: hint %x: its key %q is not among the agent's", c.ID, id)
}

// stored reads under the lock: a segment that is given up meanwhile takes its file along.
func (l *Log) stored(id ID) ([]byte, error) {
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
