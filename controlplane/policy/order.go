package policy

import "time"

// OrderKind is what an order asks for.
type OrderKind string

// The orders that are built.
const (
	Drain OrderKind = "drain" // no new sessions and calls to Provider; owned objects and pinned sessions may finish there
	Drill OrderKind = "drill" // agents inject Fault into calls to Provider
)

// Order is a bounded instruction that does not wait for a rollout. It ends For after At; agents count the remaining time
// on their own clocks, so that an order ends even where the control plane is gone.
type Order struct {
	ID       string
	Kind     OrderKind
	Provider string
	Regions  []string // empty: every region
	Fault    Fault    // drill only
	At       time.Time
	For      time.Duration
	Actor    string
	Reason   string
}

// Ends is when the order ends, on the leader's clock.
func (o *Order) Ends() time.Time { return o.At.Add(o.For) }

// FaultKind is what a drill does to a call.
type FaultKind string

// The faults that an agent's provider can inject.
const (
	FaultRefuse    FaultKind = "refuse"     // as if the connection were refused: nothing is sent
	FaultStatus    FaultKind = "status"     // answered with Status, nothing is sent
	FaultHang      FaultKind = "hang"       // nothing is sent, no answer until the time-out: unknown
	FaultLostReply FaultKind = "lost-reply" // sent and executed; the answer is dropped: unknown
	FaultSlow      FaultKind = "slow"       // the answer comes Delay later
)

// Fault is a drill's fault: its kind, the share of calls it hits (0 < Share ≤ 1), and its numbers.
type Fault struct {
	Kind   FaultKind
	Share  float64
	Status int
	Delay  time.Duration
}
