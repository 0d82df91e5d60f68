package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"segue/dataplane/ledger"
	"segue/dataplane/session"
)

// Store is one directory.
type Store struct {
	dir     string
	opts    Options
	db      *pebble.DB
	log     *logger
	stripes [maxStripes]stripe
	known   known
	held    atomic.Int64
	space   atomic.Uint64 // bytes left on the disk, as last seen
	broken  atomic.Pointer[error]
	opened  atomic.Bool
	once    sync.Once
	gate    sync.RWMutex // held for reading by every call, for writing by Close
	closed  bool
	cancel  context.CancelFunc
	idle    sync.WaitGroup
}

// known is what the store remembers of its files.
type known struct {
	rows   *memory[hash, []byte]                  // nil: there is none; shared, nobody writes to one
	owners *memory[owned, ledger.Object]          // the zero Object: nobody
	talks  *memory[session.Key, *session.Session] // nil: there is none; shared, nobody writes to one
}

// stripe is the lock of the rows that fall into it, held from the read of a row until its new version is on the disk. busy tells
// readers, who take no lock, that what they see may not be on the disk yet.
type stripe struct {
	mu   sync.Mutex
	busy atomic.Bool
	_    [40]byte // one cache line each
}

// wait returns when the write that was under way is on the disk.
func (s *stripe) wait() {
	s.mu.Lock()
	defer s.mu.Unlock()
}

func (s *stripe) lock() func() {
	s.mu.Lock()
	s.busy.Store(true)
	return func() {
		s.busy.Store(false)
		s.mu.Unlock()
	}
}

// Open opens the directory, and makes it if it is not there.
func Open(dir string, o Options) (*Store, error) {
	o = o.filled()
	s := &Store{dir: dir, opts: o, known: known{newMemory[hash, []byte](), newMemory[owned, ledger.Object](), newMemory[session.Key, *session.Session]()}}
	s.log = &logger{log: o.Log, fatal: s.fatal, stuck: s.stuck}
	db, err := openPebble(dir, o, s.log)
	if err != nil {
		return nil, err
	}
	s.db = db
	if err := errors.Join(s.count(), s.failed()); err != nil {
		return nil, errors.Join(unopened(dir, err), s.db.Close(), s.log.lock.Close())
	}
	s.opened.Store(true)
	s.look()
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	s.idle.Go(func() { s.keepHouse(ctx) })
	return s, nil
}

// Ledger is the store of transactions.
func (s *Store) Ledger() ledger.Store { return transactions{s} }

// Sessions is the store of sessions.
func (s *Store) Sessions() session.Store { return sessions{s} }

// Refused tells why nothing new is claimed: the disk is nearly full, or failed.
func (s *Store) Refused() error {
	if err := s.failed(); err != nil {
		return err
	}
	return s.full()
}

// full refuses claims when less than the reserve is left.
func (s *Store) full() error {
	if left := s.space.Load(); left < s.opts.Reserve {
		return fmt.Errorf("%w: %d MiB are left, and %d are kept for outcomes", ErrFull, left>>20, s.opts.Reserve>>20)
	}
	return nil
}

// Level is how a write is acknowledged.
func (s *Store) Level() string { return "fsync" }

// Close waits for the calls under way, writes what is in memory to its files and lets the directory go.
func (s *Store) Close() (err error) {
	s.gate.Lock()
	defer s.gate.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	s.cancel()
	s.idle.Wait()
	defer func() {
		if r := recover(); r != nil { // a store whose disk failed cannot be closed cleanly
			err = fmt.Errorf("embedded: close: %v", r)
		}
		err = errors.Join(err, s.log.lock.Close())
	}()
	if s.failed() == nil {
		err = s.db.Flush()
	}
	if e := s.db.Close(); e != nil || err != nil {
		return fmt.Errorf("embedded: close: %w", errors.Join(err, e))
	}
	return nil
}

// Stats are figures for gauges.
type Stats struct {
	Held   int       // transactions whose outcome is not known
	Oldest time.Time // when the oldest of them was created; zero: there is none
	Free   uint64    // bytes left on the disk
	Full   bool      // nothing new is claimed
}

// Stats is cheap: two counters, and a look at the oldest open rows.
func (s *Store) Stats() (Stats, error) {
	if err := s.enter(); err != nil {
		return Stats{}, err
	}
	defer s.leave()
	st := Stats{Held: int(s.held.Load()), Free: s.space.Load()}
	st.Full = st.Free < s.opts.Reserve
	if st.Held == 0 {
		return st, nil
	}
	err := s.each([]byte{openPrefix}, nil, func(key, value []byte) (bool, error) {
		if held(value) {
			st.Oldest = timeOf(key)
		}
		return st.Oldest.IsZero(), nil
	})
	return st, err
}

// count finds how many transactions were left held.
func (s *Store) count() error {
	n := int64(0)
	err := s.each([]byte{openPrefix}, nil, func(_, value []byte) (bool, error) {
		if held(value) {
			n++
		}
		return true, nil
	})
	s.held.Store(n)
	return err
}

