package route

import (
	"time"

	"segue/controlplane/health"
	"segue/controlplane/policy"
)

const (
	nearBest  = .005 // of high value: how much less often than the best a candidate may be known to succeed
	asGood    = .001 // of the margin: candidates whose worth differs by no more are as good
	scarce    = .2   // of all limits: what is left free of them for the calls that are worth most
	fewer     = 5    // of the calls in flight on an ordinary day, the last resort takes one in so many
	fewest    = 4    // calls in flight that a provider that comes back may take, if its answers are good, where next to nothing is known of ordinary days
	unreached = 2    // where each connection was refused: what is in flight there for longer than a moment has been reached after all
)

// narrow asks the gates that compare those that passed. None of them is the last one's: they say who is better. But for Shed: a call that
// is worth less than others leaves its place to them.
func (d *Decision) narrow(svc *policy.Service, passed policy.Set) policy.Set {
	if svc.Strategy == policy.Weighted {
		passed = d.weighted(svc, passed)
	}
	if d.high(svc) {
		passed = d.careful(passed)
	}
	if d.Past.Spent {
		passed = d.cheapest(passed)
	}
	passed = d.roomier(svc, passed)
	if d.Past.Above > 0 && d.tight(svc, passed) {
		d.shut(passed, Shed)
		return d.spilling(svc)
	}
	if passed == 0 {
		return d.spilling(svc) | d.ramping(svc)
	}
	return passed
}

// weighted keeps those without a weight for when no other passed. The session's own provider stays in: weights are shares of new
// sessions.
func (d *Decision) weighted(svc *policy.Service, passed policy.Set) policy.Set {
	none := policy.Set(0)
	for i := range int(d.N) {
		if passed.Has(i) && weight(svc, i) == 0 && int(d.Facts.Pinned) != i {
			none = none.With(i)
		}
	}
	with := false
	for i := range int(d.N) {
		with = with || passed.Has(i) && weight(svc, i) > 0
	}
	if !with {
		return passed
	}
	d.shut(none, NoWeight)
	return passed &^ none
}

// careful keeps, for a call of high value, those with a closed circuit that are known to succeed about as often as the best.
func (d *Decision) careful(passed policy.Set) policy.Set {
	closed, best := passed&^d.ill, float32(0)
	if closed == 0 {
		return passed
	}
	for set := closed; set != 0; set = set.Rest() {
		best = max(best, d.Seen[set.First()].Lower)
	}
	for set := closed; set != 0; set = set.Rest() {
		if i := set.First(); d.Seen[i].Lower < best-nearBest {
			closed &^= policy.Set(0).With(i)
		}
	}
	d.shut(passed&^closed, Careful)
	return closed
}

// cheapest keeps those at which the call costs least.
func (d *Decision) cheapest(passed policy.Set) policy.Set {
	least := policy.MaxMoney
	for i := range int(d.N) {
		if passed.Has(i) {
			least = min(least, d.Seen[i].Cost)
		}
	}
	dear := policy.Set(0)
	for i := range int(d.N) {
		if passed.Has(i) && d.Seen[i].Cost > least {
			dear = dear.With(i)
		}
	}
	d.shut(dear, Dearer)
	return passed &^ dear
}

// tight tells whether a provider is out and what is free at the others is kept for calls that are worth more than this one.
func (d *Decision) tight(svc *policy.Service, passed policy.Set) bool {
	out, free, all := false, 0, 0
	for i := range int(d.N) {
		switch g := d.Scores[i].Gate; {
		case g == CircuitOpen, g == CircuitProbing, g == Ramping:
			out = true
		case passed.Has(i):
			limit := svc.Candidates[i].Limits.InFlight
			if limit <= 0 {
				return false
			}
			free, all = free+limit-int(d.Seen[i].InFlight), all+limit
		}
	}
	return out && all > 0 && float64(free) <= float64(float64(all)*float64(scarce*d.Past.Above))
}

// ramping are the circuits that are taken back gently, where nobody else passed: they take more than their share then, but not at once
// all of it.
func (d *Decision) ramping(svc *policy.Service) policy.Set {
	set := policy.Set(0)
	for i := range int(d.N) {
		s := &d.Seen[i]
		if d.Scores[i].Gate != Ramping || int(s.InFlight) >= max(1, int(float64(d.normal(i, svc)*max(s.Circuit.Share, 1./fewer)))) && !d.returning(int8(i)) {
			continue
		}
		if g, wait := d.load(i, svc); g != Passed {
			d.Scores[i].Gate, d.Scores[i].Wait = g, wait
			continue
		}
		set = set.With(i)
	}
	return set
}

// normal is how many calls the provider carries on an ordinary day, at its most.
func (d *Decision) normal(i int, svc *policy.Service) float64 {
	if limit := svc.Candidates[i].Limits.InFlight; limit > 0 {
		return float64(limit)
	}
	return float64(d.Seen[i].Normal)
}

