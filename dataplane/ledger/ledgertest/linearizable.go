package ledgertest

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"segue/dataplane/ledger"
)

const (
	workers = 8   // goroutines that work on the same few keys
	keys    = 4   // at a time
	perKeys = 150 // operations on them, before the next few keys: a history is judged key by key, and must stay short
	opLimit = 15 * time.Second
	judging = 3 * time.Minute
)

// Load is workers that claim, advance and read the same few rows, and note what they were told.
type Load struct {
	store   func(worker int) ledger.Store
	seed    uint64
	begin   time.Time
	next    atomic.Int64
	phase   atomic.Pointer[string]
	mu      sync.Mutex
	history []porcupine.Operation
	unknown int
	took    map[string][]time.Duration // of claims that were won, by phase
}

// Linearizable holds a store to its first promise: whatever happens to it meanwhile, what the workers were told is what one row in one
// place could have told them. weather is what happens; it may be nil. The load goes on until weather returned and ops operations are done.
// store is asked before each operation. SEGUE_SEED repeats a run's choices.
func Linearizable(t *testing.T, store func(worker int) ledger.Store, ops int, weather func(*Load)) *Load {
	t.Helper()
	seed := seed()
	t.Logf("SEGUE_SEED=%d", seed)
	l, err := Linearize(t.Context(), store, seed, ops, weather)
	t.Logf("%d operations, %d unknown, in %s", l.Ops(), l.Unknown(), time.Since(l.begin).Round(time.Millisecond))
	if err != nil {
		t.Error(err)
	}
	return l
}

// Linearize does what Linearizable does, and returns what is wrong: a test can want that.
func Linearize(ctx context.Context, store func(worker int) ledger.Store, seed uint64, ops int, weather func(*Load)) (*Load, error) {
	l := newLoad(store, seed)
	l.run(ctx, ops, weather)
	return l, l.judge()
}

func newLoad(store func(worker int) ledger.Store, seed uint64) *Load {
	l := &Load{store: store, seed: seed, begin: time.Now(), took: map[string][]time.Duration{}}
	l.In("calm")
	return l
}

// run works until weather returned and ops operations are done.
func (l *Load) run(ctx context.Context, ops int, weather func(*Load)) {
	ctx, stop := context.WithCancel(ctx)
	var group sync.WaitGroup
	defer group.Wait()
	defer stop() // before the wait, and whatever ends the weather
	for w := range workers {
		group.Go(func() { l.work(ctx, w) })
	}
	if weather != nil {
		weather(l)
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for l.Ops() < ops && ctx.Err() == nil {
		<-tick.C
	}
}

// seed is that of the environment, or a new one.
func seed() uint64 {
	if n, err := strconv.ParseUint(os.Getenv("SEGUE_SEED"), 10, 64); err == nil {
		return n
	}
	return rand.Uint64N(1e6)
}

// Seed is the run's.
func (l *Load) Seed() uint64 { return l.seed }

// In names what happens from now on, for the figures.
func (l *Load) In(phase string) { l.phase.Store(&phase) }

// Phase is what happens now.
func (l *Load) Phase() string { return *l.phase.Load() }

// Ops is how many operations are done.
func (l *Load) Ops() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.history)
}

// Unknown is how many operations ended so that nobody knows whether they were applied.
func (l *Load) Unknown() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.unknown
}

// Claims are how long the claims took that were won in a phase, sorted.
func (l *Load) Claims(phase string) []time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	took := slices.Clone(l.took[phase])
	slices.Sort(took)
	return took
}

// Phases are those in which claims were won.
func (l *Load) Phases() (names []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for name := range l.took {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// work does one operation after another until ctx ends.
func (l *Load) work(ctx context.Context, worker int) {
	rng := rand.New(rand.NewPCG(l.seed, uint64(worker)))
	rows := map[int]*ledger.Transaction{}
	for ctx.Err() == nil {
		key := int(l.next.Add(1)/perKeys)*keys + rng.IntN(keys)
		rows[key] = l.one(worker, key, rows[key], rng)
		delete(rows, key-2*keys)
	}
}

// one does one operation, and returns the row as the worker knows it afterwards. An operation under way is finished when the load ends.
func (l *Load) one(worker, key int, row *ledger.Transaction, rng *rand.Rand) *ledger.Transaction {
	ctx, cancel := context.WithTimeout(context.Background(), opLimit)
	defer cancel()
	t := Sample(key)
	t.Key.Key = fmt.Sprintf("linear-%d-%d", l.seed, key)
	binary.BigEndian.PutUint64(t.Token[:], rng.Uint64())
	t.ID = fmt.Sprintf("tx_%x", t.Token[:8])
	o := operation{worker: worker, key: key, call: time.Since(l.begin)}
	switch {
	case rng.IntN(4) == 0:
		o.row, o.err = l.store(worker).Load(ctx, t.Key)
		if errors.Is(o.err, ledger.ErrNotFound) {
			o.row, o.err = nil, nil
		}
	case row == nil:
		o.want, o.claim = see(t), true
		o.row, o.applied, o.err = l.store(worker).Claim(ctx, t)
		o.passed = !o.applied && o.row != nil && o.row.ID == t.ID
	default:
		token := t.Token
		t = row.Clone()
		t.Version, t.Token, t.State = row.Version+1, token, ledger.Held
		o.want = see(t)
		var how ledger.Written
		o.row, how, o.err = l.store(worker).Advance(ctx, t)
		o.applied = how == ledger.Stored
		o.passed = !o.applied && o.row != nil && o.row.Version > t.Version
	}
	o.back = time.Since(l.begin)
	l.note(&o)
	if o.err != nil {
		return nil
	}
	return o.row
}

// operation is what a worker did, and what it was told.
type operation struct {
	worker, key int
	call, back  time.Duration
	want        seen // the zero value: a read
	row         *ledger.Transaction
	claim       bool
	applied     bool
	passed      bool // not applied, or applied and passed by another: the store does not tell which
	err         error
}

func (l *Load) note(o *operation) {
	l.mu.Lock()
	defer l.mu.Unlock()
	add := func(want seen, r result, back int64) {
		l.history = append(l.history, porcupine.Operation{ClientId: o.worker, Input: input{o.key, want}, Call: int64(o.call), Output: r, Return: back})
	}
	switch {
	case o.err != nil:
		l.unknown++
		if o.want.version > 0 { // it may be applied at any time from now on; a read that failed says nothing
			add(o.want, result{unknown: true}, math.MaxInt64)
		}
	case o.passed:
		add(o.want, result{unknown: true}, int64(o.back))
		add(seen{}, result{row: see(o.row)}, int64(o.back))
	default:
		add(o.want, result{applied: o.applied, row: see(o.row)}, int64(o.back))
	}
	if phase := l.Phase(); o.claim && o.applied {
		l.took[phase] = append(l.took[phase], o.back-o.call)
	}
}

// judge asks whether the history has an order in which it makes sense.
func (l *Load) judge() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	verdict, info := porcupine.CheckOperationsVerbose(model, l.history, judging)
	if verdict == porcupine.Ok {
		return nil
	}
	file := filepath.Join(os.TempDir(), fmt.Sprintf("linearizable-%d.html", l.seed))
	return errors.Join(fmt.Errorf("not linearizable (%s): see %s", verdict, file), porcupine.VisualizePath(model, info, file))
}
