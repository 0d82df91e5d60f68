package breaker

import "time"

// State is where a circuit stands.
type State uint8

// The states.
const (
	Closed State = iota
	Open
	HalfOpen
)

// Spacing is how far apart probes start. A provider that just came back is asked gently, however many calls want to go there.
const Spacing = 500 * time.Millisecond

// Settings are the thresholds people know.
type Settings struct {
	Failures  int           // failures in a row that open it
	Successes int           // probes in a row that close it
	Reset     time.Duration // open for so long, ± 20 % by the draw
	Lease     time.Duration // a probe that has not ended by then is given up: half-open can never wedge
}

// Event is what a call showed.
type Event uint8

// The events.
const (
	Success Event = iota + 1
	Failure
	Abandoned // the call ended without evidence: a probe's lease is given back
)

// Gate says whether a call may pass.
type Gate struct {
	Pass  bool
	Probe bool          // it passes as the one probe of a half-open circuit
	Wait  time.Duration // not passed: when to ask again
}

// Transition is a change of state and the evidence for it.
type Transition struct {
	From, To State
	At       time.Time
	Failures int // in a row, when it opened
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
	failures int       // in a row; kept while open, so that the evidence can be told
	probes   int       // successful probes in a row
	since    time.Time // of the trouble while it is not closed, else of its end
	until    time.Time // open: until when
	probed   time.Time // half-open: when the last probe started
	leased   time.Time // half-open: when the lease of the probe that is out ends; zero: none is out
	ticket   Ticket    // the good one: of the closed period, or of the probe that is out
}

// Configure takes new settings. State and counts stay: a policy change is no evidence about the provider.
func (c *Circuit) Configure(s Settings) {
	s.Failures = max(s.Failures, 1)
	s.Successes = max(s.Successes, 1)
	s.Reset = max(s.Reset, 0)
	s.Lease = max(s.Lease, 0)
	c.settings = s
}

// Gate tells whether a call may pass now. It changes nothing: whoever goes through calls Enter under the same lock. The draw is
// not looked at by the plain circuit; the ramp back will need it.
func (c *Circuit) Gate(now time.Time, _ uint64) Gate {
	switch c.state {
	case Closed:
		return Gate{Pass: true}
	case Open:
		return probe(c.until.Sub(now))
	case HalfOpen:
		return probe(max(c.probed.Add(Spacing).Sub(now), c.leaseLeft(now)))
	default: // a state that nobody knows is not trusted
		return Gate{Wait: c.settings.Reset}
	}
}

func probe(wait time.Duration) Gate {
	if wait > 0 {
		return Gate{Wait: wait}
	}
	return Gate{Pass: true, Probe: true}
}

func (c *Circuit) leaseLeft(now time.Time) time.Duration {
	if c.leased.IsZero() {
		return 0
	}
	return c.leased.Sub(now)
}

// Enter lets one call through and returns its ticket. A probe takes the lease, and turns an open circuit half-open: that is the
// Transition. A call that the gate did not pass enters Outside.
func (c *Circuit) Enter(now time.Time, draw uint64) (Ticket, Transition, bool) {
	g := c.Gate(now, draw)
	switch {
	case !g.Pass:
		return Outside, Transition{}, false
	case !g.Probe:
		return c.ticket, Transition{}, false
	}
	t, changed := Transition{}, c.state == Open
	if changed {
		t = c.turn(HalfOpen, now)
	}
	c.ticket++
	c.probed = now
	c.leased = now.Add(c.settings.Lease)
	return c.ticket, t, changed
}

// Step takes what a call showed, under the ticket with which it entered. A ticket that is not good any more is dropped.
func (c *Circuit) Step(e Event, held Ticket, now time.Time, draw uint64) (Transition, bool) {
	if held != c.ticket || c.state == Open {
		return Transition{}, false
	}
	if c.state == HalfOpen {
		return c.stepProbe(e, now, draw)
	}
	switch e {
	case Failure:
		c.failures++
		if c.failures >= c.settings.Failures {
			return c.open(now, draw), true
		}
	case Success:
		c.failures = 0
	case Abandoned: // no evidence: the row of failures neither grows nor ends
	default: // what nobody knows proves nothing
	}
	return Transition{}, false
}

func (c *Circuit) stepProbe(e Event, now time.Time, draw uint64) (Transition, bool) {
	c.leased = time.Time{}
	c.ticket++ // a ticket ends once
	switch e {
	case Failure:
		c.failures++
		return c.open(now, draw), true
	case Success:
		c.probes++
		if c.probes >= c.settings.Successes {
			c.failures = 0
			return c.turn(Closed, now), true
		}
	case Abandoned: // the lease is back; the next call may probe
	default: // what nobody knows proves nothing
	}
	return Transition{}, false
}

// open opens for Reset ± 20 %: agents that saw the same failure do not all come back in the same moment.
func (c *Circuit) open(now time.Time, draw uint64) Transition {
	spread := uint64(c.settings.Reset / 5 * 2)
	c.until = now.Add(c.settings.Reset - c.settings.Reset/5 + time.Duration(draw%(spread+1)))
	c.probes = 0
	return c.turn(Open, now)
}

// turn makes every ticket that is out an old one.
func (c *Circuit) turn(to State, now time.Time) Transition {
	t := Transition{From: c.state, To: to, At: now, Failures: c.failures}
	if c.state == Closed || to == Closed { // a probe that fails opens it again: the same trouble, not a new one
		c.since = now
	}
	c.state = to
	c.leased = time.Time{}
	c.ticket++
	return t
}

// State is where the circuit stands. An open circuit whose time is over stays Open until a call enters as the probe.
func (c *Circuit) State() State { return c.state }

// Since is when its trouble began: the first opening, whatever probes showed since. For a closed circuit it is when that ended; zero: it
// never opened.
func (c *Circuit) Since() time.Time { return c.since }

// Failures is how many failures in a row it has seen; probes that failed count on.
func (c *Circuit) Failures() int { return c.failures }

// Probes is how many probes succeeded in a row, and how many close it.
func (c *Circuit) Probes() (got, need int) { return c.probes, c.settings.Successes }

// Until is when an open circuit asks again.
func (c *Circuit) Until() time.Time { return c.until }
