package dataplane

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"segue/dataplane/sandbox"
)

// customer remembers everything that it was told of one order.
type customer struct {
	told map[string]int
}

// In a storm of faults, with callers who repeat and leave, nothing is executed twice, and nobody is told what is not so.
func TestStorm(t *testing.T) {
	const seed, orders = 20261121, 120
	t.Logf("seed %d", seed)
	w := newWorld(t, priority("main, legacy, backup"))
	draw, moods := rand.New(rand.NewPCG(seed, 1)), rand.New(rand.NewPCG(seed, 2))
	stop := make(chan struct{})
	var weather sync.WaitGroup
	weather.Go(func() { w.weather(draw, stop) })
	var calls sync.WaitGroup
	customers := make([]customer, orders)
	slots := make(chan struct{}, 12)
	for i := range customers {
		slots <- struct{}{}
		customers[i].told = map[string]int{}
		patience := time.Duration(5+moods.IntN(400)) * time.Millisecond
		calls.Go(func() {
			defer func() { <-slots }()
			for range 4 {
				customers[i].told[w.ask(i, patience)]++
			}
		})
	}
	calls.Wait()
	close(stop)
	weather.Wait()
	for _, name := range []string{"main", "backup", "legacy"} {
		w.box.Provider(name).ClearFaults()
	}
	for i := range customers {
		w.settled(i, &customers[i])
	}
	if twice := sandbox.Twice(w.box.Books()...); len(twice) != 0 {
		t.Errorf("executed twice: %+v", twice)
	}
}

// weather puts faults on and takes them off.
func (w *world) weather(draw *rand.Rand, stop chan struct{}) {
	faults := []sandbox.Fault{
		{Kind: sandbox.Refuse}, {Kind: sandbox.Lose, Share: 0.5}, {Kind: sandbox.Reset, Share: 0.5}, {Kind: sandbox.Reset, Executed: true, Share: 0.5},
		{Kind: sandbox.Status, Code: 503, Share: 0.7}, {Kind: sandbox.Limit, Share: 0.7}, {Kind: sandbox.CutBody, Share: 0.5}, {Kind: sandbox.CutHeaders, Share: 0.5},
		{Kind: sandbox.Hang, Share: 0.2}, {Kind: sandbox.Slow, Delay: 30 * time.Millisecond},
	}
	names := []string{"main", "backup", "legacy"}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
			p := w.box.Provider(names[draw.IntN(len(names))])
			p.ClearFaults()
			if draw.IntN(3) > 0 {
				_ = p.SetFaults(faults[draw.IntN(len(faults))]) // each of them is a right one
			}
		}
	}
}

// ask charges order i and says what it was told. It leaves when its patience ends.
func (w *world) ask(i int, patience time.Duration) string {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	a, err := w.call(ctx, "POST", "/v1/charges", charge(fmt.Sprintf("o%d", i)), "Idempotency-Key", fmt.Sprintf("k%d", i))
	switch {
	case err != nil:
		return "nothing"
	case a.status == 200:
		return "succeeded"
	case a.status == 429, strings.Contains(a.body, `"executed":"no"`):
		return "not executed"
	case strings.Contains(a.body, `"executed":"unknown"`):
		return "unknown"
	default:
		return fmt.Sprintf("%d %s", a.status, a.body)
	}
}

// settled asks once more in good weather, and holds the books against all that the customer was told.
func (w *world) settled(i int, c *customer) {
	w.t.Helper()
	before := w.executed(fmt.Sprintf("o%d", i))
	last := ""
	eventually(w.t, "the end of what began", func() bool {
		last = w.ask(i, 5*time.Second)
		return last == "succeeded" || last == "unknown" && w.row(fmt.Sprintf("k%d", i)).State.String() == "held"
	})
	n := w.executed(fmt.Sprintf("o%d", i))
	switch {
	case n > 1, last == "succeeded" && n != 1, c.told["succeeded"] > 0 && before != 1:
		w.t.Errorf("order %d was executed %d times (%d in the storm); at last %s, before %v", i, n, before, last, c.told)
	}
	for said := range c.told {
		if said != "succeeded" && said != "unknown" && said != "not executed" && said != "nothing" {
			w.t.Errorf("order %d was told %s", i, said)
		}
	}
}

// A policy that is swapped under load fails no call, and each call goes by one policy from its beginning to its end.
func TestSwapUnderLoad(t *testing.T) {
	w := newWorld(t)
	stop := make(chan struct{})
	var callers sync.WaitGroup
	var served, failed atomic.Int32
	for i := range 8 {
		callers.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				a, err := w.call(context.Background(), "POST", "/v1/charges", charge("x"), "Idempotency-Key", fmt.Sprintf("s%d-%d", i, n))
				if err != nil || a.status != 200 {
					failed.Add(1)
				}
				served.Add(1)
			}
		})
	}
	for i := range 40 {
		order := "main, backup"
		if i%2 == 0 {
			order = "backup, main, legacy"
		}
		must(t, w.agent.Apply(w.update(uint64(i)+2, w.doc(order))))
	}
	eventually(t, "a hundred calls", func() bool { return served.Load() > 100 })
	close(stop)
	callers.Wait()
	if failed.Load() != 0 {
		t.Errorf("%d of %d calls failed", failed.Load(), served.Load())
	}
}

// Stop lets what is under way finish: nobody is cut, and nothing stays open.
func TestStopDrains(t *testing.T) {
	w := newWorld(t)
	w.fault("main", sandbox.Fault{Kind: sandbox.Slow, Delay: 200 * time.Millisecond})
	var calls sync.WaitGroup
	var good atomic.Int32
	for i := range 10 {
		calls.Go(func() {
			if a, err := w.call(context.Background(), "POST", "/v1/charges", charge("x"), "Idempotency-Key", fmt.Sprint("d", i)); err == nil && a.status == 200 {
				good.Add(1)
			}
		})
	}
	eventually(t, "ten under way", func() bool {
		r := w.agent.parts.board.Report(time.Now())
		return r.Rows[0].InFlight == 10
	})
	w.restart()
	calls.Wait()
	if good.Load() != 10 {
		t.Errorf("%d of 10 were answered", good.Load())
	}
	if u := w.agent.parts.driver.Unknowns()["payments"]; u.Open != 0 {
		t.Errorf("open after a clean stop: %+v", u)
	}
}

// What Stop has no time for is cut, stays open in the store, and is known as unknown after the restart.
func TestStopWithoutTime(t *testing.T) {
	w := newWorld(t, priority("legacy"))
	w.fault("legacy", sandbox.Fault{Kind: sandbox.Hang})
	var call sync.WaitGroup
	call.Go(func() {
		_, _ = w.call(context.Background(), "POST", "/v1/charges", charge("o1"), "Idempotency-Key", "k1")
	})
	eventually(t, "the send", func() bool {
		r := w.agent.parts.board.Report(time.Now())
		return r.Rows[0].InFlight == 1
	})
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	if err := w.agent.Stop(ctx); err == nil {
		t.Error("the stop said that nothing was left")
	}
	call.Wait()
	must(t, w.agent.parts.driver.Wait(context.Background())) // its deadline ends it
	must(t, w.agent.close())
	w.agent = nil
	w.box.Provider("legacy").ClearFaults()
	w.start()
	if row := w.row("k1"); row.State.String() != "held" || w.agent.parts.driver.Unknowns()["payments"].Open != 1 {
		t.Errorf("row %+v", row)
	}
}
