package browser

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"segue/dataplane/sandbox"
	"segue/e2e/patience"
)

// TestWeightMoved is an operator who takes a region's weight away from a provider on the Routing page, under load. The last new session
// there begins within a second of the answer, no other region moves, and Undo brings it back.
func TestWeightMoved(t *testing.T) {
	h := open(t)
	h.well(t)
	t.Cleanup(func() { h.restore(t) })
	for _, region := range regions {
		h.weights(t, region, map[string]float64{"main": 100, "backup": 0, "legacy": 0})
	}
	b := h.tab(t)
	l := h.load(t)
	l.passes(30)
	moved := b.move("eu-west", map[string]string{"main": "0", "backup": "100"}, "main is to rest in eu-west")
	l.passes(60)
	b.inForceEverywhere()
	if got := b.find("spinbutton", "main in eu-west, percent of new sessions").value(); got != "0" {
		t.Errorf("the page shows main at %s after the change", got)
	}
	late := h.lastStart(t, "main", l.prefix("eu-west"), l.began).Sub(moved)
	t.Logf("the last new session at main began %v after the answer", late.Round(time.Millisecond))
	if late > time.Second && !patience.Excuses(moved.Add(-time.Second)) {
		t.Errorf("the last new session at main began %v after the answer, over a second", late)
	}
	if n := len(h.executed(t, "backup", l.prefix("eu-west"), moved)); n == 0 {
		t.Error("nobody in eu-west went to backup")
	}

	b.leaves(func() { b.find("button", `Undo \d+`).click() })
	undone := b.answeredAt("/undo/payments")
	l.passes(60)
	if got := b.find("spinbutton", "main in eu-west, percent of new sessions").value(); got != "100" {
		t.Errorf("the page shows main at %s after Undo", got)
	}
	b.inForceEverywhere()
	l.stop()
	if late := h.lastStart(t, "backup", l.prefix("eu-west"), l.began).Sub(undone); late > time.Second && !patience.Excuses(undone.Add(-time.Second)) {
		t.Errorf("the last new session at backup began %v after Undo, over a second", late)
	}
	for _, region := range []string{"us-east", "ap-south"} {
		for _, p := range []string{"backup", "legacy"} {
			if n := len(h.executed(t, p, l.prefix(region), l.began)); n != 0 {
				t.Errorf("%d sessions of %s moved to %s", n, region, p)
			}
		}
	}
}

// move does what an operator does: numbers, Review, a reason, Apply. It returns when the change was answered.
func (b *tab) move(region string, shares map[string]string, reason string) time.Time {
	b.t.Helper()
	b.open("/routing/payments")
	for provider, percent := range shares {
		b.find("spinbutton", provider+" in "+region+", percent of new sessions").enter(percent)
	}
	b.leaves(func() { b.review(region).click() })
	b.reads("main", "not applied", within)
	b.find("textbox", "Reason").enter(reason)
	b.leaves(func() { b.find("button", "Apply to "+region).click() })
	if got := b.address(); got != "/routing/payments" {
		b.t.Fatalf("after Apply the page is %s: %s", got, b.text())
	}
	return b.answeredAt("/routing/payments/" + region)
}

// review is the button in a region's card: each region has one.
func (b *tab) review(region string) part {
	b.t.Helper()
	parts, err := b.named("button", "Review.*")
	b.must(err)
	for _, p := range parts {
		if p.mustCall(`function() { return this.closest("section").querySelector("h2").innerText }`) != "" &&
			p.mustCall(`function(region) { return this.closest("section").querySelector("h2").innerText.startsWith(region) }`, region) == "true" {
			return p
		}
	}
	b.t.Fatalf("no Review button for %s among %d", region, len(parts))
	return part{}
}

// answeredAt is when the browser had the answer to a form.
func (b *tab) answeredAt(path string) time.Time {
	b.t.Helper()
	at := b.answered(b.base + path)
	when := time.UnixMilli(int64(at * 1000))
	if age := time.Since(when); age < 0 || age > time.Minute {
		b.t.Fatalf("the answer to %s is told to have come at %v", path, when)
	}
	return when
}

// inForceEverywhere waits until the page shows each region's agents with the newest revision.
func (b *tab) inForceEverywhere() {
	b.t.Helper()
	for _, region := range regions {
		b.reads("#rollout", region+`\s+in force`, within)
	}
}

// lastStart is when a provider last executed a charge for orders of that prefix.
func (h *house) lastStart(t testing.TB, provider, prefix string, since time.Time) time.Time {
	t.Helper()
	var last time.Time
	for _, e := range h.executed(t, provider, prefix, since) {
		if e.Operation == sandbox.OpCharge && e.At.After(last) {
			last = e.At
		}
	}
	if last.IsZero() {
		t.Fatalf("%s executed nothing for %s…", provider, prefix)
	}
	return last
}

// load opens one new session after the other in every region.
type load struct {
	t     testing.TB
	began time.Time
	done  chan struct{}
	once  sync.Once
	work  sync.WaitGroup
	count map[string]*atomic.Int64

	mu      sync.Mutex
	failed  []failure
	excused []span
}

// failure is a call that was not served, from its start to its answer.
type failure struct {
	span
	text    string
	unknown bool
}

type span struct{ from, to time.Time }

// mayEndUnknown excuses calls that were in flight at some moment of a span: their effect may end as unknown. Nothing excuses another end.
func (l *load) mayEndUnknown(from, to time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.excused = append(l.excused, span{from, to})
}

func (l *load) isExcused(f failure) bool {
	return f.unknown && slices.ContainsFunc(l.excused, func(s span) bool { return f.from.Before(s.to) && f.to.After(s.from) })
}

// one opens one session.
func (l *load) one(h *house, region, order string) {
	began := time.Now()
	a, err := again(func() (told, error) { return h.charge(region, order, order, "ses-"+order) })
	if err == nil && a.status == http.StatusOK {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	unknown := bytes.Contains(a.body, []byte("/problems/outcome-unknown"))
	l.failed = append(l.failed, failure{span{began, time.Now()}, fmt.Sprintf("%s: %v %v", order, a, err), unknown})
}

func (h *house) load(t testing.TB) *load {
	l := &load{t: t, began: time.Now(), done: make(chan struct{}), count: map[string]*atomic.Int64{}}
	for _, region := range regions {
		l.count[region] = &atomic.Int64{}
		l.work.Go(func() { l.run(h, region) })
	}
	t.Cleanup(l.stop)
	return l
}

func (l *load) prefix(region string) string {
	return fmt.Sprintf("%s-load-%d-", region, l.began.UnixNano())
}

func (l *load) run(h *house, region string) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for i := 0; ; i++ {
		order := fmt.Sprintf("%s%d", l.prefix(region), i)
		l.one(h, region, order)
		l.count[region].Add(1)
		select {
		case <-tick.C:
		case <-l.done:
			return
		}
	}
}

// passes waits for n more sessions in each region.
func (l *load) passes(n int64) {
	l.t.Helper()
	for _, region := range regions {
		from := l.count[region].Load()
		eventually(l.t, 20*time.Second, fmt.Sprintf("%d sessions in %s", n, region), func() error {
			if got := l.count[region].Load() - from; got < n {
				return fmt.Errorf("%d", got)
			}
			return nil
		})
	}
}

// stop ends the load; every call must have been served, but for those that are excused.
func (l *load) stop() {
	l.once.Do(func() {
		close(l.done)
		l.work.Wait()
		for _, f := range l.failed {
			if !l.isExcused(f) {
				l.t.Error(f.text)
			}
		}
	})
}
