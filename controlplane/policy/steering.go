package policy

import "time"

// Steering is what a compiled service is steered by, beside its strategy. The zero value steers nothing.
type Steering struct {
	Objective Objective
	HighValue HighValue
	Shift     Shift
	Spend     Spend
	Near      [][]uint8 // by the user's region (its index in Snapshot.Regions): the rank of each candidate, 0 the nearest; nil: nobody is told to be near
	Here      int8      // the agent's own region among Snapshot.Regions: the user's, where nobody tells it
	Exchange  *Exchange
}

// Objective is what strategy adaptive weighs by, in money for one request: a value of V is worth V × Margin when it succeeds, a failure costs
// Failure beside that, each second Second, and leaving a session's provider Stay.
type Objective struct {
	Margin                float64
	Failure, Second, Stay Money
}

// Prefer is what decides for calls of high value.
type Prefer string

// PreferReliability takes only closed circuits whose rate of success is near the best.
const PreferReliability Prefer = "reliability"

// HighValue says from which value on a call is sent more carefully. Above 0: from none.
type HighValue struct {
	Above  Money
	Prefer Prefer
}

// Shift is how long it takes to move a provider's share away from it, and back. 0: as Compile has always done, at once away; back by the
// breaker's own ramp.
type Shift struct{ Away, Back time.Duration }

// Spend bounds what a service's calls may cost in Per. Limit 0: nothing is bounded.
type Spend struct {
	Limit Money
	Per   time.Duration
	Then  SpendThen
}

// SpendThen is what becomes of calls when the budget is spent.
type SpendThen string

// The ways: effects and reads are refused, or sent to whoever is cheapest.
const (
	SpendRefuse   SpendThen = "refuse"
	SpendCheapest SpendThen = "cheapest"
)

// RetryBudget bounds second attempts: each call earns Ratio of one, and Floor of them a second are always there. The zero value: no bound.
type RetryBudget struct{ Ratio, Floor float64 }

// Offer is what a provider asks for a call, and what it can do beside its contract.
type Offer struct {
	Cost     Fee
	Features []string
	Tells    bool // its answers are read for what they state of fees and use
}

// Use is how much of a provider's work a call asks for, as its body says: what is paid by the token or the segment. Zero: not known.
type Use struct{ In, Out, Segments int32 }

// Ruling is a service's rules, and what they read of a request.
type Ruling struct {
	Rules []Rule
	Reads []OperandAt       // operand i stands at Reads[i]; at most MaxOperands
	words map[string]uint16 // the texts that rules name
}

// Rule is a compiled rule: where When holds, only the candidates of Only remain. When reads nothing but Facts, and allocates nothing.
type Rule struct {
	Name string
	Text string // one sentence
	When func(*Facts) bool
	Only Set
}

// MaxOperands bounds what the rules of one service may read of a request.
const MaxOperands = 8

// OperandAt says where an operand stands in a request, the first that is there counts, and what it is read as.
type OperandAt struct {
	From []Field
	As   OperandKind
}

// OperandKind is what an operand holds.
type OperandKind uint8

// The kinds. Missing: the request has none, or none of the kind that is asked for; every comparison with it is false.
const (
	Missing OperandKind = iota
	IsText
	IsNumber
	IsNo
	IsYes
)

// Operand is a value that rules read of a request. Operands are compared with ==, hold no pointers, and stand in records.
type Operand struct {
	Kind   OperandKind
	Text   uint16 // as Intern numbers it; 0: a text that no rule names
	Number float64
}

// Intern is the number of a text that the service's rules name, 0 for any other.
func (s *Service) Intern(text string) uint16 { return s.words[text] }

// Words goes through the texts that the service's rules name, with their numbers.
func (s *Service) Words(yield func(text string, number uint16) bool) {
	for text, number := range s.words {
		if !yield(text, number) {
			return
		}
	}
}
