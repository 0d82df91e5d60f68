package feed

import (
	"context"

	"segue/controlplane/health"
	"segue/controlplane/query"
	"segue/controlplane/state"
)

// Local is what the agent's end of the feed needs of its agent.
type Local interface {
	// Apply takes an Update. An error is sent up as a NACK with its text; the agent goes on with what it had.
	Apply(u state.Update) error
	Report() health.Report
	Answer(ctx context.Context, q query.Question) ([]byte, error)
}

// Source is what the server's end needs of its control node.
type Source interface {
	// Update returns what region is to be sent now.
	Update(region string) (state.Update, error)
	// Changed is closed at the next change after which Update may differ.
	Changed() <-chan struct{}
	// Reported takes a report; a follower's passes it on to the leader.
	Reported(r health.Report)
	// Propose, for changes that a follower forwards here. It answers NoLeader unless this node leads.
	Propose(ctx context.Context, c state.Command) (state.Result, error)
}
