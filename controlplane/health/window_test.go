package health

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"segue/controlplane/policy"
	"segue/regions"
)

var t0 = time.Date(2026, 11, 21, 14, 0, 0, 0, time.UTC)

// reportOf is one second of an agent whose provider took calls, of which some failed.
func reportOf(agent, region string, seq uint64, calls, failed uint32) Report {
	row := Row{Service: "payments", Provider: "stripe"}
	row.Traffic = Traffic{Sessions: calls, Calls: calls, Succeeded: calls - failed, Unknown: failed, Failed: failed, Latency: Histogram{4: calls}}
	row.Condition = Condition{InFlight: 2, Breaker: "closed", Weight: 70}
	return Report{
		Agent: agent, Region: region, Run: "r1", Seq: seq, Revision: 412, At: t0, Rows: []Row{row},
		Services: []ServiceRow{{Service: "payments", Calls: calls, Succeeded: calls - failed, Unknown: failed, Overhead: FineHistogram{3: calls}}},
	}
}

func put(t *testing.T, w *Window, r Report, at time.Time) {
	t.Helper()
	if err := w.Put(r, at); err != nil {
		t.Fatal(err)
	}
}

func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > 1e-6*math.Max(1, math.Abs(want)) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func TestAnEmptyWindowShowsNothingWrong(t *testing.T) {
	world := NewWindow().World(t0)
	if world.Total.After != None64 || world.Total.AddedP99 != None64 || world.Total.Rate != 0 || len(world.Cells)+len(world.Agents)+len(world.Total.History) != 0 {
		t.Errorf("%+v", world)
	}
	if _, err := json.Marshal(world); err != nil {
		t.Error(err)
	}
}

func TestAMinuteOfTwoRegions(t *testing.T) {
	w := NewWindow()
	for s := range 60 {
		at := t0.Add(time.Duration(s) * time.Second)
		put(t, w, reportOf("a1", "us-east", uint64(s+1), 10, 1), at)
		put(t, w, reportOf("b1", "eu-west", uint64(s+1), 30, 0), at)
	}
	world := w.World(t0.Add(59 * time.Second))
	if len(world.Cells) != 2 || world.Cells[0].Region != "eu-west" || world.Cells[1].Region != "us-east" {
		t.Fatalf("%+v", world.Cells)
	}
	eu, us := world.Cells[0], world.Cells[1]
	near(t, "success in us-east", us.Success, 90)
	near(t, "success in eu-west", eu.Success, 100)
	if math.Abs(us.Rate-10) > 1.5 || math.Abs(eu.Rate-30) > 4 {
		t.Errorf("rates %v and %v", us.Rate, eu.Rate)
	}
	near(t, "share", us.Share, 100)
	near(t, "weight", us.Weight, 70)
	if us.P50 < 50 || us.P99 > 100 || us.InFlight != 2 || us.Agents != 1 || us.Breaker != "closed" {
		t.Errorf("%+v", us)
	}
	near(t, "after", world.Total.After, 100*(60*9+60*30)/(60*40.0))
	near(t, "service and total", world.Services[0].After, world.Total.After)
	if world.Total.Calls != 2400 || world.Services[0].Service != "payments" || world.Total.AddedP99 < .25 || world.Total.AddedP99 > .5 {
		t.Errorf("%+v", world.Total)
	}
}

func TestSharesAreOfTheRegionsNewSessions(t *testing.T) {
	w := NewWindow()
	r := reportOf("a1", "us-east", 1, 40, 0)
	r.Rows = append(r.Rows, Row{Service: "payments", Provider: "adyen", Traffic: Traffic{Sessions: 60}}, Row{Service: "sms", Provider: "twilio", Traffic: Traffic{Sessions: 9}})
	put(t, w, r, t0)
	put(t, w, reportOf("b1", "eu-west", 1, 1000, 0), t0)
	want := map[string]float64{"eu-west/stripe": 100, "us-east/adyen": 60, "us-east/stripe": 40, "us-east/twilio": 100}
	for _, c := range w.World(t0).Cells {
		near(t, c.Region+"/"+c.Provider, c.Share, want[c.Region+"/"+c.Provider])
	}
	for _, c := range w.World(t0.Add(2 * time.Minute)).Cells {
		if c.Share != None64 || c.Success != None64 || c.P99 != None64 {
			t.Errorf("two minutes later: %+v", c.Load)
		}
	}
}

