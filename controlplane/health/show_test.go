package health

import (
	"testing"
	"time"
)

// TestRegionsAreShownApart: what callers saw in one region is not lost in the sum of all.
func TestRegionsAreShownApart(t *testing.T) {
	w := NewWindow()
	for i, region := range []string{"us-east", "eu-west"} {
		r := reportOf(region+"-1", region, 1, 0, 0)
		r.Services = []ServiceRow{{Service: "payments"}, {Service: "sms"}}
		for s := range r.Services {
			for range 10 {
				r.Services[s].Count(CallEnd{Outcome: []Outcome{Succeeded, NotSent}[i], Overhead: time.Millisecond})
			}
		}
		r.Services[0].UnknownOpen, r.Services[0].OldestUnknown = int32(i), t0.Add(-time.Minute)
		put(t, w, r, t0)
	}
	got := w.World(t0).Regions
	if len(got) != 2 || got[0].Region != "eu-west" || got[1].Region != "us-east" {
		t.Fatalf("%+v", got)
	}
	for i, want := range []struct {
		after float64
		open  int64
	}{{0, 1}, {100, 0}} {
		if r := got[i]; r.Calls != 20 || r.After != want.after || r.UnknownOpen != want.open {
			t.Errorf("%s: %d calls, %v %% served, %d unknown; want 20, %v, %d", r.Region, r.Calls, r.After, r.UnknownOpen, want.after, want.open)
		}
	}
}

// TestACellHasItsHistory: errors and latency as long as its rates, with gaps where nothing was sent.
func TestACellHasItsHistory(t *testing.T) {
	w := NewWindow()
	for i := range uint64(4) {
		r := reportOf("a1", "us-east", i+1, 0, 0)
		if i != 2 {
			for n := range 10 {
				class := OK
				if i == 1 && n < 3 {
					class = Failure
				}
				r.Rows[0].Attempt(Sample{Class: class, Latency: 40 * time.Millisecond}, Succeeded)
			}
		}
		put(t, w, r, t0.Add(time.Duration(i)*Step))
	}
	c := w.World(t0.Add(4 * Step)).Cells[0]
	n := len(c.Rates)
	if n != 4 || len(c.Good) != n || len(c.P99s) != n {
		t.Fatalf("%d rates, %d shares, %d latencies", n, len(c.Good), len(c.P99s))
	}
	if c.Good[0] != 100 || c.Good[1] != 70 || c.Good[2] != None64 || c.Good[3] != 100 {
		t.Errorf("shares: %v", c.Good)
	}
	if c.P99s[2] != None64 || c.P99s[0] < 40 || c.P99s[0] > 60 {
		t.Errorf("latencies: %v", c.P99s)
	}
}

// TestTroubleBeganWithItsFirstAgent: one agent probes again, another opens; the cell's trouble is as old as the older of both.
func TestTroubleBeganWithItsFirstAgent(t *testing.T) {
	w := NewWindow()
	for i, c := range []Condition{{Breaker: "half-open", Since: t0.Add(-time.Hour), Probes: "1 of 5"}, {Breaker: "open", Since: t0.Add(-time.Second), Why: "3 failures in a row"}, {Breaker: "closed", Since: t0.Add(-2 * time.Hour)}} {
		r := reportOf(string(rune('a'+i)), "us-east", 1, 1, 0)
		r.Rows[0].Condition = c
		put(t, w, r, t0)
	}
	if st := w.World(t0).Cells[0].Stand; st.Breaker != "open" || st.Why != "3 failures in a row" || !st.Since.Equal(t0.Add(-time.Hour)) {
		t.Errorf("%+v", st)
	}
}