// rank gives each candidate its rank. Those that did not pass have one too: it shows where they would have stood.
func (d *Decision) rank(svc *policy.Service, passed policy.Set) {
	switch svc.Strategy {
	case policy.Weighted:
		d.draws(svc, passed)
	case policy.Adaptive:
		all := d.stakes(svc)
		for i := range int(d.N) {
			d.Scores[i].Rank = all.at(i, &d.Seen[i], svc.Candidates[i].Limits.InFlight).sum()
		}
	case policy.Nearest:
		near := nearness(svc, d.Facts.Client)
		for i := range min(int(d.N), len(near)) {
			d.Scores[i].Rank = -float64(near[i])
		}
	default: // an order of preference is what any list has
		for i := range int(d.N) {
			d.Scores[i].Rank = float64(int(d.N) - i)
		}
	}
}

// draws ranks by weighted rendezvous, and tells each one's share of those that passed.
func (d *Decision) draws(svc *policy.Service, passed policy.Set) {
	shares := 0.0
	for i := range int(d.N) {
		if passed.Has(i) {
			shares += weight(svc, i)
		}
	}
	for i := range int(d.N) {
		s, w := &d.Scores[i], weight(svc, i)
		switch {
		case shares == 0 && passed.Has(i):
			s.Rank = rendezvous(d.Facts.Draw, d.Seen[i].salt, 1)
			continue
		case shares > 0 && passed.Has(i) && d.Facts.Owner < 0:
			s.Weight = 100 * w / shares
		}
		s.Rank = rendezvous(d.Facts.Draw, d.Seen[i].salt, w)
	}
}

func weight(svc *policy.Service, i int) float64 {
	if w := svc.Candidates[i].Weight; w > 0 { // neither NaN nor below 0
		return w
	}
	return 0
}

// nearness are the candidates' distances from the user: where he is not told, from here.
func nearness(svc *policy.Service, client int8) []uint8 {
	if client < 0 {
		client = svc.Here
	}
	if client < 0 || int(client) >= len(svc.Near) {
		return nil
	}
	return svc.Near[client]
}

// Worth is what a call is expected to bring at a candidate, in millionths of the base currency, and what that is made of.
type Worth struct {
	Gain  float64 // margin less fee, as often as it succeeds
	Loss  float64 // cost of a failure, as often as it fails
	Delay float64 // price of the time that it takes, more where many wait
	Leave float64 // price of leaving the session's provider
}

// sum is what it is worth in all.
func (w Worth) sum() float64 { return w.Gain - w.Loss - w.Delay - w.Leave }

// Worth tells what the worth of candidate i is made of.
func (d *Decision) Worth(i int, svc *policy.Service) Worth {
	all := d.stakes(svc)
	return all.at(i, &d.Seen[i], svc.Candidates[i].Limits.InFlight)
}

// stakes are what the worths of all candidates of a choice are made of.
type stakes struct {
	margin  float64 // what a call brings that succeeds
	failure float64 // what one costs that fails
	wait    float64 // what a nanosecond costs
	stay    float64 // what it costs to leave the session's provider
	pin     int
	high    bool // the call is of high value
}

func (d *Decision) stakes(svc *policy.Service) stakes {
	o := &svc.Objective
	return stakes{
		margin: d.margin(svc), failure: float64(o.Failure), wait: float64(o.Second) / float64(time.Second), stay: float64(o.Stay),
		pin: int(d.Facts.Pinned), high: d.high(svc),
	}
}

// at is what the call is worth at candidate i. Every product is rounded by itself: the same on any machine.
func (a *stakes) at(i int, s *Seen, limit int) Worth {
	p := s.success(a.high)
	w := Worth{Gain: float64(p * (a.margin - float64(s.Cost))), Loss: float64((1 - p) * a.failure)}
	crowd := 1.0
	if limit > 0 {
		crowd += float64(s.InFlight) / float64(limit)
	}
	w.Delay = float64(float64(a.wait*float64(s.Latency)) * crowd)
	if a.pin >= 0 && a.pin != i {
		w.Leave = a.stay
	}
	return w
}

// success is how often a call is expected to succeed there: one of high value, by what is known for sure.
func (s *Seen) success(high bool) float64 {
	if high {
		return float64(s.Lower)
	}
	return float64(s.Mean)
}

// high tells whether the call is of high value.
func (d *Decision) high(svc *policy.Service) bool {
	return svc.HighValue.Above > 0 && d.Facts.Value >= svc.HighValue.Above
}

// margin is what a call brings that succeeds.
func (d *Decision) margin(svc *policy.Service) float64 {
	return float64(float64(d.Facts.Value) * svc.Objective.Margin)
}

// near is the difference in worth that is none. Of a call whose value nobody knows, a failure is what there is to lose.
func (d *Decision) near(svc *policy.Service) float64 {
	return float64(asGood * max(d.margin(svc), float64(svc.Objective.Failure)))
}