func TestBeforeAndAfterFailover(t *testing.T) {
	w := NewWindow()
	r := reportOf("a1", "us-east", 1, 0, 0)
	r.Services[0] = ServiceRow{Service: "payments", Calls: 100, Succeeded: 90, Declined: 8, Unknown: 1, Refused: 1, FailedOver: 20, Saved: 18}
	put(t, w, r, t0)
	f := w.World(t0).Total
	near(t, "before", f.Before, 80)
	near(t, "after", f.After, 98)
	if f.FailedOver != 20 || f.Refused != 1 {
		t.Errorf("%+v", f)
	}
}

func TestHistoryMovesOnAndForgets(t *testing.T) {
	w := NewWindow()
	seq := uint64(0)
	for s := 0; s < 30*60; s++ { // half an hour, twice the window
		seq++
		put(t, w, reportOf("a1", "us-east", seq, uint32(1+s/300), 0), t0.Add(time.Duration(s)*time.Second))
	}
	now := t0.Add(30 * time.Minute)
	world := w.World(now)
	h, rates := world.Total.History, world.Cells[0].Rates
	if len(h) != HistoryPoints || len(rates) != HistoryPoints {
		t.Fatalf("%d and %d points", len(h), len(rates))
	}
	for i := range h {
		want := float64(4 + i/60) // the last 15 minutes, at 4, 5 and 6 calls a second
		near(t, fmt.Sprintf("point %d", i), h[i].Rate, want)
		near(t, fmt.Sprintf("rate %d", i), rates[i], want)
		near(t, "after", h[i].After, 100)
	}
	later := w.World(now.Add(10 * time.Minute)).Total.History
	if last := later[len(later)-1]; last.Rate != 0 || last.After != None64 {
		t.Errorf("ten silent minutes later: %+v", last)
	}
	if empty := w.World(now.Add(time.Hour)); len(empty.Cells) != 0 || len(empty.Agents) != 0 {
		t.Error("an hour later the window still holds cells")
	}
}

func TestTheWorstAgentSpeaksForTheCell(t *testing.T) {
	w := NewWindow()
	states := []Condition{
		{Breaker: "closed"},
		{Breaker: "ramp", Since: t0.Add(-2 * time.Minute)},
		{Breaker: "half-open", Since: t0.Add(-time.Minute), Probes: "2 of 5", CheckOK: 1, CheckAt: t0},
		{Breaker: "open", Since: t0.Add(-time.Second), Why: "3 failures in a row", CheckOK: -1, CheckWhy: "status 500"},
		{Breaker: "open", Since: t0.Add(-time.Hour), Why: "9 failures in a row", Drained: t0.Add(time.Hour)},
	}
	for i, c := range states {
		r := reportOf(fmt.Sprint("a", i), "us-east", 1, 1, 0)
		c.InFlight = 5
		r.Rows[0].Condition = c
		put(t, w, r, t0)
	}
	st := w.World(t0).Cells[0].Stand
	want := Stand{
		InFlight: 25, Breaker: "open", Since: t0.Add(-time.Hour), Why: "9 failures in a row", Drained: t0.Add(time.Hour),
		CheckOK: -1, CheckWhy: "status 500", CheckAt: t0, Agents: 5, OpenAgents: 4,
	}
	if !reflect.DeepEqual(st, want) {
		t.Errorf("got  %+v\nwant %+v", st, want)
	}
}

func TestSilentAgentsFadeOut(t *testing.T) {
	w := NewWindow()
	r := reportOf("a1", "us-east", 1, 5, 0)
	r.Services[0].UnknownOpen, r.Services[0].OldestUnknown, r.Addr = 3, t0.Add(-time.Hour), map[string]string{"payments": "127.0.0.1:7101"}
	put(t, w, r, t0)
	world := w.World(t0.Add(Silent))
	if a := world.Agents[0]; !a.Heard || a.AgeMS != 10_000 || a.Addr["payments"] == "" || a.Revision != 412 || !a.LastSeen.Equal(t0) {
		t.Errorf("%+v", a)
	}
	if f := world.Total; f.UnknownOpen != 3 || !f.OldestUnknown.Equal(t0.Add(-time.Hour)) {
		t.Errorf("%+v", f)
	}
	world = w.World(t0.Add(Silent + time.Millisecond))
	if a := world.Agents[0]; a.Heard || world.Cells[0].Agents != 0 || world.Cells[0].Breaker != "" || world.Total.UnknownOpen != 0 {
		t.Errorf("a silent agent's gauges still count: %+v", world.Cells[0])
	}
	if len(w.World(t0.Add(Forget+time.Millisecond)).Agents) != 0 {
		t.Error("a forgotten agent is still shown")
	}
}

