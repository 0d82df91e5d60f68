package standing

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"segue/controlplane/health"
	"segue/controlplane/policy"
	"segue/dataplane/breaker"
	"segue/dataplane/route"
)

func TestReportDrainsIncrementsAndKeepsGauges(t *testing.T) {
	svc := payments("stripe", "adyen")
	b := boardOf(svc)
	for _, o := range []health.Outcome{health.Succeeded, health.Declined, health.NotSent, health.Unknown} {
		p, _ := choose(t, b, svc, newCall(), t0)
		b.Done(p, health.Sample{Class: health.OK, Latency: 20 * time.Millisecond}, o, t0)
	}
	choose(t, b, svc, newCall(), t0) // stays in flight
	b.Call("payments", health.CallEnd{Outcome: health.Succeeded, FailedOver: true, Overhead: 300 * time.Microsecond})
	b.Call("payments", health.CallEnd{Outcome: health.NotSent})

	rep := b.Report(t0)
	r, s := rep.Rows[0], rep.Services[0]
	if rep.Region != "us-east" || rep.Revision != 7 || rep.Seq != 1 || !rep.At.Equal(t0) {
		t.Errorf("%+v", rep)
	}
	if r.Sessions != 5 || r.Calls != 4 || r.Succeeded != 1 || r.Declined != 1 || r.NotSent != 1 || r.Unknown != 1 || r.Latency.Count() != 4 {
		t.Errorf("%+v", r.Traffic)
	}
	if r.InFlight != 1 || r.Breaker != "closed" || r.Weight != 50 {
		t.Errorf("%+v", r.Condition)
	}
	if s.Service != "payments" || s.Calls != 2 || s.Succeeded != 1 || s.Refused != 1 || s.FailedOver != 1 || s.Saved != 1 || s.Overhead.Count() != 2 {
		t.Errorf("%+v", s)
	}
	again := b.Report(t0)
	if r := again.Rows[0]; again.Seq != 2 || r.Traffic != (health.Traffic{}) || r.InFlight != 1 || again.Services[0].Calls != 0 {
		t.Errorf("a second report tells it again: %+v", again)
	}
}

func TestOnlyNewSessionsCountAsSuch(t *testing.T) {
	svc := payments("stripe", "adyen")
	b := boardOf(svc)
	for _, f := range []policy.Facts{{Pinned: 0, Owner: -1}, {Pinned: -1, Owner: 0}, {Pinned: -1, Owner: -1, Tried: 1}} {
		choose(t, b, svc, &f, t0)
	}
	for _, r := range b.Report(t0).Rows {
		if r.Sessions != 0 {
			t.Errorf("%s: %d new sessions", r.Provider, r.Sessions)
		}
	}
}

func TestTheCircuitsStoryIsTold(t *testing.T) {
	svc := payments("stripe")
	b := boardOf(svc)
	fail(t, b, svc, 3, t0)
	row := b.Report(t0).Rows[0]
	if row.Breaker != "open" || row.Why != "3 failures in a row" || !row.Since.Equal(t0) || row.Probes != "" {
		t.Errorf("%+v", row.Condition)
	}
	if why := b.Report(t0.Add(time.Minute)).Rows[0].Why; why != "3 failures in a row, the next call asks again" {
		t.Error(why)
	}
	now := t0.Add(time.Minute)
	for i := range 5 {
		p, d := choose(t, b, svc, newCall(), now)
		if !d.Probe {
			t.Fatalf("call %d is no probe", i)
		}
		b.Done(p, health.Sample{Class: health.OK}, health.Succeeded, now)
		now = now.Add(breaker.Spacing)
		if i == 1 {
			if row := b.Report(now).Rows[0]; row.Breaker != "half-open" || row.Probes != "2 of 5" {
				t.Errorf("%+v", row.Condition)
			}
		}
	}
	if row := b.Report(now).Rows[0]; row.Breaker != "ramp" || row.Why != "coming back, at 19 % of its share" || row.Probes != "" {
		t.Errorf("%+v", row.Condition)
	}
	b.Tick(now.Add(time.Minute))
	if row := b.Report(now).Rows[0]; row.Breaker != "closed" || row.Why != "" || row.Probes != "" {
		t.Errorf("%+v", row.Condition)
	}
}

