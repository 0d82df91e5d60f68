package e2e

import (
	"fmt"
	"sync"
	"syscall"
	"testing"
	"time"

	"segue/dataplane/sandbox"
)

// TestDrainOnSIGTERM ends an agent in order while calls are under way: each finishes, none fails, and the process exits 0.
func TestDrainOnSIGTERM(t *testing.T) {
	t.Parallel()
	w := newWorld(t, alone())
	c := w.caller("local")
	w.faults(mainProvider, sandbox.Fault{Kind: sandbox.Slow, Delay: 1500 * time.Millisecond})
	const n = 30
	answers := make(map[string]told, n)
	var mu sync.Mutex
	var calls sync.WaitGroup
	for i := range n {
		calls.Go(func() {
			order := fmt.Sprintf("o-%d", i)
			a := c.charge(order, "")
			mu.Lock()
			defer mu.Unlock()
			answers[order] = a
		})
	}
	eventually(t, 10*time.Second, "all calls are with the provider", func() error {
		if got := w.charges(mainProvider); got != n {
			return fmt.Errorf("%d of %d", got, n)
		}
		return nil
	})
	w.agents["local"].signal(syscall.SIGTERM)
	eventually(t, 3*time.Second, "the agent says that it is not ready", func() error {
		if wants(200, "http://"+w.admin("local")+"/readyz") == nil {
			return fmt.Errorf("it still is")
		}
		return nil
	})
	code := w.agents["local"].await(20 * time.Second)
	calls.Wait()
	for order, a := range answers {
		if a.err != nil || a.status != 200 {
			t.Errorf("%s, under way at the end: %v", order, a)
		}
	}
	if code != 0 {
		t.Errorf("the agent ended with %d", code)
	}
	w.reckon(answers)
}

// TestControlEndsInOrder ends control nodes by SIGTERM: each exits 0, and the others take changes.
func TestControlEndsInOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t, plan{regions: []string{"us-east"}})
	leads := w.leader(10 * time.Second)
	w.nodes[leads].signal(syscall.SIGTERM)
	if code := w.nodes[leads].await(20 * time.Second); code != 0 {
		t.Errorf("the leader ended with %d", code)
	}
	w.writesAgain(0, leads)
	for i, n := range w.nodes {
		if i == leads {
			continue
		}
		n.signal(syscall.SIGTERM)
		if code := n.await(20 * time.Second); code != 0 {
			t.Errorf("%s ended with %d", n.name, code)
		}
	}
}
