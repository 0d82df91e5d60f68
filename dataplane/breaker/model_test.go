package breaker

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// turns are all that there are. From Ramp to Ramp: it was back, though nobody had told it yet, and is left because it is slow.
var turns = map[[2]State][]Reason{
	{Closed, Open}:     {InARow, Percent, Detected, TooSlow},
	{Closed, Ramp}:     {TooSlow, Detected},
	{Open, HalfOpen}:   {TimeOver},
	{HalfOpen, Open}:   {ProbeFailed, TooSlow},
	{HalfOpen, Ramp}:   {ProbesGood},
	{HalfOpen, Closed}: {ProbesGood},
	{Ramp, Closed}:     {RampOver},
	{Ramp, Open}:       {InARow, Percent, Detected, TooSlow},
	{Ramp, Ramp}:       {TooSlow, Detected},
	{Ramp, HalfOpen}:   {TimeOver},
}

// walk drives a circuit with whatever callers, clocks, detectors and answers do, and holds it against a model that keeps whole histories.
type walk struct {
	c        Circuit
	s        Settings
	now      time.Time
	state    State    // as the transitions told it
	out      []Ticket // calls that have not ended
	probe    Ticket   // the newest probe
	probeOut bool
	probed   time.Time
	good     int // probes in a row
	late     int // slow probes
	row      int32
	beyond   map[Ticket]bool // those out that are good still
	opened   time.Time
	least    time.Duration // that it stays open: a fifth may be taken off
	leaving  bool
	turned   map[[2]State]int
	checked  int
}

func (w *walk) step(t *rapid.T) {
	switch rapid.IntRange(0, 8).Draw(t, "do") {
	case 0, 1:
		w.enter(t)
	case 2, 3:
		w.end(t)
	case 4:
		w.now = w.now.Add(time.Duration(rapid.Int64Range(0, int64(w.s.longest())).Draw(t, "wait")))
	case 5:
		w.now = w.now.Add(time.Duration(rapid.Int64Range(0, int64(Spacing)).Draw(t, "short wait")))
	case 6:
		w.detect(t)
	case 7:
		w.check(t)
	case 8:
		w.goBeyond(t)
	}
	if share := w.c.Share(w.now); share < 0 || share > 1 {
		t.Fatalf("a share of %v", share)
	}
	if w.state == HalfOpen && w.c.Gate(w.now, 0).Good != w.row {
		t.Fatalf("%d good answers, told are %d", w.row, w.c.Gate(w.now, 0).Good)
	}
	w.neverWedged(t)
}

// longest is how long an opening can be, on average.
func (s *Settings) longest() time.Duration { return s.wait(maxDoubling) }

// tell takes a transition, and holds it against the table.
func (w *walk) tell(t *rapid.T, tr Transition, changed bool) {
	if !changed {
		if w.c.State() != w.state {
			t.Fatalf("%v became %v, and nobody was told", w.state, w.c.State())
		}
		return
	}
	way := [2]State{tr.From, tr.To}
	if tr.From != w.state || tr.To != w.c.State() || !slices.Contains(turns[way], tr.Reason) || tr.Why() == "" || w.c.Reason() != tr.Reason {
		t.Fatalf("from %v to %v because of %q, and it stood at %v", tr.From, tr.To, tr.Reason, w.state)
	}
	w.turned[way]++
	if clear(w.beyond); tr.From != HalfOpen {
		w.row = 0
	}
	w.state = tr.To
	if tr.To == Open && !(w.leaving && !w.now.Before(w.opened)) { // the end of a ramp away is as it was drawn at its begin
		w.opened = w.now
	}
	if tr.To == Open {
		w.least = w.s.wait(0)
		if w.s.Reset == 0 && tr.From == HalfOpen && w.c.Refused() { // nothing was ever reached: it is asked soon
			w.least = RefusedWait
		}
	}
	if w.leaving = tr.To == Ramp && w.c.Away(); w.leaving {
		w.opened = w.now.Add(w.s.Away)
	}
}

