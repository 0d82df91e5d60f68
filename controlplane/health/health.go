package health

import (
	"time"

	"segue/controlplane/policy"
)

// Class is how a provider behaved in one call. It says nothing about the call's outcome: a decline is OK.
type Class uint8

// The classes. The zero value is none: a call that says nothing about the provider (the caller left before a byte was sent).
const (
	None Class = iota
	OK
	Limited // 429, closed bucket
	Slow
	Failure
)

// Outcome is how an attempt, or a whole call, is counted. The values are those of ledger.Outcome, which this package cannot name
// (a test holds them together): health.Outcome(o) is the conversion.
type Outcome uint8

// The outcomes. The zero value is open: counted as a call, and as nothing else. For a whole call NotSent means that Segue refused it.
const (
	Open Outcome = iota
	Succeeded
	Declined
	NotSent
	Unknown
)

// Sample is what one call showed.
type Sample struct {
	Latency    time.Duration // to the first byte of the answer, or to the failure
	RetryAfter time.Duration // what the provider asked for with a 429; 0: nothing
	Ours       time.Duration // by so much this process may have been late itself while the call was out: for that no answer is slow
	Stated     policy.Money  // what the answer said that the call cost, in the base currency, if it Told
	Class      Class
	Told       bool // the answer stated what the call cost, or used
	Overdue    bool // it was counted as slow while it was open
	Again      bool // the answer of a request that was sent again: providers that keep their answers give the first one once more, and it is no evidence
	Unsent     bool // a failure of which it is proven that nothing was sent
}

// CallEnd is how one call ended for its caller.
type CallEnd struct {
	Outcome    Outcome
	FailedOver bool          // it needed a second provider
	Covered    bool          // for its first choice there was one
	Elsewhere  bool          // another provider had declined the same within the hour before
	Worth      policy.Money  // of a call that succeeded after a failover; 0: not known
	Overhead   time.Duration // Segue's own part: all the time that no provider was waited for
}

// Report is what an agent measured since its last report. Counters are increments; gauges are now.
type Report struct {
	Agent    string
	Region   string
	Run      string
	Seq      uint64 // 1, 2, 3 … within the run: what comes late or twice is dropped
	Revision uint64
	At       time.Time         // the agent's clock, when the report was made
	Addr     map[string]string // service → address that it listens on
	Rows     []Row
	Services []ServiceRow
	Events   []Event // at most MaxEvents, oldest dropped first
}

// MaxEvents bounds the events in one report.
const MaxEvents = 64

// Row is one provider of one service, in the agent's region.
type Row struct {
	Service, Provider string
	Traffic
	Condition
	Evidence Increment `json:",omitzero"` // what the agent's failure tests took; none from an agent that keeps none
}

// Traffic is what a provider was given and how that ended: increments.
type Traffic struct {
	Sessions                                              uint32 // new sessions that were given to it: the effective share
	Calls, Succeeded, Declined, NotSent, Unknown, Limited uint32 // attempts, by outcome; Limited ones (429) are among them
	Failed                                                uint32 // attempts of class Failure
	Latency                                               Histogram
	Spend
}

// Condition is how a provider stands now: gauges.
type Condition struct {
	InFlight int32
	Breaker  string    // closed | open | half-open | ramp
	Since    time.Time // not closed: the first opening of this trouble; closed: its end; zero: it never opened
	Why      string    // the breaker's evidence in words: "3 failures in a row"
	Probes   string    // half-open: "2 of 5"
	Drained  time.Time // until when; zero: not drained
	Weight   float64   // configured, percent
	CheckOK  int8      // the active checks together: 1 good, -1 bad, 0 none
	CheckWhy string
	CheckAt  time.Time // when the latest active check ended; zero: never
	Lanes    []Lane    `json:",omitempty"` // each check of its own; at most MaxLanes
	Passed   []string  `json:",omitempty"` // of its endpoints, those that are passed over, and why: a sentence each
	Fees     float32   `json:",omitempty"` // by answers, its fees are so many times what the policy says; 0: too few have told
}

// ServiceRow is one service in the agent's region, as callers saw it.
type ServiceRow struct {
	Service                                      string
	Calls, Succeeded, Declined, Unknown, Refused uint32 // calls as they ended for the caller
	FailedOver                                   uint32 // calls that needed a second provider
	Saved                                        uint32 // of those, the ones that ended succeeded or declined
	Gain
	Overhead      FineHistogram // Segue's own part
	InUse, Could  uint32        // sessions in use now, as far as they are looked at, and of them those that could go on at another provider
	Budget        Budget        `json:",omitzero"`
	UnknownOpen   int32         // transactions whose outcome is unknown now
	OldestUnknown time.Time
}

// Gain is what second providers were good for, beside calls that they saved: increments.
type Gain struct {
	Covered   uint32       `json:",omitempty"` // calls for whose first choice a second provider was eligible
	Elsewhere uint32       `json:",omitempty"` // effects that one provider had declined and another accepted, asked anew
	Worth     policy.Money `json:",omitempty"` // what calls were worth that succeeded after a failover
}

// Budget is how a service's spend budget stands at an agent: gauges. No Resets: it has none.
type Budget struct {
	Spent  policy.Money `json:",omitempty"`
	Resets time.Time    `json:",omitzero"` // when the next stretch begins
}

// Spend is what a provider's attempts cost that were, or may have been, carried out: increments.
type Spend struct {
	Priced uint32       `json:",omitempty"` // those whose fee the policy knows
	Cost   policy.Money `json:",omitempty"` // theirs, by the fees
	Told   uint32       `json:",omitempty"` // those of them whose answers stated what they cost, or used
	Meant  policy.Money `json:",omitempty"` // what these cost by the fees
	Stated policy.Money `json:",omitempty"` // and by what their answers state
}

// Event is something that happened, for the stream of what happens.
type Event struct {
	At                        time.Time
	Kind                      string // breaker | failover | unknown | check | policy | drill | verdict
	Region, Service, Provider string
	Transaction               string
	Text                      string // a sentence
	Level                     string // ok | warn | bad
	Seq                       uint64 `json:",omitempty"` // its place in the leader's window; what an agent writes here does not count
}
