package policy

import (
	"time"

	"segue/regions"
)

// Policy is the document, checked or not. Lists keep the document's order (the first region is the one whose services
// listen on their own ports in `segue dev`). The field names in YAML are those of docs/policy.md.
type Policy struct {
	Regions   regions.Topology
	Services  []ServiceSpec
	Providers []ProviderSpec
	Contracts []Contract // the user's own, beside the built-in ones
	Exchange  ExchangeSpec
}

// ServiceSpec is what applications call, by name.
type ServiceSpec struct {
	Name       string
	Speaks     string // contract name: what the application's code talks
	Listen     Listen
	Operations []OperationSpec // nil: the contract's
	Strategy   Strategy
	Weights    []RegionWeights  // strategy weighted: per region; a region without an entry uses Default ("")
	Priority   []RegionPriority // strategy priority: per region; region "" is the default
	Attempts   Attempts
	Breaker    Breaker
	Session    []SessionField
	NoQuorum   NoQuorum // without_quorum; empty is refuse
	Plan
}

// NoQuorum is what becomes of effects while the ledger cannot be written.
type NoQuorum string

// The ways. RefuseEffects sends none: it could not be known whether another region sends the same. OfflineAtPin sends the operations that have
// an offline pin there, because every region does, and the provider's keys make one of what two send.
const (
	RefuseEffects NoQuorum = "refuse"
	OfflineAtPin  NoQuorum = "offline_pin"
)

// Listen is where agents accept a service's calls: a port, and a host name where several services share one port.
type Listen struct {
	Port int
	Host string
}

// RegionWeights are the operator's shares of new sessions in one region, in percent.
type RegionWeights struct {
	Region  string
	Weights []Weight
}

// Weight is one provider's share of new sessions, in percent; 0 means fallback only.
type Weight struct {
	Provider string
	Percent  float64
}

// RegionPriority is the order in which providers are preferred in one region ("" = every other region).
type RegionPriority struct {
	Region    string
	Providers []string
}

// OperationSpec is a class of calls: a method and a path pattern, and what is true of them.
type OperationSpec struct {
	Name    string
	Match   string // "POST /v1/charges"; * is one segment, {id} a named one, ** any number
	Read    bool   // semantics: read; GET and HEAD are reads unless said otherwise
	Key     KeyRule
	Follows []Field // where the id of the object stands that this call belongs to
	Value   ValueRule
	Leave   Leave
	Pin     OfflinePin
}

// OfflinePin is where every region makes the first attempt of an operation, connected or not: so that one may be made while nobody can say what
// the others do. The zero value is none. Account and Endpoint are the provider's, or empty.
type OfflinePin struct{ Provider, Account, Endpoint string }

// Leave is what the policy allows for an effect whose outcome is not known. The zero value is nothing.
type Leave struct {
	Duplicates  bool          // duplicates: accept. It is sent again: it may execute twice
	Traced      bool          // unknown: trace. A settle window and lookups count as proof that it was not executed
	TracedValue bool          // unknown: trace-value. That for an operation which declares what it is worth
	Keep        bool          // keep: request. Its bytes are kept, sealed, so that background work can send the same request again
	ExecuteBy   time.Duration // how long after its arrival background work may send it; 0: until the call's deadline
}

// KeyRule says where an effect's idempotency key comes from: the caller (Required), or Derive'd from fields that are unique per
// intent for Within. The zero value is for reads.
type KeyRule struct {
	Required bool
	Derive   []Field
	Within   time.Duration
}

// Field names a value in a request: body.charge, body.metadata.order, path.id, header.X-Order.
type Field struct {
	In   string // body | path | header
	Name string // dotted for nested body fields
}

// ProviderSpec is an external system that offers a service.
type ProviderSpec struct {
	Name       string
	Contract   string
	Endpoint   []RegionValue // base URLs, the nearest first, with spaces between; per region ("" = default); empty: the contract's
	Credential []RegionValue // caller | env:NAME | file:PATH, per region ("" = default)
	HookSecret []RegionValue // env:NAME | file:PATH: what signs its webhooks
	Account    string        // names the key domain; default: the provider's name
	Limits     Limits
	Cost       []RegionCost // per region ("" = default); nil: nobody says
	Features   []string     // what it can beside its contract; rules ask for them
	Near       []string     // the regions that it is close to
	Checks     Checks
	Synthetics []Synthetic // of its own, beside those of its contract
}

// RegionValue is a setting that may differ per region ("" = default).
type RegionValue struct{ Region, Value string }

// Limits bound what an agent asks of a provider. 0 = no limit.
type Limits struct {
	InFlight int
	Rate     float64 // per second
}

// Strategy is how a service's provider is chosen among those that pass the gates.
type Strategy uint8

// The strategies that are built. Validate refuses others.
const (
	Weighted Strategy = iota + 1
	Priority
	Nearest
	Adaptive
)

// String is the strategy as the document writes it.
func (s Strategy) String() string {
	switch s {
	case Weighted:
		return "weighted"
	case Priority:
		return "priority"
	case Nearest:
		return "nearest"
	case Adaptive:
		return "adaptive"
	default:
		return "unknown"
	}
}

// Attempts bound one call. Zero values are replaced by defaults in Compile: 2, 4 s, 10 s.
type Attempts struct {
	Max      int
	PerTry   time.Duration
	Deadline time.Duration
	Budget   RetryBudget
}

// Breaker is the plain circuit: open after Failures in a row, half-open after Reset, closed after Successes probes.
// Defaults: 5, 5; Reset 0 is 5 s, doubling to 20 s while it stays ill.
type Breaker struct {
	Failures, Successes int
	Reset               time.Duration
	Percent             float64 // opens too when so many percent of the calls of Window fail, of at least Calls; 0: never
	Window              time.Duration
	Calls               int
}
