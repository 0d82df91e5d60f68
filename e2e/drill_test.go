package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"segue/controlplane/policy"
	"segue/controlplane/state"
)

// drill starts a drill by command and returns its id.
func (w *world) drill(args ...string) string {
	w.t.Helper()
	var done struct {
		Order string
		Ends  time.Time
	}
	w.segue(append([]string{"drill", "run", "-o", "json"}, args...)...).decode(w.t, &done)
	if done.Order == "" || done.Ends.IsZero() {
		w.t.Fatalf("a drill without id or end: %+v", done)
	}
	w.inForce()
	return done.Order
}

// inForce waits until every agent has acknowledged all that the control plane has decided so far.
func (w *world) inForce() {
	w.t.Helper()
	var cluster struct {
		Index uint64
		Acks  []state.Ack
	}
	eventually(w.t, 10*time.Second, "every agent has the newest update", func() error {
		a := w.api(0, http.MethodGet, "/cluster", "", "", nil)
		if err := json.Unmarshal(a.body, &cluster); a.err != nil || err != nil || len(cluster.Acks) != len(w.plan.regions) {
			return fmt.Errorf("%v", a)
		}
		for _, ack := range cluster.Acks {
			if ack.Index < cluster.Index {
				return fmt.Errorf("%s has %d of %d", ack.Agent, ack.Index, cluster.Index)
			}
		}
		return nil
	})
}

func (w *world) drills() []policy.Order {
	w.t.Helper()
	var list []policy.Order
	w.segue("drill", "list", "-o", "json").decode(w.t, &list)
	return list
}

// until begins new sessions until one is answered as wanted.
func (c *caller) until(within time.Duration, what string, good func(told) bool) told {
	c.t.Helper()
	var last told
	eventually(c.t, within, what, func() error {
		if last = c.get("/v1/balance", ""); !good(last) {
			return fmt.Errorf("%v", last)
		}
		return nil
	})
	return last
}

// TestDrills gives each kind of drill by command. Agents inject it, callers see what the fault means and nothing worse, and it ends.
func TestDrills(t *testing.T) {
	p := alone()
	p.tries = "{max: 3, per_try: 500ms, deadline: 2s}"
	p.breaker = "{failures: 1000, successes: 1, reset: 1s}"
	w := newWorld(t, p)
	c := w.caller("local")
	for _, d := range []struct {
		fault, extra string
		reached      int // requests that the provider may get for the charge
		unknown      bool
	}{
		{"refuse", "", 0, false}, // not sent: backup takes it
		{"hang", "", 0, true},
		{"lost-reply", "", 1, true},
		{"status", "--status=503", 0, true},
		{"status", "--status=429", 0, false},
		{"slow", "--delay=200ms", 1, false},
	} {
		t.Run(d.fault+d.extra, func(t *testing.T) {
			args := []string{d.fault, "--provider", mainProvider, "--for", "10m"}
			if d.extra != "" {
				args = append(args, d.extra)
			}
			id := w.drill(args...)
			order := "o-" + id
			if running := w.drills(); len(running) != 1 || running[0].ID != id || string(running[0].Fault.Kind) != d.fault {
				t.Errorf("drill list shows %+v", running)
			}
			before := w.charges(mainProvider)
			got := c.charge(order, "ses-"+order)
			reached := w.charges(mainProvider) - before
			w.judgeDrill(t, d.fault, got, d.unknown)
			if d.reached == 0 && reached != 0 {
				t.Errorf("%d requests reached the provider", reached)
			}
			w.reckon(map[string]told{order: got})
			w.segue("drill", "stop", id).fine(t)
			n, row := 0, 0
			eventually(t, 40*time.Second, "the drill has ended, and main is taken back", func() error {
				n++
				order := fmt.Sprintf("o-after-%s-%d", id, n)
				if a := c.charge(order, "ses-"+order); a.status != http.StatusOK || a.via() != mainProvider {
					row = 0
					return fmt.Errorf("%v", a)
				}
				if row++; row < 30 { // on a ramp it gets some; and what it does well outweighs what the drill did
					return fmt.Errorf("%d in a row", row)
				}
				return nil
			})
		})
	}
	if running := w.drills(); len(running) != 0 {
		t.Errorf("drills still run: %+v", running)
	}
}

// judgeDrill holds a charge under a drill against what its fault means.
func (w *world) judgeDrill(t *testing.T, fault string, got told, unknown bool) {
	t.Helper()
	switch {
	case unknown && got.problem() != "outcome-unknown" && got.status != http.StatusOK: // a re-drive with the same key may find the truth
		t.Errorf("under %s: %v", fault, got)
	case !unknown && got.status != http.StatusOK:
		t.Errorf("under %s the charge failed: %v", fault, got)
	case fault == "refuse" && got.via() == mainProvider:
		t.Errorf("under refuse the charge went to %s", got.via())
	}
}

