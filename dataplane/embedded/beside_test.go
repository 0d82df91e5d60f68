package embedded

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"segue/dataplane/ledger"
	"segue/dataplane/ledger/ledgertest"
)

const (
	besideWriters = 16
	besideRounds  = 15
	besideOps     = 500 // per round and side: short, so that both sides of a round see the same machine
)

// BenchmarkBeside sets what the store does beside Pebble alone, by 16 writers: a claim beside one commit with a sync, a whole transaction (a
// claim, and an outcome with an answer of 2 kB) beside two. Pebble alone is a second directory on the same disk, opened with the store's own
// settings and without its marks; it writes one key with as many bytes as the store's batch has, row and places in the indices together, and reads,
// locks, encodes and checks nothing. The sides take turns in one process; rows are made before. claim/bare and both/bare are the medians of the
// rounds' throughput, ours as a share of Pebble's.
func BenchmarkBeside(b *testing.B) {
	s, err := Open(b.TempDir(), options(b))
	if err != nil {
		b.Fatal(err)
	}
	defer shut(b, s)
	bare := openBare(b)
	var claims, both []float64
	turn := 0
	for b.Loop() {
		for range besideRounds {
			claims = append(claims, oneTurn(b, s, bare, turn*besideOps, false))
			both = append(both, oneTurn(b, s, bare, (turn+1)*besideOps, true))
			turn += 2
		}
	}
	slices.Sort(claims)
	slices.Sort(both)
	b.ReportMetric(claims[len(claims)/2], "claim/bare")
	b.ReportMetric(both[len(both)/2], "both/bare")
}

// openBare opens Pebble alone.
func openBare(b *testing.B) *pebble.DB {
	b.Helper()
	o := settings(&holding{marks: &marks{}}, &logger{fatal: func(err error) { b.Error(err) }})
	o.FS, o.Lock, o.EventListener = nil, nil, nil // Pebble's own
	db, err := pebble.Open(b.TempDir(), o)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := db.Close(); err != nil {
			b.Error(err)
		}
	})
	return db
}

// oneTurn returns the store's throughput as a share of Pebble's. Who is first changes from turn to turn.
func oneTurn(b *testing.B, s *Store, bare *pebble.DB, first int, outcome bool) float64 {
	b.Helper()
	rows, ends := make([]*ledger.Transaction, besideOps), make([]*ledger.Transaction, besideOps)
	keys, values := make([][]byte, besideOps), make([][2][]byte, besideOps)
	for i := range rows {
		rows[i] = ledgertest.Sample(first + i)
		ends[i] = done(rows[i])
		h := rows[i].Key.Hash()
		keys[i] = rowKey(h)
		values[i] = [2][]byte{make([]byte, bytesOf(b, s, nil, rows[i])-len(keys[i])), make([]byte, bytesOf(b, s, rows[i], ends[i])-len(keys[i]))}
	}
	ours := func() float64 {
		return throughput(b, func(i int) error {
			if _, _, err := s.Ledger().Claim(b.Context(), rows[i]); err != nil || !outcome {
				return err
			}
			_, _, err := s.Ledger().Advance(b.Context(), ends[i])
			return err
		})
	}
	theirs := func() float64 {
		return throughput(b, func(i int) error {
			if err := bare.Set(keys[i], values[i][0], pebble.Sync); err != nil || !outcome {
				return err
			}
			return bare.Set(keys[i], values[i][1], pebble.Sync)
		})
	}
	if first/(2*besideOps)%2 == 0 {
		return ours() / theirs()
	}
	bareRate := theirs()
	return ours() / bareRate
}

// bytesOf is how many bytes of keys and values the store writes for t.
func bytesOf(b *testing.B, s *Store, old, t *ledger.Transaction) (n int) {
	b.Helper()
	batch, _, err := transactions{s}.batch(t.Key.Hash(), old, t)
	if err != nil {
		b.Fatal(err)
	}
	r := batch.Reader()
	for {
		_, key, value, more, err := r.Next()
		if err != nil {
			b.Fatal(err)
		}
		if !more {
			break
		}
		n += len(key) + len(value)
	}
	if err := batch.Close(); err != nil {
		b.Fatal(err)
	}
	return n
}

func throughput(b *testing.B, op func(i int) error) float64 {
	b.Helper()
	var next atomic.Int64
	var group sync.WaitGroup
	begun := time.Now()
	for range besideWriters {
		group.Go(func() {
			for i := int(next.Add(1)) - 1; i < besideOps; i = int(next.Add(1)) - 1 {
				if err := op(i); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	return besideOps / time.Since(begun).Seconds()
}

// TestTheCacheHasRoom: Pebble takes the memory of its tables out of the cache. With nothing left, each claim would read the filters of the files anew,
// and copy and check them, to learn that its key is new.
func TestTheCacheHasRoom(t *testing.T) {
	s := onMem(t, vfs.NewMem(), func(o *Options) { o.write = pebble.NoSync })
	defer shut(t, s)
	const rows = 300
	value := make([]byte, 64<<10)
	for i := range memTables * memTable / len(value) { // the tables are as large as they become
		if err := s.db.Set(rowKey(ledgertest.Sample(i).Key.Hash()), value, pebble.NoSync); err != nil {
			t.Fatal(err)
		}
	}
	for i := range rows {
		if _, _, err := s.Ledger().Claim(context.Background(), ledgertest.Sample(100_000+i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.db.Compact(context.Background(), []byte{0}, []byte{0xff}, true); err != nil {
		t.Fatal(err)
	}
	ask := func() (misses int64) {
		before := s.db.Metrics().BlockCache.Misses
		for i := range rows {
			if row, err := s.sought(rowKey(ledgertest.Sample(200_000 + i).Key.Hash())); row != nil || err != nil {
				t.Fatal(row, err)
			}
		}
		return s.db.Metrics().BlockCache.Misses - before
	}
	ask() // the filters are read
	if misses := ask(); misses > rows/10 {
		t.Errorf("%d new keys missed the cache %d times: it has no room (%+v)", rows, misses, s.db.Metrics().BlockCache)
	}
}
