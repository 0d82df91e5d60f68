package route

import (
	"time"

	"segue/controlplane/health"
	"segue/dataplane/breaker"
)

// How a verdict is heeded.
const (
	armEvery = 30 * time.Second // one provider is looked at more closely once in so long, however often somebody says so
	goodFor  = 5 * time.Second  // a provider that answered well so lately is not left because of what others say
)

// Heeded is what is remembered beside a standing of verdicts on its provider, and what speaks against them here.
type Heeded struct {
	since time.Time // of the verdict that was acted on, by the leader's clock: its name, no more
	at    time.Time // when
	good  time.Time // when a call last showed that the provider answers
}

// Answered notes that a call showed now that the provider answers.
func (h *Heeded) Answered(now time.Time) { h.good = now }

// Good is when a call last showed that the provider answers; zero: never.
func (h *Heeded) Good() time.Time { return h.good }

// Heed takes a verdict in force on row's provider, in that region. It is a hint. One on the provider makes the tests here quicker, and
// the calls here decide. One on the path from here opens the circuit, unless calls succeed. Where no other provider takes calls, others'
// evidence does not count.
func (st *Standings) Heed(row *Standing, h *Heeded, v *health.Verdict, region string, now time.Time) (breaker.Transition, bool) {
	here := v.Kind == health.ProviderFault || v.Kind == health.PathFault && v.Region == region
	if !here || !v.Eject || v.Since.Equal(h.since) || !h.at.IsZero() && now.Sub(h.at) < armEvery || st.last(row, now) {
		return breaker.Transition{}, false
	}
	h.since, h.at = v.Since, now
	for k := range row.Measures {
		row.Measures[k].Arm(now)
	}
	if v.Kind != health.PathFault || !h.good.IsZero() && now.Sub(h.good) < goodFor {
		return breaker.Transition{}, false
	}
	row.trials = [kinds]trial{} // nothing is known of it here
	return row.Circuit.Step(breaker.Alarmed, breaker.Outside, now, uint64(now.UnixNano()))
}

// last tells whether no other provider of the service takes calls.
func (st *Standings) last(row *Standing, now time.Time) bool {
	for _, o := range st.Rows {
		if o != row && !o.Drained.After(now) && (o.Circuit.State() == breaker.Closed || o.Circuit.State() == breaker.Ramp) {
			return false
		}
	}
	return true
}

// Frozen is until when the detectors turn nothing, by the verdicts in force: what fails everywhere is ours.
func Frozen(verdicts []health.Verdict, now time.Time) time.Time {
	until := time.Time{}
	for _, v := range verdicts {
		if v.Kind == health.OursFault && v.Until.After(now) && v.Until.After(until) {
			until = v.Until
		}
	}
	return until
}
