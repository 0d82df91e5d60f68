package route

import (
	"time"

	"segue/controlplane/health"
	"segue/controlplane/policy"
	"segue/dataplane/breaker"
)

// Decide chooses the provider of one call and fills d with what it knew. It changes nothing: Begin takes what the winner costs, under
// the same lock. A candidate without a row is Absent.
func Decide(d *Decision, svc *policy.Service, st *Standings, f *policy.Facts, now time.Time) {
	n := min(len(svc.Candidates), len(st.Rows), policy.MaxCandidates)
	d.reset(n, f, now)
	well := true
	for i := range n {
		closed := st.Rows[i].look(&d.Seen[i], &svc.Candidates[i].Limits, f, now)
		well = well && closed
	}
	st.Past.look(&d.Past, svc, f, well, now)
	d.price(svc)
	d.choose(svc)
}

// reset leaves nothing of the decision that d held before.
func (d *Decision) reset(n int, f *policy.Facts, now time.Time) {
	for i := n; i < int(d.N); i++ {
		d.Scores[i], d.Seen[i] = Score{}, Seen{}
	}
	d.Winner, d.Reason, d.Probe, d.Moved, d.beyond = -1, NoReason, false, false, false
	d.Facts = *f // by itself: in one assignment with others it would be copied twice
	d.N, d.At, d.Past = int8(n), now, Past{}
}

// look takes down what the choice may know of the row, and tells whether its circuit is closed.
func (row *Standing) look(s *Seen, l *policy.Limits, f *policy.Facts, now time.Time) (closed bool) {
	kind := kindOf(f.Read)
	if k := &row.known[kind]; k.limit > 0 {
		s.Showed = Showed{Mean: k.mean, Lower: k.lower, Latency: k.latency}
	} else { // a row that NewStanding did not make: nothing ended and no tick came yet
		s.Showed = shows(&row.Measures[kind], now)
	}
	s.Failures, s.InFlight, s.Normal = int32(min(row.Circuit.Failures(), 1<<30)), row.InFlight, int32(row.normal+.5)
	s.Closed, s.Drained, s.Rate = left(row.closed, now), left(row.Drained, now), 0
	s.Fees = row.fees.learned
	if l.Rate > 0 {
		s.Rate = row.wait(now)
	}
	if s.salt = row.salt; s.salt == 0 {
		s.salt = salt(row.Provider)
	}
	if _, closed = row.Circuit.Pass(); closed && s.State == breaker.Closed && s.Cause.Alarm == 0 { // the decision before left no cause
		s.Leaving, s.Circuit = Leaving{}, breaker.Gate{Pass: true, Share: 1}
	} else {
		row.stands(s, kind, f.Draw, now)
	}
	return closed
}

// stands takes down how it stands with the circuit, where it is not closed or was not before.
func (row *Standing) stands(s *Seen, kind uint8, draw uint64, now time.Time) {
	s.State, s.Circuit, s.Leaving, s.Cause = row.Circuit.State(), row.Circuit.Gate(now, draw), Leaving{row.Circuit.Away(), row.partly(kind)}, Cause{}
	if s.State != breaker.Closed {
		s.Cause = row.cause
		s.Cause.Unsent = row.Circuit.Refused() && row.cause.Alarm != health.Hanging
	}
	if s.Circuit.Probe {
		row.hope(s, kind)
	}
}

// hope is how a provider is seen that may be asked whether it is well again. How long it took does not fade with time, so that it would keep calls,
// and with them the probe, away for ever. That calls fail there fades, and until then the call that asks weighs what it may lose; where
// connections are refused, that is nothing.
func (row *Standing) hope(s *Seen, kind uint8) {
	mean, lower, latency := row.Measures[kind].Usual()
	s.Showed.Latency = latency
	if s.Cause.Unsent {
		s.Showed.Mean, s.Showed.Lower = float32(mean), float32(lower)
	}
}

func shows(m *health.Measure, now time.Time) Showed {
	k := know(m, now)
	return Showed{Mean: k.mean, Lower: k.lower, Latency: k.latency}
}

func left(until, now time.Time) time.Duration {
	if until.IsZero() {
		return 0
	}
	return until.Sub(now)
}

// price takes down what the call would cost at each candidate, and which rule keeps it away.
func (d *Decision) price(svc *policy.Service) {
	f := &d.Facts
	free, open := svc.Free(f), policy.Set(1)<<d.N-1 // open: no rule keeps them away yet
	for i := range int(d.N) {
		s := &d.Seen[i]
		s.Rule, s.Cost = 0, 0
		if !free {
			s.Cost = s.Fees.of(svc.Candidates[i].Cost.Expected(f.Value, f.Currency, f.Use))
		}
	}
	for r := range svc.Rules {
		away := open &^ svc.Rules[r].Only
		if away == 0 || !svc.Rules[r].When(f) { // a rule that would keep nobody away is not asked
			continue
		}
		for open &^= away; away != 0; away = away.Rest() {
			d.Seen[away.First()].Rule = int8(min(r+1, maxRuled))
		}
	}
}

// maxRuled is the largest number that Seen.Rule holds; a service has fewer rules.
const maxRuled = 127

