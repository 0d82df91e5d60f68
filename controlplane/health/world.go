package health

import (
	"time"

	"segue/controlplane/policy"
)

// World is what the leader's window shows at one moment: plain data for pages, the API and whoever forwards it. Rates are per second;
// percentages are 0 … 100 and None64 where nothing was measured; so are times in milliseconds.
type World struct {
	At       time.Time // the leader's clock
	Total    Flow
	Services []ServiceWorld
	Regions  []RegionWorld // those that reported, sorted by name
	Budgets  []BudgetSeen  // of each region and service that has one, sorted by these names
	Cells    []Cell        // region × service × provider, sorted by these three names
	Agents   []AgentSeen   // sorted by region, then id
	Events   []Event       // newest first, at most MaxWorldEvents
	Verdicts []Verdict     // whose fault what is, the widest first
	Told     uint64        // how many events the window has heard: the Seq of the last
}

// None64 stands where nothing was measured.
const None64 = -1.0

// Flow is what callers saw of one service, or of all of them, in every region.
type Flow struct {
	Rate          float64   // calls per second, over RateSpan
	Before        float64   // percent of calls that ended succeeded or declined at their first provider, over Recent
	After         float64   // percent that ended succeeded or declined at all, over Recent
	AddedP50      float64   // Segue's own part of a call, milliseconds, over Recent
	AddedP99      float64   // ms
	Calls         uint64    // calls that ended, over Recent
	FailedOver    uint64    // of them, those that needed a second provider
	Refused       uint64    // of them, those that Segue refused
	InUse         int64     // sessions in use now, as far as they are looked at
	Could         int64     // of them, those that could go on at another provider now
	UnknownOpen   int64     // transactions whose outcome is unknown now
	OldestUnknown time.Time // when the oldest of them began; zero: none
	Covered       float64   // percent of calls for whose first choice a second provider was eligible, over Recent
	Gains         Gains     // what second providers were good for, over the history
	History       []Point   // oldest first, one per Step, at most HistoryPoints; the last is the last whole Step
}

// Gains is what second providers were good for, in the time of the History.
type Gains struct {
	Saved     uint64       // calls that a second provider answered
	Elsewhere uint64       // effects that one provider had declined and another accepted, asked anew within an hour
	Worth     policy.Money // what calls were worth that succeeded after a failover, in the policy's currency, where it is known
}

// Spending is what a cell's attempts cost that were, or may have been, carried out, in the time of the history; money in the policy's currency.
type Spending struct {
	Calls  uint64       // attempts
	Priced uint64       // of them, those whose fee the policy knows
	Cost   policy.Money // theirs, by the fees
	Told   uint64       // of them, those whose answers stated what they cost, or used
	Meant  policy.Money // what these cost by the fees
	Stated policy.Money // and by what their answers state
}

// BudgetSeen is how a service's spend budget stands at the agent of a region that spent most of it.
type BudgetSeen struct {
	Region, Service string
	Budget
}

// Point is one Step of a Flow.
type Point struct {
	Rate     float64 // calls per second
	Before   float64 // percent, None64: no calls
	After    float64 // percent, None64: no calls
	AddedP99 float64 // ms, None64: no calls
	Coverage float64 // percent of the sessions in use that could go on at another provider, None64: none was in use
}

// ServiceWorld is one service in every region.
type ServiceWorld struct {
	Service string
	Flow
}

// RegionWorld is one region, all its services together.
type RegionWorld struct {
	Region string
	Flow
}

// Cell is one provider of one service in one region, over all its agents.
type Cell struct {
	Region, Service, Provider string
	Load
	Stand
}

// Load is what a cell's provider was given and how that went.
type Load struct {
	Rate     float64 // attempts per second, over RateSpan
	Success  float64 // percent of attempts that were no failure of the provider (declines and 429s are none), over Recent
	P50, P99 float64 // milliseconds to the first byte, over Recent
	Share    float64 // effective: percent of its region's new sessions of the service, over Recent
	Sessions uint64  // new sessions, over Recent
	Calls    uint64  // attempts, over Recent
	Failed   uint64  // attempts of class Failure, over Recent
	Unknown  uint64  // attempts whose outcome is unknown, over Recent
	Spending Spending
	Rates    []float64 // attempts per second, oldest first, one per Step, at most HistoryPoints
	Good     []float64 // percent of attempts that were no failure, as long as Rates; None64: no attempts
	P99s     []float64 // ms to the first byte, as long as Rates; None64: no attempts
}

// Stand is how a cell's provider stands now, by the agents that are heard: the worst of them where they differ.
type Stand struct {
	Weight     float64   // configured, percent
	InFlight   int64     // over all agents
	Breaker    string    // closed | ramp | half-open | open: the worst; "" while no agent is heard
	Since      time.Time // not closed: when the trouble began, the earliest; closed: when it ended; zero: there was none
	Why        string    // its evidence in words
	Probes     string    // half-open: "2 of 5"
	Drained    time.Time // until when; zero: not drained
	CheckOK    int8      // active check: 1 good everywhere, -1 bad somewhere, 0 none
	CheckWhy   string
	CheckAt    time.Time // the latest check
	Lanes      []Lane    `json:",omitempty"` // each check of its own, the worst of the agents, active ones first
	Passed     []string  `json:",omitempty"` // endpoints that an agent passes over, and why
	Agents     int       // agents that are heard and have this provider
	OpenAgents int       // of them, those whose circuit is not closed
}

// AgentSeen is one agent that was heard within Forget.
type AgentSeen struct {
	ID, Region, Run string
	Revision        uint64
	Addr            map[string]string // service → address that it listens on
	LastSeen        time.Time         // the leader's clock
	AgeMS           int64             // since LastSeen
	SkewMS          int64             // its clock minus the leader's when it was last heard, the way included
	Heard           bool              // within Silent: its gauges count
	Twin            string            `json:",omitempty"` // another run that reports under the same id; "": none
}

// The spans and bounds of a window. Each keeps one leader's memory small, whatever agents send.
const (
	Step           = 5 * time.Second
	HistoryPoints  = 180 // 15 minutes
	Recent         = 60 * time.Second
	RateSpan       = 10 * time.Second
	Silent         = 10 * time.Second // an agent not heard for so long: its gauges count no more
	Forget         = 60 * time.Second // and then it is dropped
	lateFor        = 5 * time.Second  // what a run that ended still sends is late for so long; then it has not ended
	MaxAgents      = 1000
	MaxRows        = 256  // provider rows in one report
	MaxServiceRows = 64   // service rows in one report
	MaxCells       = 1024 // region × service × provider
	MaxFlows       = 256  // region × service
	MaxWorldEvents = 500
	maxName        = 100                  // bytes of a name
	maxText        = 300                  // bytes of a sentence
	maxFees        = 4                    // times what the policy says: what agents learn of fees is no more
	maxPerReport   = 1 << 20              // of one count: a second's report of one agent holds no more
	maxAhead       = 366 * 24 * time.Hour // how far ahead an end can lie
)