// spread takes the draw's choice among those that passed and are as good as the best.
func (d *Decision) spread(svc *policy.Service, passed policy.Set, best int8, near float64) {
	good, n, shares := policy.Set(0), 0, 0.0
	least := d.Scores[best].Rank - near
	for i := range int(d.N) {
		if passed.Has(i) && d.Scores[i].Rank >= least {
			good, n, shares = good.With(i), n+1, shares+weight(svc, i)
		}
	}
	d.Reason = ByValue
	if svc.Strategy == policy.Nearest {
		d.Reason = ByNearness
	}
	if n <= 1 {
		d.Winner = best
		return
	}
	most := -1.0
	for i := range int(d.N) {
		if !good.Has(i) {
			continue
		}
		w, all := weight(svc, i), shares
		if shares == 0 {
			w, all = 1, float64(n)
		}
		d.Scores[i].Weight = 100 * w / all
		if r := rendezvous(d.Facts.Draw, d.Seen[i].salt, w); r > most {
			d.Winner, most = int8(i), r
		}
	}
	d.Reason = BySpread
}

// lastResort never gates the last provider. What is only slow answers: it takes calls of all kinds (see slowest). So does what comes back and has
// answered well since (see returning). Else the least bad is the one
// with the fewest failures in a row whose circuit is shut; if there is none, one that is drained. It takes a fifth of what it carries on an
// ordinary day. Capacity, rate and time hold all the same. Effects are refused, for a failing provider would leave them unknown; but where
// every connection is refused, a try is proven unsent, and takes an effect there in the moment in which somebody is reached again.
func (d *Decision) lastResort(svc *policy.Service) {
	if d.Facts.Owner >= 0 || d.shed() {
		return
	}
	if d.slowest(svc); d.Winner >= 0 {
		return
	}
	if d.comesBack(svc); d.Winner >= 0 {
		return
	}
	for _, drained := range [...]bool{false, true} {
		for i := range d.N {
			s := &d.Scores[i]
			if drained && s.Gate != Drained || !drained && s.Gate != CircuitOpen && s.Gate != CircuitProbing {
				continue
			}
			if !d.Facts.Read && (drained || !d.Seen[i].Cause.Unsent) {
				continue
			}
			share := fewer
			if d.Seen[i].Cause.Unsent {
				share = unreached
			}
			if !drained && int(s.InFlight) >= max(1, int(d.normal(int(i), svc))/share) {
				continue
			}
			if g, _ := d.load(int(i), svc); g == Passed && (d.Winner < 0 || d.better(i, d.Winner)) {
				d.Winner, d.Reason = i, LastResort
			}
		}
		if d.Winner >= 0 {
			return
		}
	}
}

// slowest takes, where nobody passed, a provider whose circuit slowness alone opened: a late answer is better than none. The session's own
// comes first, else the best by rank. No fifth holds here: that would refuse calls which are answered, and the limits of the policy stay.
func (d *Decision) slowest(svc *policy.Service) {
	for i := range d.N {
		s := &d.Scores[i]
		if d.Seen[i].Cause.Alarm != health.Slowing || s.Gate != CircuitOpen && s.Gate != CircuitProbing && s.Gate != Ramping {
			continue
		}
		if g, _ := d.load(int(i), svc); g != Passed {
			continue
		}
		if d.Winner < 0 || i == d.Facts.Pinned || d.Winner != d.Facts.Pinned && s.Rank > d.Scores[d.Winner].Rank {
			d.Winner, d.Reason = i, LastResort
		}
	}
}

// comesBack takes, where nobody passed, a half-open provider that has answered well since it was asked again: where all come back in one moment,
// calls would be refused until the probes of one of them are through. The session's own comes first, else the best by rank.
func (d *Decision) comesBack(svc *policy.Service) {
	for i := range d.N {
		s := &d.Scores[i]
		if s.Gate != CircuitProbing || !d.returning(i) {
			continue
		}
		if g, _ := d.load(int(i), svc); g != Passed {
			continue
		}
		if d.Winner < 0 || i == d.Facts.Pinned || d.Winner != d.Facts.Pinned && s.Rank > d.Scores[d.Winner].Rank {
			d.Winner, d.Reason, d.beyond = i, LastResort, true
		}
	}
}

// returning tells whether a provider that comes back may take one call more that nobody else takes. Each good answer makes room for two in
// flight, so that they grow threefold in the time that a call takes, up to twice what all providers together carry on an ordinary day. A
// failure takes more than half of that; of less than 17 good answers, all.
func (d *Decision) returning(i int8) bool {
	s, most := &d.Seen[i], 0
	for k := range int(d.N) {
		most += 2 * int(d.Seen[k].Normal)
	}
	return int(s.InFlight) < min(2*int(s.Circuit.Good), max(most, fewest))
}

// shed tells whether somebody could have taken the call, and did not because of what it is worth.
func (d *Decision) shed() bool {
	for i := range d.N {
		if d.Scores[i].Gate == Shed {
			return true
		}
	}
	return false
}

func (d *Decision) better(a, b int8) bool {
	x, y := &d.Scores[a], &d.Scores[b]
	return x.Failures < y.Failures || x.Failures == y.Failures && x.Rank > y.Rank
}
