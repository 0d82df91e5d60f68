package breaker

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// walk drives a circuit with whatever callers, clocks and answers do, and holds it against a model that keeps whole histories.
type walk struct {
	c        Circuit
	s        Settings
	now      time.Time
	out      []Ticket // calls that have not ended
	probe    Ticket   // the newest probe
	probeOut bool
	probed   time.Time
	good     int // probes in a row
	opened   time.Time
	entered  [3]int // calls by state: every state is reached
}

func (w *walk) step(t *rapid.T) {
	switch rapid.IntRange(0, 3).Draw(t, "do") {
	case 0:
		w.enter(t)
	case 1:
		w.end(t)
	case 2:
		w.now = w.now.Add(time.Duration(rapid.Int64Range(0, int64(w.s.Reset)).Draw(t, "wait")))
	case 3:
		w.now = w.now.Add(time.Duration(rapid.Int64Range(0, int64(Spacing)).Draw(t, "short wait")))
	}
	w.neverWedged(t)
}

func (w *walk) enter(t *rapid.T) {
	draw := rapid.Uint64().Draw(t, "draw")
	was, gate := w.c.State(), w.c.Gate(w.now, draw)
	held, tr, changed := w.c.Enter(w.now, draw)
	w.entered[was]++
	switch {
	case was == Closed:
		if !gate.Pass || gate.Probe || changed {
			t.Fatalf("closed: %+v, changed %v", gate, changed)
		}
	case gate.Pass:
		w.probeEntered(t, was, gate, tr, changed)
		w.probe, w.probeOut, w.probed = held, true, w.now
	case held != Outside || changed:
		t.Fatalf("shut, and yet ticket %d, changed %v", held, changed)
	}
	w.out = append(w.out, held)
}

func (w *walk) probeEntered(t *rapid.T, was State, gate Gate, tr Transition, changed bool) {
	if !gate.Probe || w.c.State() != HalfOpen || changed != (was == Open) {
		t.Fatalf("a probe from %v: %+v %+v", was, gate, tr)
	}
	if was == Open {
		if open := w.now.Sub(w.opened); open < w.s.Reset-w.s.Reset/5 {
			t.Fatalf("open for only %v of %v", open, w.s.Reset)
		}
		w.good = 0
		return
	}
	if apart := w.now.Sub(w.probed); apart < Spacing {
		t.Fatalf("probes only %v apart", apart)
	}
	if w.probeOut && w.now.Sub(w.probed) < w.s.Lease {
		t.Fatal("two probes out at a time")
	}
}

func (w *walk) end(t *rapid.T) {
	if len(w.out) == 0 {
		return
	}
	i := rapid.IntRange(0, len(w.out)-1).Draw(t, "which")
	held := w.out[i]
	w.out = append(w.out[:i], w.out[i+1:]...)
	e := rapid.SampledFrom([]Event{Success, Success, Success, Failure, Abandoned}).Draw(t, "event")
	was, before := w.c.State(), w.c
	tr, changed := w.c.Step(e, held, w.now, rapid.Uint64().Draw(t, "draw"))
	switch {
	case was == Open || was == HalfOpen && (held != w.probe || !w.probeOut):
		if changed || w.c != before {
			t.Fatalf("a late %d with ticket %d moved %v", e, held, was)
		}
	case was == HalfOpen:
		w.probeEnded(t, e, changed)
	case changed && (e != Failure || tr.Failures < w.s.Failures):
		t.Fatalf("opened by %d after %d failures", e, tr.Failures)
	}
	if changed && tr.To == Open {
		w.opened = w.now
	}
}

func (w *walk) probeEnded(t *rapid.T, e Event, changed bool) {
	w.probeOut = false
	want := HalfOpen
	switch e {
	case Success:
		if w.good++; w.good == w.s.Successes {
			want = Closed
		}
	case Failure:
		want = Open
	}
	if w.c.State() != want || changed != (want != HalfOpen) {
		t.Fatalf("probe ended with %d after %d good: %v, want %v", e, w.good, w.c.State(), want)
	}
}

// neverWedged: whatever has happened and whatever never ends, some time later a call passes, and good calls close the circuit.
func (w *walk) neverWedged(t *rapid.T) {
	c := w.c
	now := w.now.Add(w.s.Reset + w.s.Reset/5 + w.s.Lease + Spacing)
	for range w.s.Successes {
		if g := c.Gate(now, 0); !g.Pass {
			t.Fatalf("wedged: %v waits %v more", c.State(), g.Wait)
		}
		held, _, _ := c.Enter(now, 0)
		c.Step(Success, held, now, 0)
		now = now.Add(Spacing)
	}
	if c.State() != Closed {
		t.Fatalf("%d good calls, and it is %v", w.s.Successes, c.State())
	}
}

func TestModelNothingWedges(t *testing.T) {
	var all [3]int
	rapid.Check(t, func(t *rapid.T) {
		w := &walk{now: t0, s: Settings{
			Failures:  rapid.IntRange(1, 4).Draw(t, "failures"),
			Successes: rapid.IntRange(1, 4).Draw(t, "successes"),
			Reset:     time.Duration(rapid.Int64Range(1, int64(3*time.Second)).Draw(t, "reset")),
			Lease:     time.Duration(rapid.Int64Range(0, int64(3*time.Second)).Draw(t, "lease")),
		}}
		w.c.Configure(w.s)
		for range 150 {
			w.step(t)
		}
		for i, n := range w.entered {
			all[i] += n
		}
	})
	least := 100
	if testing.Short() { // fewer walks
		least = 5
	}
	for s, n := range all {
		if n < least {
			t.Errorf("the walk met %v only %d times", State(s), n)
		}
	}
}