func (w *walk) enter(t *rapid.T) {
	if rapid.Bool().Draw(t, "a report is made before") {
		w.settle(t)
	}
	draw := rapid.Uint64().Draw(t, "draw")
	was, gate, over := w.c.State(), w.c.Gate(w.now, draw), w.c.state == Ramp && w.c.ramp.done(w.now) >= 1
	held, tr, changed := w.c.Enter(w.now, draw)
	w.tell(t, tr, changed)
	switch {
	case was == Closed && (!gate.Pass || gate.Probe || changed || gate.Share != 1):
		t.Fatalf("closed: %+v, changed %v", gate, changed)
	case over:
		if w.state == HalfOpen {
			w.probe, w.probeOut, w.probed = held, true, w.now
		}
	case was == Ramp:
		w.ramped(t, gate, held, changed, draw)
	case was == Closed:
	case gate.Pass:
		w.probeEntered(t, was, gate)
		w.probe, w.probeOut, w.probed = held, true, w.now
	case held != Outside || changed || gate.Wait <= 0:
		t.Fatalf("shut, and yet ticket %d, changed %v, %+v", held, changed, gate)
	}
	w.out = append(w.out, held)
}

// goBeyond lets a call through that the gate did not pass, because nobody else takes it.
func (w *walk) goBeyond(t *rapid.T) {
	held := w.c.Beyond()
	half, back := w.state == HalfOpen && w.row > 0, w.state == Ramp && !w.c.Away()
	if (held == Outside) == (half || back) {
		t.Fatalf("%v, %d good answers: ticket %d", w.state, w.row, held)
	}
	if half {
		if held == w.probe {
			t.Fatal("a call beyond the probes holds a probe's ticket")
		}
		w.beyond[held] = true
	}
	w.out = append(w.out, held)
}

// beyondEnded: nothing turns. When no good answer is left, its companions say nothing more.
func (w *walk) beyondEnded(t *rapid.T, e Event) {
	switch e {
	case Success:
		w.row++
	case Failure, Refused:
		if w.row = max(w.row/2-8, 0); w.row == 0 {
			clear(w.beyond)
		}
	}
	if w.state != HalfOpen {
		t.Fatalf("a call beyond the probes ended with %d: %v", e, w.state)
	}
}

// settle ends a ramp that is over.
func (w *walk) settle(t *rapid.T) {
	tr, changed := w.c.Settle(w.now)
	w.tell(t, tr, changed)
}

func (w *walk) ramped(t *rapid.T, g Gate, held Ticket, changed bool, draw uint64) {
	passes := place(draw, w.s.Salt) < g.Share
	if changed || g.Probe || g.Pass != passes || (held == Outside) == g.Pass || !g.Pass && g.Wait <= 0 {
		t.Fatalf("on a ramp at %v: %+v, ticket %d, changed %v", place(draw, w.s.Salt), g, held, changed)
	}
	if g.Pass || w.c.Away() {
		return
	}
	if at := w.now.Add(g.Wait + time.Microsecond); !w.c.Gate(at, draw).Pass {
		t.Fatalf("told to come back in %v, and refused then", g.Wait)
	}
}

func (w *walk) probeEntered(t *rapid.T, was State, gate Gate) {
	if !gate.Probe || w.c.State() != HalfOpen {
		t.Fatalf("a probe from %v: %+v", was, gate)
	}
	if was == Open {
		if open := w.now.Sub(w.opened); open < w.least-w.least/5 {
			t.Fatalf("open for only %v of %v", open, w.least)
		}
		return
	}
	if apart := w.now.Sub(w.probed); apart < Spacing {
		t.Fatalf("probes only %v apart", apart)
	}
	if w.probeOut && w.now.Sub(w.probed) < w.s.Lease {
		t.Fatal("two probes out at a time")
	}
}

// check lets a check be the probe where no call came as one: it enters and ends in one moment, under the rules of a call.
func (w *walk) check(t *rapid.T) {
	if !w.c.Unasked(w.now) {
		w.shouldAsk(t)
		return
	}
	was, gate := w.c.State(), w.c.Gate(w.now, 0)
	if was != Open && was != HalfOpen || !gate.Pass || !gate.Probe {
		t.Fatalf("unasked, and yet %v: %+v", was, gate)
	}
	if was == Open && w.now.Sub(w.opened) < w.s.wait(0)-w.s.wait(0)/5+Patience && w.c.wait >= w.s.wait(0)-w.s.wait(0)/5 {
		t.Fatalf("a check after %v of %v", w.now.Sub(w.opened), w.c.wait)
	}
	if was == HalfOpen && w.now.Sub(w.probed) < Patience {
		t.Fatalf("a check %v after a call's probe", w.now.Sub(w.probed))
	}
	held, tr, changed := w.c.Enter(w.now, 0)
	w.tell(t, tr, changed)
	w.probeEntered(t, was, gate)
	w.probe, w.probeOut, w.probed = held, true, w.now
	e := rapid.SampledFrom([]Event{Success, Success, Refused, Slowed}).Draw(t, "the check")
	tr, changed = w.c.Step(e, held, w.now, rapid.Uint64().Draw(t, "draw"))
	w.tell(t, tr, changed)
	w.probeEnded(t, e)
	w.checked++
}

