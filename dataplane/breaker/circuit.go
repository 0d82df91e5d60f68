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

// Circuit is one provider's circuit. The zero value is closed; Settings come with each call to Gate and Step's owner sets them by Configure.
type Circuit struct {
	settings Settings
	state    State
	row      int       // failures or probe successes in a row
	until    time.Time // open: until when
	since    time.Time
	lease    uint64    // number of the probe that is out; 0: none
	leased   time.Time // when its lease ends
	given    uint64    // leases given
}
