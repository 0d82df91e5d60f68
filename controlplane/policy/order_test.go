package policy

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"
)

func TestOrderCheck(t *testing.T) {
	p := good(t, "three-regions")
	drain := Order{Kind: Drain, Provider: "stripe", For: 30 * time.Minute}
	probe := Order{Kind: Probe, Provider: "stripe", For: 20 * time.Second}
	drill := func(f Fault) Order { return Order{Kind: Drill, Provider: "stripe", For: time.Minute, Fault: f} }
	with := func(o Order, change func(*Order)) Order { change(&o); return o }
	for _, c := range []struct {
		name  string
		order Order
		want  string // "": fine
	}{
		{"drain", drain, ""},
		{"drain in two regions", with(drain, func(o *Order) { o.Regions = []string{"eu-west", "ap-south"} }), ""},
		{"drain for a day", with(drain, func(o *Order) { o.For = 24 * time.Hour }), ""},
		{"refuse", drill(Fault{Kind: FaultRefuse, Share: 1}), ""},
		{"hang", drill(Fault{Kind: FaultHang, Share: 0.1}), ""},
		{"lost reply", drill(Fault{Kind: FaultLostReply, Share: 0.1}), ""},
		{"status", drill(Fault{Kind: FaultStatus, Share: 0.5, Status: 503}), ""},
		{"slow", drill(Fault{Kind: FaultSlow, Share: 0.5, Delay: time.Minute}), ""},
		{"provider", with(drain, func(o *Order) { o.Provider = "strip" }), `provider: there is no provider "strip"; did you mean stripe?`},
		{"region", with(drain, func(o *Order) { o.Regions = []string{"eu-wst"} }), "regions: there is no region \"eu-wst\"; did you mean eu-west?"},
		{"region twice", with(drain, func(o *Order) { o.Regions = []string{"eu-west", "eu-west"} }), "eu-west is there twice"},
		{"no end", with(drain, func(o *Order) { o.For = 0 }), "for: 0s is not between 0 and 24h"},
		{"negative end", with(drain, func(o *Order) { o.For = -1 }), "for: "},
		{"too long", with(drain, func(o *Order) { o.For = 24*time.Hour + 1 }), "for: "},
		{"kind", with(drain, func(o *Order) { o.Kind = "evacuate" }), `kind: "evacuate" is unknown; write drain, drill, probe, hint-replay`},
		{"probe", probe, ""},
		{"probe of what has no check", with(probe, func(o *Order) { o.Provider = "spare" }), "provider: spare has no active check"},
		{"long probe", with(probe, func(o *Order) { o.For = time.Minute + 1 }), "for: 1m0.000000001s is longer than 1m"},
		{"probe with a fault", with(probe, func(o *Order) { o.Fault.Share = 1 }), "fault: a probe has no fault"},
		{"drain with a fault", with(drain, func(o *Order) { o.Fault.Share = 1 }), "fault: a drain has no fault"},
		{"no fault", drill(Fault{}), "fault.share"},
		{"share 0", drill(Fault{Kind: FaultRefuse}), "fault.share: 0 is not above 0"},
		{"share above 1", drill(Fault{Kind: FaultRefuse, Share: 1.01}), "fault.share"},
		{"share NaN", drill(Fault{Kind: FaultRefuse, Share: math.NaN()}), "fault.share"},
		{"fault", drill(Fault{Kind: "refuze", Share: 1}), `fault.kind: "refuze" is unknown; did you mean refuse?`},
		{"status 200", drill(Fault{Kind: FaultStatus, Share: 1, Status: 200}), "fault.status: 200 is not between 400 and 599"},
		{"status 600", drill(Fault{Kind: FaultStatus, Share: 1, Status: 600}), "fault.status"},
		{"no status", drill(Fault{Kind: FaultStatus, Share: 1}), "fault.status"},
		{"no delay", drill(Fault{Kind: FaultSlow, Share: 1}), "fault.delay: 0s is not between 0 and 1m"},
		{"long delay", drill(Fault{Kind: FaultSlow, Share: 1, Delay: time.Minute + 1}), "fault.delay"},
		{"status that does nothing", drill(Fault{Kind: FaultHang, Share: 1, Status: 503}), "fault.status: does nothing in a fault hang"},
		{"delay that does nothing", drill(Fault{Kind: FaultRefuse, Share: 1, Delay: 1}), "fault.delay: does nothing in a fault refuse"},
	} {
		err := c.order.Check(p)
		if c.want == "" {
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
			continue
		}
		var problems Problems
		if !errors.As(err, &problems) || !strings.Contains(err.Error(), c.want) || problems[0].Fix == "" {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
}

func TestOrderEnds(t *testing.T) {
	at := time.Date(2026, 11, 21, 14, 0, 0, 0, time.UTC)
	o := Order{At: at, For: time.Hour}
	if got := o.Ends(); !got.Equal(at.Add(time.Hour)) {
		t.Errorf("ends %s", got)
	}
}
