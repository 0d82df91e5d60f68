package standing

import (
	"slices"
	"time"

	"segue/controlplane/health"
	"segue/controlplane/policy"
	"segue/dataplane/breaker"
)

// Probed takes how one of a provider's own checks stands. It is a lane of its own: none speaks for another, none opens a circuit, and none
// takes anything away from what calls showed. Only where no call asks for a provider whose circuit is open, its checks ask in their place
// (DESIGN.md). Since is written here; a change for the worse, and back, is an event.
func (b *Board) Probed(service, provider string, l health.Lane) {
	s := (*b.services.Load())[service]
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.row(provider)
	if r == nil || !checked(s.now, provider, l) {
		return
	}
	if speaks(s.now, provider, &l) {
		r.Checked(l.Level == health.Good, l.At, func(t breaker.Transition) { b.asked(r, t) })
	}
	i := slices.IndexFunc(r.lanes, func(o health.Lane) bool { return o.Kind == l.Kind && o.Name == l.Name })
	if i < 0 {
		i = len(r.lanes)
		r.lanes = append(r.lanes, health.Lane{Kind: l.Kind, Name: l.Name})
	}
	was := &r.lanes[i]
	if l.Level == "" { // it was not asked, or said nothing: what it showed before stays, with its time
		l.Level, l.At, l.MS, l.Since = was.Level, was.At, was.MS, was.Since
		if l.Why == "" {
			l.Why = was.Why
		}
	} else if l.Since = was.Since; was.Level != l.Level || l.Since.IsZero() {
		l.Since = l.At
	}
	if l.Next.IsZero() { // asked for by somebody: the rhythm goes on
		l.Next = was.Next
	}
	if e, tell := changed(provider, was, &l); tell {
		e.Service = service
		b.Note(e)
	}
	*was = l
}

// speaks tells whether a lane's result may be the probe of a half-open circuit: a synthetic, which comes nearest to a call; a request, where
// there is no synthetic. A connection or a certificate proves no answer.
func speaks(svc *policy.Service, provider string, l *health.Lane) bool {
	if l.Level != health.Good && l.Level != health.Bad {
		return false
	}
	for _, c := range svc.Candidates {
		switch {
		case c.Provider != provider:
		case l.Kind == health.Synthetic:
			return true
		default:
			return len(c.Synthetics) == 0 && slices.ContainsFunc(c.Checks, func(k policy.Check) bool { return k.Kind == policy.CheckHTTP && k.Name() == l.Name })
		}
	}
	return false
}

// asked tells a turn that a check made.
func (b *Board) asked(r *row, t breaker.Transition) {
	if t.To != breaker.HalfOpen {
		b.turned(r, t)
		return
	}
	b.Note(health.Event{
		At: t.At, Kind: "breaker", Service: r.home.name, Provider: r.Provider, Level: "warn", Text: r.Provider + ": circuit half-open, its checks ask, because no call does",
	})
}

// changed is the event of a lane that turned. The first good result is none: nothing turned.
func changed(provider string, was, is *health.Lane) (health.Event, bool) {
	e := health.Event{At: is.At, Kind: "check", Provider: provider}
	name := "the check " + is.Name
	if is.Kind == health.Synthetic {
		name = "the synthetic " + is.Name
	}
	switch {
	case was.Level == is.Level || was.Level == "" && is.Level == health.Good:
		return e, false
	case is.Level == health.Bad:
		e.Level, e.Text = "bad", provider+": "+name+" fails: "+is.Why
	case is.Level == health.Warned:
		e.Level, e.Text = "warn", provider+": "+name+" warns: "+is.Why
	default:
		e.Level, e.Text = "ok", provider+": "+name+" is good again"
	}
	return e, true
}

// checked tells whether a policy has a lane.
func checked(svc *policy.Service, provider string, l health.Lane) bool {
	return slices.ContainsFunc(svc.Candidates, func(c *policy.Candidate) bool { return c.Provider == provider && has(c, l) })
}

func has(c *policy.Candidate, l health.Lane) bool {
	if l.Kind == health.Synthetic {
		return slices.ContainsFunc(c.Synthetics, func(s policy.Planned) bool { return s.Name == l.Name })
	}
	return l.Kind == health.Active && slices.ContainsFunc(c.Checks, func(k policy.Check) bool { return k.Name() == l.Name })
}

// prune drops the lanes that the policy does not have any more.
func (r *row) prune(c *policy.Candidate) {
	r.lanes = slices.DeleteFunc(r.lanes, func(l health.Lane) bool { return !has(c, l) })
}

// tellLanes writes the lanes into a report's row, and what the active ones come to.
func (r *row) tellLanes(c *health.Condition) {
	c.Lanes = slices.Clone(r.lanes)
	worst, found := health.Summary(r.lanes, health.Active)
	if !found || worst.Level == "" {
		return
	}
	c.CheckOK, c.CheckWhy = 1, worst.Why
	if worst.Level == health.Bad {
		c.CheckOK = -1
	}
	for _, l := range r.lanes {
		if l.Kind == health.Active && l.At.After(c.CheckAt) {
			c.CheckAt = l.At
		}
	}
}

// Lane is how one of a provider's own checks stands here.
func (b *Board) Lane(service, provider, kind, name string) (l health.Lane, known bool) {
	s := (*b.services.Load())[service]
	if s == nil {
		return l, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.row(provider); r != nil {
		for _, one := range r.lanes {
			if one.Kind == kind && one.Name == name {
				return one, true
			}
		}
	}
	return l, false
}

// Leave is until when a provider asked calls to stay away, over all services; zero: it did not.
func (b *Board) Leave(provider string, now time.Time) time.Time {
	var until time.Time
	for _, s := range *b.services.Load() {
		s.mu.Lock()
		if r := s.row(provider); r != nil && r.Closed().After(now) && r.Closed().After(until) {
			until = r.Closed()
		}
		s.mu.Unlock()
	}
	return until
}
