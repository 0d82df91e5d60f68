package health

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// The generators make what no agent sends: any number, any text, any time.
var (
	anyCount = rapid.OneOf(rapid.Uint32Range(0, 3), rapid.Uint32())
	anyName  = rapid.OneOf(rapid.SampledFrom([]string{"payments", "sms", "stripe", "adyen", ""}), rapid.String())
	anyText  = rapid.OneOf(rapid.String(), rapid.Just(strings.Repeat("\xffé", 500)))
	anyGauge = rapid.SampledFrom([]float64{0, 70, -1, 1e300, math.NaN(), math.Inf(1), math.Inf(-1)})
)

func anyTime(t *rapid.T, label string) time.Time {
	switch rapid.IntRange(0, 4).Draw(t, label) {
	case 0:
		return time.Time{}
	case 1:
		return time.Date(-9000, 1, 1, 0, 0, 0, 0, time.UTC)
	case 2:
		return time.Date(99999, 1, 1, 0, 0, 0, 0, time.UTC)
	default:
		return t0.Add(time.Duration(rapid.Int64Range(-int64(time.Hour), int64(time.Hour)).Draw(t, label+" off")))
	}
}

func anyTraffic(t *rapid.T) Traffic {
	var tr Traffic
	for _, n := range []*uint32{&tr.Sessions, &tr.Calls, &tr.Succeeded, &tr.Declined, &tr.NotSent, &tr.Unknown, &tr.Limited, &tr.Failed} {
		*n = anyCount.Draw(t, "count")
	}
	for i := range tr.Latency {
		tr.Latency[i] = anyCount.Draw(t, "latency")
	}
	return tr
}

func anyCondition(t *rapid.T) Condition {
	return Condition{
		InFlight: rapid.Int32().Draw(t, "in flight"), Breaker: rapid.SampledFrom([]string{"closed", "open", "half-open", "ajar", ""}).Draw(t, "breaker"),
		Since: anyTime(t, "since"), Why: anyText.Draw(t, "why"), Probes: anyText.Draw(t, "probes"), Drained: anyTime(t, "drained"),
		Weight: anyGauge.Draw(t, "weight"), CheckOK: rapid.Int8().Draw(t, "check"), CheckWhy: anyText.Draw(t, "check why"), CheckAt: anyTime(t, "check at"),
	}
}

func anyService(t *rapid.T) ServiceRow {
	r := ServiceRow{Service: anyName.Draw(t, "service"), UnknownOpen: rapid.Int32().Draw(t, "unknown"), OldestUnknown: anyTime(t, "oldest")}
	for _, n := range []*uint32{&r.Calls, &r.Succeeded, &r.Declined, &r.Unknown, &r.Refused, &r.FailedOver, &r.Saved} {
		*n = anyCount.Draw(t, "count")
	}
	for i := range r.Overhead {
		r.Overhead[i] = anyCount.Draw(t, "overhead")
	}
	return r
}

func anyReport(t *rapid.T, region string) Report {
	r := Report{
		Agent: anyName.Draw(t, "agent"), Region: region, Run: rapid.SampledFrom([]string{"r1", "r2"}).Draw(t, "run"),
		Seq: uint64(anyCount.Draw(t, "seq")), At: anyTime(t, "at"),
		Addr: map[string]string{anyName.Draw(t, "addr of"): anyText.Draw(t, "addr")},
	}
	for range rapid.IntRange(0, 3).Draw(t, "rows") {
		r.Rows = append(r.Rows, Row{
			Service: anyName.Draw(t, "service"), Provider: anyName.Draw(t, "provider"), Traffic: anyTraffic(t), Condition: anyCondition(t),
		})
	}
	for range rapid.IntRange(0, 2).Draw(t, "services") {
		r.Services = append(r.Services, anyService(t))
	}
	for range rapid.IntRange(0, 2).Draw(t, "events") {
		r.Events = append(r.Events, Event{At: anyTime(t, "event"), Region: "us-east", Text: anyText.Draw(t, "text"), Kind: anyText.Draw(t, "kind")})
	}
	return r
}

// sane holds what every page relies on.
func sane(t *rapid.T, w World) {
	text, err := json.Marshal(w)
	if err != nil {
		t.Fatalf("a page cannot show it: %v", err)
	}
	if len(text) > 4<<20 {
		t.Fatalf("%d bytes", len(text))
	}
	share := func(what string, p float64) {
		if p != None64 && !(p >= 0 && p <= 100) {
			t.Fatalf("%s: %v %%", what, p)
		}
	}
	share("before", w.Total.Before)
	share("after", w.Total.After)
	if w.Total.Before > w.Total.After || w.Total.UnknownOpen < 0 || w.Total.OldestUnknown.After(w.At) {
		t.Fatalf("%+v", w.Total)
	}
	for _, c := range w.Cells {
		share("success", c.Success)
		share("share", c.Share)
		share("weight", c.Weight)
		if c.InFlight < 0 || c.Since.After(w.At) || c.CheckAt.After(w.At) || !(c.Rate >= 0) || len(c.Why) > maxText {
			t.Fatalf("%+v", c)
		}
	}
	for i, e := range w.Events {
		if e.At.After(w.At) || len(e.Text) > maxText || i > 0 && e.At.After(w.Events[i-1].At) {
			t.Fatalf("event %d: %+v", i, e)
		}
	}
}

// TestNoReportBreaksTheWorld: whatever one region's agents send, the world stays sane, and the other region's part of it to the byte.
func TestNoReportBreaksTheWorld(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		quiet, loud, now := NewWindow(), NewWindow(), t0
		for i := range rapid.IntRange(1, 8).Draw(t, "reports") {
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(20*time.Second)).Draw(t, "pass")))
			good := reportOf("the well one", "us-east", uint64(i+1), 10, 1)
			if quiet.Put(good, now) != nil || loud.Put(good, now) != nil {
				t.Fatal("a good report was refused")
			}
			_ = loud.Put(anyReport(t, rapid.SampledFrom([]string{"eu-west", "eu-west", "", "\xff"}).Draw(t, "region")), now)
			sane(t, loud.World(now))
		}
		a, b := only(quiet.World(now), "us-east"), only(loud.World(now), "us-east")
		if a != b {
			t.Fatalf("us-east was moved:\n%s\n%s", a, b)
		}
	})
}

// only is one region's part of the world.
func only(w World, region string) string {
	var part struct {
		Cells  []Cell
		Agents []AgentSeen
		Events []Event
	}
	for _, c := range w.Cells {
		if c.Region == region {
			part.Cells = append(part.Cells, c)
		}
	}
	for _, a := range w.Agents {
		if a.Region == region {
			part.Agents = append(part.Agents, a)
		}
	}
	for _, e := range w.Events {
		if e.Region == region {
			part.Events = append(part.Events, e)
		}
	}
	text, _ := json.Marshal(part)
	return string(text)
}
