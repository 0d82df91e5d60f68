package simulator

import (
	"math"
	"time"
)

// Everybody and everywhere: what ails all providers, or is seen from all regions.
const all = -1

// Fault is something that ails the world for a while. Times are in units of the scenario.
type Fault struct {
	From, To float64
	provider int // all: each
	region   int // all: each
	ill      condition
	store    bool // the ledger of the region has no quorum
	cut      bool // the control plane is out of reach
}

// Scenario is a story: where calls come from, and what goes wrong when.
type Scenario struct {
	Name    string
	Regions int
	What    string // one sentence
	Faults  []Fault
	Units   float64 // how long it lasts
	Returns int     // how often a caller who failed comes back with the same key
	Target  int     // the provider whose detection and return are measured; all: none
	Shift   string  // what the policy says of shifts; empty: nothing
	scarce  bool    // the others have room for little more than half of the calls
}

// unitOf is how long a unit of the scenario takes: a minute, longer where few calls come, shorter where a third of a minute has as many.
func unitOf(rate float64) int64 {
	if rate >= manyCalls {
		return int64(20 * time.Second)
	}
	seconds := math.Min(240, math.Max(60, math.Ceil(120/rate)))
	return int64(seconds) * int64(time.Second)
}

const manyCalls = 500

// one is the usual story: two units of peace, some trouble at the first provider, peace. Its length is no whole number of minutes: a breaker
// that is open for a minute must not come back by luck in the very moment.
func one(name, what string, regions int, ill condition) Scenario {
	return Scenario{Name: name, What: what, Regions: regions, Units: 5, Faults: []Fault{{From: 2, To: 3.25, region: all, ill: ill}}}
}

// hole is that with a minute of trouble, as the bar has it.
func hole(s Scenario) Scenario {
	s.Faults[0].To = 3
	return s
}

// Scenarios are all stories, in the order of the report.
func Scenarios() []Scenario {
	return append(append(plain(), compound()...), scarce()...)
}

func plain() []Scenario {
	return []Scenario{
		{Name: "steady", What: "Nothing happens.", Regions: 1, Units: 5, Target: all},
		one("brownout-5", "The cheapest provider answers 5 % of the calls with an error, for a unit.", 1, condition{errors: .05}),
		one("brownout-10", "The cheapest provider answers 10 % of the calls with an error.", 1, condition{errors: .1}),
		one("brownout-30", "The cheapest provider answers 30 % of the calls with an error.", 1, condition{errors: .3}),
		one("outage", "The cheapest provider refuses half of the connections and answers the other half with an error, for three regions.", 3, condition{refused: .5, errors: 1}),
		hole(one("black-hole", "The cheapest provider takes calls and never answers; nothing is executed.", 1, condition{silent: 1})),
		one("grey", "The cheapest provider answers well, and six times as slowly.", 1, condition{slow: 5}),
		one("ambiguous", "A fifth of the calls at the cheapest provider get no answer; half of those are executed all the same, some of them late.", 1, condition{silent: .2, executed: .5}),
	}
}

func compound() []Scenario {
	flapping := Scenario{Name: "flapping", What: "The cheapest provider is down for ten seconds of every twenty-one, for two units.", Regions: 1, Units: 6}
	for i := range 6 {
		from := 2 + float64(i)*.35
		flapping.Faults = append(flapping.Faults, Fault{From: from, To: from + 1.0/6, region: all, ill: condition{errors: 1}})
	}
	two := func(f Fault) []Fault {
		g := f
		g.provider = 1
		return []Fault{f, g}
	}
	return []Scenario{
		flapping,
		{Name: "correlated", What: "The two cheapest providers fail together: half of their calls end in an error.", Regions: 1, Units: 5,
			Faults: two(Fault{From: 2, To: 3.25, region: all, ill: condition{errors: .5}})},
		{Name: "capacity", What: "The cheapest provider loses 85 % of its capacity and gets it back in two steps.", Regions: 1, Units: 5, Faults: []Fault{
			{From: 2, To: 3, region: all, ill: condition{lost: .85}}, {From: 3, To: 3.5, region: all, ill: condition{lost: .6}},
		}},
		{Name: "retry-storm", What: "The two cheapest providers lose 90 % of their capacity, and callers who fail come back up to three times.", Regions: 1, Units: 5,
			Returns: 3, Faults: two(Fault{From: 2, To: 3.25, region: all, ill: condition{lost: .9}})},
		{Name: "fee-drift", What: "The cheapest provider doubles its fees, and nobody is told but by its answers.", Regions: 1, Units: 5, Faults: []Fault{
			{From: 2, To: 5, region: all, ill: condition{fees: 1}},
		}, Target: all},
		{Name: "egress", What: "One of three regions loses its way out: it reaches no provider.", Regions: 3, Units: 5, Faults: []Fault{
			{From: 2, To: 3.25, provider: all, region: 0, ill: condition{refused: 1}},
		}, Target: all},
		{Name: "path", What: "One of three regions does not reach the cheapest provider; the others do.", Regions: 3, Units: 5, Faults: []Fault{
			{From: 2, To: 3.25, region: 0, ill: condition{refused: 1}},
		}},
		{Name: "partition", What: "The control plane is out of reach for two units; in the middle the cheapest provider answers 30 % with an error.", Regions: 3, Units: 5, Faults: []Fault{
			{From: 1.5, To: 3.5, cut: true, provider: -2, region: all}, {From: 2, To: 3.25, region: all, ill: condition{errors: .3}},
		}},
		{Name: "quorum", What: "The ledger of one of three regions has no quorum: Segue refuses effects there, and says so.", Regions: 3, Units: 5, Faults: []Fault{
			{From: 2, To: 3, store: true, provider: -2, region: 0},
		}, Target: all},
		{Name: "declines", What: "Issuers decline: 60 % of the calls at every provider, which is nobody's fault.", Regions: 3, Units: 5, Faults: []Fault{
			{From: 2, To: 3, provider: all, region: all, ill: condition{declines: .6}},
		}, Target: all},
	}
}

