package route

import (
	"time"

	"segue/controlplane/policy"
	"segue/dataplane/breaker"
)

// Gate is why a candidate was not eligible, or Passed.
type Gate uint8

// The gates, in the order in which they are asked.
const (
	Absent Gate = iota // no such candidate
	Passed
	Tried    // this call was there already
	NotOwner // another provider owns the object
	NoState  // the session's state is not there and cannot be brought
	Drained  // an order keeps new calls away
	NoWeight // weight 0: fallback only, and others passed
	CircuitOpen
	CircuitProbing // half-open, and the one probe is out
	AtCapacity     // in flight at its limit
	AtRate         // its rate is used up, or Retry-After has not passed
	NoTime         // no time left for an attempt
	Unmapped       // its contract does not say how the operation is made there
)

// Score is what the choice knew of one candidate.
type Score struct {
	Gate     Gate
	Circuit  breaker.State
	Weight   float64 // effective share of new sessions among those that passed, percent; strategy weighted
	Rank     float64 // rendezvous score or order of preference: the highest passed one wins
	InFlight int32
	Failures int32         // in a row
	Wait     time.Duration // until the gate may open; 0: not known
}

// Reason is why the winner won.
type Reason uint8

// The reasons.
const (
	NoReason   Reason = iota
	ByOwner           // it owns the object
	ByPin             // the session is there
	ByWeight          // the draw, by the operator's weights
	ByPriority        // first in the order that passed
	ByFallback        // none with a weight passed
	ByProbe           // the one probe of a half-open circuit
	LastResort        // every one was gated; reads only
)

// Seen is one look at a standing: all that the choice takes from it. Durations count from the decision's time; what has passed is
// not above 0.
type Seen struct {
	State    breaker.State
	Circuit  breaker.Gate
	Failures int32 // in a row
	InFlight int32
	Rate     time.Duration // until the rate gives the next call
	Closed   time.Duration // until Retry-After has passed
	Drained  time.Duration // until the drain ends
	salt     uint64
}

// Decision is the record of one choice. The caller owns it and may reuse it; Decide fills every field.
type Decision struct {
	Winner int8 // index of the candidate; -1: none
	Reason Reason
	Probe  bool
	Moved  bool // the session was pinned elsewhere and goes here now; an owned object's call moves no session
	N      int8 // candidates
	Scores [policy.MaxCandidates]Score
	Seen   [policy.MaxCandidates]Seen
	Facts  policy.Facts
	At     time.Time
}
