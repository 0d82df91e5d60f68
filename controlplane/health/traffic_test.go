package health

import (
	"testing"
	"time"

	"segue/dataplane/ledger"
)

// TestOutcomesAreTheLedgers: the conversion between the two is a plain one.
func TestOutcomesAreTheLedgers(t *testing.T) {
	for ours, theirs := range map[Outcome]ledger.Outcome{
		Open: ledger.Open, Succeeded: ledger.Succeeded, Declined: ledger.Declined, NotSent: ledger.NotSent, Unknown: ledger.Unknown,
	} {
		if Outcome(theirs) != ours {
			t.Errorf("ledger's %d is not %d", theirs, ours)
		}
	}
}

func TestAttemptCounts(t *testing.T) {
	cases := []struct {
		sample  Sample
		outcome Outcome
		want    Traffic
	}{
		{Sample{Class: OK}, Succeeded, Traffic{Calls: 1, Succeeded: 1, Latency: Histogram{1}}},
		{Sample{Class: OK}, Declined, Traffic{Calls: 1, Declined: 1, Latency: Histogram{1}}},
		{Sample{Class: Limited}, NotSent, Traffic{Calls: 1, NotSent: 1, Limited: 1, Latency: Histogram{1}}},
		{Sample{Class: Failure, Latency: 4 * time.Second}, Unknown, Traffic{Calls: 1, Unknown: 1, Failed: 1, Latency: Histogram{10: 1}}},
		{Sample{Class: Slow}, Succeeded, Traffic{Calls: 1, Succeeded: 1, Latency: Histogram{1}}},
		{Sample{Class: None}, Unknown, Traffic{Calls: 1, Unknown: 1}},
		{Sample{}, Open, Traffic{Calls: 1}},
		{Sample{Class: 99}, 99, Traffic{Calls: 1, Unknown: 1, Latency: Histogram{1}}},
	}
	for _, tc := range cases {
		var got Traffic
		if got.Attempt(tc.sample, tc.outcome); got != tc.want {
			t.Errorf("%+v %d: %+v, want %+v", tc.sample, tc.outcome, got, tc.want)
		}
	}
}

func TestCallCounts(t *testing.T) {
	var r ServiceRow
	for _, e := range []CallEnd{
		{Outcome: Succeeded}, {Outcome: Declined}, {Outcome: Unknown}, {Outcome: NotSent}, {Outcome: Open}, {Outcome: 99},
		{Outcome: Succeeded, FailedOver: true}, {Outcome: Declined, FailedOver: true}, {Outcome: NotSent, FailedOver: true},
	} {
		r.Count(e)
	}
	want := ServiceRow{Calls: 9, Succeeded: 2, Declined: 2, Unknown: 2, Refused: 2, FailedOver: 3, Saved: 2, Overhead: FineHistogram{9}}
	if r != want {
		t.Errorf("%+v, want %+v", r, want)
	}
	twice := r
	if twice.Add(&r); twice.Calls != 18 || twice.Saved != 4 || twice.Overhead.Count() != 18 {
		t.Errorf("%+v", twice)
	}
}
