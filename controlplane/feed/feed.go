package feed

import (
	"context"
	"time"

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
	// Update returns what region is to be sent now. An error (the node is still replaying) ends the agent's connection: it
	// goes to another node.
	Update(region string) (state.Update, error)
	// Newest returns once this node holds every change that was acknowledged before the call, or says why it cannot tell.
	Newest(ctx context.Context) error
	// Changed is closed at the next change after which Update may differ.
	Changed() <-chan struct{}
	// Reported takes a report; a follower passes it on to the leader.
	Reported(r health.Report)
	// Acked takes what became of an Update; a follower passes it on to the leader.
	Acked(a state.Ack)
}

// Answer is what one agent said to a question.
type Answer struct {
	Agent, Region, Run string
	Body               []byte // JSON of the shape that query names
	Err                string
}

// Bounds of the wire.
const (
	maxMessage   = 4 << 20                 // one message: a policy is at most 1 MiB, a busy report some 100 KiB
	beatEvery    = time.Second             // a node that serves says so
	silence      = 3500 * time.Millisecond // an agent that heard nothing for so long goes elsewhere
	reportEvery  = time.Second
	newestWithin = 2 * time.Second      // a node may take to find out whether it is behind
	ackSpread    = 4 * time.Millisecond // for each agent that is attached to a node: over which they spread their acknowledgements
	ackLatest    = time.Second          // however many there are
	maxAgents    = 2000                 // attached to one node
	maxQuestions = 64                   // under way at one agent
)
