package standing

import (
	"testing"
	"time"

	"segue/controlplane/health"
	"segue/controlplane/policy"
	"segue/dataplane/route"
)

// asked is a service whose first provider has one check of each kind.
func asked() *policy.Service {
	svc := payments("stripe")
	svc.Candidates[0].Checks = []policy.Check{{Method: "GET", Path: "/v1/balance", Every: time.Second}}
	svc.Candidates[0].Synthetics = []policy.Planned{{Synthetic: policy.Synthetic{Name: "void"}, Every: time.Minute}}
	return svc
}

func lane(kind, name, level string, at time.Time) health.Lane {
	return health.Lane{Kind: kind, Name: name, Level: level, At: at, Why: level}
}

// TestNoLaneSpeaksForAnother: hundreds of good results of every check take nothing away from what calls showed, and hundreds of bad ones stop no
// call and open nothing; an active check leaves a synthetic's lane as it is, and the other way round.
func TestNoLaneSpeaksForAnother(t *testing.T) {
	for _, level := range []string{health.Good, health.Warned, health.Bad} {
		svc := asked()
		b, quiet := boardOf(svc), boardOf(asked())
		all := func(at time.Time) {
			for range 300 {
				b.Probed("payments", "stripe", lane(health.Active, "GET /v1/balance", level, at))
				b.Probed("payments", "stripe", lane(health.Synthetic, "void", level, at))
			}
		}
		all(t0)
		p, ok := b.Choose(&route.Decision{}, svc, newCall(), t0)
		if !ok {
			t.Fatalf("%s checks keep calls away", level)
		}
		b.Release(p)
		fail(t, b, svc, 2, t0)
		fail(t, quiet, quiet.at("payments"), 2, t0)
		all(t0)
		if got, want := b.Report(t0).Rows[0], quiet.Report(t0).Rows[0]; got.Breaker != want.Breaker || got.Why != want.Why || got.Since != want.Since || got.Failed != want.Failed {
			t.Errorf("after two failed calls, %s checks make %+v of %+v", level, got.Condition, want.Condition)
		}
		fail(t, b, svc, 1, t0)
		all(t0.Add(time.Second))
		if _, ok := b.Choose(&route.Decision{}, svc, newCall(), t0.Add(time.Second)); ok {
			t.Errorf("%s checks closed a circuit that calls opened", level)
		}
	}
	b := boardOf(asked())
	b.Probed("payments", "stripe", lane(health.Active, "GET /v1/balance", health.Bad, t0))
	b.Probed("payments", "stripe", lane(health.Synthetic, "void", health.Good, t0))
	row := b.Report(t0).Rows[0]
	if row.CheckOK != -1 || row.Lanes[0].Level != health.Bad || row.Lanes[1].Level != health.Good {
		t.Errorf("%+v", row.Lanes)
	}
	b.Probed("payments", "stripe", lane(health.Active, "GET /v1/balance", health.Good, t0))
	b.Probed("payments", "stripe", lane(health.Synthetic, "void", health.Bad, t0))
	if row = b.Report(t0).Rows[0]; row.CheckOK != 1 || row.Lanes[0].Level != health.Good || row.Lanes[1].Level != health.Bad {
		t.Errorf("%+v", row.Lanes)
	}
}

func (b *Board) at(service string) *policy.Service { return (*b.services.Load())[service].now }

// TestSinceOfALane: it is the time of the first result of this level; a result that says nothing changes nothing but when it is next.
func TestSinceOfALane(t *testing.T) {
	b := boardOf(asked())
	show := func(level string, at, next time.Time) health.Lane {
		l := lane(health.Synthetic, "void", level, at)
		l.Next = next
		b.Probed("payments", "stripe", l)
		got, known := b.Lane("payments", "stripe", health.Synthetic, "void")
		if !known {
			t.Fatal("the lane is not known")
		}
		return got
	}
	at := func(s int) time.Time { return t0.Add(time.Duration(s) * time.Second) }
	show("", time.Time{}, at(1))
	show(health.Good, at(1), at(2))
	show(health.Good, at(2), at(3))
	if l := show("", time.Time{}, at(9)); l.Level != health.Good || l.Since != at(1) || l.At != at(2) || l.Next != at(9) || l.Why != health.Good {
		t.Errorf("%+v", l)
	}
	if l := show(health.Bad, at(9), time.Time{}); l.Since != at(9) || l.Next != at(9) {
		t.Errorf("%+v", l)
	}
	events := b.Report(t0).Events
	if len(events) != 1 || events[0].Text != "stripe: the synthetic void fails: bad" || events[0].Kind != "check" {
		t.Errorf("%+v", events)
	}
	b.Probed("payments", "stripe", lane(health.Synthetic, "nobody-runs-it", health.Bad, t0))
	b.Probed("payments", "nobody", lane(health.Synthetic, "void", health.Bad, t0))
	b.Probed("nothing", "stripe", lane(health.Synthetic, "void", health.Bad, t0))
	if row := b.Report(t0).Rows[0]; len(row.Lanes) != 1 {
		t.Errorf("%+v", row.Lanes)
	}
	b.Swap(snapshot(payments("stripe")))
	if row := b.Report(t0).Rows[0]; len(row.Lanes) != 0 {
		t.Errorf("a lane that the policy does not have is shown: %+v", row.Lanes)
	}
}
