package e2e

import (
	"fmt"
	"math"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"segue/dataplane/sandbox"
)

// TestWeightToZero takes a region's weight away from a provider under load: the last new session there begins within a second of the
// answer, and no other region moves.
func TestWeightToZero(t *testing.T) {
	w := newWorld(t, plan{nodes: 3})
	l := newLoad(w, 4, 10*time.Millisecond)
	l.grows(200, 20*time.Second)
	if n := w.sessionsAt(mainProvider, "eu-west-"); n == 0 {
		t.Fatal("nobody was at main before the change")
	}
	a := w.api(0, http.MethodPatch, "/services/payments/weights/eu-west", "e2e-to-zero", "", map[string]float64{mainProvider: 0, backupProvider: 100})
	answered := time.Now()
	a.must(t)
	l.grows(1500, 30*time.Second)
	l.reckon()
	last := time.Time{}
	for _, e := range w.box.Provider(mainProvider).Books().Entries(sandbox.Filter{}) {
		if strings.HasPrefix(e.Order, "eu-west-") && e.At.After(last) {
			last = e.At
		}
	}
	promised(t, time.Second, last.Sub(answered), answered, "the last new session at main was executed after the answer")
	if w.sessionsAt(backupProvider, "eu-west-") == 0 {
		t.Error("nobody went to backup")
	}
	for _, region := range []string{"us-east-", "ap-south-"} {
		if n := w.sessionsAt(backupProvider, region) + w.sessionsAt(legacyProvider, region); n != 0 {
			t.Errorf("%d sessions of %s moved", n, region)
		}
	}
}

// sessionsAt counts the executions at a provider for orders of that prefix.
func (w *world) sessionsAt(provider, prefix string) int {
	n := 0
	for _, e := range w.provider(provider).Books().Entries(sandbox.Filter{}) {
		if strings.HasPrefix(e.Order, prefix) {
			n++
		}
	}
	return n
}

// TestWeightShare moves 70 to 40: each of the next thousand new sessions counts, from the answer on, and the other regions stay where
// they were.
func TestWeightShare(t *testing.T) {
	for range 5 {
		switch w, wrong := weightShare(t); {
		case len(wrong) == 0:
			return
		case !w.stirred():
			t.Fatal(strings.Join(wrong, "; "))
		}
	}
	t.Error("in each of five worlds a circuit opened by itself")
}

// weightShare is what is wrong with the shares in a new world.
func weightShare(t *testing.T) (w *world, wrong []string) {
	t.Helper()
	holds := func(share, want float64, n int, what string) {
		sigma := math.Sqrt(want * (1 - want) / float64(n))
		said := fmt.Sprintf("%s: %.3f of %d at main, wanted %.2f ± %.3f", what, share, n, want, 3*sigma)
		if t.Log(said); math.Abs(share-want) > 3*sigma {
			wrong = append(wrong, said)
		}
	}
	weights := "{main: 70, backup: 30, legacy: 0}"
	w = newWorld(t, plan{nodes: 3, weights: map[string]string{"us-east": weights, "eu-west": weights, "ap-south": weights}})
	const n = 1000
	before := map[string]float64{}
	for _, r := range w.plan.regions {
		before[r] = w.share(r, "before", upTo(n, 300))
		holds(before[r], 0.7, upTo(n, 300), r+" before")
	}
	w.segue("weight", "set", "payments", "eu-west", "main=40", "backup=60", "--reason", "e2e").fine(t)
	holds(w.share("eu-west", "after", n), 0.4, n, "eu-west after")
	for _, r := range []string{"us-east", "ap-south"} {
		holds(w.share(r, "after", upTo(n, 300)), 0.7, upTo(n, 300), r+" after")
		// The same sessions go where they went: a weight of another region moves nobody here.
		if again := w.share(r, "before", upTo(n, 300)); again != before[r] {
			wrong = append(wrong, fmt.Sprintf("%s: %v of its earlier sessions are at main, where %v were", r, again, before[r]))
		}
	}
	if n := w.sessionsAt(legacyProvider, ""); n != 0 {
		wrong = append(wrong, fmt.Sprintf("%d sessions went to a provider of weight 0", n))
	}
	return w, wrong
}

// share opens n new sessions in a region and returns the share of them that main executed, by its books.
func (w *world) share(region, label string, n int) float64 {
	w.t.Helper()
	c := w.caller(region)
	var next atomic.Int64
	var work sync.WaitGroup
	prefix := fmt.Sprintf("%s-%s-%d-", region, label, w.seed)
	for range 12 {
		work.Go(func() {
			for i := next.Add(1); i <= int64(n); i = next.Add(1) {
				order := fmt.Sprintf("%s%d", prefix, i)
				if a := c.charge(order, "ses-"+order); a.err != nil || a.status != http.StatusOK {
					w.t.Errorf("%s: %v", order, a)
				}
			}
		})
	}
	work.Wait()
	return float64(w.sessionsAt(mainProvider, prefix)) / float64(n)
}
