package standing

import (
	"fmt"
	"time"

	"segue/controlplane/health"
	"segue/dataplane/breaker"
)

// How a verdict is heeded.
const (
	armEvery = 30 * time.Second // one provider is looked at more closely once in so long, however often somebody says so
	goodFor  = 5 * time.Second  // a provider that answered well so lately is not left because of what others say
	wellFor  = 10 * time.Second // and says for so long that this region's way out is there
)

// heeded is what a row remembers of verdicts, and what speaks against them here.
type heeded struct {
	since time.Time // of the verdict that was acted on, by the leader's clock: its name, no more
	at    time.Time // when
	good  time.Time // when a call last showed that the provider answers
}

// Heed takes the verdicts in force, all of them each time; their ends are by this agent's clock. A verdict is a hint. One on a provider makes
// this agent's own test quicker, and the agent's own calls decide. One on the path from this region opens the circuit, unless calls succeed
// here. One on everything keeps the detectors from opening circuits while it holds: failures in a row, and a share of them, still do.
// Nothing is done here that does not end by itself.
func (b *Board) Heed(verdicts []health.Verdict, now time.Time) {
	b.swap.Lock()
	defer b.swap.Unlock()
	b.frozen, b.lost = time.Time{}, time.Time{}
	for _, v := range verdicts {
		switch {
		case !v.Until.After(now):
		case v.Kind == health.OursFault:
			b.frozen = later(b.frozen, v.Until)
		case v.Kind == health.RegionFault && v.Region == b.region:
			b.lost = later(b.lost, v.Until)
		}
	}
	for _, s := range *b.services.Load() {
		s.heed(b, verdicts, now)
	}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func (s *service) heed(b *Board, verdicts []health.Verdict, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.rows {
		r.Frozen = b.frozen
		for i := range verdicts {
			if v := &verdicts[i]; v.Until.After(now) && v.Service == s.name && v.Provider == r.Provider {
				s.heedOne(b, r, v, now)
			}
		}
	}
}

func (s *service) heedOne(b *Board, r *row, v *health.Verdict, now time.Time) {
	here := v.Kind == health.ProviderFault || v.Kind == health.PathFault && v.Region == b.region
	h := &r.heeded
	if !here || !v.Eject || v.Since.Equal(h.since) || !h.at.IsZero() && now.Sub(h.at) < armEvery || s.last(r, now) {
		return
	}
	h.since, h.at = v.Since, now
	for k := range r.Measures {
		r.Measures[k].Arm(now)
	}
	if v.Kind != health.PathFault || !h.good.IsZero() && now.Sub(h.good) < goodFor {
		return
	}
	if t, changed := r.Circuit.Step(breaker.Alarmed, breaker.Outside, now, uint64(now.UnixNano())); changed {
		b.Note(health.Event{
			At: now, Kind: "breaker", Service: s.name, Provider: r.Provider, Level: "bad",
			Text: fmt.Sprintf("%s: circuit open, because of its path from here (%s), asks again in %v", r.Provider, v.Why, max(0, r.Circuit.Until().Sub(t.At).Round(time.Second))),
		})
	}
}

// last tells whether no other provider of the service takes calls: then others' evidence does not count.
func (s *service) last(r *row, now time.Time) bool {
	for _, o := range s.rows {
		if o != r && !o.Drained.After(now) && (o.Circuit.State() == breaker.Closed || o.Circuit.State() == breaker.Ramp) {
			return false
		}
	}
	return true
}

// Lost tells whether this region's own way out is gone: the leader says so, and what is seen here agrees. Then applications go on in another
// region. A wrong verdict alone sends nobody away.
func (b *Board) Lost(now time.Time) bool {
	b.swap.Lock()
	defer b.swap.Unlock()
	if !b.lost.After(now) {
		return false
	}
	shut, well := 0, 0
	for _, s := range *b.services.Load() {
		s.mu.Lock()
		for _, r := range s.rows {
			switch state := r.Circuit.State(); {
			case state == breaker.Open || state == breaker.HalfOpen:
				shut++
			case !r.heeded.good.IsZero() && now.Sub(r.heeded.good) < wellFor:
				well++
			}
		}
		s.mu.Unlock()
	}
	return shut >= 2 && shut*3 >= (shut+well)*2
}
