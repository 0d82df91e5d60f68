package cassandra

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/gocql/gocql"

	"segue/dataplane/ledger"
)

const (
	tidyEvery = 100 * time.Millisecond
	tidyBatch = 64
	maxOwed   = 100_000
	maxGone   = 100_000 // entries to remove that are remembered; beyond, they are left to those who walk the open rows
)

// entry is one row of open: it leads whoever scans a run to a transaction that the run drives. Each is written once and removed
// once, under a number of its own, so that no removal can hit a later entry.
type entry struct {
	run   string
	slot  *slot
	k     []byte
	n, at int64
	key   ledger.Key // that k is the hash of; zero in entries of the first version
	there bool       // its write was acknowledged
}

// slot is a partition of open that one process alone writes to. It is taken off the list of slots when its last entry is gone.
type slot struct {
	number  int32
	puts    int
	live    int
	retired bool
}

// entries is what this process wrote to open.
type entries struct {
	mu      sync.Mutex
	opening sync.Mutex // held while a slot is put on the list
	last    int64
	slots   map[string]*slot               // by run: the one in use
	known   map[string][]entry             // by row
	owed    map[string]*ledger.Transaction // rows that may stand without what belongs beside them
	gone    []entry
	full    chan struct{}
}

func (e *entries) init() {
	e.slots, e.known, e.owed, e.full = map[string]*slot{}, map[string][]entry{}, map[string]*ledger.Transaction{}, make(chan struct{}, 1)
}

// tick is the time in microseconds, later each time: the timestamps of this process's writes are in the order in which they were made.
func (e *entries) tick(now time.Time) int64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.last = max(e.last+1, now.UnixMicro())
	return e.last
}

// has tells whether this process wrote an entry for a row under a run, and knows that it is there.
func (e *entries) has(k, run string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, known := range e.known[k] {
		if known.there && known.run == named(run) {
			return true
		}
	}
	return false
}

// take hands out the entries of a row: from now on they are not counted on.
func (e *entries) take(k string) []entry {
	e.mu.Lock()
	defer e.mu.Unlock()
	taken := e.known[k]
	delete(e.known, k)
	return taken
}

// put brings back what take handed out.
func (e *entries) put(k string, some []entry) {
	if len(some) == 0 {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.known[k] = append(e.known[k], some...)
}

// many tells whether so much is remembered that nothing is added that could be left out.
func (e *entries) many() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.known) >= maxGone
}

// acknowledged notes that an entry is there.
func (e *entries) acknowledged(k string, n int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for i := range e.known[k] {
		if e.known[k][i].n == n {
			e.known[k][i].there = true
		}
	}
}

// named is a run's name as a key, which may not be empty.
func named(run string) string {
	if run == "" {
		return "-"
	}
	return run
}

// openEntry writes the entry of t under its run. It returns the entry even when nobody knows whether it was written.
func (s *Store) openEntry(ctx context.Context, k []byte, t *ledger.Transaction) (entry, error) {
	in, err := s.slotFor(ctx, named(t.Run))
	if err != nil {
		return entry{}, err
	}
	return s.putInto(ctx, in, k, t)
}

// putInto is openEntry where the slot is there already.
func (s *Store) putInto(ctx context.Context, in *slot, k []byte, t *ledger.Transaction) (entry, error) {
	e := entry{run: named(t.Run), slot: in, k: k, n: s.entries.tick(s.opts.Now()), at: t.Created.UnixNano(), key: t.Key}
	s.entries.mu.Lock()
	s.entries.known[string(k)] = append(s.entries.known[string(k)], e)
	s.entries.mu.Unlock()
	err := s.putEntry(ctx, e)
	if err == nil {
		s.entries.acknowledged(string(k), e.n)
	}
	return e, err
}

func (s *Store) putEntry(ctx context.Context, e entry) error {
	asked, err := json.Marshal(e.key)
	if err != nil {
		return fmt.Errorf("cassandra: open entry: %w", err)
	}
	err = s.often(ctx, func(ctx context.Context) error {
		return s.query(ctx, gocql.Quorum, s.names.open.add, e.run, e.slot.number, e.k, e.n, e.at, asked, seconds(s.opts.Keep+grace), e.n).Exec()
	})
	if err != nil {
		return fmt.Errorf("cassandra: open entry: %w", err)
	}
	return nil
}

// slotFor returns a slot of a run with room for one more entry. A new one is on the list before anything is put into it.
func (s *Store) slotFor(ctx context.Context, run string) (*slot, error) {
	if in := s.entries.room(run); in != nil {
		return in, nil
	}
	s.entries.opening.Lock()
	defer s.entries.opening.Unlock()
	if in := s.entries.room(run); in != nil {
		return in, nil
	}
	fresh := &slot{number: rand.Int32(), puts: 1, live: 1}
	err := s.often(ctx, func(ctx context.Context) error {
		return s.query(ctx, gocql.Quorum, s.names.open.addSlot, run, fresh.number, seconds(s.opts.Keep+2*grace)).Exec()
	})
	if err != nil {
		return nil, fmt.Errorf("cassandra: slot of open entries: %w", err)
	}
	s.entries.mu.Lock()
	defer s.entries.mu.Unlock()
	if old := s.entries.slots[run]; old != nil {
		old.retired = true
	}
	s.entries.slots[run] = fresh
	return fresh, nil
}

