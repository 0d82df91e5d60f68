package ledger

import (
	"time"

	"segue/controlplane/policy"
	"segue/dataplane/message"
)

// Key is what a transaction is known by: equal keys are one transaction.
type Key struct{ App, Service, Key string }

// Outcome is what happened to one attempt.
type Outcome uint8

// The outcomes. The zero value is Open: no evidence yet. Nothing but evidence leaves Open or Unknown.
const (
	Open Outcome = iota
	Succeeded
	Declined
	NotSent // proven not executed
	Unknown
)

// State is where a transaction stands.
type State uint8

// The states. Succeeded and Declined states are final. Refused is "not_sent": every attempt was proven not executed; a
// new request under the same key opens a new epoch.
const (
	Intent        State = iota + 1 // the attempt may have been sent
	Held                           // the attempt's outcome is unknown; only evidence or a same-key re-drive moves it
	DoneSucceeded                  // final; Answer is stored
	DoneDeclined                   // final; Answer is stored
	Refused                        // every attempt not_sent
	Cancelling                     // a cancel of the current attempt may have left: written before the first of its bytes
)

// lastState is the highest State that a row may hold.
const lastState = Cancelling

// Print tells the request from another under the same key.
type Print struct {
	Fingerprint  [32]byte // see the function Fingerprint
	FingerprintV uint8    // how it was made: FingerprintVersion
}

// Transaction is the row. Version and Token guard every write: a store applies an Advance only if Version is the row's
// version + 1. A Transaction in hand is a copy; whoever mutates it writes it or throws it away.
type Transaction struct {
	ID        string // tx_…, for people
	Key       Key
	Operation string
	Print
	State   State
	Version uint64
	Token   [16]byte // unique per write: tells "my write was applied" from "another's was"
	Run     string   // who drives
	Region  string
	Session string
	Course
	Attempts []Attempt // the last is the current one; at most MaxAttempts, all kept
	Answer   *StoredAnswer
	Created  time.Time
	Updated  time.Time
}

// Course is what the row says of the way on, beyond its state.
type Course struct {
	Epoch       int       // rises when another attempt may be sent
	Told        bool      // the caller was told not_sent: only a new request opens the row again
	Kept        bool      // the request's bytes are kept, sealed: background work may send them again
	ExecuteBy   time.Time // and after this it may not; zero: never in the background
	Adopted     int       // 1 + the index of an earlier attempt whose late execution is the transaction's outcome; 0: the current one's
	Compensates string    // the attempt of another transaction that this one takes back; empty: none
	Value       policy.Value
}

// MaxAttempts bounds Attempts.
const MaxAttempts = 16

// Attempt is one send to one provider, recorded before the first byte leaves.
type Attempt struct {
	ID          string
	Provider    string
	Account     string
	Endpoint    string
	ProviderKey string // idempotency key sent to the provider
	Reference   string // our reference there
	Contract    [32]byte
	IntentAt    time.Time
	SendBy      time.Duration // after IntentAt no first byte leaves
	Outcome     Outcome
	Sends       int    // 1 + same-key re-drives
	Error       string // RFC 9209 token or empty: connection_refused, http_response_timeout …
	Status      int    // the provider's status, 0 if none
	Elapsed     time.Duration
	Fence
}

// Fence is what is known of whether an attempt can still be executed.
type Fence struct {
	How    Closed    // how it was closed as not executed
	Cancel bool      // a cancel of it may have left; in Held too
	Late   bool      // it was executed after it had been closed
	Quiet  time.Time // none of its sends began after this: a takeover or a re-drive, whichever is later. The settle window begins here
	Absent time.Time // when the first lookup since the last send began that found nothing
}

// Closed is how an attempt was closed as not executed.
type Closed uint8

// The ways. An attempt that was closed by a window or by the policy may still come to light: it is watched.
const (
	NotClosed  Closed = iota
	ByAnswer          // its only send was proven not sent
	ByCancel          // a lookup showed it cancelled
	ByWindow          // two lookups found nothing, the last of them begun after the settle window
	ByOperator        // a person showed it, with evidence
	ByPolicy          // nothing is proven: the policy accepts duplicates
)

// Current returns the last attempt.
func (t *Transaction) Current() *Attempt { return &t.Attempts[len(t.Attempts)-1] }

// StoredAnswer is the outcome's answer, kept to be replayed. Body is sealed; Kept is false when it was too large.
type StoredAnswer struct {
	Status   int
	Header   message.Header
	Sealed   []byte
	KeyID    string
	Hash     [32]byte
	Kept     bool
	ObjectID string // the object that the effect created
	Theirs   string // and its id at the provider, where the caller is shown another; else empty
}

// MaxAnswer is the largest answer body that is stored.
const MaxAnswer = 256 << 10
