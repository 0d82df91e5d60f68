package state

import (
	"time"

	"segue/controlplane/health"
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
	Verdicts []health.Verdict // hints: what an agent keeps on disk does not have them
	Now      time.Time        // the sender's clock: agents turn an order's end into time left
}

// Update returns what region is to be sent now. Before the first revision it carries Revision 0 and no policy. A region that the
// policy in force does not have is an error: its agents could only stop what they serve. The Policy is shared: do not write to it.
func (s *State) Update(region string, now time.Time) (Update, error) {
	u := Update{Position: Position{s.Incarnation, s.Index}, Revision: s.Current().Number, Now: now}
	if u.Revision == 0 {
		return u, nil
	}
	cut, ok := s.cuts[region]
	if !ok {
		return Update{}, refuse(NotFound, "revision %d has no region %q", u.Revision, region)
	}
	u.Policy = cut.Source
	for _, o := range s.InForce(now) {
		if concerns(&o, region) {
			u.Orders = append(u.Orders, o)
		}
	}
	for _, v := range s.verdictsAt(now) {
		if about(v, region) {
			u.Verdicts = append(u.Verdicts, v)
		}
	}
	return u, nil
}