// shouldAsk: whoever waits for a probe is asked by a check in the end.
func (w *walk) shouldAsk(t *rapid.T) {
	if w.c.State() != Open && w.c.State() != HalfOpen {
		return
	}
	if late := w.now.Add(w.s.Away + w.s.longest() + w.s.longest()/5 + w.s.Lease + Patience); !w.c.Unasked(late) {
		t.Fatalf("%v, and no check may ask even %v later", w.c.State(), late.Sub(w.now))
	}
}

// detect lets a detector conclude something, of no call.
func (w *walk) detect(t *rapid.T) {
	if rapid.IntRange(0, 3).Draw(t, "rarely") != 0 {
		return
	}
	e := rapid.SampledFrom([]Event{Alarmed, Slowed, Faltered}).Draw(t, "alarm")
	if rapid.Bool().Draw(t, "a report is made before") {
		w.settle(t)
	}
	was, before, over := w.state, w.c, w.c.state == Ramp && w.c.ramp.done(w.now) >= 1
	tr, changed := w.c.Step(e, Outside, w.now, rapid.Uint64().Draw(t, "draw"))
	w.tell(t, tr, changed)
	switch {
	case over:
	case was == Open || was == HalfOpen || was == Ramp && before.ramp.away && e != Alarmed:
		if w.c != before {
			t.Fatalf("an alarm moved %v", was)
		}
	case e == Alarmed && w.state != Open, w.state == was && was == Closed:
		t.Fatalf("an alarm left it %v", w.state)
	}
}

func (w *walk) end(t *rapid.T) {
	if len(w.out) == 0 {
		return
	}
	i := rapid.IntRange(0, len(w.out)-1).Draw(t, "which")
	held := w.out[i]
	w.out = append(w.out[:i], w.out[i+1:]...)
	events := []Event{Success, Success, Success, Failure, Refused, Abandoned}
	if w.state == HalfOpen {
		events = append(events, Slowed)
	}
	e := rapid.SampledFrom(events).Draw(t, "event")
	was, before, mine := w.c.State(), w.c, held == w.probe && w.probeOut
	extra := w.beyond[held]
	tr, changed := w.c.Step(e, held, w.now, rapid.Uint64().Draw(t, "draw"))
	w.tell(t, tr, changed)
	switch {
	case was == HalfOpen && extra:
		w.beyondEnded(t, e)
	case was == Open || was == HalfOpen && !mine:
		before.refused = before.refused && e != Failure
		if changed || w.c != before {
			t.Fatalf("a late %d with ticket %d moved %v", e, held, was)
		}
	case was == HalfOpen:
		w.probeEnded(t, e)
	case changed && tr.To == Open && tr.Reason == InARow && (e != Failure && e != Refused || tr.Failures < (w.s.Failures+1)/2):
		t.Fatalf("opened by %d after %d failures", e, tr.Failures)
	}
}

func (w *walk) probeEnded(t *rapid.T, e Event) {
	w.probeOut = false
	want := HalfOpen
	switch e {
	case Success:
		w.row++
		if w.good++; w.good == w.s.Successes {
			want = Closed
			if w.s.Back > 0 {
				want = Ramp
			}
			w.good, w.late = 0, 0
		}
	case Slowed:
		if w.late++; w.late == 2 {
			want = Open
		}
	case Failure, Refused:
		want = Open
	}
	if w.state != want {
		t.Fatalf("probe ended with %d after %d good: %v, want %v", e, w.good, w.state, want)
	}
	if want == Open {
		w.good, w.late = 0, 0
	}
}

// neverWedged: whatever has happened and whatever never ends, some time later a call passes, and good calls close the circuit.
func (w *walk) neverWedged(t *rapid.T) {
	c := w.c
	now := w.now.Add(w.s.Away + w.s.longest() + w.s.longest()/5 + w.s.Lease + Spacing + w.s.Back<<maxDoubling)
	c.Settle(now)
	for range w.s.Successes {
		if c.State() == Ramp { // had a good probe before: the ramp ends by itself
			break
		}
		if g := c.Gate(now, 0); !g.Pass {
			t.Fatalf("wedged: %v waits %v more", c.State(), g.Wait)
		}
		held, _, _ := c.Enter(now, 0)
		c.Step(Success, held, now, 0)
		now = now.Add(Spacing)
	}
	now = now.Add(w.s.Back << maxDoubling)
	if c.Settle(now); c.State() != Closed {
		t.Fatalf("%d good calls and a ramp later it is %v", w.s.Successes, c.State())
	}
}