// enter lets a call in unless the store is closed or its disk failed.
func (s *Store) enter() error {
	s.gate.RLock()
	err := s.failed()
	if s.closed {
		err = ErrClosed
	}
	if err != nil {
		s.gate.RUnlock()
	}
	return err
}

func (s *Store) leave() { s.gate.RUnlock() }

func (s *Store) stripe(h hash) *stripe {
	return &s.stripes[(int(h[0])<<8|int(h[1]))%maxStripes]
}

// fatal notes that the disk failed, and ends the process: see Options.Fatal. Should that return, nothing is acknowledged any more.
// While the directory is being opened, nothing is acknowledged yet: then Open returns the error.
func (s *Store) fatal(err error) {
	s.broken.CompareAndSwap(nil, &err)
	if s.opened.Load() {
		s.end(err)
	}
}

// stuck is told of background work that failed. While the directory is being opened, Pebble waits for it and repeats it without an end: on a
// disk that does not take it, the process would hang there. Later it stands in the log and is repeated in another file.
func (s *Store) stuck(err error) {
	if !s.opened.Load() && (errors.Is(err, syscall.EIO) || errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EROFS)) {
		err = fmt.Errorf("embedded: %s cannot be opened: %w", s.dir, err)
		s.broken.CompareAndSwap(nil, &err)
		s.end(err)
	}
}

func (s *Store) end(err error) {
	s.once.Do(func() {
		s.opts.Log.Error("the store's disk failed: the process ends, and what it left open is found at its next start", "error", err)
		s.opts.Fatal(err)
	})
}

func (s *Store) failed() error {
	if e := s.broken.Load(); e != nil {
		return *e
	}
	return nil
}

// commit writes a batch and returns when it is on the disk. Batches that are committed at the same time share one fsync. A failed
// write is told to fatal and not to Commit's caller: without the second look it would be acknowledged.
func (s *Store) commit(b *pebble.Batch, w *pebble.WriteOptions) (err error) {
	defer func() {
		if r := recover(); r != nil {
			s.fatal(fmt.Errorf("embedded: commit: %v", r))
			err = s.failed()
		}
	}()
	if err := b.Commit(w); err != nil {
		return fmt.Errorf("embedded: commit: %w", err)
	}
	if err := s.failed(); err != nil {
		return err
	}
	if err := b.Close(); err != nil {
		return fmt.Errorf("embedded: commit: %w", err)
	}
	return nil
}

// get hands the value under key to use, which must not keep it.
func (s *Store) get(key []byte, use func([]byte) error) (bool, error) {
	v, closer, err := s.db.Get(key)
	switch {
	case errors.Is(err, pebble.ErrNotFound):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("embedded: read: %w", err)
	}
	err = use(v)
	if e := closer.Close(); e != nil {
		err = errors.Join(err, fmt.Errorf("embedded: read: %w", e))
	}
	return true, err
}

// sought is get for a key that is seldom there, as a new claim's: nil if it is not. Get asks no filter of the lowest level, where nearly all
// rows are, and would read a block of the disk to learn that there is nothing.
func (s *Store) sought(key []byte) (value []byte, err error) {
	it, err := s.db.NewIter(&pebble.IterOptions{UseL6Filters: true})
	if err != nil {
		return nil, fmt.Errorf("embedded: read: %w", err)
	}
	if it.SeekPrefixGE(key) && bytes.Equal(it.Key(), key) {
		value, err = it.ValueAndErr()
		value = bytes.Clone(value)
	}
	if err = errors.Join(err, it.Error(), it.Close()); err != nil {
		return nil, fmt.Errorf("embedded: read: %w", err)
	}
	return value, nil
}

// each visits the keys with a prefix in order, from behind start where there is one, until visit returns false.
func (s *Store) each(prefix, start []byte, visit func(key, value []byte) (bool, error)) error {
	lower := prefix
	if start != nil {
		lower = append(append([]byte(nil), start...), 0)
	}
	return s.iterate(&pebble.IterOptions{LowerBound: lower, UpperBound: after(prefix)}, (*pebble.Iterator).First, (*pebble.Iterator).Next, visit)
}

// eachBack visits them from the last to the first.
func (s *Store) eachBack(prefix []byte, visit func(key, value []byte) (bool, error)) error {
	return s.iterate(&pebble.IterOptions{LowerBound: prefix, UpperBound: after(prefix)}, (*pebble.Iterator).Last, (*pebble.Iterator).Prev, visit)
}

func (s *Store) iterate(o *pebble.IterOptions, first, next func(*pebble.Iterator) bool, visit func(key, value []byte) (bool, error)) error {
	it, err := s.db.NewIter(o)
	if err != nil {
		return fmt.Errorf("embedded: scan: %w", err)
	}
	more := true
	for ok := first(it); ok && more && err == nil; ok = more && err == nil && next(it) {
		more, err = visit(it.Key(), it.Value())
	}
	if e := it.Close(); e != nil {
		err = errors.Join(err, fmt.Errorf("embedded: scan: %w", e))
	}
	return err
}

// look finds how much space is left. Where the system does not say, space is taken to be there.
func (s *Store) look() {
	n, err := free(s.opts.fs, s.dir)
	if err != nil {
		n = math.MaxUint64
	}
	s.space.Store(n)
}
