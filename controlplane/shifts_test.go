package controlplane

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"segue/controlplane/policy"
	"segue/controlplane/state"
)

// shifting is a cluster with a shift of payments in eu, from 70/30 to 0/100 in four steps, and who reports to it.
func shifting(t *testing.T) (c *cluster, r *reporters, id string) {
	t.Helper()
	var ahead atomic.Int64
	c = newClusterAt(t, 3, func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) })
	r = &reporters{c: c, ahead: &ahead}
	leader := c.nodes[c.leader()]
	if _, err := leader.Propose(within(t), state.Command{Request: "p", Actor: "ann", Reason: "first", ApplyPolicy: &state.ApplyPolicy{Source: []byte(document)}}); err != nil {
		t.Fatal(err)
	}
	begin := &state.BeginShift{Service: "payments", Regions: []string{"eu"}, Weights: []policy.Weight{{Provider: "main"}, {Provider: "backup", Percent: 100}},
		Pace: state.Pace{Steps: []float64{10, 30, 60, 100}, Every: 20 * time.Second, Margin: 5}}
	result, err := leader.Propose(within(t), state.Command{Request: "s", Actor: "ann", Reason: "fees", Beside: state.Beside{BeginShift: begin}})
	if err != nil {
		t.Fatal(err)
	}
	return c, r, result.Order
}

// shift is the furthest that a node knows of it.
func (c *cluster) shift(id string) (best state.Shift) {
	for _, s := range c.nodes {
		if s == nil {
			continue
		}
		if f, _ := s.State().Shift(id); best.ID == "" || f.Index > best.Index {
			best = f
		}
	}
	return best
}

// TestAShiftSurvivesItsLeader: the next leader goes on where the last one stopped; each step is taken once, in its order, and none early.
func TestAShiftSurvivesItsLeader(t *testing.T) {
	c, r, id := shifting(t)
	r.until("two steps", func() bool { return c.shift(id).Taken == 2 })
	dead := c.leader()
	if err := c.nodes[dead].Kill(); err != nil {
		t.Fatal(err)
	}
	c.nodes[dead] = nil
	r.until("it is finished", func() bool { return c.shift(id).Phase == state.Finished })
	st := c.nodes[c.leader()].State()
	var steps []state.Entry
	for _, e := range st.Audit {
		if strings.Contains(e.Text, "of shift "+id) {
			steps = append(steps, e)
		}
	}
	if len(steps) != 4 {
		t.Fatalf("%d steps in the audit: %+v", len(steps), steps)
	}
	for i, e := range steps {
		if !strings.Contains(e.Text, fmt.Sprintf("step %d of 4", i+1)) || !strings.HasSuffix(e.Actor, " for ann") || e.Reason != "fees" {
			t.Errorf("step %d: %+v", i+1, e)
		}
		if i > 0 && e.At.Sub(steps[i-1].At) < 20*time.Second {
			t.Errorf("step %d came %v after the one before", i+1, e.At.Sub(steps[i-1].At))
		}
	}
	if st.Current().Number != 5 || st.Current().Policy.Service("payments").WeightsIn("eu")[1].Percent != 100 {
		t.Errorf("revision %d: %+v", st.Current().Number, st.Current().Policy.Service("payments").WeightsIn("eu"))
	}
}

// TestAShiftGoesBackByItself: the gainer's circuit opens in mid-shift.
func TestAShiftGoesBackByItself(t *testing.T) {
	c, r, id := shifting(t)
	r.until("a step", func() bool { return c.shift(id).Taken == 1 })
	r.open = true
	r.until("it went back", func() bool { return c.shift(id).Phase == state.Returned })
	st := c.nodes[c.leader()].State()
	last := st.Audit[len(st.Audit)-1]
	if w := st.Current().Policy.Service("payments").WeightsIn("eu"); w[0].Percent != 70 || w[1].Percent != 30 || !strings.Contains(last.Text, "went back after step 1 of 4: the circuit of backup is open in eu") {
		t.Errorf("%+v, %+v", w, last)
	}
}

// TestAShiftIsHeldInSilence: without reports no step is taken; once they come, a whole step's time passes first.
func TestAShiftIsHeldInSilence(t *testing.T) {
	c, r, id := shifting(t)
	r.until("a step", func() bool { return c.shift(id).Taken == 1 })
	r.deaf = true
	r.until("it is held", func() bool { return c.shift(id).Phase == state.Held })
	if f := c.shift(id); f.Taken != 1 || !strings.Contains(f.Why, "in eu") {
		t.Fatalf("%+v", f.Course)
	}
	r.deaf = false
	r.until("it goes on", func() bool { return c.shift(id).Taken == 2 })
	var resumed, stepped time.Time
	for _, e := range c.nodes[c.leader()].State().Audit {
		switch {
		case e.Kind == "MoveShift resume":
			resumed = e.At
		case strings.Contains(e.Text, "step 2 of 4"):
			stepped = e.At
		}
	}
	if resumed.IsZero() || stepped.Sub(resumed) < 20*time.Second {
		t.Errorf("it went on at %v, and the step came at %v", resumed, stepped)
	}
}

// TestShiftsAreMeasured: every node shows the newest shift, with its phase, for an hour after its end.
func TestShiftsAreMeasured(t *testing.T) {
	c, r, id := shifting(t)
	r.until("two steps", func() bool { return c.shift(id).Taken == 2 })
	shown := func() string {
		var list []string
		for _, s := range c.nodes {
			all, err := s.cfg.Metrics.Gather()
			if err != nil {
				t.Fatal(err)
			}
			for _, family := range all {
				if family.GetName() == "segue_shift_ratio" {
					list = append(list, strings.Join(strings.Fields(family.GetMetric()[0].String()), " "))
				}
			}
		}
		return strings.Join(list, "\n")
	}
	eventually(t, "all three tell of it", func() bool {
		got := shown()
		return strings.Count(got, `value:"shifting"`) == 3 && strings.Count(got, `value:0.3`) == 3
	})
	if _, err := c.nodes[c.leader()].Propose(within(t), state.Command{Request: "stop", Actor: "ann", Reason: "enough", Beside: state.Beside{MoveShift: &state.MoveShift{ID: id, Act: state.ShiftStop}}}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is stopped", func() bool { return strings.Count(shown(), `value:"stopped"`) == 3 })
	r.ahead.Add(int64(shiftToldFor))
	eventually(t, "it is told of no more", func() bool { return shown() == "" })
}