func (e *entries) room(run string) *slot {
	e.mu.Lock()
	defer e.mu.Unlock()
	in := e.slots[run]
	if in == nil || in.retired || in.puts >= slotEntries {
		return nil
	}
	in.puts++
	in.live++
	return in
}

// owe notes that what belongs beside a row could not be written. Whoever learns that his write failed reads the row next, to see what
// became of it, and goes on if it is there: so the read pays first.
func (e *entries) owe(k []byte, t *ledger.Transaction) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for other := range e.owed { // a long outage: whoever failed that long ago has given up
		if len(e.owed) < maxOwed {
			break
		}
		delete(e.owed, other)
	}
	e.owed[string(k)] = t.Clone()
}

// pay writes what is owed beside a row, if anything is.
func (s *Store) pay(ctx context.Context, k []byte) error {
	s.entries.mu.Lock()
	t := s.entries.owed[string(k)]
	s.entries.mu.Unlock()
	if t == nil {
		return nil
	}
	if t.Pending() {
		if _, err := s.openEntry(ctx, k, t); err != nil {
			return err
		}
	}
	if err := s.index(ctx, k, t); err != nil {
		return err
	}
	s.entries.mu.Lock()
	defer s.entries.mu.Unlock()
	if s.entries.owed[string(k)] == t {
		delete(s.entries.owed, string(k))
	}
	return nil
}

// forget removes entries that lead nowhere any more: soon, and not on the way of a caller. One that stays leads to a row that tells.
func (s *Store) forget(gone ...entry) {
	s.entries.mu.Lock()
	defer s.entries.mu.Unlock()
	for _, e := range gone {
		if e.k == nil || len(s.entries.gone) >= maxGone {
			continue
		}
		s.entries.gone = append(s.entries.gone, e)
		s.entries.unknow(e)
	}
	if len(s.entries.gone) >= tidyBatch {
		select {
		case s.entries.full <- struct{}{}:
		default:
		}
	}
}

func (e *entries) unknow(gone entry) {
	var left []entry
	for _, known := range e.known[string(gone.k)] {
		if known.n != gone.n {
			left = append(left, known)
		}
	}
	if len(left) == 0 {
		delete(e.known, string(gone.k))
		return
	}
	e.known[string(gone.k)] = left
}

// tidy removes entries a few at a time.
func (s *Store) tidy(ctx context.Context) {
	ticker := time.NewTicker(tidyEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-s.entries.full:
		}
		s.flush(ctx)
	}
}

// flush removes what is to be removed. What cannot be removed now is tried again later.
func (s *Store) flush(ctx context.Context) {
	s.entries.mu.Lock()
	gone := s.entries.gone
	s.entries.gone = nil
	s.entries.mu.Unlock()
	for len(gone) > 0 {
		some := gone[:min(len(gone), tidyBatch)]
		if err := s.removeEntries(ctx, some); err != nil {
			s.entries.mu.Lock()
			s.entries.gone = append(gone, s.entries.gone...)
			s.entries.mu.Unlock()
			return
		}
		gone = gone[len(some):]
		for _, empty := range s.entries.drained(some) {
			s.removeSlot(ctx, empty)
		}
	}
}

func (s *Store) removeEntries(ctx context.Context, gone []entry) error {
	ctx, cancel := context.WithTimeout(ctx, s.opts.Timeout)
	defer cancel()
	now := s.entries.tick(s.opts.Now())
	b := s.driver.Load().NewBatch(gocql.UnloggedBatch).WithContext(ctx)
	b.SetConsistency(gocql.Quorum)
	for _, e := range gone {
		b.Query(s.names.open.remove, now, e.run, e.slot.number, e.k, e.n)
	}
	return s.driver.Load().ExecuteBatch(b)
}

func (s *Store) removeSlot(ctx context.Context, e entry) {
	ctx, cancel := context.WithTimeout(ctx, s.opts.Timeout)
	defer cancel()
	if err := s.query(ctx, gocql.Quorum, s.names.open.removeSlot, e.run, e.slot.number).Exec(); err != nil {
		s.opts.Log.Debug("an empty slot of open entries stays on the list until its time to live ends", "error", err)
	}
}

// drained counts entries off their slots and returns one of each slot that has none left and will get none.
func (e *entries) drained(gone []entry) (empty []entry) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, g := range gone {
		if g.slot.live--; g.slot.live == 0 && g.slot.retired {
			empty = append(empty, g)
		}
	}
	return empty
}

// retire ends the use of every slot.
func (e *entries) retire() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, in := range e.slots {
		in.retired = true
	}
}
