package cassandra

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/gocql/gocql"

	"segue/dataplane/ledger"
)

// pointer leads from an index to a row.
type pointer struct {
	entry
	service string
}

// leadsTo tells whether an index means this row, and not a claim that lost against it. An open entry means whatever row there is: it may be an
// earlier try's, whose agent died, and the only one that is left of a row's.
func (p pointer) leadsTo(t *ledger.Transaction) bool {
	return p.slot != nil || t.Created.UnixNano() == p.at
}

// minutes remembers which minutes this process put on the list of those that have rows.
type minutes struct {
	mu   sync.Mutex
	seen map[int32]bool
}

func minuteOf(t time.Time) int32 { return int32(t.Unix() / 60) }

// has tells whether a minute is on the list.
func (m *minutes) has(minute int32) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.seen[minute]
}

func (m *minutes) add(minute int32) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.seen == nil || len(m.seen) > 1000 {
		m.seen = map[int32]bool{}
	}
	m.seen[minute] = true
}

// index writes the places under which people find t: its id, its key, and the time it was made. They are never changed. A claim that
// loses leaves them behind; whoever reads one sees that the row has another id or time.
func (s *Store) index(ctx context.Context, k []byte, t *ledger.Transaction) error {
	life, at, minute := seconds(s.opts.Keep+grace), t.Created.UnixNano(), minuteOf(t.Created)
	listed := s.minutes.has(minute)
	err := s.often(ctx, func(ctx context.Context) error {
		b := s.driver.Load().NewBatch(gocql.UnloggedBatch).WithContext(ctx)
		b.SetConsistency(gocql.Quorum)
		if s.opts.test.trace != nil {
			b.Trace(s.opts.test.trace)
		}
		b.Query(s.names.id, t.ID, k, life)
		if t.Key.Key != "" {
			b.Query(s.names.name, t.Key.Key, at, k, life)
		}
		b.Query(s.names.recent, minute, int(k[0])%recentShards, at, k, t.Key.Service, life)
		if !listed {
			b.Query(s.names.minute, minute, life)
		}
		return s.driver.Load().ExecuteBatch(b)
	})
	if err != nil {
		return fmt.Errorf("cassandra: indices: %w", err)
	}
	if !listed {
		s.minutes.add(minute)
	}
	return nil
}

// Open yields what is open, of every run. It reads the entries first, then the rows a page at a time.
func (s transactions) Open(ctx context.Context, yield func(*ledger.Transaction) bool) error {
	found, err := s.openPointers(ctx)
	if err != nil {
		return err
	}
	for page := range slices.Chunk(found, openPage) {
		rows, err := s.rows(ctx, page)
		if err != nil {
			return err
		}
		for i, t := range rows {
			switch {
			case t == nil: // its claim may be under way: the entry stays
			case t.Pending():
				if !yield(t) {
					return nil
				}
			case t.Final(): // it never opens again; what was refused may, this very moment
				s.forget(page[i].entry)
			}
		}
	}
	return nil
}

