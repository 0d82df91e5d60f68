package standing

import (
	"fmt"
	"time"

	"segue/controlplane/health"
	"segue/dataplane/breaker"
	"segue/dataplane/route"
)

// wellFor is how long an answered call says that this region's way out is there.
const wellFor = 10 * time.Second

// Heed takes the verdicts in force, all of them each time; their ends are by this agent's clock. A verdict is a hint. One on a provider makes
// this agent's own test quicker, and the agent's own calls decide. One on the path from this region opens the circuit, unless calls succeed
// here. One on everything keeps the detectors from opening circuits while it holds: failures in a row, and a share of them, still do.
// Nothing is done here that does not end by itself.
func (b *Board) Heed(verdicts []health.Verdict, now time.Time) {
	b.swap.Lock()
	defer b.swap.Unlock()
	b.frozen, b.lost = route.Frozen(verdicts, now), time.Time{}
	for _, v := range verdicts {
		if v.Kind == health.RegionFault && v.Region == b.region && v.Until.After(now) {
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
	if t, changed := s.st.Heed(&r.Standing, &r.heeded, v, b.region, now); changed {
		why := "its path from here (" + v.Why + ")"
		if v.Kind == health.ProviderFault {
			why = everywhere
		}
		s.hinted(b, r, t, why, now)
	}
}

// everywhere is why, in words.
const everywhere = "all regions' calls: none succeeds"

// follow leaves what fails wherever it is called, see Standings.Follow.
func (s *service) follow(b *Board, r *row, now time.Time) {
	if t, changed := s.st.Follow(&r.Standing, &r.heeded, now); changed {
		s.hinted(b, r, t, everywhere, now)
	}
}

// hinted tells that a circuit opened by others' evidence.
func (s *service) hinted(b *Board, r *row, t breaker.Transition, why string, now time.Time) {
	b.Note(health.Event{
		At: now, Kind: "breaker", Service: s.name, Provider: r.Provider, Level: "bad",
		Text: fmt.Sprintf("%s: circuit open, because of %s, asks again in %v", r.Provider, why, max(0, r.Circuit.Until().Sub(t.At).Round(time.Second))),
	})
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
			case !r.heeded.Good().IsZero() && now.Sub(r.heeded.Good()) < wellFor:
				well++
			}
		}
		s.mu.Unlock()
	}
	return shut >= 2 && shut*3 >= (shut+well)*2
}
