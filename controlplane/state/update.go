package state

import (
	"time"

	"segue/controlplane/policy"
)

// Position orders Updates: same incarnation and a lower index is refused by the agent.
type Position struct {
	Incarnation string
	Index       uint64
}

// Update is what an agent is sent: the region's cut of the policy as a document (parsed and compiled only where it is applied) and the
// orders that concern the region. It carries everything: the latest Update wins.
type Update struct {
	Position
	Revision uint64
	Policy   []byte // YAML of the region's cut
	Orders   []policy.Order
	Now      time.Time // the sender's clock: agents turn an order's end into time left
}
