package session

import "segue/controlplane/policy"

// Way says whether a session can go on at a provider, and what keeps it away.
type Way struct {
	Can     bool
	Field   string // that keeps it away
	Pinned  bool   // the field is pinned elsewhere; else its state is not there and nothing brings it
	Carries int    // fields that are brought there first
	Loses   int    // pinned fields that stay behind, which is reported
}

// WayTo says whether a session can go on at a candidate of a service: each field must be there, or there must be a call that brings it,
// and a pinned one must not be elsewhere. s may be nil.
func (s *Session) WayTo(svc *policy.Service, to *policy.Candidate) Way {
	w := Way{Can: true}
	if s == nil {
		return w
	}
	pin := s.Pinned(svc.Name)
	for i := range svc.Session {
		rule := &svc.Session[i]
		f := s.Field(svc.Name, rule.Name)
		if f == nil || !f.Set() {
			continue
		}
		switch {
		case rule.Class == policy.PinnedHere && pin != "" && pin != to.Provider:
			if !rule.Report {
				return Way{Field: rule.Name, Pinned: true}
			}
			w.Loses++
		case rule.Map == "":
		default:
			if _, there := f.For(to.Provider); there {
				continue
			}
			if _, can := to.Import(rule.Map); !can || f.Value == nil {
				return Way{Field: rule.Name}
			}
			w.Carries++
		}
	}
	return w
}

// Barred are the candidates where a session cannot go on; held is the pinned field that keeps it where it is, "" where none does.
func (s *Session) Barred(svc *policy.Service) (barred policy.Set, held string) {
	for i, c := range svc.Candidates {
		if w := s.WayTo(svc, c); !w.Can {
			barred = barred.With(i)
			if w.Pinned {
				held = w.Field
			}
		}
	}
	return barred, held
}

// Brings lists the fields that a candidate would be brought first.
func (s *Session) Brings(svc *policy.Service, to *policy.Candidate) (list []string) {
	for i := range svc.Session {
		rule := &svc.Session[i]
		f := s.Field(svc.Name, rule.Name)
		if rule.Map == "" || f == nil || !f.Set() {
			continue
		}
		if _, there := f.For(to.Provider); !there {
			list = append(list, rule.Name)
		}
	}
	return list
}

// Leaves lists the pinned fields that a session loses by going to another provider.
func (s *Session) Leaves(svc *policy.Service, to string) (lost []string) {
	pin := s.Pinned(svc.Name)
	for i := range svc.Session {
		rule := &svc.Session[i]
		if f := s.Field(svc.Name, rule.Name); rule.Class == policy.PinnedHere && f != nil && f.Set() && pin != "" && pin != to {
			lost = append(lost, rule.Name)
		}
	}
	return lost
}
