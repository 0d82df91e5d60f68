package route

import (
	"time"

	"segue/controlplane/policy"
	"segue/dataplane/breaker"
)

// Decide chooses the provider of one call and fills d with what it knew. It changes nothing: Begin takes what the winner costs, under
// the same lock. A candidate without a row is Absent.
func Decide(d *Decision, svc *policy.Service, st *Standings, f *policy.Facts, now time.Time) {
	n := min(len(svc.Candidates), len(st.Rows), policy.MaxCandidates)
	d.reset(n, f, now)
	for i := range n {
		st.Rows[i].look(&d.Seen[i], svc.Candidates[i].Limits.Rate, f.Draw, now)
	}
	d.choose(svc)
}

// reset leaves nothing of the decision that d held before.
func (d *Decision) reset(n int, f *policy.Facts, now time.Time) {
	for i := n; i < int(d.N); i++ {
		d.Scores[i], d.Seen[i] = Score{}, Seen{}
	}
	d.Winner, d.Reason, d.Probe, d.Moved = -1, NoReason, false, false
	d.N, d.Facts, d.At = int8(n), *f, now
}

// look takes down what the choice may know of the row.
func (row *Standing) look(s *Seen, rate float64, draw uint64, now time.Time) {
	*s = Seen{
		State:    row.Circuit.State(),
		Circuit:  row.Circuit.Gate(now, draw),
		Failures: int32(min(row.Circuit.Failures(), 1<<30)),
		InFlight: row.InFlight,
		Closed:   left(row.closed, now),
		Drained:  left(row.Drained, now),
		salt:     row.salt,
	}
	if s.salt == 0 {
		s.salt = salt(row.Provider)
	}
	if rate > 0 && !row.tat.IsZero() {
		s.Rate = row.tat.Sub(now) - burst(rate)
	}
}

func left(until, now time.Time) time.Duration {
	if until.IsZero() {
		return 0
	}
	return until.Sub(now)
}

// choose decides from d.Seen, d.Facts and the service alone: Replay comes in here.
func (d *Decision) choose(svc *policy.Service) {
	weighted := svc.Strategy == policy.Weighted
	passed, shares := policy.Set(0), 0.0
	for i := range int(d.N) {
		s := d.score(i, svc)
		if s.Gate != Passed {
			continue
		}
		passed = passed.With(i)
		if weighted {
			shares += weight(svc, i)
		}
	}
	if weighted && d.Facts.Owner < 0 {
		passed = d.weigh(svc, passed, shares)
	}
	d.pick(passed, weighted, shares)
	if d.Winner < 0 {
		d.lastResort(svc)
	}
	if d.Winner >= 0 {
		d.Probe = d.Seen[d.Winner].Circuit.Probe
		pin := d.Facts.Pinned
		d.Moved = pin >= 0 && pin != d.Winner && d.Facts.Owner < 0 && !d.Facts.Unmapped.Has(int(pin))
	}
}

// score asks candidate i's gates and gives it its rank.
func (d *Decision) score(i int, svc *policy.Service) *Score {
	s, seen := &d.Scores[i], &d.Seen[i]
	*s = Score{Circuit: seen.State, InFlight: seen.InFlight, Failures: seen.Failures}
	s.Gate, s.Wait = d.gate(i, svc)
	switch svc.Strategy {
	case policy.Priority:
		s.Rank = float64(int(d.N) - i)
	case policy.Weighted:
		s.Rank = rendezvous(d.Facts.Draw, seen.salt, weight(svc, i))
	default: // an order of preference is what any list has
		s.Rank = float64(int(d.N) - i)
	}
	return s
}

// gate asks the gates in their order and tells the first that is shut. NoWeight needs to know the others: see weigh.
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
	case seen.Drained > 0 && !owner:
		return Drained, seen.Drained
	case !seen.Circuit.Pass && !owner: // an owned object is nowhere else: its one provider is never gated by a guess
		if seen.State == breaker.HalfOpen {
			return CircuitProbing, seen.Circuit.Wait
		}
		return CircuitOpen, seen.Circuit.Wait
	}
	return d.load(i, svc)
}

// load asks the gates that hold for everybody, the owner and the last resort too.
func (d *Decision) load(i int, svc *policy.Service) (Gate, time.Duration) {
	seen, limit := &d.Seen[i], svc.Candidates[i].Limits.InFlight
	switch {
	case limit > 0 && int(seen.InFlight) >= limit:
		return AtCapacity, 0
	case seen.Closed > 0 || seen.Rate > 0:
		return AtRate, max(seen.Closed, seen.Rate)
	case !d.Facts.Deadline.IsZero() && d.Facts.Deadline.Sub(d.At) <= 0:
		return NoTime, 0
	}
	return Passed, 0
}

// weigh gives each passed candidate its effective share, and keeps those without a weight for when no other passed. The session's
// own provider stays in: weights are shares of new sessions.
func (d *Decision) weigh(svc *policy.Service, passed policy.Set, shares float64) policy.Set {
	for i := range int(d.N) {
		if !passed.Has(i) {
			continue
		}
		w, s := weight(svc, i), &d.Scores[i]
		switch {
		case shares > 0 && w > 0:
			s.Weight = 100 * w / shares
		case shares > 0 && int(d.Facts.Pinned) != i:
			s.Gate = NoWeight
			passed &^= policy.Set(1) << uint(i)
		case shares > 0: // pinned: it stays, and gets no new sessions
		default:
			s.Rank = rendezvous(d.Facts.Draw, d.Seen[i].salt, 1)
		}
	}
	return passed
}

func weight(svc *policy.Service, i int) float64 {
	if w := svc.Candidates[i].Weight; w > 0 { // neither NaN nor below 0
		return w
	}
	return 0
}

// pick takes the owner, the session's provider, or the highest rank of those that passed.
func (d *Decision) pick(passed policy.Set, weighted bool, shares float64) {
	if passed == 0 {
		return
	}
	pin := d.Facts.Pinned
	switch {
	case d.Facts.Owner >= 0:
		d.Winner, d.Reason = d.Facts.Owner, ByOwner
		return
	case pin >= 0 && pin < d.N && passed.Has(int(pin)):
		d.Winner, d.Reason = pin, ByPin
		return
	}
	d.Winner = d.highest(passed)
	switch {
	case d.Seen[d.Winner].Circuit.Probe:
		d.Reason = ByProbe
	case !weighted:
		d.Reason = ByPriority
	case shares > 0:
		d.Reason = ByWeight
	default:
		d.Reason = ByFallback
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

// lastResort never gates the last provider of a read. The least bad is the one with the fewest failures in a row whose circuit is
// shut; if there is none, one that is drained. Capacity, rate and time hold all the same. Effects are refused: a failing provider
// would leave them unknown.
func (d *Decision) lastResort(svc *policy.Service) {
	if !d.Facts.Read || d.Facts.Owner >= 0 {
		return
	}
	for _, drained := range [...]bool{false, true} {
		for i := range d.N {
			s := &d.Scores[i]
			if drained && s.Gate != Drained || !drained && s.Gate != CircuitOpen && s.Gate != CircuitProbing {
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

func (d *Decision) better(a, b int8) bool {
	x, y := &d.Scores[a], &d.Scores[b]
	return x.Failures < y.Failures || x.Failures == y.Failures && x.Rank > y.Rank
}
