package standing

import (
	"sync"

	"segue/controlplane/health"
)

// ring keeps the latest health.MaxEvents events until a report takes them: what happens in a storm cannot grow the agent. Its lock is the
// last that is taken.
type ring struct {
	mu     sync.Mutex
	events [health.MaxEvents]health.Event
	next   int // where the next one goes
	n      int
}

func (r *ring) put(e health.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events[r.next] = e
	r.next = (r.next + 1) % len(r.events)
	r.n = min(r.n+1, len(r.events))
}

// take returns the events, oldest first, and forgets them.
func (r *ring) take() []health.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.n == 0 {
		return nil
	}
	out := make([]health.Event, 0, r.n)
	for i := range r.n {
		out = append(out, r.events[(r.next-r.n+i+len(r.events))%len(r.events)])
	}
	r.n = 0
	return out
}
