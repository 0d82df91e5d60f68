package embedded

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"segue/dataplane/ledger"
)

// errClaim refuses what is no claim: a bug of the caller.
var errClaim = errors.New("embedded: a claim is version 1 of a row with an id, in Intent with its attempt, or planted")

// transactions is the store as ledger.Store.
type transactions struct{ *Store }

// Claim inserts t with its INTENT, its open entry and its places in the indices in one write.
func (s transactions) Claim(ctx context.Context, t *ledger.Transaction) (*ledger.Transaction, bool, error) {
	if !t.Claimable() {
		return nil, false, errClaim
	}
	h := t.Key.Hash()
	done, err := s.begin(ctx, h)
	if err != nil {
		return nil, false, err
	}
	defer done()
	if current, err := s.row(h); err != nil || current != nil {
		return current, false, err
	}
	if err := s.full(); err != nil {
		return nil, false, err
	}
	if err := s.put(h, nil, t); err != nil {
		return nil, false, err
	}
	return t, true, nil
}

// Advance replaces the row if nobody was faster.
func (s transactions) Advance(ctx context.Context, t *ledger.Transaction) (*ledger.Transaction, ledger.Written, error) {
	h := t.Key.Hash()
	done, err := s.begin(ctx, h)
	if err != nil {
		return nil, 0, err
	}
	defer done()
	current, err := s.row(h)
	if err != nil {
		return nil, 0, err
	}
	if current == nil || current.Version != t.Version-1 || current.ID != t.ID {
		return current, ledger.Lost, nil
	}
	next := *t
	next.Created = current.Created // the indices stand under it
	if err := s.put(h, current, &next); err != nil {
		return nil, 0, err
	}
	return t, ledger.Stored, nil
}

// begin lets a write in and takes its row's lock.
func (s transactions) begin(ctx context.Context, h hash) (func(), error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("embedded: nothing was written: %w", err)
	}
	if err := s.enter(); err != nil {
		return nil, err
	}
	unlock := s.stripe(h).lock()
	return func() { unlock(); s.leave() }, nil
}

// put writes t over old, which is nil for a new row.
func (s transactions) put(h hash, old, t *ledger.Transaction) error {
	b, row, err := s.batch(h, old, t)
	if err != nil {
		return err
	}
	if err := s.commit(b, s.opts.write); err != nil {
		return err
	}
	s.remember(h, row)
	s.held.Add(heldBy(t) - heldBy(old))
	return nil
}

// batch is what put writes: the row, and its places in the indices.
func (s transactions) batch(h hash, old, t *ledger.Transaction) (b *pebble.Batch, row []byte, err error) {
	if row, err = ledger.Encode(t); err != nil {
		return nil, nil, fmt.Errorf("embedded: nothing was written: %w", err)
	}
	b = s.db.NewBatch()
	set(b, rowKey(h), row)
	if old == nil {
		set(b, idKey(t.ID), h[:])
		set(b, createdKey(t.Created, h), nil)
		set(b, nameKey(t.Key.Key, t.Created, h), nil)
	}
	switch {
	case t.Pending():
		set(b, openKey(t.Created, h), []byte{byte(t.State)})
	case old != nil && old.Pending():
		remove(b, openKey(t.Created, h))
	}
	return b, row, nil
}

// set adds to a batch, which holds it in memory and cannot fail before its commit.
func set(b *pebble.Batch, key, value []byte) { _ = b.Set(key, value, nil) }

func remove(b *pebble.Batch, key []byte) { _ = b.Delete(key, nil) }

func heldBy(t *ledger.Transaction) int64 {
	if t != nil && unknown(t.State) {
		return 1
	}
	return 0
}

func held(value []byte) bool { return len(value) == 1 && unknown(ledger.State(value[0])) }

func unknown(s ledger.State) bool { return s == ledger.Held || s == ledger.Cancelling }

func timeOf(key []byte) time.Time {
	if len(key) < 1+timeSize {
		return time.Time{}
	}
	return time.Unix(0, int64(binary.BigEndian.Uint64(key[1:])^1<<63)).UTC()
}

// maxKnownRow bounds the rows that are remembered: answers of up to 256 KiB stay in the files.
const maxKnownRow = 2 << 10

// remember keeps what was written: a transaction under way is read twice more before its end.
func (s transactions) remember(h hash, row []byte) {
	if len(row) > maxKnownRow {
		s.known.rows.drop(h)
		return
	}
	s.known.rows.set(h, row)
}

// row reads a row; nil: there is none.
func (s transactions) row(h hash) (*ledger.Transaction, error) {
	row, writes, ok := s.known.rows.find(h)
	if !ok {
		var err error
		if row, err = s.sought(rowKey(h)); err != nil {
			return nil, err
		}
		if len(row) <= maxKnownRow {
			s.known.rows.learn(h, row, writes)
		}
	}
	if row == nil {
		return nil, nil
	}
	return ledger.Decode(row)
}

// durable reads a row without a lock. A row that is being written is seen before it is on the disk: then its write is awaited, so that
// nobody is told what a power cut could take back.
func (s transactions) durable(h hash) (*ledger.Transaction, error) {
	t, err := s.row(h)
	if err != nil {
		return nil, err
	}
	if st := s.stripe(h); st.busy.Load() {
		st.wait()
	}
	if err := s.failed(); err != nil {
		return nil, err
	}
	if t == nil {
		return nil, ledger.ErrNotFound
	}
	return t, nil
}

