package route

import (
	"time"

	"segue/controlplane/health"
	"segue/controlplane/policy"
	"segue/dataplane/breaker"
)

// Gate is why a candidate was not eligible, or Passed.
type Gate uint8

// The gates, in the order in which they are asked. Those that need to know the others come last.
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
	Ruled          // a rule keeps the call away
	Ramping        // it is taken back gently, and the draw left this call out
	Spent          // the service's money is spent, and it would cost some
	Careful        // the call's value is high, and others are known to succeed more often
	Dearer         // the service's money is spent, and others are cheaper
	Shed           // not all can be taken, and most other calls are worth more
	NoRetry        // the service's retries are used up
)

// Score is what the choice knew of one candidate.
type Score struct {
	Gate     Gate
	Circuit  breaker.State
	Weight   float64 // share of those that the draw decides among, percent
	Rank     float64 // rendezvous score, order of preference or value in money: the highest passed one wins
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
	LastResort        // every one was gated: reads, and effects where one is only slow or nothing is sent at all
	ByNearness        // nobody who passed is nearer to the user
	ByValue           // the best by money
	BySpread          // the draw, among those that are as good
	ByRamp            // nobody else passed: it takes the call before its share would
	BySpill           // nobody else can take the call, and part of what goes there succeeds
)

// Cause is what opened a circuit, as numbers: sentences are made when somebody reads. The zero Cause: failures in a row, if any.
type Cause struct {
	Alarm    health.Alarm
	Evidence health.Evidence
	Late     int32         // calls in flight that were older than Limit, or all of them where nothing came
	Limit    time.Duration // 0: their age did not tell
	Quiet    health.Quiet  `json:",omitzero"` // what told was that nothing came
	Unsent   bool          `json:",omitzero"` // each of its failures in a row was a connection that was refused at once
}

// Seen is one look at a standing: all that the choice takes from it. Durations count from the decision's time; what has passed is
// not above 0.
type Seen struct {
	State    breaker.State
	Rule     int8 `json:",omitzero"` // 1 + the index of the rule that keeps the call away; 0: none
	Circuit  breaker.Gate
	Failures int32         `json:",omitzero"` // in a row
	InFlight int32         `json:",omitzero"`
	Normal   int32         `json:",omitzero"` // calls in flight as they are on an ordinary day
	Rate     time.Duration `json:",omitzero"` // until the rate gives the next call
	Closed   time.Duration `json:",omitzero"` // until Retry-After has passed
	Drained  time.Duration `json:",omitzero"` // until the drain ends
	Leaving
	Showed
	Cost  policy.Money `json:",omitzero"` // of this call there, by what was learned of its fees
	Fees  Learned      `json:",omitzero"`
	Cause Cause        `json:",omitzero"` // why it is not closed
	salt  uint64
}

// Leaving is how a provider is left.
type Leaving struct {
	Away   bool `json:",omitzero"` // on a ramp that leads away
	Partly bool `json:",omitzero"` // it is left gradually, and part of what goes there succeeds
}

// Showed is what the provider's last calls of the same kind showed.
type Showed struct {
	Mean    float32 // rate of success
	Lower   float32 // what it is at least, at 95 %
	Latency time.Duration
}

// Past is what the choice takes from the service's calls before this one.
type Past struct {
	NoRetry bool          `json:",omitempty"` // the retries that the budget gives are used up
	Spent   bool          `json:",omitempty"` // the money of this stretch is
	Resets  time.Duration `json:",omitempty"` // until the next stretch begins
	Above   float64       `json:",omitempty"` // share of the last calls that were worth more
}

// Decision is the record of one choice. The caller owns it and may reuse it; Decide fills every field.
type Decision struct {
	Winner int8 // index of the candidate; -1: none
	Reason Reason
	Probe  bool
	Moved  bool       // the session was pinned elsewhere and goes here now; an owned object's call moves no session
	N      int8       // candidates
	late   bool       // no time is left
	beyond bool       // the winner comes back, and takes the call beyond its probes or its share: see returning
	ill    policy.Set // those whose circuit is not closed
	Past   Past
	Scores [policy.MaxCandidates]Score
	Seen   [policy.MaxCandidates]Seen
	Facts  policy.Facts
	At     time.Time
}

// Shut tells whether candidate i's circuit let no ordinary call through.
func (d *Decision) Shut(i int) bool {
	is := d.Seen[i].State
	return is == breaker.Open || is == breaker.HalfOpen
}

// Closed tells whether it was closed.
func (d *Decision) Closed(i int) bool { return d.Seen[i].State == breaker.Closed }
