package settle

import (
	"context"
	"sync"
)

// crowd counts what is under way. Unlike a WaitGroup it may be entered while somebody waits: calls that were let in before a stop still
// come from match to claim.
type crowd struct {
	mu      sync.Mutex
	n       int
	waiting []chan struct{}
}

func (c *crowd) enter() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n++
}

func (c *crowd) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n--; c.n > 0 {
		return
	}
	for _, w := range c.waiting {
		close(w)
	}
	c.waiting = nil
}

// wait returns when nobody is inside, or with ctx's cause.
func (c *crowd) wait(ctx context.Context) error {
	c.mu.Lock()
	if c.n == 0 {
		c.mu.Unlock()
		return nil
	}
	empty := make(chan struct{})
	c.waiting = append(c.waiting, empty)
	c.mu.Unlock()
	select {
	case <-empty:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
