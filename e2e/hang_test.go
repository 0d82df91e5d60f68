package e2e

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"segue/dataplane/sandbox"
	"segue/e2e/patience"
)

// late is one call of an open load: when it was sent, how long it took and how it ended.
type late struct {
	order string
	after time.Duration // from the load's begin
	took  time.Duration
	told  told
}

// open sends so many new payments per second, whether or not the earlier ones are answered: a hang makes no room for itself.
func (w *world) open(rate int, lasts time.Duration, every func(sent time.Duration)) []late {
	c := w.caller(w.plan.regions[0])
	calls := make([]late, int(lasts.Seconds()*float64(rate)))
	var work sync.WaitGroup
	begin := time.Now()
	for i := range calls {
		due := time.Duration(i) * time.Second / time.Duration(rate)
		if wait := due - time.Since(begin); wait > 0 {
			timer := time.NewTimer(wait)
			<-timer.C
		}
		every(due)
		work.Go(func() {
			order := fmt.Sprintf("open-%d", i)
			sent := time.Now()
			a := c.charge(order, "ses-"+order)
			calls[i] = late{order, sent.Sub(begin), time.Since(sent), a}
		})
	}
	work.Wait()
	return calls
}

// TestHangIsSeenByAge lets the provider that has two fifths of the load hang, executed or not: its circuit opens by the age of the calls
// that stand open there, before any of them times out; few calls waited, and nothing is done twice. SEGUE_RATE (100) is the load per second.
// What it logs is for a quiet machine; the bars in virtual time are in dataplane/route.
func TestHangIsSeenByAge(t *testing.T) {
	for range 5 { // while the disk stands still every call is late, and none of them by the provider's hang
		began := time.Now()
		stalled, most := hangIsSeen(t)
		if len(stalled) <= most {
			return
		}
		if !patience.Excuses(began) {
			t.Fatalf("%d calls stalled, more than %d: the hang was not seen before its time-outs", len(stalled), most)
		}
	}
	t.Log("in each of five worlds the disk stood still")
}

// hangIsSeen is the calls that waited for the provider that hangs in a new world, and how many of them may be.
func hangIsSeen(t *testing.T) (stalled []late, most int) {
	t.Helper()
	rate := 100
	if n, err := strconv.Atoi(os.Getenv("SEGUE_RATE")); err == nil {
		rate = n
	}
	p := alone()
	p.tries = "{max: 2, per_try: 4s, deadline: 6s}"
	p.weights = map[string]string{"local": "{" + mainProvider + ": 40, backup: 60}"}
	p.latency = sandbox.Latency{Median: 8 * time.Millisecond}
	w := newWorld(t, p)
	const hangs = 3 * time.Second
	hung := false
	calls := w.open(rate, 8*time.Second, func(sent time.Duration) {
		if !hung && sent >= hangs {
			hung = true
			w.faults(mainProvider, sandbox.Fault{Kind: sandbox.Hang, Executed: true})
		}
	})
	w.faults(mainProvider)
	orders := map[string]told{}
	for _, c := range calls {
		orders[c.order] = c.told
	}
	w.reckon(orders)
	return w.stalled(calls, hangs), max(60, rate) // by time-outs alone 4 s of two fifths of the load
}

// stalled are the calls that waited for the provider that hangs from then on, and tells what the row of measured figures wants to know: when the
// first hung, when that was seen, how many stalled before and, as probes, after.
func (w *world) stalled(calls []late, hangs time.Duration) (stalled []late) {
	var usual []time.Duration
	for _, c := range calls {
		if c.after < hangs {
			usual = append(usual, c.took)
		}
	}
	slices.Sort(usual)
	own := usual[len(usual)/2]
	alarm, why, probes := time.Duration(0), "", 0
	for _, c := range calls {
		decision := c.told.header.Get("Segue-Decision")
		if c.took > own+250*time.Millisecond && c.after > hangs-50*time.Millisecond && strings.HasPrefix(c.told.header.Get("Segue-Route"), mainProvider+";") {
			stalled = append(stalled, c)
			if strings.Contains(decision, "the one probe") {
				probes++
			}
		}
		if c.after > hangs && alarm == 0 && strings.Contains(decision, mainProvider+": circuit open") && strings.Contains(decision, "in flight") {
			alarm, why = c.after, decision
		}
	}
	if len(stalled) == 0 || alarm == 0 { // a busy machine: what is late is left as slow
		w.t.Logf("%d calls; usual median %v; %d stalled, %d of them as probes; no call was told of a hang", len(calls), own, len(stalled), probes)
		return stalled
	}
	first := stalled[0].after // calls are in the order in which they were sent
	w.t.Logf("%d calls; usual median %v; the first hung %v after the hang began, it was seen %v after that; %d stalled before it was seen, %d as probes after it; %s",
		len(calls), own, first-hangs, alarm-first, len(stalled)-probes, probes, why)
	return stalled
}
