package feed

import (
	"testing"
	"time"
)

// An agent that is told to stop must not wait for its node. Of a few, the quickest counts: a busy machine is late for some.
func TestAnAgentStopsAtOnce(t *testing.T) {
	src := newSource()
	src.set(1, "1")
	s, addr := serve(t, src)
	soonest := time.Hour
	for range 5 {
		a := join(t, &local{}, "a1", addr)
		eventually(t, "attached", func() bool { return s.Attached() == 1 })
		start := time.Now()
		a.Stop()
		soonest = min(soonest, time.Since(start))
		eventually(t, "gone", func() bool { return s.Attached() == 0 })
	}
	if soonest > 100*time.Millisecond {
		t.Errorf("it took %v to stop", soonest)
	}
}
