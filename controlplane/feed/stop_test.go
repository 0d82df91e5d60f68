package feed

import (
	"testing"
	"time"
)

// An agent that is told to stop must not wait for its node.
func TestAnAgentStopsAtOnce(t *testing.T) {
	src := newSource()
	src.set(1, "1")
	s, addr := serve(t, src)
	a := join(t, &local{}, "a1", addr)
	eventually(t, "attached", func() bool { return s.Attached() == 1 })
	start := time.Now()
	a.Stop()
	if took := time.Since(start); took > 100*time.Millisecond {
		t.Errorf("it took %v to stop", took)
	}
}