func TestTransitionsAreEvents(t *testing.T) {
	svc := payments("stripe")
	b := boardOf(svc)
	fail(t, b, svc, 3, t0)
	now := t0.Add(time.Minute)
	for range 5 {
		p, _ := choose(t, b, svc, newCall(), now)
		b.Done(p, health.Sample{Class: health.OK}, health.Succeeded, now)
		now = now.Add(breaker.Spacing)
	}
	b.Tick(now.Add(breaker.DefaultBack))
	events := b.Report(now).Events
	want := []struct{ level, text string }{
		{"bad", "stripe: circuit open, 3 failures in a row, asks again in "},
		{"warn", "stripe: circuit half-open"},
		{"ok", "stripe: 5 probes in a row succeeded, its share comes back bit by bit"},
		{"ok", "stripe: circuit closed, all of its share is back"},
	}
	if len(events) != len(want) {
		t.Fatalf("%+v", events)
	}
	for i, w := range want {
		e := events[i]
		if e.Kind != "breaker" || e.Region != "us-east" || e.Service != "payments" || e.Provider != "stripe" || e.Level != w.level || !strings.HasPrefix(e.Text, w.text) {
			t.Errorf("%d: %+v", i, e)
		}
	}
	if more := b.Report(now).Events; len(more) != 0 {
		t.Errorf("told twice: %+v", more)
	}
}

func TestEventsAreBoundedTheLatestStay(t *testing.T) {
	b := New()
	for i := range 3 * health.MaxEvents {
		b.Note(health.Event{Text: fmt.Sprint(i)})
	}
	events := b.Report(t0).Events
	if len(events) != health.MaxEvents || events[0].Text != fmt.Sprint(2*health.MaxEvents) || events[63].Text != fmt.Sprint(3*health.MaxEvents-1) {
		t.Errorf("%d events, from %s to %s", len(events), events[0].Text, events[len(events)-1].Text)
	}
}

func showed(b *Board, provider string, good bool) {
	l := health.Lane{Kind: health.Active, Name: "GET /v1/balance", Level: health.Good, At: t0}
	if !good {
		l.Level, l.Why = health.Bad, "status 500"
	}
	b.Probed("payments", provider, l)
}

func TestChecksAreALaneOfTheirOwn(t *testing.T) {
	svc := payments("stripe")
	svc.Candidates[0].Checks = []policy.Check{{Method: "GET", Path: "/v1/balance", Every: 10 * time.Second}}
	b := boardOf(svc)
	steps := []struct {
		ok     bool
		events int
	}{{true, 0}, {true, 0}, {false, 1}, {false, 0}, {false, 0}, {false, 0}, {true, 1}}
	for i, s := range steps {
		showed(b, "stripe", s.ok)
		rep := b.Report(t0)
		if len(rep.Events) != s.events {
			t.Errorf("check %d: %+v", i, rep.Events)
		}
		if r := rep.Rows[0]; (r.CheckOK == 1) != s.ok || r.CheckOK == 0 || r.Breaker != "closed" || !r.CheckAt.Equal(t0) {
			t.Errorf("check %d: %+v", i, r.Condition)
		}
	}
	fail(t, b, svc, 3, t0)
	for range 10 {
		showed(b, "stripe", true)
	}
	if _, ok := b.Choose(&route.Decision{}, svc, newCall(), t0); ok {
		t.Error("good checks closed a circuit")
	}
	b.Swap(snapshot(payments("stripe")))
	if r := b.Report(t0).Rows[0]; r.CheckOK != 0 || r.CheckWhy != "" {
		t.Errorf("a check that is no more is still shown: %+v", r.Condition)
	}
	showed(b, "nobody", true)
}

func TestReportGoesThroughJSON(t *testing.T) {
	svc := payments("stripe")
	b := boardOf(svc)
	fail(t, b, svc, 3, t0)
	rep := b.Report(t0)
	text, err := json.Marshal(rep)
	if err != nil {
		t.Fatal(err)
	}
	var back health.Report
	if err := json.Unmarshal(text, &back); err != nil || back.Rows[0].Traffic != rep.Rows[0].Traffic || back.Rows[0].Why != rep.Rows[0].Why {
		t.Errorf("%v\n%s", err, text)
	}
	for _, field := range []string{`"Calls":3`, `"Breaker":"open"`, `"Provider":"stripe"`} {
		if !strings.Contains(string(text), field) {
			t.Errorf("no %s in %s", field, text)
		}
	}
}
