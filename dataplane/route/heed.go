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
	allFor   = 4 * time.Second  // nor is one that fails wherever it is called
)

// Heeded is what is remembered beside a standing of verdicts on its provider, and what speaks against them here.
type Heeded struct {
	since time.Time // of the verdict that was acted on, by the leader's clock: its name, no more
	at    time.Time // when
	good  time.Time // when a call last showed that the provider answers
	told  bool      // that verdict said so
	all   time.Time // until then it is said to fail everywhere, and no call here has shown anything since
}

// Answered notes that a call showed now that the provider answers.
func (h *Heeded) Answered(now time.Time) { h.good, h.all = now, time.Time{} }

// Good is when a call last showed that the provider answers; zero: never.
func (h *Heeded) Good() time.Time { return h.good }

// Heed takes a verdict in force on row's provider, in that region. It is a hint. One on the provider makes the tests here quicker, and
// the calls here decide; where nothing succeeds from anywhere, the last call here does, see Follow. One on the path from here opens the
// circuit, unless calls succeed. Where no other provider takes calls, others' evidence does not count.
func (st *Standings) Heed(row *Standing, h *Heeded, v *health.Verdict, region string, now time.Time) (breaker.Transition, bool) {
	here := v.Kind == health.ProviderFault || v.Kind == health.PathFault && v.Region == region
	if !here || !v.Eject || st.last(row, now) {
		return breaker.Transition{}, false
	}
	known := v.Since.Equal(h.since)
	if !known && !h.at.IsZero() && now.Sub(h.at) < armEvery {
		return breaker.Transition{}, false
	}
	if v.All && v.Kind == health.ProviderFault && (!known || !h.told) {
		h.all = v.Until
	}
	h.told = v.All || known && h.told
	if known {
		return st.Follow(row, h, now)
	}
	h.since, h.at = v.Since, now
	row.Failing.Arm(row.Measures[:], now)
	if v.All {
		return st.Follow(row, h, now)
	}
	if v.Kind != health.PathFault || !h.good.IsZero() && now.Sub(h.good) < goodFor {
		return breaker.Transition{}, false
	}
	row.trials = [kinds]trial{} // nothing is known of it here
	return row.Circuit.Step(breaker.Alarmed, breaker.Outside, now, uint64(now.UnixNano()))
}

// Follow leaves a provider that fails wherever it is called: once for each such verdict, if the last call here failed too, or if none was
// answered for a while. One that succeeds ends it: a region that sees successes keeps sending. It is asked again and again while the verdict
// stands, because a region may have no call to learn from when it comes.
func (st *Standings) Follow(row *Standing, h *Heeded, now time.Time) (breaker.Transition, bool) {
	if h.all.IsZero() {
		return breaker.Transition{}, false
	}
	if !h.all.After(now) || st.last(row, now) || row.Circuit.State() != breaker.Closed && row.Circuit.State() != breaker.Ramp {
		h.all = time.Time{} // what is left is left by what was seen here
		return breaker.Transition{}, false
	}
	if row.Failing.InARow() == 0 && !h.good.IsZero() && now.Sub(h.good) < allFor || now.Before(row.Frozen) {
		return breaker.Transition{}, false
	}
	h.all = time.Time{}
	t, changed := row.Circuit.Step(breaker.Alarmed, breaker.Outside, now, mix(row.salt^uint64(now.UnixNano())))
	if changed {
		row.cause = Cause{}
	}
	return t, changed
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
