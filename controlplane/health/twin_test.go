package health

import (
	"errors"
	"testing"
	"time"
)

// A run that still reports long after another took its id over has not ended: both are shown, and neither replaces the other again.
func TestTwoRunsUnderOneID(t *testing.T) {
	w, at := NewWindow(), time.Unix(1_800_000_000, 0)
	seq := map[string]uint64{}
	report := func(run string, after time.Duration) error {
		seq[run]++
		return w.Put(Report{Agent: "a", Region: "eu", Run: run, Seq: seq[run], At: at.Add(after)}, at.Add(after))
	}
	twin := func(after time.Duration) string { return w.World(at.Add(after)).Agents[0].Twin }
	if err := errors.Join(report("one", 0), report("two", time.Second)); err != nil {
		t.Fatal(err)
	}
	if err := report("one", 3*time.Second); !errors.Is(err, ErrLate) || twin(3*time.Second) != "" {
		t.Errorf("a late report of the run before: %v, twin %q", err, twin(3*time.Second))
	}
	if err := report("one", 7*time.Second); !errors.Is(err, ErrTwin) || twin(7*time.Second) != "one" {
		t.Errorf("a run that goes on: %v, twin %q", err, twin(7*time.Second))
	}
	if err := report("two", 8*time.Second); err != nil {
		t.Error(err)
	}
	if got := twin(18 * time.Second); got != "" {
		t.Errorf("the other run is silent, and still shown: %q", got)
	}
}

// Events are counted as they come, whatever their times and whatever an agent writes.
func TestEventsHaveAPlace(t *testing.T) {
	w, at := NewWindow(), time.Unix(1_800_000_000, 0)
	put := func(seq uint64, events ...Event) {
		if err := w.Put(Report{Agent: "a", Region: "eu", Run: "r", Seq: seq, Events: events}, at); err != nil {
			t.Fatal(err)
		}
	}
	put(1, Event{At: at.Add(-time.Second), Text: "later", Seq: 77})
	put(2, Event{At: at.Add(-time.Minute), Text: "earlier"}, Event{At: at, Text: "last"})
	world := w.World(at)
	got := map[string]uint64{}
	for _, e := range world.Events {
		got[e.Text] = e.Seq
	}
	if got["later"] != 1 || got["earlier"] != 2 || got["last"] != 3 || world.Told != 3 {
		t.Errorf("%v, told %d", got, world.Told)
	}
}
