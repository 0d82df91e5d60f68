package breaker

import "time"

// State is where a circuit stands.
type State uint8

// The states.
const (
	Closed State = iota
	Open
	HalfOpen
	Ramp // its share grows back to all of it, or shrinks to none: Away tells which
)

// Event is what a call showed, or what a detector concludes from many.
type Event uint8

// The events.
const (
	Success Event = iota + 1
	Failure
	Abandoned // the call ended without evidence: a probe's lease is given back
	Alarmed   // a detector: it fails, or hangs
	Slowed    // a detector: it is slow. Of a probe: this one was
	Refused   // a failure, at once, of which it is proven that nothing was sent: to ask there costs a caller nothing but a moment
	Faltered  // a detector: part of its calls fail, others succeed
)

// Gate says whether a call may pass.
type Gate struct {
	Pass  bool
	Probe bool          // it passes as the one probe of a half-open circuit
	Good  int32         `json:",omitzero"` // half-open, or on the ramp back: good answers since it was asked again, see answeredIll
	Wait  time.Duration // not passed: when this call may ask again
	Share float64       // of the calls that would go there, how many may: 1 closed, 0 open, between them on a ramp
}

// Transition is a change of state and the evidence for it.
type Transition struct {
	From, To State
	At       time.Time
	Reason   Reason
	Failures int // in a row when it opened; by Percent, among Calls
	Calls    int // by Percent: in the window
}

// Ticket is what a call carries from Enter to Step. It is good only while the circuit is still as it was when the call entered:
// a late answer of an older probe, or of a call from before the circuit opened, has an old ticket and is dropped.
type Ticket uint64

// Outside is the ticket of a call that goes through although the circuit says no (the owner of an object, the last resort). It is
// never good: such a call neither closes nor opens anything.
const Outside Ticket = 1<<64 - 1

// Circuit is one provider's circuit. The zero value is closed and opens on the first failure; Configure sets what people want.
type Circuit struct {
	settings Settings
	state    State
	reason   Reason // of the last turn
	failures int    // in a row; kept while open, so that the evidence can be told
	refused  bool   // of each of them it is proven that nothing was sent
	probes   asked
	since    time.Time // of the trouble while it is not closed, else of its end
	until    time.Time // open: until when
	wait     time.Duration
	ramp     ramp
	flaps    flaps
	window   window
	ticket   Ticket // the good one: of the closed period, or of the probe that is out
}

// asked is what a half-open circuit knows of its probes.
type asked struct {
	good, slow int       // in this half-open period
	row        int32     // good answers since the period began, of probes and of calls beyond them: see Beyond
	beyond     Ticket    // the good one of calls beyond the probes
	at         time.Time // when the last one started
	leased     time.Time // when the lease of the one that is out ends; zero: none is out
}

// Configure takes new settings. State and counts stay: a policy change is no evidence about the provider.
func (c *Circuit) Configure(s Settings) {
	s = s.sane()
	if s.Window != c.settings.Window {
		c.window = window{}
	}
	c.settings = s
}

// Gate tells whether a call may pass now. It changes nothing: whoever goes through calls Enter under the same lock. On a ramp the draw
// decides, and a draw that passes once passes for the rest of the ramp back: a session does not go to and fro.
func (c *Circuit) Gate(now time.Time, draw uint64) Gate {
	switch c.state {
	case Closed:
		return Gate{Pass: true, Share: 1}
	case Open:
		return probe(left(c.until, now, c.wait))
	case HalfOpen:
		g := probe(max(left(c.probes.at.Add(Spacing), now, Spacing), c.leaseLeft(now)))
		g.Good = c.probes.row
		return g
	case Ramp:
		return c.rampGate(now, draw)
	default: // a state that nobody knows is not trusted
		return Gate{Wait: c.settings.wait(0)}
	}
}

func probe(wait time.Duration) Gate {
	if wait > 0 {
		return Gate{Wait: wait}
	}
	return Gate{Pass: true, Probe: true}
}

// left is the time until then, of a wait of that length. Much more than that is left only when the clock was set back: then it is over,
// or a circuit would stay as it is until the clock has caught up.
func left(then, now time.Time, span time.Duration) time.Duration {
	d := then.Sub(now)
	if d > 2*span+time.Second {
		return 0
	}
	return d
}

func (c *Circuit) leaseLeft(now time.Time) time.Duration {
	if c.probes.leased.IsZero() {
		return 0
	}
	return left(c.probes.leased, now, c.settings.Lease)
}

