package e2e

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"segue/dataplane/sandbox"
	"segue/e2e/patience"
)

// load is a steady stream of new sessions in every region: each pays once and reads what any provider can tell. It keeps what it was
// told, to be held against the books.
type load struct {
	w    *world
	stop context.CancelFunc
	work sync.WaitGroup

	mu     sync.Mutex
	orders map[string]told // by order; what the payment was told
	reads  int
	failed []string // reads that failed, and payments that ended in any other way than is allowed
}

// newLoad starts so many customers in each of the regions; in all of them, where none is named.
func newLoad(w *world, workers int, pause time.Duration, regions ...string) *load {
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{w: w, stop: cancel, orders: map[string]told{}}
	if regions == nil {
		regions = w.plan.regions
	}
	w.loads++
	for _, region := range regions {
		c := w.caller(region)
		for n := range workers {
			name := fmt.Sprintf("%s-l%d-w%d", region, w.loads, n)
			l.work.Go(func() { l.customer(ctx, c, name, pause) })
		}
	}
	w.t.Cleanup(l.end)
	return l
}

func (l *load) customer(ctx context.Context, c *caller, name string, pause time.Duration) {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for n := 0; ctx.Err() == nil; n++ {
		order := fmt.Sprintf("%s-%d", name, n)
		l.paid(order, insist(func() told { return c.charge(order, "ses-"+order) }, wellPaid))
		l.read(order, insist(func() told { return c.get("/v1/balance", "ses-"+order) }, wellRead))
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

// insist asks again, under the same key, what went wrong while the disk stood still: that may have taken all of the call's time, so that nobody
// else could be asked.
func insist(ask func() told, good func(told) bool) told {
	for tries := 0; ; tries++ {
		at := time.Now()
		if a := ask(); good(a) || tries == 10 || !patience.Excuses(at) {
			return a
		}
	}
}

// wellPaid: a success and an honest "unknown" are answers; anything else is a failed call.
func wellPaid(a told) bool {
	return a.err == nil && (a.status/100 == 2 || a.problem() == "outcome-unknown")
}

func wellRead(a told) bool { return a.err == nil && a.status == http.StatusOK }

// paid keeps what a payment was told.
func (l *load) paid(order string, a told) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.orders[order] = a
	if !wellPaid(a) {
		l.failed = append(l.failed, order+" paying: "+a.String())
	}
}

func (l *load) read(order string, a told) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reads++
	if !wellRead(a) {
		l.failed = append(l.failed, order+" reading: "+a.String())
	}
}

// end lets the calls under way finish.
func (l *load) end() { l.stop(); l.work.Wait() }

// done counts payments.
func (l *load) done() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.orders)
}

func (l *load) failures() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.failed)
}

// unknown are the orders whose payment was told "outcome unknown".
func (l *load) unknown() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var names []string
	for order, a := range l.orders {
		if a.problem() == "outcome-unknown" {
			names = append(names, order)
		}
	}
	return names
}

// grows waits until so many more payments were made: the load is really under way.
func (l *load) grows(by int, within time.Duration) {
	l.w.t.Helper()
	from := l.done()
	eventually(l.w.t, within, "the load goes on", func() error {
		if n := l.done() - from; n < by {
			return fmt.Errorf("%d of %d payments", n, by)
		}
		return nil
	})
}

// reckon ends the load and holds what was told against the books: no call failed, nothing twice, nothing lost, nothing guessed.
func (l *load) reckon() {
	l.w.t.Helper()
	l.end()
	if failed := l.failures(); len(failed) > 0 {
		l.w.t.Errorf("%d of %d payments and %d reads failed: %v", len(failed), len(l.orders), l.reads, failed[:min(5, len(failed))])
	}
	l.w.reckon(l.orders)
	l.w.t.Logf("%d payments (%d told unknown), %d reads", len(l.orders), len(l.unknown()), l.reads)
}

// reckon holds what callers were told against the providers' books.
func (w *world) reckon(orders map[string]told) {
	w.t.Helper()
	books := w.box.Books()
	if twice := sandbox.Twice(books...); len(twice) > 0 {
		w.t.Errorf("executed twice: %v", twice)
	}
	for _, order := range slices.Sorted(maps.Keys(orders)) {
		if wrong := misled(orders[order], executed(books, order)); wrong != "" {
			w.t.Errorf("%s: %s: %v", order, wrong, orders[order])
		}
	}
}

func executed(books []*sandbox.Books, order string) int {
	n := 0
	for _, b := range books {
		n += b.Executed(order)
	}
	return n
}

// misled says how an answer and the books disagree, or "".
func misled(a told, times int) string {
	problem := a.problem()
	switch {
	case times > 1:
		return fmt.Sprintf("executed %d times", times)
	case a.err != nil || problem == "outcome-unknown" || problem == "in-progress":
		return "" // nobody said anything
	case a.status/100 == 2 && times == 0:
		return "told succeeded, and no book has it"
	case a.status/100 != 2 && times == 1:
		return "told that it failed, and a book has it"
	}
	return ""
}

// TestMisled holds the judge itself against every pair of answer and truth.
func TestMisled(t *testing.T) {
	problem := func(kind string) told {
		return told{status: 504, header: http.Header{"Content-Type": {"application/problem+json"}}, body: []byte(`{"type":"/problems/` + kind + `"}`)}
	}
	ok := told{status: 200, body: []byte(`{"id":"ch_1"}`)}
	for name, c := range map[string]struct {
		told  told
		times int
		wrong bool
	}{
		"done once": {ok, 1, false}, "done, in no book": {ok, 0, true}, "done twice": {ok, 2, true},
		"unknown, done": {problem("outcome-unknown"), 1, false}, "unknown, not done": {problem("outcome-unknown"), 0, false},
		"unknown, twice": {problem("outcome-unknown"), 2, true}, "refused, done": {problem("no-eligible-provider"), 1, true},
		"refused, not done": {problem("no-eligible-provider"), 0, false}, "declined, done": {told{status: 402}, 1, true},
	} {
		if got := misled(c.told, c.times); (got != "") != c.wrong {
			t.Errorf("%s: %q", name, got)
		}
	}
}
