package policy

import "time"

// Contract is what is true of a provider's API, as data.
type Contract struct {
	Name       string
	Like       string // a contract that this one starts from; its own fields override
	Dialect    Dialect
	Endpoint   string
	Credential Slot
	Keys       Keys
	RetryAfter string // header that says when to come back; default Retry-After
	RateLimit  RateHeaders
	Codes      []string // where an answer's own code stands: the first that is there counts; none: where the dialect has it
	ObjectID   string   // where the id of a created object stands in an answer: "id"
	Statuses   []StatusRule
	Recourse
	Operations []OperationSpec // what a service that speaks this contract offers unless it lists its own
	Bridge
	Aside
}

// Aside is what is shown of a contract or used beside its calls, and steers none of them.
type Aside struct {
	Tests      TestMarks   // how Segue's own tests are marked
	Synthetics []Synthetic // that can be run there
	Fees       []ValueRule // where an answer says what the call cost: the first that is there counts; none: it does not
	Use        UseRule     // where it says how much was used
	Sources    []Source    // where the vendor says so
}

// Bridge is how what began elsewhere goes on at a provider.
type Bridge struct {
	Session []Passage // how a session's fields come to it, and from it
	Speaks  []Spoken  // other APIs whose calls it can carry out
}

// Dialect is the shape of error bodies that the SDKs of an API take for errors.
type Dialect string

// The dialects that refusals can be told in.
const (
	Plain  Dialect = "plain"
	Stripe Dialect = "stripe"
	Twilio Dialect = "twilio"
	OpenAI Dialect = "openai"
)

func dialects() []string {
	return []string{string(Plain), string(Stripe), string(Twilio), string(OpenAI)}
}

// Slot says where the credential goes: Header with Value, in which {credential} stands for the secret, {basic} for its form in Basic
// authentication. Where a secret is user:password and the API has the user in its paths too, Path is the pattern of those: an agent's own
// user is put in place of {user} (Candidate.Path).
type Slot struct{ Header, Value, Path string }

// Keys says what the provider does with idempotency keys.
type Keys struct {
	Header   string        // Idempotency-Key
	Enforced bool          // the same key executes once per account
	Ignored  bool          // enforced: false, said outright: it overrides what like brings along
	Scope    Scope         // how far a key is one key; "": not stated
	Life     time.Duration // how long it remembers
	Max      int           // longest key it takes, bytes
	Syntax   Syntax        // what a key may be made of; "": of anything that a header's line may hold
	InUse    int           // status while the first is in progress (409); always unknown
	Replay   Stored        // which answers are stored under a key and told again; "": not stated
}

// Scope says how far a key is one key.
type Scope string

// The scopes.
const (
	PerAccount  Scope = "account"  // at every endpoint of the provider
	PerEndpoint Scope = "endpoint" // at one regional endpoint: another one executes it again
)

func scopes() []string { return []string{string(PerAccount), string(PerEndpoint)} }

// Stored says which answers a provider stores under a key.
type Stored string

// What is stored.
const (
	StoredAll  Stored = "all"  // of each request that began to execute, a 500 too
	Stored2xx  Stored = "2xx"  // successes only: after an error the same key executes again
	StoredNone Stored = "none" // the key is known, its answer is not
)

func storeds() []string { return []string{string(StoredAll), string(Stored2xx), string(StoredNone)} }

// RateHeaders name the headers in which a provider tells of its limits; "": it does not.
type RateHeaders struct{ Limit, Remaining, Reset string }

// Source is the page on which a vendor states a fact.
type Source struct{ Fact, Page string }

// StatusRule maps answers to what they prove. Rules are tried in order; the first that matches decides. Class and
// Outcome hold the words of health.Class and ledger.Outcome (those packages import this one).
type StatusRule struct {
	From, To int    // status range, inclusive
	Code     string // optional: the error code in the body, where the dialect has it (ErrorCode)
	Class    string // ok | limited | slow | failure
	Outcome  string // succeeded | declined | not_sent | unknown
}
