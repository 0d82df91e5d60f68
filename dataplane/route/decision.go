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
	Drained  // an order keeps new calls away
	NoWeight // weight 0: fallback only, and others passed
	CircuitOpen
	CircuitProbing // half-open, and the one probe is out
	AtCapacity     // in flight at its limit
	AtRate         // its rate is used up, or Retry-After has not passed
	NoTime         // no time left for an attempt
)

// Score is what the choice knew of one candidate.
type Score struct {
	Gate     Gate
	Circuit  breaker.State
	Weight   float64 // effective share, percent
	Rank     float64 // rendezvous score or order of preference: the highest passed one wins
	InFlight int32
	Failures int32         // in a row
	Wait     time.Duration // until the gate may open
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

// Decision is the record of one choice. The caller owns it and may reuse it; Decide fills every field.
type Decision struct {
	Winner int8 // index of the candidate; -1: none
	Reason Reason
	Probe  bool
	Moved  bool // the session was pinned elsewhere
	N      int8 // candidates
	Scores [policy.MaxCandidates]Score
	Facts  policy.Facts
	At     time.Time
}

// Permit is the right to send one attempt: it points to its row, so that it survives a policy swap. The zero value is none.
type Permit struct {
	row   *Standing
	probe uint64 // lease number of a half-open probe; 0: none
	at    time.Time
}

// Valid tells whether the permit was given.
func (p Permit) Valid() bool { return p.row != nil }
