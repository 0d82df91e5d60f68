package ledger

import "time"

// Evidence proves or suggests the outcome of one send of an attempt.
type Evidence struct {
	Attempt string
	Kind    EvidenceKind
	Outcome Outcome
	Finding Finding // what a lookup or a cancel found, where that is no outcome of its own
	Error   string  // RFC 9209 token
	Status  int
	Redrive bool      // the send was a same-key re-drive: its not_sent says nothing of the first send
	Begun   time.Time // when a lookup was begun: what it did not find may have come since
}

// StaleSend is the error of an attempt whose sender was paused, so that no byte left.
const StaleSend = "stale_send"

// EvidenceKind is where evidence comes from.
type EvidenceKind uint8

// The kinds of evidence.
const (
	FromAnswer    EvidenceKind = iota + 1 // the provider answered (or refused the connection)
	FromTimeout                           // nothing came in time, or the connection died after the first byte
	FromStaleSend                         // the sender was paused past send_by: no byte left
	FromLookup                            // a lookup by our reference ended, with or without an answer
	FromCancel                            // a cancel by our reference ended, with or without an answer
	FromWebhook                           // the provider told by itself
	FromStatement                         // a statement of the provider's was imported
	FromOperator                          // a person showed it; the record says who and by what
	FromTimer                             // nothing new: it is time to ask again
)

// Finding is what a lookup or a cancel found where that is no outcome of its own.
type Finding uint8

// The findings.
const (
	NoFinding  Finding = iota
	Absent             // nothing is known there by our reference: it may still come
	Voided             // it was cancelled there, or is blocked: it is not live
	TooLate            // it was executed and can be cancelled no more
	InProgress         // the provider works on it
)

// Means are what a provider offers beside keys, by its contract. The zero value is nothing.
type Means struct {
	Lookup  bool          // by our reference
	Horizon time.Duration // how long after INTENT a lookup finds; 0: for ever
	Cancel  bool          // a cancel by our reference that is final
	Blocks  bool          // and that blocks a create which comes later
	Settle  time.Duration // this long after a send none of its bytes is executed any more; 0: nobody says so
	Expires bool          // and that is so because requests carry an expiry which the provider enforces
	Forgets bool          // a decline is not remembered under the key: another send may execute
}

// Leave is what the policy allows for an operation.
type Leave struct {
	Twice  bool // class D: duplicates are accepted
	Traced bool // class T: a settle window and lookups count as proof
}

// Circumstances are what Next must know beside row and evidence.
type Circumstances struct {
	Now      time.Time
	Live     bool          // a caller's exchange is live: the body is here
	Deadline time.Time     // when the caller must have an answer
	Enforced bool          // the attempt's provider enforces keys, by the contract
	KeyLife  time.Duration // how long it remembers them
	MaxTries int           // providers per call, by the policy
	Before   int           // attempts that earlier calls under the key made: they count for none of this call's tries
	MaxSends int           // sends of one attempt
	Run      string        // who asks
	Changed  bool          // account, endpoint or contract are no longer the attempt's: what is sent now is another request
	Skewed   bool          // this machine's clock is too far from the store's
	AtPin    bool          // the attempt is the first at the operation's offline pin: regions that do not hear of each other may all have sent it
	Means
	Leave
}
