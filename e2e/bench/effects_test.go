package bench

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"segue/dataplane/ledger"
	"segue/dataplane/message"
)

const effectRounds = 7

// benchEffects compares what claim and outcome add to an effect with what the disk takes for two bare group commits of the same rows.
func benchEffects(t *testing.T, r *report) {
	all := rivals(t)
	db := openBare(t)
	for _, c := range []struct{ callers, calls int }{{1, 400}, {callers, 6400}} {
		var ratios, cpus []float64
		var added, bare []time.Duration
		for i := range effectRounds {
			turn := inTurn(t, i, []*side{all.direct, all.plain, all.agent}, func(s *side) (taken, error) { return s.round(c.callers, c.calls, (*line).pay) })
			commits, err := db.round(c.callers, c.calls)
			must(t, err)
			more, one := turn[2].p50()-turn[0].p50(), commits.p50()
			t.Logf("round %d: bare commit p50 %s", i+1, ms(one))
			added, bare = append(added, more), append(bare, one)
			ratios = append(ratios, float64(more)/float64(2*one+time.Millisecond))
			cpus = append(cpus, float64(turn[2].perCall)/float64(turn[1].perCall))
		}
		connections := fmt.Sprintf("%d connection%s", c.callers, plural(c.callers))
		r.add(t, figure{what: "p50 that claim and outcome, both durable, add to an effect, as a share of two bare group commits + 1 ms, " + connections,
			ratio: median(ratios), most: 1, command: "make bench",
			behind: fmt.Sprintf("added %s; one bare group commit %s; %s", ms(median(added)), ms(median(bare)), spread(ratios))})
		if c.callers > 1 {
			r.add(t, figure{what: "CPU per effect, both writes durable, beside ReverseProxy (which writes nothing), " + connections,
				ratio: median(cpus), command: "make bench", behind: spread(cpus)})
		}
	}
}

// bareStore is the library of the embedded store alone, with the same settings, in the same file system.
type bareStore struct {
	db  *pebble.DB
	row []byte
}

func openBare(t *testing.T) *bareStore {
	t.Helper()
	db, err := pebble.Open(t.TempDir(), &pebble.Options{
		CacheSize: 16 << 20, MemTableSize: 8 << 20, MaxOpenFiles: 256, FormatMajorVersion: pebble.FormatNewest, Logger: silent{},
	})
	must(t, err)
	t.Cleanup(func() { must(t, db.Close()) })
	row, err := ledger.Encode(example())
	must(t, err)
	return &bareStore{db: db, row: row}
}

// silent drops what the library tells of its housekeeping.
type silent struct{}

func (silent) Infof(string, ...any)      {}
func (silent) Errorf(string, ...any)     {}
func (silent) Fatalf(f string, a ...any) { panic(fmt.Sprintf(f, a...)) }

// example is a row as a charge leaves it.
func example() *ledger.Transaction {
	at := time.Now()
	return &ledger.Transaction{
		ID: "tx_01J9ZZZZZZZZZZZZZZZZZZZZZZ", Key: ledger.Key{App: "default", Service: "payments", Key: "agent-1790000000000000000-1-1"},
		Operation: "charge", State: ledger.DoneSucceeded, Version: 2, Epoch: 1, Run: "local-1/0123456789abcdef", Region: "local",
		Session: "agent-1790000000000000000-1", Created: at, Updated: at,
		Attempts: []ledger.Attempt{{ID: "at_01J9ZZZZZZZZZZZZZZZZZZZZZZ", Provider: "main", Account: "main", Endpoint: "http://127.0.0.1:7601",
			ProviderKey: "agent-1790000000000000000-1-1", IntentAt: at, SendBy: time.Second, Outcome: ledger.Succeeded, Sends: 1, Status: 200, Elapsed: time.Millisecond}},
		Answer: &ledger.StoredAnswer{Status: 200, Header: message.Header{{Name: "Content-Type", Value: "application/json"}, {Name: "Content-Length", Value: "330"}},
			Sealed: make([]byte, 360), KeyID: "k1", Kept: true, ObjectID: "ch_1"},
	}
}

// round commits as many batches as there were calls, from as many writers as there were callers.
func (b *bareStore) round(writers, commits int) (taken, error) {
	took := make([][]time.Duration, writers)
	failed := make([]error, writers)
	var work sync.WaitGroup
	for i := range writers {
		work.Go(func() {
			for range commits / writers {
				begin := time.Now()
				if failed[i] = b.commit(); failed[i] != nil {
					return
				}
				took[i] = append(took[i], time.Since(begin))
			}
		})
	}
	work.Wait()
	r := taken{}
	for i := range writers {
		r.each = append(r.each, took[i]...)
	}
	return r, errors.Join(failed...)
}

// commit writes one row and its entries in four indices, and returns when they are on the disk.
func (b *bareStore) commit() error {
	var id [16]byte
	_, _ = rand.Read(id[:]) // it never fails
	h := sha256.Sum256(id[:])
	batch := b.db.NewBatch()
	_ = batch.Set(append([]byte{'t'}, h[:]...), b.row, nil) // a batch is memory until its commit
	for _, index := range []byte("icno") {
		_ = batch.Set(append([]byte{index, 0, 0, 0, 0, 0, 0, 0, 0}, h[:]...), nil, nil)
	}
	if err := batch.Commit(pebble.Sync); err != nil {
		return err
	}
	return batch.Close()
}

func TestBareCommits(t *testing.T) {
	b := openBare(t)
	r, err := b.round(2, 10)
	if err != nil || len(r.each) != 10 {
		t.Fatalf("%d commits: %v", len(r.each), err)
	}
	if _, err := ledger.Decode(b.row); err != nil {
		t.Fatalf("what is written is no row: %v", err)
	}
}