func anySettings(t *rapid.T) Settings {
	length := func(name string) time.Duration {
		return rapid.SampledFrom([]time.Duration{0, time.Nanosecond, 100 * time.Millisecond, time.Second, 3 * time.Second}).Draw(t, name)
	}
	return Settings{
		Failures: rapid.IntRange(1, 4).Draw(t, "failures"), Successes: rapid.IntRange(1, 4).Draw(t, "successes"),
		Reset: length("reset"), Lease: length("lease"), Back: length("back"), Away: length("away"), Window: length("window"),
		Percent: rapid.SampledFrom([]float64{0, 50, 100}).Draw(t, "percent"), Calls: rapid.IntRange(0, 5).Draw(t, "calls"), Salt: rapid.Uint64().Draw(t, "salt"),
	}
}

func TestModelNothingWedges(t *testing.T) {
	all, checked := map[[2]State]int{}, 0
	for range 2 {
		rapid.Check(t, func(t *rapid.T) {
			w := &walk{now: t0, s: anySettings(t), turned: all, beyond: map[Ticket]bool{}}
			w.c.Configure(w.s)
			w.s = w.c.settings
			for range 150 {
				w.step(t)
			}
			checked += w.checked
		})
	}
	if checked == 0 && !testing.Short() { // a few walks may meet none
		t.Error("no check was a probe")
	}
	if len(all) < len(turns)/2 { // that each is there, the next test shows
		t.Errorf("walks went only %v", all)
	}
}

// TestEveryTurnIsThere goes each way of the table by the shortest road: no luck is needed.
func TestEveryTurnIsThere(t *testing.T) {
	fails := func(c *Circuit, now time.Time, e Event) (Transition, bool) {
		held, _, _ := c.Enter(now, 0)
		return c.Step(e, held, now, 0)
	}
	later := t0.Add(time.Hour)
	opened := func(c *Circuit) { fails(c, t0, Failure) }
	half := func(c *Circuit) { opened(c); c.Enter(later, 0) }
	back := func(c *Circuit) { opened(c); fails(c, later, Success) }
	away := func(c *Circuit) { c.Step(Slowed, Outside, t0, 0) }
	enters := func(c *Circuit, now time.Time) (Transition, bool) {
		_, tr, changed := c.Enter(now, 0)
		return tr, changed
	}
	end := func(e Event) func(*Circuit, time.Time) (Transition, bool) {
		return func(c *Circuit, now time.Time) (Transition, bool) { return c.Step(e, c.ticket, now, 0) }
	}
	alarm := func(e Event) func(*Circuit, time.Time) (Transition, bool) {
		return func(c *Circuit, now time.Time) (Transition, bool) { return c.Step(e, Outside, now, 0) }
	}
	ways := map[[2]State]struct {
		back   time.Duration
		before func(*Circuit)
		at     time.Time
		turn   func(*Circuit, time.Time) (Transition, bool)
	}{
		{Closed, Open}:     {time.Second, func(*Circuit) {}, t0, func(c *Circuit, now time.Time) (Transition, bool) { return fails(c, now, Failure) }},
		{Closed, Ramp}:     {time.Second, func(*Circuit) {}, t0, alarm(Slowed)},
		{Open, HalfOpen}:   {time.Second, opened, later, enters},
		{HalfOpen, Open}:   {time.Second, half, later, end(Failure)},
		{HalfOpen, Ramp}:   {time.Second, half, later, end(Success)},
		{HalfOpen, Closed}: {0, half, later, end(Success)},
		{Ramp, Closed}:     {time.Second, back, later.Add(time.Second), (*Circuit).Settle},
		{Ramp, Open}:       {time.Second, back, later, alarm(Alarmed)},
		{Ramp, Ramp}:       {time.Second, back, later.Add(time.Second), alarm(Slowed)},
		{Ramp, HalfOpen}:   {time.Second, away, later, enters},
	}
	for way, reasons := range turns {
		one := ways[way]
		var c Circuit
		c.Configure(Settings{Failures: 1, Successes: 1, Reset: time.Second, Lease: time.Second, Back: one.back, Away: time.Second})
		one.before(&c)
		tr, changed := one.turn(&c, one.at)
		if !changed || [2]State{tr.From, tr.To} != way || c.State() != way[1] || !slices.Contains(reasons, tr.Reason) {
			t.Errorf("%v to %v: it went from %v to %v (%v)", way[0], way[1], tr.From, tr.To, tr.Reason)
		}
	}
}
