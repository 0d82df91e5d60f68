package ledger

import "time"

// Evidence proves or suggests the outcome of one send of the current attempt.
type Evidence struct {
	Attempt string
	Kind    EvidenceKind
	Outcome Outcome
	Error   string // RFC 9209 token
	Status  int
	Redrive bool // the send was a same-key re-drive: its not_sent says nothing of the first send
}

// EvidenceKind is where evidence comes from.
type EvidenceKind uint8

// The kinds of evidence that are built.
const (
	FromAnswer    EvidenceKind = iota + 1 // the provider answered (or refused the connection)
	FromTimeout                           // nothing came in time, or the connection died after the first byte
	FromStaleSend                         // the sender was paused past send_by: no byte left
)

// Circumstances are what Next must know beside row and evidence.
type Circumstances struct {
	Now      time.Time
	Live     bool          // a caller's exchange is live: the body is here
	Deadline time.Time     // when the caller must have an answer
	Enforced bool          // the attempt's provider enforces keys, by the contract
	KeyLife  time.Duration // how long it remembers them
	MaxTries int           // providers per call, by the policy
	MaxSends int           // sends of one attempt
	Run      string        // who asks
}

// StepKind is what to do next.
type StepKind uint8

// The steps.
const (
	Finish    StepKind = iota + 1 // write the final state, then answer
	Elsewhere                     // proven not executed: a new epoch at another provider
	Redrive                       // the same request again: same provider, key and bytes
	Hold                          // record unknown; answer outcome-unknown
	Refuse                        // proven not executed and nowhere or no time to go: write Refused, tell the caller
)

// Step is the next step and why.
type Step struct {
	Kind StepKind
	Why  string
}
