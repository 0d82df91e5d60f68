package embedded

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"segue/dataplane/ledger"
	"segue/dataplane/ledger/ledgertest"
)

var (
	errNever  = errors.New("the link was cut: nothing left")
	errSilent = errors.New("no answer came")
)

// shop is one store that several agents share, each over its own link. It is closed and opened again, and its power is cut.
type shop struct {
	t      *testing.T
	change func(*Options)
	gate   sync.RWMutex // held for writing while the store is another one
	store  *Store
	fs     *vfs.MemFS
	life   atomic.Uint64
	closed sync.WaitGroup
	late   sync.WaitGroup // calls that nobody waits for
}

func openShop(t *testing.T, change func(*Options)) *shop {
	s := &shop{t: t, change: change, fs: vfs.NewCrashableMem()}
	s.store = onMem(t, s.fs, change)
	return s
}

func (s *shop) now() (*Store, uint64) {
	s.gate.RLock()
	defer s.gate.RUnlock()
	return s.store, s.life.Load()
}

// reopen ends the store cleanly, with its calls, and opens it again.
func (s *shop) reopen() {
	s.gate.Lock()
	defer s.gate.Unlock()
	shut(s.t, s.store)
	s.store = onMem(s.t, s.fs, s.change)
}

// pull cuts the power: what was told from here on was told by nobody.
func (s *shop) pull(rng *rand.Rand) {
	s.gate.Lock()
	defer s.gate.Unlock()
	s.life.Add(1)
	after := s.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(4) * 25, RNG: rng})
	old := s.store
	s.closed.Go(func() { shut(s.t, old) })
	s.fs, s.store = after, onMem(s.t, after, s.change)
}

func (s *shop) close() {
	s.late.Wait()
	s.closed.Wait()
	shut(s.t, s.store)
}

// link is one agent's way to the store. It cuts, loses answers, delivers late, and its agent is killed now and then: then whatever was
// under way goes on without him.
type link struct {
	*shop
	mu    sync.Mutex
	rng   *rand.Rand
	calm  bool
	death chan struct{}
}

func (l *link) draw(n int) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rng.IntN(n)
}

// kill ends the agent and starts him anew.
func (l *link) kill() {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.death)
	l.death = make(chan struct{})
}

func (l *link) alive() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.death
}

// through makes a call. What is returned is the store's answer, or an error that says what is not known.
func through[T any](l *link, f func(ledger.Store) (T, error)) (T, error) {
	type answer struct {
		v   T
		err error
	}
	var none T
	draw := l.draw(100)
	if draw < 3 && !l.calm {
		return none, errNever
	}
	death, came := l.alive(), make(chan answer, 1)
	l.late.Go(func() {
		if draw < 6 && !l.calm {
			<-time.After(time.Duration(l.draw(20)) * time.Millisecond) // under way for long
		}
		store, life := l.now()
		v, err := f(store.Ledger())
		if life != l.life.Load() {
			err = errSilent // told by a store without power
		}
		came <- answer{v, err}
	})
	if draw < 6 && !l.calm {
		return none, errSilent
	}
	select {
	case a := <-came:
		if draw < 9 && !l.calm {
			return none, errSilent
		}
		return a.v, a.err
	case <-death:
		return none, errSilent
	}
}

// linked is a store over a link. The calls that are not made here are the store's.
type linked struct {
	ledger.Store
	*link
}

type claimed struct {
	current *ledger.Transaction
	won     bool
	how     ledger.Written
}

func (l linked) Claim(ctx context.Context, t *ledger.Transaction) (*ledger.Transaction, bool, error) {
	c, err := through(l.link, func(s ledger.Store) (c claimed, err error) {
		c.current, c.won, err = s.Claim(ctx, t)
		return c, err
	})
	return c.current, c.won, err
}

func (l linked) Advance(ctx context.Context, t *ledger.Transaction) (*ledger.Transaction, ledger.Written, error) {
	c, err := through(l.link, func(s ledger.Store) (c claimed, err error) {
		c.current, c.how, err = s.Advance(ctx, t)
		return c, err
	})
	return c.current, c.how, err
}

func (l linked) Load(ctx context.Context, k ledger.Key) (*ledger.Transaction, error) {
	return through(l.link, func(s ledger.Store) (*ledger.Transaction, error) { return s.Load(ctx, k) })
}

// linearize runs calls of three agents under faults and checks what they were told.
func linearize(t *testing.T, seed uint64, ops int, change func(*Options)) (*ledgertest.Load, error) {
	t.Helper()
	const agents = 3
	s := openShop(t, change)
	defer s.close()
	links := make([]*link, agents)
	for i := range links {
		links[i] = &link{shop: s, rng: rand.New(rand.NewPCG(seed, uint64(100+i))), death: make(chan struct{})}
	}
	return ledgertest.Linearize(t.Context(), func(worker int) ledger.Store { return linked{link: links[worker%agents]} }, seed, ops,
		func(l *ledgertest.Load) { s.trouble(l, links, ops) })
}

// trouble makes a fault each hundred and fifty calls: an agent is killed, the store closed and opened again, or the power cut.
func (s *shop) trouble(l *ledgertest.Load, links []*link, ops int) {
	rng := rand.New(rand.NewPCG(l.Seed(), 99))
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for at := 150; at < ops; at += 150 {
		for l.Ops() < at {
			<-tick.C
		}
		switch rng.IntN(3) {
		case 0:
			links[rng.IntN(len(links))].kill()
		case 1:
			s.reopen()
		default:
			s.pull(rng)
		}
	}
}

// TestLinearizable holds claims and advances, under cut links, kills, reopenings and power cuts, against one row per key.
func TestLinearizable(t *testing.T) {
	ops := 5_000
	switch {
	case os.Getenv("SEGUE_PROOFS") != "":
		ops = 60_000
	case testing.Short():
		ops = 1_500
	}
	for seed := range uint64(3) {
		begun := time.Now()
		l, err := linearize(t, seed, ops/3+1, nil)
		if err != nil {
			t.Error(err)
		}
		t.Logf("seed %d: %d operations, %d of unknown end, %d claims won, %v", seed, l.Ops(), l.Unknown(), len(l.Claims("calm")), time.Since(begun).Round(time.Millisecond))
		if len(l.Claims("calm")) < ops/300 || l.Unknown() == 0 {
			t.Errorf("seed %d: this shows nothing", seed)
		}
	}
}

// TestLinearizableNoSync shows that the test above would notice a store that loses what it acknowledged.
func TestLinearizableNoSync(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir()) // for the picture of what is wrong
	for seed := range uint64(5) {
		if _, err := linearize(t, seed, 2_000, func(o *Options) { o.write = pebble.NoSync }); err != nil {
			return
		}
	}
	t.Error("nobody noticed that acknowledged writes were lost")
}
