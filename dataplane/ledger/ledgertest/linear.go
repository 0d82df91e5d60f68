package ledgertest

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"

	"segue/dataplane/ledger"
)

// Plan says how much Linearize does.
type Plan struct {
	Seed    uint64
	Ops     int                  // calls in all
	Clients int                  // at once; 0: 16
	Keys    int                  // 0: one for forty calls
	Nothing func(err error) bool // an error that proves that nothing was written; nil: none does
}

// Course is what became of the calls.
type Course struct{ Stored, Lost, Read, Unknown, Nothing int }

// Linearize lets clients claim, advance and load at random, and holds what they were told against one row for each key that changes step
// by step: there must be one order that explains all of it. at returns the store of a client; it is asked before each call, so that
// the caller can cut, kill and reopen meanwhile. An error of a write leaves open whether it was stored, now or later.
//
// A store that repeats a write by itself and then finds a row which may be a successor of that write cannot know, and must return an error.
func Linearize(ctx context.Context, p Plan, at func(client int) ledger.Store) (Course, error) {
	if p.Clients == 0 {
		p.Clients = 16
	}
	if p.Keys == 0 {
		p.Keys = max(1, p.Ops/40)
	}
	h := &history{begun: time.Now(), plan: p}
	var group sync.WaitGroup
	for n := range p.Clients {
		group.Go(func() {
			c := caller{history: h, rng: rand.New(rand.NewPCG(p.Seed, uint64(n))), n: n, rows: map[int]*ledger.Transaction{}}
			for i := n; i < p.Ops && ctx.Err() == nil; i += p.Clients {
				c.call(ctx, at(n), i)
			}
		})
	}
	group.Wait()
	if h.wrong != nil || ctx.Err() != nil {
		return h.course, errors.Join(h.wrong, ctx.Err())
	}
	return h.course, h.check()
}

// history is what everybody was told.
type history struct {
	plan   Plan
	begun  time.Time
	mu     sync.Mutex
	ops    []porcupine.Operation
	course Course
	wrong  error
}

// caller is one client: it goes on from what it saw last, which may be old.
type caller struct {
	*history
	rng  *rand.Rand
	n    int
	rows map[int]*ledger.Transaction
}

// version is the part of a row that tells it from every other; the zero value is no row.
type version struct {
	v     uint64
	token uint64
}

// call is what was asked: to write a version over the one before it, or to read.
type call struct {
	key  int
	read bool
	version
}

// how a call ended.
type ending uint8

const (
	unknown ending = iota
	stored
	lost
	seen
)

// told is what a call returned.
type told struct {
	how ending
	version
}

// call makes one call and notes it.
func (c *caller) call(ctx context.Context, s ledger.Store, i int) {
	key := c.rng.IntN(c.plan.Keys)
	row, draw := c.rows[key], c.rng.IntN(100)
	what := call{key: key}
	var out told
	var err error
	begun := time.Since(c.begun)
	switch {
	case draw < 25:
		what.read = true
		row, out, err = c.load(ctx, s, key)
	case row == nil || draw < 35:
		row = c.claimed(key, i)
		what.version = versionOf(row)
		row, out, err = c.claim(ctx, s, row)
	default:
		row = c.advanced(row, i)
		what.version = versionOf(row)
		row, out, err = c.advance(ctx, s, row)
	}
	ended := time.Since(c.begun)
	if err == nil && row != nil {
		c.rows[key] = row
		c.whole(row)
	}
	if err != nil && c.rng.IntN(2) == 0 {
		delete(c.rows, key)
	}
	c.note(what, out, err, begun, ended)
}

// claimed is a new claim of a key.
func (c *caller) claimed(key, i int) *ledger.Transaction {
	t := Sample(i)
	t.Key = ledger.Key{App: "default", Service: "payments", Key: fmt.Sprintf("linear-%d-%d", c.plan.Seed, key)}
	t.ID = fmt.Sprintf("tx_%d_%d", c.plan.Seed, i)
	mark(t, i)
	return t
}

// advanced is a successor of what the client saw.
func (c *caller) advanced(row *ledger.Transaction, i int) *ledger.Transaction {
	t := next(row, []ledger.State{ledger.Intent, ledger.Held}[c.rng.IntN(2)], ledger.Unknown)
	mark(t, i)
	return t
}

// mark gives a row a token that no other write has, and writes it into a second place: both must be read together.
func mark(t *ledger.Transaction, i int) {
	t.Token = [16]byte{}
	binary.BigEndian.PutUint64(t.Token[8:], uint64(i)+1)
	t.Run = fmt.Sprintf("run/%d", i+1)
}

func versionOf(t *ledger.Transaction) version {
	if t == nil {
		return version{}
	}
	return version{t.Version, binary.BigEndian.Uint64(t.Token[8:])}
}

