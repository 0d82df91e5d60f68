package health

import (
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"
)

func withLanes(agent string, seq uint64, lanes ...Lane) Report {
	r := reportOf(agent, "us-east", seq, 1, 0)
	r.Rows[0].Lanes = lanes
	return r
}

// TestLanesOfSeveralAgents: the worst speaks, with what led to it; times are the latest, the next the nearest; leavings add up.
func TestLanesOfSeveralAgents(t *testing.T) {
	w := NewWindow()
	put(t, w, withLanes("a1", 1,
		Lane{Kind: Synthetic, Name: "void", Level: Good, At: t0.Add(-2 * time.Second), Since: t0.Add(-time.Hour), Next: t0.Add(9 * time.Second), MS: 20, Left: 1},
		Lane{Kind: Active, Name: "tcp", Level: Good, At: t0.Add(-3 * time.Second), Since: t0.Add(-time.Hour), Next: t0.Add(3 * time.Second), MS: 2}), t0)
	put(t, w, withLanes("a2", 1,
		Lane{Kind: Active, Name: "tcp", Level: Bad, Why: "refused", At: t0.Add(-5 * time.Second), Since: t0.Add(-time.Minute), Next: t0.Add(time.Second), MS: 1, Yields: t0.Add(time.Minute)},
		Lane{Kind: Synthetic, Name: "void", Level: Good, At: t0.Add(-time.Second), Since: t0.Add(-2 * time.Hour), Next: t0.Add(20 * time.Second), MS: 30, Left: 2, Why: "2 steps"}), t0)
	got := w.World(t0).Cells[0].Lanes
	want := []Lane{
		{Kind: Active, Name: "tcp", Level: Bad, Why: "refused", At: t0.Add(-3 * time.Second), Since: t0.Add(-time.Minute), Next: t0.Add(time.Second), MS: 1, Yields: t0.Add(time.Minute), History: []float64{2, None64}},
		{Kind: Synthetic, Name: "void", Level: Good, Why: "2 steps", At: t0.Add(-time.Second), Since: t0.Add(-2 * time.Hour), Next: t0.Add(9 * time.Second), MS: 30, Left: 3, History: []float64{20, 30}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// TestHistoryOfALane: a result counts once, however often it is reported, and only so many are kept; a lane that is gone makes room.
func TestHistoryOfALane(t *testing.T) {
	w := NewWindow()
	now := t0
	for i := range 3 * LanePoints {
		now = t0.Add(time.Duration(i) * time.Second)
		put(t, w, withLanes("a1", uint64(i+1), Lane{Kind: Active, Name: "tcp", Level: Good, At: t0.Add(time.Duration(i/2) * 2 * time.Second), MS: float64(i / 2)}), now)
	}
	history := w.World(now).Cells[0].Lanes[0].History
	if len(history) != LanePoints || history[LanePoints-1] != 3*LanePoints/2-1 || history[0] != LanePoints/2 {
		t.Errorf("%d results: %v", len(history), history)
	}
	for i := range 100 {
		now = now.Add(time.Second)
		put(t, w, withLanes("a1", uint64(1000+i), Lane{Kind: Active, Name: fmt.Sprint("GET /", i), Level: Good, At: now}), now)
	}
	for k, of := range w.lanes {
		if len(of) > MaxLanes {
			t.Errorf("%v: %d lanes are kept", k, len(of))
		}
	}
}

// TestLanesThatCannotBe: whatever an agent sends, a lane is one.
func TestLanesThatCannotBe(t *testing.T) {
	w := NewWindow()
	lanes := []Lane{
		{Kind: Active, Name: "tcp", Level: "splendid", Why: strings.Repeat("x", 10*maxText), At: t0.Add(time.Hour), Since: t0.Add(time.Hour), Next: t0.AddDate(9, 0, 0), Yields: t0.AddDate(9, 0, 0), MS: math.Inf(1), Left: -5, History: []float64{1}},
		{Kind: Active, Name: "tcp", Level: Bad}, {Kind: "passive", Name: "x"}, {Kind: Active, Name: ""}, {Kind: Active, Name: strings.Repeat("n", 1000)},
		{Kind: Synthetic, Name: "nan", Level: Good, At: t0, MS: math.NaN()},
	}
	for i := range 50 {
		lanes = append(lanes, Lane{Kind: Synthetic, Name: fmt.Sprint(i), Level: Good, At: t0})
	}
	put(t, w, withLanes("a1", 1, lanes...), t0)
	got := w.World(t0).Cells[0].Lanes
	if len(got) > MaxLanes {
		t.Errorf("%d lanes", len(got))
	}
	first := got[0]
	if first.Name != "tcp" || first.Level != "" || len(first.Why) > maxText || first.At.After(t0) || first.Since.After(t0) || first.Next.After(t0.Add(maxLaneTime)) ||
		first.Yields.After(t0.Add(maxLaneTime)) || first.MS > maxLaneMS || first.Left != 0 || len(first.History) != 1 || first.History[0] > maxLaneMS {
		t.Errorf("%+v", first)
	}
	for _, l := range got {
		if math.IsNaN(l.MS) || l.Kind != Active && l.Kind != Synthetic {
			t.Errorf("%+v", l)
		}
	}
}

func TestSummaryIsTheWorst(t *testing.T) {
	lanes := []Lane{{Kind: Active, Name: "a", Level: Good}, {Kind: Synthetic, Name: "s", Level: Bad}, {Kind: Active, Name: "b", Level: Warned}, {Kind: Active, Name: "c"}}
	if l, found := Summary(lanes, Active); !found || l.Name != "b" {
		t.Errorf("%+v", l)
	}
	if l, found := Summary(lanes[:1], Synthetic); found {
		t.Errorf("%+v", l)
	}
}
