package e2e

import (
	"fmt"
	"testing"
	"time"

	"segue/dataplane/sandbox"
)

// TestProviderFails breaks the provider that carries the load, in every honest way: no read fails and no call that was not sent; what was
// sent ends proven or as "outcome unknown"; nothing is executed twice.
func TestProviderFails(t *testing.T) {
	for name, fault := range map[string]sandbox.Fault{
		"refuse":              {Kind: sandbox.Refuse},
		"503":                 {Kind: sandbox.Status, Code: 503},
		"500 after execution": {Kind: sandbox.Status, Code: 500, Executed: true},
		"reset":               {Kind: sandbox.Reset},
		"reset after":         {Kind: sandbox.Reset, Executed: true},
		"hang":                {Kind: sandbox.Hang},
		"hang after":          {Kind: sandbox.Hang, Executed: true},
		"429":                 {Kind: sandbox.Limit},
	} {
		t.Run(name, func(t *testing.T) { providerFails(t, fault, mainProvider) })
	}
	t.Run("hang after at a provider without keys", func(t *testing.T) {
		providerFails(t, sandbox.Fault{Kind: sandbox.Hang, Executed: true}, legacyProvider)
	})
}

func providerFails(t *testing.T, fault sandbox.Fault, at string) {
	p := alone()
	p.tries = "{max: 3, per_try: 500ms, deadline: 3s}"
	p.weights = map[string]string{"local": "{" + at + ": 80, backup: 20}"}
	p.latency = sandbox.Latency{Median: 4 * time.Millisecond}
	w := newWorld(t, p)
	l := newLoad(w, 8, 25*time.Millisecond)
	shopper := w.shop(10)
	l.grows(50, 20*time.Second)
	w.faults(at, fault)
	l.grows(upTo(400, 150), 60*time.Second)
	w.faults(at)
	back := time.Now()
	before := w.sessionsAt(at, "")
	eventually(t, 15*time.Second, at+" takes calls again", func() error {
		if w.sessionsAt(at, "") == before {
			return fmt.Errorf("none since %v", back)
		}
		return nil
	})
	l.reckon()
	shopper.reckon()
}

// customers are a shopper beside the load: it also captures and refunds, and comes again with the same key.
type customers struct {
	w *world
	s *sandbox.Shopper
}

func (w *world) shop(rate float64) *customers {
	w.t.Helper()
	var targets []sandbox.Target
	for _, r := range w.plan.regions {
		targets = append(targets, sandbox.Target{Region: r, URL: w.url(r), Rate: rate})
	}
	s, err := sandbox.NewShopper(sandbox.ShopperConfig{Targets: targets, Seed: w.seed, Backoff: 100 * time.Millisecond})
	if err == nil {
		err = s.Start()
	}
	if err != nil {
		w.t.Fatal(err)
	}
	c := &customers{w, s}
	w.t.Cleanup(c.end)
	return c
}

func (c *customers) end() {
	ctx, cancel := contextFor(20 * time.Second)
	defer cancel()
	if err := c.s.Stop(ctx); err != nil {
		c.w.t.Error(err)
	}
}

// reckon ends the shopping and holds the shopper's memory against the books.
func (c *customers) reckon() {
	c.w.t.Helper()
	c.end()
	v := sandbox.Audit(c.s, c.w.box.Books()...)
	st := c.s.Stats()
	c.w.t.Logf("shopper: %d calls, %d effects, %d unknown, failed %v", st.Calls, v.Operations, v.Unknown, st.Failed)
	if v.Operations == 0 {
		c.w.t.Error("the shopper asked for nothing")
	}
	if v.Twice != 0 || v.Lost != 0 || v.Guessed != 0 {
		c.w.t.Errorf("twice %d %v, lost %d %v, guessed %d %v", v.Twice, v.TwiceOrders, v.Lost, v.LostOrders, v.Guessed, v.GuessedOrders)
	}
	if n := st.Failed[sandbox.Transport]; n != 0 {
		c.w.t.Errorf("%d calls of the shopper ended without an answer", n)
	}
}