// Enter lets one call through and returns its ticket. A probe takes the lease, and turns an open circuit half-open: that is the
// Transition. A call that the gate did not pass enters Outside.
func (c *Circuit) Enter(now time.Time, draw uint64) (Ticket, Transition, bool) {
	t, changed := c.Settle(now)
	g := c.Gate(now, draw)
	switch {
	case !g.Pass:
		return Outside, t, changed
	case !g.Probe:
		return c.ticket, t, changed
	}
	if c.state != HalfOpen {
		t, changed = both(t, changed, c.turn(HalfOpen, TimeOver, now))
	}
	c.ticket++
	c.probes.at = now
	c.probes.leased = now.Add(c.settings.Lease)
	return c.ticket, t, changed
}

// both tells two turns of one moment as one: from where it stood to where it stands.
func both(first Transition, changed bool, second Transition) (Transition, bool) {
	if changed {
		second.From = first.From
	}
	return second, true
}

// Step takes what a call showed, under the ticket with which it entered. A ticket that is not good any more is dropped. Alarmed, Slowed and
// Faltered from a detector need no ticket to open a circuit: they are no call's.
func (c *Circuit) Step(e Event, held Ticket, now time.Time, draw uint64) (Transition, bool) {
	t, changed := c.Settle(now)
	next, turned := c.step(e, held, now, draw)
	if turned {
		return both(t, changed, next)
	}
	return t, changed
}

// Pass is Enter where the circuit is closed, and Succeed is Step with a Success there: nothing turns, and a call is spared the 60 bytes of a
// Transition, which cost 30 ns on the way. False: it is not closed, and nothing was done.
func (c *Circuit) Pass() (Ticket, bool) { return c.ticket, c.state == Closed }

// Succeed tells of a call that succeeded: see Pass.
func (c *Circuit) Succeed(held Ticket, now time.Time) bool {
	if c.state != Closed {
		return false
	}
	c.succeeded(held, now)
	return true
}

func (c *Circuit) succeeded(held Ticket, now time.Time) {
	if held == c.ticket {
		c.failures = 0
		c.window.count(now, c.settings.Window, false)
	}
}

func (c *Circuit) step(e Event, held Ticket, now time.Time, draw uint64) (Transition, bool) {
	if e == Failure {
		c.refused = false // whoever's it is, and however late: no effect goes there as a last resort
	}
	detected := (e == Alarmed || e == Slowed || e == Faltered) && (c.state == Closed || c.state == Ramp)
	switch {
	case detected:
		return c.stepAlarm(e, now, draw)
	case c.state == HalfOpen && c.probes.row > 0 && held == c.probes.beyond:
		c.stepBeyond(e)
		return Transition{}, false
	case held != c.ticket || c.state == Open:
		return Transition{}, false
	case c.state == HalfOpen:
		return c.stepProbe(e, now, draw)
	}
	switch e {
	case Failure, Refused:
		c.refused = e == Refused && (c.refused || c.failures == 0) // of a row, all or none
		return c.stepFailure(now, draw)
	case Success:
		c.succeeded(held, now)
		if c.comingBack() {
			c.answeredWell()
		}
	case Abandoned, Alarmed, Slowed, Faltered: // no evidence: the row of failures neither grows nor ends
	default: // what nobody knows proves nothing
	}
	return Transition{}, false
}

func (c *Circuit) stepFailure(now time.Time, draw uint64) (Transition, bool) {
	c.failures++
	c.answeredIll()
	c.window.count(now, c.settings.Window, true)
	if c.failures >= c.settings.row(c.comingBack()) {
		return c.open(InARow, now, draw), true
	}
	if s := &c.settings; s.Percent > 0 {
		calls, failed := c.window.sum()
		if calls >= s.Calls && float64(failed)*100 >= s.Percent*float64(calls) {
			t := c.open(Percent, now, draw)
			t.Calls, t.Failures = calls, failed
			return t, true
		}
	}
	return Transition{}, false
}

// stepAlarm takes a detector's conclusion where calls pass.
func (c *Circuit) stepAlarm(e Event, now time.Time, draw uint64) (Transition, bool) {
	why := TooSlow
	if e != Slowed {
		why = Detected
	}
	switch {
	case e == Alarmed:
		return c.open(why, now, draw), true
	case c.state == Ramp && c.ramp.away:
		return Transition{}, false // it is being left already
	case c.state == Closed && c.settings.Away > 0:
		return c.leave(why, now, draw), true
	default:
		return c.falter(why, now, draw), true
	}
}