func TestLateAndDoubleReportsAreDropped(t *testing.T) {
	w := NewWindow()
	put(t, w, reportOf("a1", "us-east", 5, 1, 0), t0)
	for _, seq := range []uint64{5, 4, 1} {
		if err := w.Put(reportOf("a1", "us-east", seq, 100, 0), t0); !errors.Is(err, ErrLate) {
			t.Errorf("%d after 5: %v", seq, err)
		}
	}
	next := reportOf("a1", "us-east", 1, 1, 0)
	next.Run = "r2"
	put(t, w, next, t0)
	if err := w.Put(reportOf("a1", "us-east", 6, 100, 0), t0); !errors.Is(err, ErrLate) {
		t.Errorf("the run before: %v", err)
	}
	if got := w.World(t0).Cells[0].Calls; got != 2 {
		t.Errorf("%d calls, 2 were reported", got)
	}
}

func twoRegions(providers ...string) *policy.Policy {
	p := &policy.Policy{Regions: regions.Topology{{Name: "us-east"}, {Name: "eu-west"}}, Services: []policy.ServiceSpec{{Name: "payments"}}}
	for _, name := range providers {
		p.Providers = append(p.Providers, policy.ProviderSpec{Name: name})
	}
	return p
}

// TestWhatThePolicyDoesNotHaveIsLeftOut: a broken agent fills neither the pages nor the window, and what is left of its report counts.
func TestWhatThePolicyDoesNotHaveIsLeftOut(t *testing.T) {
	w := NewWindow()
	w.Know(twoRegions("stripe"))
	for seq := range uint64(3) {
		r := reportOf("a1", "us-east", seq+1, 10, 0)
		strange := r.Rows[0]
		strange.Provider = fmt.Sprint("made-up-", seq)
		r.Rows = append(r.Rows, strange, Row{Service: "ghost", Provider: "stripe"})
		r.Services = append(r.Services, ServiceRow{Service: "ghost", Calls: 5})
		r.Events = []Event{{Service: "ghost", Text: "boo", At: t0}, {Provider: "made-up", Text: "boo", At: t0}, {Service: "payments", Text: "well", At: t0}}
		r.Addr = map[string]string{"payments": "127.0.0.1:7101", "ghost": "127.0.0.1:1"}
		rows := len(r.Rows)
		put(t, w, r, t0)
		if s := w.Strange(); s.Rows != 5 || s.Name == "" || s.First != (seq == 0) {
			t.Errorf("report %d: %+v", seq, s)
		}
		if len(r.Rows) != rows || r.Rows[1].Provider != strange.Provider {
			t.Error("the caller's report was changed")
		}
	}
	world := w.World(t0)
	if len(world.Cells) != 1 || len(world.Services) != 1 || len(world.Events) != 3 || world.Cells[0].Calls != 30 || len(world.Agents[0].Addr) != 1 {
		t.Errorf("%+v", world)
	}
	put(t, w, reportOf("a1", "us-east", 4, 10, 0), t0)
	if s := w.Strange(); s != (Strange{}) {
		t.Errorf("of a clean report: %+v", s)
	}
	w.Know(twoRegions("adyen")) // agents take a policy later than others: what the one before has is no stranger
	put(t, w, reportOf("a1", "us-east", 5, 10, 0), t0)
	if s := w.Strange(); s.Rows != 0 {
		t.Errorf("of the policy before: %+v", s)
	}
	w.Know(twoRegions("adyen"))
	put(t, w, reportOf("a1", "us-east", 6, 10, 0), t0)
	if s := w.Strange(); s.Rows != 1 || s.Name != "stripe" {
		t.Errorf("of the policy before that: %+v", s)
	}
}

