package bench

import (
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"segue/dataplane/ledger"
	"segue/dataplane/message"
)

const effectRounds = 7

// benchEffects compares what claim and outcome add to an effect with what the disk takes for two bare group commits of the same rows.
func benchEffects(t *testing.T, r *report) {
	all := rivals(t, callers)
	db := openBare(t)
	for _, c := range []struct {
		how string
		work
	}{
		{"1 connection, one call after the other", work{callers: 1, calls: 400}},
		{"32 connections, 400 calls/s", work{callers: callers, calls: 1280, rate: 400}},
		{"32 connections, as many calls as the machine takes", work{callers: callers, calls: 6400}},
	} {
		measureEffects(t, r, all, db, c.how, c.work)
	}
}

func measureEffects(t *testing.T, r *report, all rival, db *bareStore, how string, w work) {
	var ratios, cpus []float64
	var added, plain, bare []time.Duration
	for i := range effectRounds {
		turn := inTurn(t, i, []*side{all.direct, all.plain, all.agent}, func(s *side) (taken, error) { return s.round(w, (*line).pay) })
		commits, err := w.run(func(int) error { return db.commit() })
		must(t, err)
		more, one := turn[2].p50()-turn[0].p50(), commits.p50()
		t.Logf("round %d: bare commit p50 %s", i+1, ms(one))
		added, plain, bare = append(added, more), append(plain, turn[1].p50()-turn[0].p50()), append(bare, one)
		ratios = append(ratios, float64(more)/float64(2*one+time.Millisecond))
		cpus = append(cpus, float64(turn[2].perCall)/float64(max(turn[1].perCall, time.Microsecond)))
	}
	bar := 1.0
	if w.rate == 0 && w.callers > 1 {
		bar = 0 // both processors are busy: what is added is everybody's wait for them, as at ReverseProxy, and the disk waits too
	}
	r.add(t, figure{what: "p50 that claim and outcome, both durable, add to an effect, as a share of two bare group commits + 1 ms: " + how,
		ratio: median(ratios), most: bar, command: "make bench",
		behind: fmt.Sprintf("added %s, ReverseProxy, which writes nothing, %s; one bare group commit under the same callers %s; %s",
			ms(median(added)), ms(median(plain)), ms(median(bare)), spread(ratios))})
	if w.calls > 5000 { // below, the system's count of CPU is too coarse
		r.add(t, figure{what: "CPU per effect, both writes durable, beside ReverseProxy (which writes nothing): " + how,
			ratio: median(cpus), command: "make bench", behind: spread(cpus)})
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
		CacheSize: 64 << 20, MemTableSize: 8 << 20, MemTableStopWritesThreshold: 4, L0CompactionThreshold: 8, L0StopWritesThreshold: 24, MaxOpenFiles: 256,
		FormatMajorVersion: pebble.FormatNewest, Logger: silent{},
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
		Operation: "charge", State: ledger.DoneSucceeded, Version: 2, Course: ledger.Course{Epoch: 1}, Run: "local-1/0123456789abcdef", Region: "local",
		Session: "agent-1790000000000000000-1", Created: at, Updated: at,
		Attempts: []ledger.Attempt{{ID: "at_01J9ZZZZZZZZZZZZZZZZZZZZZZ", Provider: "main", Account: "main", Endpoint: "http://127.0.0.1:7601",
			ProviderKey: "agent-1790000000000000000-1-1", IntentAt: at, SendBy: time.Second, Outcome: ledger.Succeeded, Sends: 1, Status: 200, Elapsed: time.Millisecond}},
		Answer: &ledger.StoredAnswer{Status: 200, Header: message.Header{{Name: "Content-Type", Value: "application/json"}, {Name: "Content-Length", Value: "330"}},
			Sealed: make([]byte, 360), KeyID: "k1", Kept: true, ObjectID: "ch_1"},
	}
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
	r, err := work{callers: 2, calls: 10}.run(func(int) error { return b.commit() })
	if err != nil || len(r.each) != 10 {
		t.Fatalf("%d commits: %v", len(r.each), err)
	}
	if _, err := ledger.Decode(b.row); err != nil {
		t.Fatalf("what is written is no row: %v", err)
	}
}
