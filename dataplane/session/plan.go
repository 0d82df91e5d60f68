package session

import (
	"slices"
	"time"

	"segue/controlplane/policy"
)

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
			brought, free := s.brings(svc, rule, f, to)
			if !brought && !free {
				return Way{Field: rule.Name}
			}
			if brought {
				w.Carries++
			}
		}
	}
	return w
}

// brings tells whether there is a call that brings a field to a candidate, or whether that needs nothing.
func (s *Session) brings(svc *policy.Service, rule *policy.SessionField, f *Field, to *policy.Candidate) (brought, free bool) {
	if rule.Kind == policy.KindTokens {
		t, asks := to.Tokens(rule.Map)
		return asks && t.CanIssue(), !asks
	}
	if _, can := to.Import(rule.Map); !can {
		return false, false
	}
	at, _, _ := s.Source(svc, rule)
	return f.Value != nil || at >= 0 && svc.Candidates[at] != to, false
}

// Source is where a field can be fetched from: the provider that the session is with, if its contract gives the field and it is known
// what it is called there; at -1: nowhere. A pinned field is never fetched, nor one that is not a value.
func (s *Session) Source(svc *policy.Service, rule *policy.SessionField) (at int, call policy.Exporting, token Token) {
	if s == nil || !Fetches(rule) {
		return -1, call, token
	}
	pin := s.Pinned(svc.Name)
	for i, c := range svc.Candidates {
		if c.Provider != pin {
			continue
		}
		call, can := c.Export(rule.Map)
		if f := s.Field(svc.Name, rule.Name); f != nil {
			token, _ = f.For(pin)
		}
		if !can || call.NeedsID() && token.Value == nil {
			return -1, call, token
		}
		return i, call, token
	}
	return -1, call, token
}

// Fetches tells whether a field is one that can be fetched.
func Fetches(rule *policy.SessionField) bool {
	return rule.Map != "" && rule.Kind == policy.KindValue && rule.Class != policy.PinnedHere
}

// Due tells whether what the field says is not what its provider has: nothing was ever written, an operation changed it there since, or
// the copy is older than the contract lets it be.
func (f *Field) Due(provider string, life time.Duration, now time.Time) bool {
	if f == nil || f.Stamp.Zero() {
		return true
	}
	if f.changedAt(provider) {
		return true
	}
	from, at := f.Fetched()
	return from == provider && life > 0 && now.Sub(at) > life
}

func (f *Field) changedAt(provider string) bool {
	for _, t := range f.Tokens {
		if t.Provider == provider && t.Value != nil && t.Stamp.Changed() && t.Stamp.Compare(f.Stamp) > 0 {
			return true
		}
	}
	return false
}

// Old tells whether an operation changed the field at a provider, and it was not fetched since.
func (f *Field) Old() bool {
	return slices.ContainsFunc(f.Tokens, func(t Token) bool { return f.changedAt(t.Provider) })
}

// Fetched tells where the field's value was fetched, and when last; "": an application wrote it.
func (f *Field) Fetched() (from string, at time.Time) {
	from = f.Stamp.From()
	if from == "" || f.Value == nil {
		return "", at
	}
	last := f.Stamp.Clock
	for _, t := range f.Tokens {
		if t.Stamp.From() == from && !t.Stamp.Changed() {
			last = max(last, t.Stamp.Clock)
		}
	}
	return from, last.Time()
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
			if brought, _ := s.brings(svc, rule, f, to); brought {
				list = append(list, rule.Name)
			}
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