func TestNobodyMovesAnotherRegion(t *testing.T) {
	w := NewWindow()
	w.Know(twoRegions("stripe"))
	put(t, w, reportOf("a1", "us-east", 1, 10, 0), t0)
	cases := []struct {
		name string
		r    Report
		want error
	}{
		{"a region that is not", reportOf("x", "mars", 1, 100, 100), ErrReport},
		{"no region", reportOf("x", "", 1, 100, 100), ErrReport},
		{"no agent", reportOf("", "us-east", 1, 100, 100), ErrReport},
		{"a name of a megabyte", reportOf(strings.Repeat("x", 1<<20), "us-east", 1, 100, 100), ErrReport},
		{"not UTF-8", reportOf("\xff\xfe", "us-east", 1, 100, 100), ErrReport},
		{"an agent of another region", reportOf("a1", "eu-west", 2, 100, 100), ErrElsewise},
	}
	before := mustJSON(t, w.World(t0))
	for _, tc := range cases {
		if err := w.Put(tc.r, t0); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
	if after := mustJSON(t, w.World(t0)); after != before {
		t.Errorf("a refused report changed the world:\n%s\n%s", before, after)
	}
	hostile := reportOf("b1", "eu-west", 1, 100, 100)
	hostile.Events = []Event{{Region: "us-east", Text: "all is lost", At: t0.Add(time.Hour)}}
	put(t, w, hostile, t0)
	world := w.World(t0)
	if us := world.Cells[1]; us.Success != 100 || us.Calls != 10 {
		t.Errorf("%+v", us)
	}
	if e := world.Events[0]; e.Region != "eu-west" || e.At.After(t0) {
		t.Errorf("%+v", e)
	}
}

func mustJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestHostileNumbersAreHeldToWhatCanBe(t *testing.T) {
	const huge = math.MaxUint32
	w := NewWindow()
	r := reportOf("a1", "us-east", 1, 0, 0)
	r.At = t0.Add(1000 * time.Hour)
	r.Rows[0].Traffic = Traffic{Sessions: huge, Calls: 10, Succeeded: huge, Unknown: huge, Failed: huge, Latency: Histogram{13: huge, 2: huge}}
	far := time.Date(30000, 1, 1, 0, 0, 0, 0, time.UTC)
	r.Rows[0].Condition = Condition{
		InFlight: math.MinInt32, Breaker: "<script>", Since: far, Why: strings.Repeat("é", 10_000), Drained: far,
		Weight: math.NaN(), CheckOK: 100, CheckAt: time.Date(-5, 1, 1, 0, 0, 0, 0, time.UTC),
	}
	r.Rows = append(r.Rows, r.Rows[0], Row{Service: "payments"}, Row{Provider: "x"})
	r.Services[0] = ServiceRow{Service: "payments", Calls: huge, Succeeded: huge, Declined: huge, Saved: huge, UnknownOpen: -9, OldestUnknown: far, Overhead: FineHistogram{huge, huge}}
	r.Services = append(r.Services, ServiceRow{Service: "sms", OldestUnknown: time.Date(-5, 1, 1, 0, 0, 0, 0, time.UTC)})
	put(t, w, r, t0)
	world := w.World(t0)
	mustJSON(t, world)
	if len(world.Cells) != 1 {
		t.Fatalf("%d cells", len(world.Cells))
	}
	c := world.Cells[0]
	if c.Calls != 10 || c.Success != 0 || c.Sessions > maxPerReport || c.InFlight != 0 || c.Breaker != "closed" || c.Weight != 0 || c.CheckOK != 1 {
		t.Errorf("%+v", c)
	}
	if c.Since.After(t0) || c.Drained.After(t0.Add(maxAhead)) || !c.CheckAt.IsZero() || len(c.Why) > maxText {
		t.Errorf("%v %v %v, %d bytes", c.Since, c.Drained, c.CheckAt, len(c.Why))
	}
	f := world.Total
	if f.Calls != maxPerReport || f.After > 100 || f.Before < 0 || f.UnknownOpen != 0 || f.OldestUnknown.After(t0) {
		t.Errorf("%+v", f)
	}
	if skew := world.Agents[0].SkewMS; skew != 3_600_000_000 {
		t.Errorf("skew %d ms", skew)
	}
}

func TestWindowIsBounded(t *testing.T) {
	w := NewWindow()
	var crowded int
	for i := range MaxAgents + 50 {
		r := reportOf(fmt.Sprint("agent", i), "us-east", 1, 1, 0)
		for k := range 400 {
			r.Rows = append(r.Rows, Row{Service: fmt.Sprint("s", i), Provider: fmt.Sprint("p", k)})
			r.Services = append(r.Services, ServiceRow{Service: fmt.Sprint("s", i, k)})
			r.Events = append(r.Events, Event{At: t0.Add(time.Duration(k) * time.Millisecond)})
		}
		if i > 10 {
			r.Rows, r.Services = r.Rows[:1], r.Services[:1]
		}
		switch err := w.Put(r, t0); {
		case errors.Is(err, ErrCrowded):
			crowded++
		case err != nil:
			t.Fatal(err)
		}
	}
	if crowded != 50 || len(w.agents) != MaxAgents || len(w.cells) != MaxCells || len(w.flows) != MaxFlows || len(w.events) != MaxWorldEvents {
		t.Errorf("%d crowded, %d agents, %d cells, %d flows, %d events", crowded, len(w.agents), len(w.cells), len(w.flows), len(w.events))
	}
	put(t, w, reportOf("late", "us-east", 1, 1, 0), t0.Add(Forget+time.Second))
}

func TestEventsAreMergedByTime(t *testing.T) {
	w := NewWindow()
	for i, order := range [][]int{{1, 4, 7}, {2, 3, 9}, {5, 6, 8}} {
		r := reportOf(fmt.Sprint("a", i), "us-east", 1, 1, 0)
		for _, k := range order {
			r.Events = append(r.Events, Event{At: t0.Add(time.Duration(k) * time.Millisecond), Text: fmt.Sprint(k)})
		}
		put(t, w, r, t0.Add(time.Second))
	}
	got := ""
	for _, e := range w.World(t0.Add(time.Second)).Events {
		got += e.Text
	}
	if got != "987654321" {
		t.Errorf("newest first would be 987654321, got %s", got)
	}
}

func TestAClockThatWasSetBackLosesNothing(t *testing.T) {
	w := NewWindow()
	put(t, w, reportOf("a1", "us-east", 1, 10, 0), t0.Add(time.Minute))
	put(t, w, reportOf("a1", "us-east", 2, 10, 0), t0)
	if got := w.World(t0.Add(time.Minute)).Cells[0].Calls; got != 20 {
		t.Errorf("%d calls", got)
	}
}

func TestWhatIsShownSharesNothing(t *testing.T) {
	w := NewWindow()
	r := reportOf("a1", "us-east", 1, 1, 0)
	r.Addr, r.Events = map[string]string{"payments": "x"}, []Event{{Text: "first"}}
	put(t, w, r, t0)
	world := w.World(t0)
	world.Agents[0].Addr["payments"], world.Events[0].Text = "changed", "changed"
	r.Addr["payments"] = "changed"
	again := w.World(t0)
	if again.Agents[0].Addr["payments"] != "x" || again.Events[0].Text != "first" {
		t.Errorf("%+v", again)
	}
}

func BenchmarkWorld(b *testing.B) {
	w := NewWindow()
	for region := range 3 {
		for s := range 900 {
			_ = w.Put(reportOf(fmt.Sprint("a", region), fmt.Sprint("r", region), uint64(s+1), 10, 1), t0.Add(time.Duration(s)*time.Second))
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		w.World(t0.Add(900 * time.Second))
	}
}

// TestCoverage: sessions in use are summed over the agents that are heard; their history is a share.
func TestCoverage(t *testing.T) {
	w := NewWindow()
	for n := range uint64(6) { // a whole step and one more
		for i, name := range []string{"a1", "a2"} {
			r := reportOf(name, "us-east", n+1, 5, 0)
			r.Services[0].InUse, r.Services[0].Could = 20, uint32(10*(i+1))
			put(t, w, r, t0.Add(time.Duration(n)*time.Second))
		}
	}
	hostile := reportOf("a3", "us-east", 1, 5, 0)
	hostile.Services[0].InUse, hostile.Services[0].Could = 10, 99
	now := t0.Add(5 * time.Second)
	put(t, w, hostile, now)
	f := w.World(now).Total
	if f.InUse != 50 || f.Could != 40 {
		t.Errorf("%d of %d could go on", f.Could, f.InUse)
	}
	if last := f.History[len(f.History)-1]; last.Coverage != 75 {
		t.Errorf("the last whole step: %v %%", last.Coverage)
	}
	if f := w.World(now.Add(Silent + time.Second)).Total; f.InUse != 0 {
		t.Errorf("those that are not heard count: %d", f.InUse)
	}
	quiet := NewWindow()
	for n := range uint64(7) {
		put(t, quiet, reportOf("a1", "us-east", n+1, 5, 0), t0.Add(time.Duration(n)*time.Second))
	}
	if f := quiet.World(t0.Add(6 * time.Second)).Total; f.History[len(f.History)-1].Coverage != None64 {
		t.Errorf("nobody was in use: %+v", f.History)
	}
}
