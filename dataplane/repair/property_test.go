package repair

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"segue/dataplane/embedded"
	"segue/dataplane/ledger"
	"segue/dataplane/ledger/ledgertest"
	"segue/dataplane/session"
	"segue/e2e/patience"
)

// seeds is how many courses are run: few where time is short.
func seeds() int {
	if testing.Short() {
		return 2
	}
	return 8
}

// history is one random course of two regions on one store, and what must come of it.
type history struct {
	t       *testing.T
	rng     *rand.Rand
	store   *embedded.Store
	regions [2]*region
	want    map[session.Key]*session.Session // of all that was acknowledged
	mine    [2]map[session.Key]*session.Session
	rows    map[int]ledger.State
	clock   int
}

// TestTwoRegions lets two regions write the same sessions and settle their own transactions, while their links are cut, lose answers and
// heal, and their agents restart. Each region reads its own writes all the time. In the end the store has what the events make together,
// whatever their order, and each outcome once.
func TestTwoRegions(t *testing.T) {
	first := uint64(time.Now().UnixNano())
	for i := range uint64(seeds()) {
		t.Run(fmt.Sprint("seed ", first+i), func(t *testing.T) {
			t.Parallel()
			h := &history{
				t: t, rng: rand.New(rand.NewPCG(first+i, 6)), store: openStore(t, patience.Dir(t)), want: map[session.Key]*session.Session{},
				rows: map[int]ledger.State{},
			}
			for n := range h.regions {
				h.regions[n] = newRegion(t, h.store, nil)
				h.mine[n] = map[session.Key]*session.Session{}
				if h.rng.IntN(2) == 0 {
					h.regions[n].start(t)
				}
			}
			for range 100 {
				h.step()
			}
			h.end()
		})
	}
}

func (h *history) step() {
	n := h.rng.IntN(2)
	r := h.regions[n]
	switch h.rng.IntN(12) {
	case 0:
		r.link.cut.Store(!r.link.cut.Load())
	case 1:
		r.link.loses.Store(!r.link.loses.Load())
	case 2:
		h.restart(n)
	case 3:
		_, _ = r.Replay(h.t.Context(), Filter{}) // it may fail: the link may be cut
	case 4:
		_, _ = r.Sync(h.t.Context())
	case 5, 6:
		h.settle(r)
	default:
		h.append(n)
	}
}

func (h *history) append(n int) {
	h.clock++
	k := session.Key{App: "default", ID: fmt.Sprint("ses_", h.rng.IntN(4))}
	at := h.clock - h.rng.IntN(min(h.clock, 6)) // clocks differ
	e := pin(at, fmt.Sprint("service-", h.rng.IntN(3)), fmt.Sprint("p", h.clock))
	if err := h.regions[n].Sessions().Append(h.t.Context(), k, e); err != nil {
		h.t.Errorf("append: %v", err)
		return
	}
	var err error
	if h.want[k], err = session.Apply(h.want[k], k, e); err != nil {
		h.t.Error(err)
	}
	if h.mine[n][k], err = session.Apply(h.mine[n][k], k, e); err != nil {
		h.t.Error(err)
	}
	got, err := h.regions[n].Sessions().Load(h.t.Context(), k)
	if err != nil {
		h.t.Errorf("load: %v", err)
		return
	}
	for _, p := range h.mine[n][k].Pins {
		if i := indexOf(got, p.Service); i < 0 || got.Pins[i].At.Before(p.At) {
			h.t.Errorf("region %d does not read its own write %+v: %+v", n, p, got.Pins)
		}
	}
}

// settle claims a transaction, if the store is there, and ends it in whatever way, whether the store is there or not.
func (h *history) settle(r *region) {
	n := len(h.rows) + 1
	row := ledgertest.Sample(n)
	if _, won, err := r.Ledger().Claim(h.t.Context(), row); err != nil || !won {
		return
	}
	if h.rng.IntN(2) == 0 {
		r.link.cut.Store(true)
	}
	state, outcome := ledger.DoneSucceeded, ledger.Succeeded
	if h.rng.IntN(3) == 0 {
		state, outcome = ledger.DoneDeclined, ledger.Declined
	}
	if _, how, err := r.Ledger().Advance(h.t.Context(), finished(row, state, outcome)); err != nil || how == ledger.Lost {
		h.t.Errorf("advance: %d, %v", how, err)
		return
	}
	h.rows[n] = state
}

// restart ends an agent's process, tidily; its memory is gone and its log is there.
func (h *history) restart(n int) {
	old := h.regions[n]
	old.Stop()
	dir := old.log.dir
	shut(h.t, old.log)
	next := &region{link: old.link}
	next.Repair = New(openLog(h.t, dir, logOptions(h.t)), old.ledger, old.sessions, Options{Timeout: 10 * time.Second})
	h.t.Cleanup(next.Stop)
	if h.rng.IntN(2) == 0 {
		next.start(h.t)
	}
	h.regions[n] = next
	for k := range h.mine[n] { // what it had only seen or told the store is not known to it any more, until it asks
		events, err := next.overlay(place{OfSession, k.Hash()})
		must(h.t, err)
		h.mine[n][k], err = session.Apply(nil, k, events...)
		must(h.t, err)
	}
}

func (h *history) end() {
	for n, r := range h.regions {
		r.link.cut.Store(false)
		r.link.loses.Store(false)
		if !r.running.Load() {
			r.start(h.t)
		}
		r.drained(h.t)
		if got, err := r.Sync(h.t.Context()); err != nil || got.Missing > 0 || r.Stats().Held > 0 {
			h.t.Errorf("region %d at the end: %+v, %v, %+v", n, got, err, r.List(Filter{Held: true}))
		}
	}
	for k, want := range h.want {
		got, err := h.store.Sessions().Load(h.t.Context(), k)
		must(h.t, err)
		a, errA := session.Encode(got)
		b, errB := session.Encode(want)
		if errors.Join(errA, errB) != nil || !bytes.Equal(a, b) {
			h.t.Errorf("%s is\n%+v, want\n%+v", k.ID, got, want)
		}
	}
	for n, state := range h.rows {
		if row, err := h.store.Ledger().Load(h.t.Context(), ledgertest.Sample(n).Key); err != nil || row.State != state || row.Version != 2 {
			h.t.Errorf("transaction %d: %+v, %v", n, row, err)
		}
	}
	if len(h.want) == 0 || len(h.rows) == 0 {
		h.t.Log("this course wrote little")
	}
}