// whole notes a row of which parts are from different writes.
func (c *caller) whole(t *ledger.Transaction) {
	if want := fmt.Sprintf("run/%d", versionOf(t).token); t.Run != want {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.wrong = fmt.Errorf("a row of two writes: its token is that of %s, its run %s", want, t.Run)
	}
}

func (c *caller) load(ctx context.Context, s ledger.Store, key int) (*ledger.Transaction, told, error) {
	row, err := s.Load(ctx, c.claimed(key, 0).Key)
	if errors.Is(err, ledger.ErrNotFound) {
		return nil, told{how: seen}, nil
	}
	return row, told{seen, versionOf(row)}, err
}

func (c *caller) claim(ctx context.Context, s ledger.Store, t *ledger.Transaction) (*ledger.Transaction, told, error) {
	current, won, err := s.Claim(ctx, t)
	return after(t, current, won, err)
}

func (c *caller) advance(ctx context.Context, s ledger.Store, t *ledger.Transaction) (*ledger.Transaction, told, error) {
	current, how, err := s.Advance(ctx, t)
	return after(t, current, how == ledger.Stored, err)
}

// after reads the end of a write. A write that was lost to itself was stored: the token says so.
func after(t, current *ledger.Transaction, won bool, err error) (*ledger.Transaction, told, error) {
	switch {
	case err != nil:
		return nil, told{}, err
	case won || current != nil && current.Token == t.Token:
		return t, told{stored, versionOf(t)}, nil
	default:
		return current, told{lost, versionOf(current)}, nil
	}
}

// note keeps what has to be explained. A read without an answer and a write that proves itself unwritten explain themselves.
func (c *caller) note(what call, out told, err error, begun, ended time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	returned := int64(ended)
	switch {
	case err != nil && (what.read || c.plan.Nothing != nil && c.plan.Nothing(err)):
		c.course.Nothing++
		return
	case err != nil:
		c.course.Unknown++
		returned = math.MaxInt64 // it may come at any time
	case out.how == stored:
		c.course.Stored++
	case out.how == lost:
		c.course.Lost++
	default:
		c.course.Read++
	}
	c.ops = append(c.ops, porcupine.Operation{ClientId: c.n, Input: what, Call: int64(begun), Output: out, Return: returned})
}

// oneRow is one key's row as a sequence of calls changes it.
var oneRow = porcupine.Model{
	Partition: func(all []porcupine.Operation) [][]porcupine.Operation {
		keys := map[int][]porcupine.Operation{}
		for _, o := range all {
			k := o.Input.(call).key
			keys[k] = append(keys[k], o)
		}
		var out [][]porcupine.Operation
		for _, ops := range keys {
			out = append(out, ops)
		}
		return out
	},
	Init: func() any { return version{} },
	Step: func(state, input, output any) (bool, any) {
		s, in, out := state.(version), input.(call), output.(told)
		fits := !in.read && s.v+1 == in.v
		switch {
		case in.read:
			return s == out.version, s
		case out.how == unknown && fits:
			return true, in.version
		case out.how == unknown:
			return true, s
		case out.how == stored:
			return fits, in.version
		default:
			return !fits && s == out.version, s
		}
	},
}

// checkLimit bounds the search for an order.
const checkLimit = 2 * time.Minute

func (h *history) check() error {
	for _, ops := range oneRow.Partition(h.ops) {
		alone := oneRow
		alone.Partition = nil
		switch porcupine.CheckOperationsTimeout(alone, ops, checkLimit) {
		case porcupine.Illegal:
			return fmt.Errorf("seed %d: no order explains what was told of key %d:\n%s", h.plan.Seed, ops[0].Input.(call).key, tale(ops))
		case porcupine.Unknown:
			return fmt.Errorf("seed %d: no order was found for the %d calls of key %d within %v: use more keys", h.plan.Seed, len(ops), ops[0].Input.(call).key, checkLimit)
		}
	}
	return nil
}

// tale tells the calls of one key in the order of their beginning.
func tale(ops []porcupine.Operation) string {
	slices.SortFunc(ops, func(a, b porcupine.Operation) int { return int(a.Call - b.Call) })
	var b strings.Builder
	for _, o := range ops {
		in, out := o.Input.(call), o.Output.(told)
		asked := fmt.Sprintf("version %d by %d", in.v, in.token)
		if in.read {
			asked = "read"
		}
		fmt.Fprintf(&b, "  %12d to %12d client %2d: %s: %s, version %d by %d\n", o.Call, o.Return, o.ClientId, asked, [...]string{"unknown", "stored", "lost", "seen"}[out.how], out.v, out.token)
	}
	return b.String()
}
