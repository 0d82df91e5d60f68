package controlplane

import (
	"context"
	"sync"
	"time"

	"segue/controlplane/feed"
	"segue/controlplane/health"
	"segue/controlplane/state"
)

// uplink carries reports and acknowledgements from the node that an agent is attached to up to the leader. What cannot be delivered is
// dropped, oldest first: reports are made anew each second, and nothing is decided from them that the agents do not know.
type uplink struct {
	server *Server
	wake   chan struct{}

	mu      sync.Mutex
	reports []health.Report
	acks    []state.Ack
}

const (
	maxWaiting = 4096                   // reports or acknowledgements that wait for a leader
	maxTelling = 64                     // reports in one message: a message stays under its limit
	gatherFor  = 20 * time.Millisecond  // from the first that waits until it is told
	tellLimit  = 500 * time.Millisecond // a leader that takes longer is asked again
)

func newUplink(s *Server) *uplink {
	return &uplink{server: s, wake: make(chan struct{}, 1)}
}

func (u *uplink) report(r health.Report) {
	u.mu.Lock()
	u.reports = append(u.reports[max(0, len(u.reports)-maxWaiting+1):], r)
	u.mu.Unlock()
	u.nudge()
}

func (u *uplink) ack(a state.Ack) {
	u.mu.Lock()
	u.acks = append(u.acks[max(0, len(u.acks)-maxWaiting+1):], a)
	u.mu.Unlock()
	u.nudge()
}

func (u *uplink) nudge() {
	select {
	case u.wake <- struct{}{}:
	default:
	}
}

// run sends what waits, in order, until the node stops.
func (u *uplink) run() {
	for {
		select {
		case <-u.server.ends.Done():
			return
		case <-u.wake:
		}
		u.gather()
		for reports, acks := u.take(); len(reports)+len(acks) > 0; reports, acks = u.take() {
			if err := u.tell(reports, acks); err != nil {
				u.server.cfg.Log.Debug("reports were not delivered", "reports", len(reports), "acks", len(acks), "error", err)
				u.putBack(acks)
				u.rest()
				break
			}
		}
	}
}

// gather waits for more to come: a hundred agents acknowledge a change within a moment, and one message tells it as well as a hundred.
func (u *uplink) gather() {
	select {
	case <-u.server.ends.Done():
	case <-time.After(gatherFor):
	}
}

func (u *uplink) take() ([]health.Report, []state.Ack) {
	u.mu.Lock()
	defer u.mu.Unlock()
	n := min(len(u.reports), maxTelling)
	reports, acks := u.reports[:n:n], u.acks
	u.reports, u.acks = u.reports[n:], nil
	return reports, acks
}

// putBack keeps acknowledgements for the next try: unlike reports they are not made again.
func (u *uplink) putBack(acks []state.Ack) {
	u.mu.Lock()
	u.acks = append(acks, u.acks...)
	u.acks = u.acks[max(0, len(u.acks)-maxWaiting):]
	u.mu.Unlock()
}

// rest waits a moment, then tries again even if nothing new comes.
func (u *uplink) rest() {
	select {
	case <-u.server.ends.Done():
	case <-time.After(retryEvery):
		u.nudge()
	}
}

func (u *uplink) tell(reports []health.Report, acks []state.Ack) error {
	ctx, cancel := context.WithTimeout(u.server.ends, tellLimit)
	defer cancel()
	return u.server.tryLeader(ctx, leaderTry, func(ctx context.Context, p *feed.Peer) error {
		if p == nil {
			return node{u.server}.Tell(ctx, reports, acks)
		}
		return p.Tell(ctx, reports, acks)
	})
}