// choose decides from d.Seen, d.Past, d.Facts and the service alone: Replay comes in here.
func (d *Decision) choose(svc *policy.Service) {
	f, passed := &d.Facts, policy.Set(0)
	d.late, d.ill = !f.Deadline.IsZero() && !d.At.Before(f.Deadline), 0
	plain := f.Owner < 0 && f.Unmapped|f.Tried|f.Barred == 0 // most calls: what was seen decides alone
	for i := range int(d.N) {
		s, seen := &d.Scores[i], &d.Seen[i]
		*s = Score{Circuit: seen.State, InFlight: seen.InFlight, Failures: seen.Failures}
		if plain && seen.Rule == 0 && seen.Drained <= 0 && seen.Circuit.Pass {
			s.Gate, s.Wait = d.load(i, svc)
		} else {
			s.Gate, s.Wait = d.gate(i, svc)
		}
		if s.Gate == Passed {
			passed = passed.With(i)
		}
		if seen.State != breaker.Closed {
			d.ill = d.ill.With(i)
		}
	}
	if d.Facts.Owner < 0 {
		passed = d.narrow(svc, passed)
	}
	if d.Past.NoRetry {
		d.shut(passed, NoRetry)
		return
	}
	d.rank(svc, passed)
	d.pick(svc, passed)
	if d.Winner < 0 {
		d.lastResort(svc)
	}
	if d.Winner >= 0 {
		d.Probe = d.Seen[d.Winner].Circuit.Probe
		pin := d.Facts.Pinned
		d.Moved = pin >= 0 && pin != d.Winner && d.Facts.Owner < 0 && !d.Facts.Unmapped.Has(int(pin))
	}
}

// shut gives all of a set the same gate.
func (d *Decision) shut(set policy.Set, g Gate) {
	if set == 0 {
		return
	}
	for i := range int(d.N) {
		if set.Has(i) {
			d.Scores[i].Gate = g
		}
	}
}

// gate asks the gates in their order and tells the first that is shut. Those that need to know the others come after: see narrow.
func (d *Decision) gate(i int, svc *policy.Service) (Gate, time.Duration) {
	f, seen := &d.Facts, &d.Seen[i]
	owner := int(f.Owner) == i
	switch {
	case f.Unmapped.Has(i):
		return Unmapped, 0
	case f.Tried.Has(i):
		return Tried, 0
	case f.Owner >= 0 && !owner:
		return NotOwner, 0
	case f.Barred.Has(i) && !owner:
		return NoState, 0
	case seen.Rule > 0 && !owner: // what a rule would keep away is there already
		return Ruled, 0
	case seen.Drained > 0 && !owner:
		return Drained, seen.Drained
	case !seen.Circuit.Pass && !owner: // an owned object is nowhere else: its one provider is never gated by a guess
		return shutBy(seen.State), seen.Circuit.Wait
	}
	return d.load(i, svc)
}

func shutBy(s breaker.State) Gate {
	switch s {
	case breaker.HalfOpen:
		return CircuitProbing
	case breaker.Ramp:
		return Ramping
	case breaker.Open, breaker.Closed:
		return CircuitOpen
	default:
		return CircuitOpen
	}
}

// load asks the gates that hold for everybody, the owner and the last resort too.
func (d *Decision) load(i int, svc *policy.Service) (Gate, time.Duration) {
	seen, limit := &d.Seen[i], svc.Candidates[i].Limits.InFlight
	switch {
	case limit > 0 && int(seen.InFlight) >= limit:
		return AtCapacity, 0
	case seen.Closed > 0 || seen.Rate > 0:
		return AtRate, max(seen.Closed, seen.Rate)
	case d.late:
		return NoTime, 0
	case d.Past.Spent && seen.Cost > 0 && svc.Spend.Then != policy.SpendCheapest:
		return Spent, d.Past.Resets
	}
	return Passed, 0
}

// pick takes the owner, the session's provider, or the best of those that passed.
func (d *Decision) pick(svc *policy.Service, passed policy.Set) {
	if passed == 0 {
		return
	}
	pin := d.Facts.Pinned
	pinned := pin >= 0 && pin < d.N && passed.Has(int(pin))
	switch {
	case d.Facts.Owner >= 0:
		d.Winner, d.Reason = d.Facts.Owner, ByOwner
		return
	case pinned && svc.Strategy != policy.Adaptive:
		d.Winner, d.Reason = pin, ByPin
		if d.spills(pin) {
			d.Reason = BySpill
		} else {
			d.beyond = d.Scores[pin].Gate == Ramping
		}
		return
	}
	best := d.highest(passed)
	switch svc.Strategy {
	case policy.Adaptive:
		near := d.near(svc)
		d.spread(svc, passed, best, near)
		if pinned && d.Scores[pin].Rank >= d.Scores[best].Rank-near {
			d.Winner, d.Reason = pin, ByPin
		}
	case policy.Nearest:
		d.spread(svc, passed, best, 0)
	case policy.Weighted:
		d.Winner, d.Reason = best, ByWeight
		if weight(svc, int(best)) == 0 {
			d.Reason = ByFallback
		}
	default:
		d.Winner, d.Reason = best, ByPriority
	}
	switch {
	case d.spills(d.Winner):
		d.Reason = BySpill
	case d.Scores[d.Winner].Gate == Ramping:
		d.Reason, d.beyond = ByRamp, true
	case d.Seen[d.Winner].Circuit.Probe && d.Reason != ByPin:
		d.Reason = ByProbe
	}
}

func (d *Decision) highest(among policy.Set) int8 {
	best := int8(-1)
	for i := range d.N {
		if among.Has(int(i)) && (best < 0 || d.Scores[i].Rank > d.Scores[best].Rank) {
			best = i
		}
	}
	return best
}