func (c *Circuit) stepProbe(e Event, now time.Time, draw uint64) (Transition, bool) {
	c.probes.leased = time.Time{}
	c.ticket++ // a ticket ends once
	switch e {
	case Failure, Alarmed, Faltered:
		c.failures++
		return c.open(ProbeFailed, now, draw), true
	case Refused: // who asked lost a moment: no reason to ask less often
		c.failures++
		return c.unreached(now, draw), true
	case Slowed: // one slow answer in a few is what well providers give too
		if c.probes.slow++; c.probes.slow > 1 {
			return c.open(TooSlow, now, draw), true
		}
	case Success:
		c.answeredWell()
		c.probes.good++
		if c.probes.good >= c.settings.Successes {
			c.failures = 0
			return c.comeBack(now), true
		}
	case Abandoned: // the lease is back; the next call may probe
	default: // what nobody knows proves nothing
	}
	return Transition{}, false
}

// open opens for the wait ± 20 %: agents that saw the same failure do not all come back in the same moment.
func (c *Circuit) open(why Reason, now time.Time, draw uint64) Transition {
	c.flaps.opens(c, now)
	again := c.flaps.again
	c.flaps.again = min(again+1, maxDoubling)
	return c.shut(c.settings.wait(again), why, now, draw)
}

// falter opens where part of the calls fail, or all are answered late. To find that out costs few calls, however often: its next ramp back is no
// longer for it.
func (c *Circuit) falter(why Reason, now time.Time, draw uint64) Transition {
	t := c.open(why, now, draw)
	c.NoRelapse()
	return t
}

// NoRelapse tells that the last opening was for less than it seemed: all calls in flight were answered after all. The next ramp back is no longer for it.
func (c *Circuit) NoRelapse() {
	if c.state == Open {
		c.flaps.relapses = min(c.flaps.relapses, c.flaps.before)
	}
}

// unreached opens again after a probe whose connection was refused. Where none was ever reached since the trouble began, it asks soon.
func (c *Circuit) unreached(now time.Time, draw uint64) Transition {
	wait := c.settings.wait(0)
	if c.settings.Reset == 0 && c.Refused() {
		wait = RefusedWait
	}
	return c.shut(wait, ProbeFailed, now, draw)
}

func (c *Circuit) shut(wait time.Duration, why Reason, now time.Time, draw uint64) Transition {
	c.wait = jittered(wait, draw)
	c.until = now.Add(c.wait)
	c.probes.good, c.probes.slow = 0, 0
	return c.turn(Open, why, now)
}

func jittered(wait time.Duration, draw uint64) time.Duration {
	spread := uint64(wait / 5 * 2)
	return wait - wait/5 + time.Duration(draw%(spread+1))
}

// turn makes every ticket that is out an old one, but where calls pass before and after.
func (c *Circuit) turn(to State, why Reason, now time.Time) Transition {
	t := Transition{From: c.state, To: to, At: now, Reason: why, Failures: c.failures}
	if c.state == Closed || to == Closed { // a probe that fails opens it again: the same trouble, not a new one
		c.since = now
	}
	passed := c.state == Closed || c.state == Ramp
	c.state, c.reason = to, why
	if !passed || to != Closed && to != Ramp {
		c.probes.leased = time.Time{}
		c.window = window{}
		c.ticket++
	}
	if !c.comingBack() { // what came back well is on its ramp by the same answers
		c.probes.row = 0
	}
	return t
}

// State is where the circuit stands. An open circuit whose time is over stays Open until a call enters as the probe, and a ramp that is
// over stays Ramp until the next call, or Settle.
func (c *Circuit) State() State { return c.state }

// Reason is why it turned to where it stands.
func (c *Circuit) Reason() Reason { return c.reason }

// Since is when its trouble began: the first opening, whatever probes showed since. For a closed circuit it is when that ended; zero: it
// never opened.
func (c *Circuit) Since() time.Time { return c.since }

// Failures is how many failures in a row it has seen; probes that failed count on.
func (c *Circuit) Failures() int { return c.failures }

// Refused tells that of each of its failures in a row it is proven that nothing was sent, however many there were.
func (c *Circuit) Refused() bool { return c.refused && c.failures > 0 }

// Probes is how many probes succeeded in a row, and how many close it.
func (c *Circuit) Probes() (got, need int) { return c.probes.good, c.settings.Successes }

// Until is when an open circuit asks again.
func (c *Circuit) Until() time.Time { return c.until }