// openPointers reads the entries of all runs, oldest first, one for each row.
func (s transactions) openPointers(ctx context.Context) ([]pointer, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	slots, err := s.slots(ctx, s.names.open.slots)
	if err != nil {
		return nil, err
	}
	lists := make([][]pointer, len(slots))
	err = each(ctx, len(slots), func(ctx context.Context, i int) (err error) {
		lists[i], err = s.slotEntries(ctx, slots[i])
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("cassandra: open transactions: %w", err)
	}
	all := slices.Concat(lists...)
	slices.SortFunc(all, oldestFirst)
	seen := map[string]bool{}
	return slices.DeleteFunc(all, func(p pointer) bool {
		was := seen[string(p.k)]
		seen[string(p.k)] = true
		return was
	}), nil
}

func oldestFirst(a, b pointer) int {
	return cmp.Or(cmp.Compare(a.at, b.at), slices.Compare(a.k, b.k))
}

func (s transactions) slots(ctx context.Context, statement string, of ...any) (found []entry, err error) {
	err = s.often(ctx, func(ctx context.Context) error {
		found = nil
		iter := s.read(ctx, gocql.Quorum, statement, of...).Iter()
		e := entry{slot: &slot{}}
		for iter.Scan(&e.run, &e.slot.number) {
			found = append(found, e)
			e = entry{slot: &slot{}}
		}
		return iter.Close()
	})
	if err != nil {
		return nil, fmt.Errorf("cassandra: slots of open entries: %w", err)
	}
	return found, nil
}

func (s transactions) slotEntries(ctx context.Context, in entry) (found []pointer, err error) {
	err = s.often(ctx, func(ctx context.Context) error {
		found = nil
		iter := s.read(ctx, gocql.Quorum, s.names.open.list, in.run, in.slot.number).Iter()
		p := pointer{entry: in}
		var asked []byte
		for iter.Scan(&p.k, &p.n, &p.at, &asked) {
			p.key = askedKey(asked, p.k)
			found = append(found, p)
			p, asked = pointer{entry: in}, nil
		}
		return iter.Close()
	})
	return found, err
}

// askedKey is the key that an open entry leads to, or the zero key where it does not say so, or wrongly.
func askedKey(asked, k []byte) (key ledger.Key) {
	if err := json.Unmarshal(asked, &key); err != nil {
		return ledger.Key{}
	}
	if h := key.Hash(); !bytes.Equal(h[:], k) {
		return ledger.Key{}
	}
	return key
}

// each runs f for 0 … n-1, a few at a time, and returns the first error.
func each(ctx context.Context, n int, f func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	next := make(chan int)
	errs := make([]error, min(n, parallelReads))
	var group sync.WaitGroup
	for w := range errs {
		group.Go(func() {
			for i := range next {
				if errs[w] == nil {
					if errs[w] = f(ctx, i); errs[w] != nil {
						cancel()
					}
				}
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	group.Wait()
	for _, err := range errs {
		if err != nil && !errors.Is(err, context.Canceled) {
			return err
		}
	}
	return errors.Join(errs...)
}

// rows reads the rows of some pointers; nil where there is none.
func (s transactions) rows(ctx context.Context, some []pointer) ([]*ledger.Transaction, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	rows := make([]*ledger.Transaction, len(some))
	err := each(ctx, len(some), func(ctx context.Context, i int) (err error) {
		rows[i], err = s.byHash(ctx, some[i].k)
		if errors.Is(err, ledger.ErrNotFound) {
			return nil
		}
		return err
	})
	return rows, err
}

// Recent returns the newest transactions that pass q. A key, and the open states, have an index; any other filter looks at the newest
// 2,000 rows of the service, or of all.
func (s transactions) Recent(ctx context.Context, q ledger.Query) ([]*ledger.Transaction, error) {
	limit := min(q.Limit, maxRecent)
	if limit <= 0 {
		limit = recent
	}
	var out []*ledger.Transaction
	looked := 0
	take := func(page []pointer) (more bool, err error) {
		if q.Service != "" {
			page = slices.DeleteFunc(page, func(p pointer) bool { return p.service != "" && p.service != q.Service })
		}
		for some := range slices.Chunk(page, openPage) {
			rows, err := s.rows(ctx, some)
			if err != nil {
				return false, err
			}
			for i, t := range rows {
				if t != nil && some[i].leadsTo(t) && passes(t, q) && len(out) < limit {
					out = append(out, t)
				}
			}
			if looked += len(some); len(out) >= limit || looked >= maxScan {
				return false, nil
			}
		}
		return true, nil
	}
	if err := s.walk(ctx, q, take); err != nil {
		return nil, fmt.Errorf("cassandra: recent transactions: %w", err)
	}
	return out, nil
}

// walk hands out pointers, newest first, from the index that serves q best.
func (s transactions) walk(ctx context.Context, q ledger.Query, take func([]pointer) (bool, error)) error {
	switch {
	case q.Key != "":
		found, err := s.pointers(ctx, s.names.open.byName, false, q.Key)
		if err == nil {
			_, err = take(found)
		}
		return err
	case q.State == ledger.Intent || q.State == ledger.Held:
		found, err := s.openPointers(ctx)
		if err == nil {
			slices.Reverse(found)
			_, err = take(found)
		}
		return err
	default:
		return s.walkMinutes(ctx, take)
	}
}

// walkMinutes goes back through the minutes that have rows.
func (s transactions) walkMinutes(ctx context.Context, take func([]pointer) (bool, error)) error {
	if err := s.enter(); err != nil {
		return err
	}
	iter := s.read(ctx, gocql.Quorum, s.names.open.minutes).PageSize(100).Iter()
	s.leave()
	var minute int32
	for iter.Scan(&minute) {
		shards := make([][]pointer, recentShards)
		err := each(ctx, recentShards, func(ctx context.Context, i int) (err error) {
			shards[i], err = s.pointers(ctx, s.names.open.byMinute, true, minute, i)
			return err
		})
		if err != nil {
			return errors.Join(err, iter.Close())
		}
		page := slices.Concat(shards...)
		slices.SortFunc(page, func(a, b pointer) int { return oldestFirst(b, a) })
		if more, err := take(page); err != nil || !more {
			return errors.Join(err, iter.Close())
		}
	}
	return iter.Close()
}

// pointers reads the newest entries of an index's partition: no more than are looked at.
func (s transactions) pointers(ctx context.Context, statement string, withService bool, key ...any) (found []pointer, err error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	err = s.often(ctx, func(ctx context.Context) error {
		found = nil
		iter := s.read(ctx, gocql.Quorum, statement, key...).Iter()
		var p pointer
		columns := []any{&p.at, &p.k}
		if withService {
			columns = append(columns, &p.service)
		}
		for len(found) < maxScan && iter.Scan(columns...) {
			found = append(found, p)
			p.k = nil
		}
		return iter.Close()
	})
	return found, err
}

func passes(t *ledger.Transaction, q ledger.Query) bool {
	return (q.Service == "" || t.Key.Service == q.Service) && (q.Key == "" || t.Key.Key == q.Key) &&
		(q.State == 0 || t.State == q.State) && (q.Provider == "" || wentTo(t, q.Provider))
}

// wentTo tells whether any attempt was made there: an operator who looks for a provider wants those that left it, too.
func wentTo(t *ledger.Transaction, provider string) bool {
	return slices.ContainsFunc(t.Attempts, func(a ledger.Attempt) bool { return a.Provider == provider })
}

// renew writes open rows again, with what is beside them, when half of their time to live is over: a transaction whose outcome is not
// known does not end because nobody touched it. The row says the same as before, so whoever holds it loses nothing.
func (s transactions) renew(ctx context.Context) (renewed int, err error) {
	var errRow error
	err = s.Open(ctx, func(t *ledger.Transaction) bool {
		var again bool
		if again, errRow = s.renewRow(ctx, t); again {
			renewed++
		}
		return errRow == nil
	})
	return renewed, errors.Join(err, errRow)
}

func (s transactions) renewRow(ctx context.Context, t *ledger.Transaction) (bool, error) {
	if err := s.enter(); err != nil {
		return false, err
	}
	defer s.leave()
	k := hashOf(t)
	var life int
	var trail map[int64]gocql.UUID
	err := s.often(ctx, func(ctx context.Context) error {
		return s.read(ctx, serial, s.names.life, k).Scan(&life, &trail)
	})
	if err != nil || life > seconds(s.opts.Keep/2) {
		return false, err
	}
	columns, err := values(t)
	if err != nil {
		return false, err
	}
	version := int64(t.Version)
	if _, err := s.openEntry(ctx, k, t); err != nil {
		return false, err
	}
	if err := s.index(ctx, k, t); err != nil {
		return false, err
	}
	args := append(append([]any{seconds(s.opts.Keep)}, columns...), version, trail[version], k, version, t.ID, gocql.UUID(t.Token))
	applied, _, err := s.cas(ctx, s.names.renew, args...)
	return applied, err
}