// TestDrillEndsAlone gives a drill and kills the whole control plane: the agent ends it by its own clock, through a restart too. On a machine that
// is too busy to look at a drill of four seconds it is a longer one's turn.
func TestDrillEndsAlone(t *testing.T) {
	for length := 4 * time.Second; !drillEndsAlone(t, length); length *= 2 {
		if length > time.Minute {
			t.Fatalf("a drill of %v was over before it was looked at", length)
		}
	}
}

// drillEndsAlone tells whether the drill was seen before and after the restart.
func drillEndsAlone(t *testing.T, length time.Duration) bool {
	w := newWorld(t, alone())
	c := w.caller("local")
	began := time.Now()
	w.drill("refuse", "--provider", mainProvider, "--for", length.String())
	elsewhere := func(order string) bool { return c.charge(order, "").must(t).via() != mainProvider }
	during := elsewhere("o-during")
	w.nodes[0].kill()
	w.agents["local"].kill()
	w.agents["local"].start()
	w.agentReady("local", 10*time.Second)
	restarted := elsewhere("o-restarted")
	if !during || !restarted {
		if time.Since(began) < length {
			t.Fatalf("under a drill of %v a charge went to main %v after it began (before the restart %t)", length, time.Since(began), !during)
		}
		return false
	}
	c.until(length, "the drill ends", func(a told) bool { return a.status == http.StatusOK && a.via() == mainProvider })
	took := time.Since(began)
	if took < length-time.Second {
		t.Errorf("the drill of %v ended after %v", length, took)
	}
	promised(t, time.Second, took-length, began, "the drill ends after its time")
	return true
}

// TestDrain moves sessions away from a provider in one region, but for calls about objects that only it has, and ends by command.
func TestDrain(t *testing.T) {
	w := newWorld(t, plan{nodes: 1, regions: []string{"us-east", "eu-west"}})
	east, west := w.caller("us-east"), w.caller("eu-west")
	pinned := east.charge("o-pinned", "ses-pinned").must(t)
	w.segue("provider", "drain", mainProvider, "--for", "30m", "--region", "us-east", "--reason", "e2e").fine(t)
	drained := time.Now()
	east.until(time.Second, "new sessions leave", func(a told) bool { return a.status == http.StatusOK && a.via() != mainProvider })
	promised(t, time.Second, time.Since(drained), drained, "new sessions leave the drained provider")
	if by := east.get("/v1/balance", "ses-pinned").must(t).via(); by == mainProvider {
		t.Error("the pinned session stayed at the drained provider")
	}
	if by := east.get("/v1/charges/"+pinned.document().ID, "ses-other").must(t).via(); by != mainProvider {
		t.Errorf("a read of the object went to %s, not to its owner", by)
	}
	if by := west.get("/v1/balance", "ses-west").must(t).via(); by != mainProvider {
		t.Errorf("the drain of us-east moved eu-west to %s", by)
	}
	w.segue("provider", "resume", mainProvider).fine(t)
	east.until(5*time.Second, "new sessions come back", func(a told) bool { return a.via() == mainProvider })
}

// TestDrillsByAPI repeats an order with the same request id: there is one.
func TestDrillsByAPI(t *testing.T) {
	w := newWorld(t, alone())
	body := map[string]any{"fault": "slow", "provider": mainProvider, "for": "10m", "share": 0.5, "delay": "50ms"}
	var first, second struct{ Order string }
	for _, into := range []*struct{ Order string }{&first, &second} {
		a := w.api(0, http.MethodPost, "/drills", "e2e-drill", "", body).must(t)
		if err := json.Unmarshal(a.body, into); err != nil {
			t.Fatal(err)
		}
	}
	if first.Order == "" || first != second || len(w.drills()) != 1 {
		t.Errorf("the same request id gave %v and %v; %d drills run", first, second, len(w.drills()))
	}
	for what, bad := range map[string]map[string]any{
		"of two days":      {"fault": "refuse", "provider": mainProvider, "share": 1, "for": "48h"},
		"unknown fault":    {"fault": "explode", "provider": mainProvider, "share": 1, "for": "10s"},
		"unknown provider": {"fault": "refuse", "provider": "nobody", "share": 1, "for": "10s"},
		"share of 2":       {"fault": "refuse", "provider": mainProvider, "share": 2, "for": "10s"},
	} {
		a := w.api(0, http.MethodPost, "/drills", "", "", bad)
		if a.status/100 != 4 || a.problem() == "" && a.header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("a drill %s: %v", what, a)
		}
	}
	if n := len(w.drills()); n != 1 {
		t.Errorf("%d drills run", n)
	}
}
