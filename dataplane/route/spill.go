package route

import (
	"segue/controlplane/health"
	"segue/controlplane/policy"
	"segue/dataplane/breaker"
)

// What nobody else can take spills to a provider that is being left gradually, as long as part of what goes there succeeds.
const (
	trialOf  = 32 // calls that a trial remembers, about
	hopeless = 8  // failures in a row after which nothing succeeds there: one in 15,000 where three of ten fail
	worthIt  = 4  // one in so many has to succeed
)

// trial is what the calls showed since the trouble began, the last of them most.
type trial struct {
	good, bad uint8
	row       uint8 // of failures
	asked     uint8 // calls that spilled there
	shown     bool  // one that was sent since the trouble began has succeeded
}

// trouble is what is known of the last one.
type trouble struct {
	blame
	trials [kinds]trial
}

// note counts a call that was made since.
func (t *trial) note(good bool) {
	if good {
		t.good, t.row, t.shown = t.good+1, 0, true
	} else {
		t.bad, t.row = t.bad+1, min(t.row+1, hopeless)
	}
	if t.good+t.bad > trialOf {
		t.good, t.bad = t.good/2, t.bad/2
	}
}

// partly tells whether part of what goes there succeeds. What is not known does not; and until one of them was seen to, only a few go there.
func (t *trial) partly() bool {
	return (t.shown || t.asked < hopeless) && t.good > 0 && t.row < hopeless && worthIt*t.good >= t.good+t.bad
}

// begin takes over what made the circuit turn: so many of so many calls failed.
func (t *trial) begin(failed, calls uint32) {
	if calls > trialOf {
		failed, calls = failed*trialOf/max(calls, 1), trialOf
	}
	failed = min(failed, calls)
	*t = trial{good: uint8(calls - failed), bad: uint8(failed)}
}

// tried begins both kinds' trials with what an opening, or a ramp away, was concluded from.
func (row *Standing) tried(t breaker.Transition, c *Cause) {
	var is trial
	switch {
	case t.Reason == breaker.InARow, t.Reason == breaker.ProbeFailed:
		is.begin(uint32(max(t.Failures, 1)), uint32(max(t.Failures, 1)))
	case t.Reason == breaker.Percent:
		is.begin(uint32(max(t.Failures, 0)), uint32(max(t.Calls, 0)))
	case c.Alarm == health.Failing:
		is.begin(c.Evidence.Failed, c.Evidence.Calls)
	case c.Alarm == health.Slowing:
		is.begin(0, hopeless)
	default: // it hangs: the first answer says that it does not
		is.begin(1, 1)
	}
	for k := range row.trials {
		row.trials[k] = is
	}
}

// shows counts a call that ended while the provider is being left. What was sent before the trouble began says nothing, unless it hung.
func (row *Standing) shows(p *Permit, c health.Class) {
	if row.Circuit.State() == breaker.Closed || p.at.Before(row.Circuit.Since()) && row.cause.Late == 0 && row.cause.Alarm != health.Hanging {
		return
	}
	switch c {
	case health.OK, health.Slow:
		row.trials[p.kind].note(true)
	case health.Failure:
		row.trials[p.kind].note(false)
	case health.Limited, health.None:
	default:
	}
}

// Partly tells whether calls that nobody else can take go to the provider, though it is being left: the policy says that it is left gradually,
// and part of what goes there succeeds.
func (row *Standing) Partly() bool { return row.partly(reads) || row.partly(effects) }

func (row *Standing) partly(kind uint8) bool {
	return row.Circuit.State() != breaker.Closed && row.Circuit.Gradual() && row.trials[kind].partly()
}

// faltering tells whether an alarm says that part of the calls fail, and others succeed.
func faltering(c *Cause) bool {
	var t trial
	t.begin(c.Evidence.Failed, c.Evidence.Calls)
	return c.Alarm == health.Failing && t.partly()
}

// roomier keeps calls from a provider on its ramp away as long as others are known to have room: then the share that moves is what they can
// take, and not what time says. Room is known where there is a limit, or where fewer calls are in flight than on an ordinary day.
func (d *Decision) roomier(svc *policy.Service, passed policy.Set) policy.Set {
	leaving, room := policy.Set(0), false
	for set := passed & d.ill; set != 0; set = set.Rest() {
		if i := set.First(); d.Seen[i].Away && !d.Seen[i].Circuit.Probe {
			leaving = leaving.With(i)
		}
	}
	if leaving == 0 {
		return passed
	}
	for set := passed &^ d.ill; set != 0; set = set.Rest() {
		i := set.First()
		s, l := &d.Seen[i], &svc.Candidates[i].Limits
		room = room || l.InFlight > 0 || l.Rate > 0 || s.InFlight < s.Normal
	}
	if !room {
		return passed
	}
	d.shut(leaving, Ramping)
	return passed &^ leaving
}

// spilling are those that are being left and may be given what nobody else can take: no more than they carry on an ordinary day.
func (d *Decision) spilling(svc *policy.Service) policy.Set {
	set := policy.Set(0)
	for i := range int(d.N) {
		s, score := &d.Seen[i], &d.Scores[i]
		shut := score.Gate == CircuitOpen || score.Gate == CircuitProbing || score.Gate == Ramping
		if !s.Partly || !shut || int(s.InFlight) >= max(1, int(d.normal(i, svc))) {
			continue
		}
		if g, wait := d.load(i, svc); g != Passed {
			score.Gate, score.Wait = g, wait
			continue
		}
		set = set.With(i)
	}
	return set
}

// spills tells whether i got the call although its gate is shut.
func (d *Decision) spills(i int8) bool {
	switch d.Scores[i].Gate {
	case CircuitOpen, CircuitProbing, Ramping:
		return d.Seen[i].Partly
	default:
		return false
	}
}
