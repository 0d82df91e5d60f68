package replica

import (
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// contacts knows which peers do not answer this node while it leads.
type contacts struct {
	mu   sync.Mutex
	gone map[string]time.Time // since when
}

// heartbeats keeps only what contacts wants to hear.
func heartbeats(o *raft.Observation) bool {
	switch o.Data.(type) {
	case raft.FailedHeartbeatObservation, raft.ResumedHeartbeatObservation:
		return true
	default:
		return false
	}
}

func (c *contacts) note(o raft.Observation, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch d := o.Data.(type) {
	case raft.FailedHeartbeatObservation:
		since := d.LastContact
		if since.IsZero() {
			since = now
		}
		c.gone[string(d.PeerID)] = since
	case raft.ResumedHeartbeatObservation:
		delete(c.gone, string(d.PeerID))
	}
}

// reset forgets what an earlier term knew.
func (c *contacts) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gone = map[string]time.Time{}
}

func (c *contacts) lost(id string) bool { return !c.since(id).IsZero() }

func (c *contacts) since(id string) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.gone[id]
}
