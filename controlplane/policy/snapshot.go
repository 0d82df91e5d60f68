package policy

import (
	"math/bits"
	"time"
)

// Snapshot is a policy compiled for one region. It is immutable, lives in an agent, and is loaded once per request.
type Snapshot struct {
	Region   string
	Regions  []string // all of them, in the document's order: Facts.Client is an index of it
	Standby  []string
	Revision uint64
	Services []*Service
}

// Service is a compiled service. A candidate's index is its bit in a Set and its place in every slice of Standings.
type Service struct {
	Name       string
	Place      int // in its snapshot: whoever keeps something for each service finds it sooner by place than by name
	Listen     Listen
	Speaks     *Contract
	Operations []*Operation
	Strategy   Strategy
	Candidates []*Candidate // in the document's order, which is that of preference for priority; at most MaxCandidates
	Attempts   Attempts
	Breaker    Breaker
	Session    []SessionField
	Offline    bool // without a quorum, operations with an offline pin go on there
	Steering
	Ruling
}

// MaxCandidates is how many providers a service can have: a Set is 16 bits.
const MaxCandidates = 16

// Candidate is a provider as one region sees it.
type Candidate struct {
	Provider   string
	Contract   *Contract
	Digest     [32]byte // of the contract: recorded with each attempt
	Account    string
	Endpoint   string   // base URL, no trailing slash
	Further    []string // others of its endpoints, the nearer first
	Credential Credential
	Hook
	Limits Limits
	Probes
	Weight float64 // percent; strategy weighted
	Offer
	SpeaksNative bool // its contract has the API that the service speaks; otherwise calls are mapped
	places
	mapped map[string]*Mapped // by operation; nil: nothing has to be mapped
}

// Hook is what signs its webhooks.
type Hook struct {
	Hooks  Credential
	Hooked bool // there is such a secret
}

// places are what of a contract is compiled once, for all its candidates.
type places struct {
	users    *pattern // the paths that name the credential's user; nil: none do
	passages []*passage
}

// Credential says where the secret is: kind caller (the application's own header is passed on), env or file with Ref.
type Credential struct{ Kind, Ref string }

// The kinds of credential.
const (
	CredentialCaller = "caller"
	CredentialEnv    = "env"
	CredentialFile   = "file"
)

// Operation is a compiled operation.
type Operation struct {
	OperationSpec
	Index    int
	Maps     bool // at some candidate it is another API's: its body is looked into
	Unmapped Set  // candidates that cannot carry it out
	PinAt    int8 // 1 + the candidate that is its offline pin; 0: it has none
	pattern  pattern
}

// Set is a set of candidates: bit i is candidate i.
type Set uint16

// Has tells whether candidate i is in the set.
func (s Set) Has(i int) bool { return s&(1<<uint(i)) != 0 }

// First is the first candidate of a set that has any.
func (s Set) First() int { return bits.TrailingZeros16(uint16(s)) }

// Rest is the set without its first candidate.
func (s Set) Rest() Set { return s & (s - 1) }

// With returns the set and candidate i.
func (s Set) With(i int) Set { return s | 1<<uint(i) }

// Facts are what the choice may know of one request. Candidates are named by index; -1 means none.
type Facts struct {
	Draw     uint64 // hash of the transaction id (effects) or of the session (new sessions): all that looks random
	Tried    Set    // candidates that this call must not be sent to any more
	Pinned   int8   // the session's provider
	Owner    int8   // the provider that owns the object that the call follows: no other is eligible
	Barred   Set    // candidates that cannot have the session: its state is not there and cannot be brought
	Unmapped Set    // candidates of another API than the spoken one, whose contract does not map the operation
	Read     bool
	Client   int8     // the user's region, an index of Snapshot.Regions; -1: nobody told it
	Op       int16    // the operation's index
	Minute   int16    // of the week, UTC, from Sunday 00:00 on: what rules know of the time
	Currency Currency // of Value
	Value    Money    // what the call is worth, in the base currency; 0: not known
	Use      Use
	Operands [MaxOperands]Operand // what the service's rules read of the request
	Deadline time.Time
}