// scarce are two stories in one world: the first provider fails in part, and the others cannot take all of its calls. Without a word of shifts it is
// left at once; with shift.away its share moves as the others have room.
func scarce() []Scenario {
	what := "The cheapest provider answers 30 % of the calls with an error, and the three others together have room for six in ten calls"
	at := func(name, rest, shift string) Scenario {
		s := one(name, what+rest, 1, condition{errors: .3})
		s.Shift, s.scarce = shift, true
		return s
	}
	return []Scenario{
		at("scarce", "; it is left at once.", ""),
		at("scarce-away", "; the policy says shift.away, so that it is left as they have room.", "    shift: {away: 10s}\n"),
	}
}

// Find returns the scenario of that name.
func Find(name string) (Scenario, bool) {
	for _, s := range Scenarios() {
		if s.Name == name {
			return s, true
		}
	}
	return Scenario{}, false
}

// hits tells whether f ails that provider.
func (f *Fault) hits(p int) bool { return f.provider == p || f.provider == all }

// in tells whether f is seen from that region.
func (f *Fault) in(region int) bool { return f.region == region || f.region == all }

// providers are the four of every scenario, the cheapest first.
func providers() []Provider {
	return []Provider{
		{Name: "alpha", Keys: true, Fixed: .10, Percent: 1.2, Errors: .003, Declines: .04, Median: 120 * time.Millisecond, Sigma: .4, Silent: .0001},
		{Name: "beta", Keys: true, Fixed: .15, Percent: 1.4, Errors: .002, Declines: .04, Median: 150 * time.Millisecond, Sigma: .4, Silent: .0001},
		{Name: "gamma", Fixed: .20, Percent: 1.5, Errors: .002, Declines: .04, Median: 140 * time.Millisecond, Sigma: .4, Silent: .0001},
		{Name: "delta", Fixed: .25, Percent: 1.8, Errors: .001, Declines: .04, Median: 110 * time.Millisecond, Sigma: .4, Silent: .0001},
	}
}

// room is how many calls a provider can work on at once: half as many again as all calls of all regions would need.
func room(p *Provider, rate float64) int {
	return 3 + int(math.Ceil(1.5*rate*p.mean()))
}

// mean is how long a call takes there, in seconds.
func (p *Provider) mean() float64 { return p.Median.Seconds() * math.Exp(p.Sigma*p.Sigma/2) }

// room is that of a story: where it is scarce, each provider but the first has room for a fifth of the calls.
func (s *Scenario) room(i int, p *Provider, rate float64) int {
	if s.scarce && i > 0 {
		return max(1, int(rate*p.mean()/5+.5))
	}
	return room(p, rate)
}

// What a call is worth, and what its ends cost.
const (
	medianValue = 30.0
	valueSigma  = .8
	reads       = .2 // share of calls that only read
	// FailureCost is what a call costs whose caller was told no outcome: a margin of a tenth, of a mean value of 41.
	FailureCost = 4.0
	// DuplicateCost is what an execution beside the first costs beyond its fee: what card schemes' disputes cost a shop (15 to 25), and the
	// letter that explains it.
	DuplicateCost = 20.0
)