// Load reads the row of a key.
func (s transactions) Load(_ context.Context, k ledger.Key) (*ledger.Transaction, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	return s.durable(k.Hash())
}

// ByID reads the row of an id.
func (s transactions) ByID(_ context.Context, id string) (*ledger.Transaction, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	var h hash
	ok, err := s.get(idKey(id), func(v []byte) error {
		copy(h[:], v)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, ledger.ErrNotFound
	}
	return s.durable(h)
}

// Open yields what is open, a page at a time: yield may write, and the store may be closed in between.
func (s transactions) Open(ctx context.Context, yield func(*ledger.Transaction) bool) error {
	var last []byte
	for {
		page, end, err := s.page(ctx, last)
		if err != nil {
			return err
		}
		for _, t := range page {
			if !yield(t) {
				return nil
			}
		}
		if end == nil {
			return nil
		}
		last = end
	}
}

// page reads open rows from behind start; end is where the next page begins, nil when there is none.
func (s transactions) page(ctx context.Context, start []byte) (rows []*ledger.Transaction, end []byte, err error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, fmt.Errorf("embedded: open transactions: %w", err)
	}
	if err := s.enter(); err != nil {
		return nil, nil, err
	}
	defer s.leave()
	n := 0
	err = s.each([]byte{openPrefix}, start, func(key, _ []byte) (bool, error) {
		t, err := s.indexed(key)
		if t != nil && t.Pending() { // it may have closed since the entry was read
			rows = append(rows, t)
		}
		if n++; n == openPage {
			end = append([]byte(nil), key...)
		}
		return n < openPage, err
	})
	return rows, end, err
}

// indexed reads the row that an index entry points to; nil: it is gone.
func (s transactions) indexed(key []byte) (*ledger.Transaction, error) {
	h, ok := hashOf(key)
	if !ok {
		return nil, fmt.Errorf("embedded: %w: an index entry of %d bytes", ErrCorrupt, len(key))
	}
	return s.row(h)
}

// Recent returns the newest transactions that pass q. A key, and the open states, have an index; any other filter looks at the newest
// 50,000 rows.
func (s transactions) Recent(ctx context.Context, q ledger.Query) ([]*ledger.Transaction, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	limit := min(q.Limit, maxRecent)
	if limit <= 0 {
		limit = recent
	}
	var out []*ledger.Transaction
	n := 0
	err := s.eachBack(indexFor(q), func(key, _ []byte) (bool, error) {
		t, err := s.indexed(key)
		if t != nil && passes(t, q) {
			out = append(out, t)
		}
		if err == nil {
			err = ctx.Err()
		}
		n++
		return len(out) < limit && n < maxScan, err
	})
	if err != nil {
		return nil, fmt.Errorf("embedded: recent transactions: %w", err)
	}
	return out, nil
}

func indexFor(q ledger.Query) []byte {
	switch {
	case q.Key != "":
		return nameBounds(q.Key)
	case q.State == ledger.Intent || q.State == ledger.Held || q.State == ledger.Cancelling:
		return []byte{openPrefix}
	default:
		return []byte{createdPrefix}
	}
}

func passes(t *ledger.Transaction, q ledger.Query) bool {
	return (q.Service == "" || t.Key.Service == q.Service) && (q.Key == "" || t.Key.Key == q.Key) &&
		(q.State == 0 || t.State == q.State) && (q.Provider == "" || wentTo(t, q.Provider))
}

// wentTo tells whether any attempt was made there: an operator who looks for a provider wants those that left it, too.
func wentTo(t *ledger.Transaction, provider string) bool {
	for i := range t.Attempts {
		if t.Attempts[i].Provider == provider {
			return true
		}
	}
	return false
}

// Own records who owns an object.
func (s transactions) Own(ctx context.Context, o ledger.Object) error {
	row, err := ledger.EncodeObject(o)
	if err != nil {
		return fmt.Errorf("embedded: nothing was written: %w", err)
	}
	done, err := s.begin(ctx, ledger.Key{App: o.App, Service: o.Service, Key: o.ID}.Hash())
	if err != nil {
		return err
	}
	defer done()
	b := s.db.NewBatch()
	set(b, objectKey(o.App, o.Service, o.ID), row)
	if err := s.commit(b, s.opts.write); err != nil {
		return err
	}
	s.known.owners.set(owned{o.App, o.Service, o.ID}, o)
	return nil
}

// owned names an object.
type owned struct{ app, service, id string }

// Owner tells who owns an object.
func (s transactions) Owner(_ context.Context, app, service, id string) (ledger.Object, error) {
	if err := s.enter(); err != nil {
		return ledger.Object{}, err
	}
	defer s.leave()
	name := owned{app, service, id}
	o, writes, ok := s.known.owners.find(name)
	if !ok {
		var err error
		if o, err = s.object(name); err != nil {
			return ledger.Object{}, err
		}
		s.known.owners.learn(name, o, writes)
	}
	if o == (ledger.Object{}) {
		return o, ledger.ErrNotFound
	}
	return o, nil
}

// object reads an object's owner from the files; the zero Object says that nobody is known.
func (s transactions) object(name owned) (o ledger.Object, err error) {
	_, err = s.get(objectKey(name.app, name.service, name.id), func(v []byte) (err error) {
		o, err = ledger.DecodeObject(v)
		return err
	})
	return o, err
}
