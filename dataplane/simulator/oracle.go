package simulator

import (
	"time"

	"segue/controlplane/health"
	"segue/controlplane/policy"
)

// oracle knows what ails every provider now, and how long its queue is. It does not know what will become of one call. It settles by the
// same ledger as Segue, so that what lies between the two is the choice alone.
type oracle struct {
	svcs []*policy.Service
}

func (o *oracle) service(region int8) *policy.Service { return o.svcs[region] }

func (o *oracle) choose(s *sim, c *call, f *policy.Facts) int {
	if f.Owner >= 0 {
		return int(f.Owner)
	}
	best, least := -1, 0.0
	for p := range s.world.places {
		if f.Tried.Has(p) {
			continue
		}
		if x := o.expects(s, c, p); best < 0 || x < least {
			best, least = p, x
		}
	}
	return best
}

// expects is what a call costs there: its fee, and how likely it is that the caller is told nothing.
func (o *oracle) expects(s *sim, c *call, p int) float64 {
	at := &s.world.places[p]
	ill := &at.now[c.region]
	errors, silent := at.Errors+ill.errors, at.Silent+ill.silent
	lost := .0
	if at.Keys { // the same again, up to four times; half of the errors are told again for ever
		again := errors * (1 - begunOnError)
		lost = errors*begunOnError + again*again*again*again + silent*silent
	} else { // looked up, cancelled, then elsewhere
		lost = errors*errors*errors + silent*silent*silent
	}
	if c.read { // one more try, elsewhere
		lost = (errors + silent) * .01
	}
	lost += ill.refused * .1
	if wait := at.wait(s.now, ill.lost); wait > int64(time.Second) {
		lost++
	}
	if ill.slow > 0 { // a caller who waits six times as long was not served well: it pays the failure of a call for every minute
		lost += at.Median.Seconds() * ill.slow / 60
	}
	fee := 0.0
	if !c.read {
		fee = s.world.fee(p, c)
	}
	return fee + lost*FailureCost
}

// wait is how long a call that comes now waits for a server.
func (at *place) wait(now int64, lost float64) int64 {
	if at.servers == 0 {
		return 0
	}
	at.resize(max(1, int(float64(at.servers)*(1-lost))), now)
	return max(0, at.busy[0]-now)
}

func (*oracle) done(*sim, *call, health.Sample, health.Outcome) {}

func (*oracle) tick(*sim) {}

func (*oracle) pulse(*sim) {}

func (*oracle) retry(*sim, *call) bool { return true }
