package state

import (
	"bytes"
	"errors"
	"fmt"
	"maps"

	"segue/controlplane/policy"
)

// applyPolicy makes the document the next revision, if its author knew the revision in force.
func (s *State) applyPolicy(c Command, a *ApplyPolicy) (done, *Error) {
	if len(a.Source) > policy.MaxDocument {
		return done{}, refuse(Invalid, "the policy has %d bytes, at most %d are kept", len(a.Source), policy.MaxDocument)
	}
	current := s.Current()
	if current.Number > 0 && bytes.Equal(a.Source, current.Source) {
		return done{}, nil
	}
	p, problems := policy.Parse("policy", a.Source)
	if len(problems) > 0 {
		return done{}, invalid(problems)
	}
	if a.Base != current.Number && !a.Replace {
		return done{}, s.stale(a.Base, p)
	}
	return s.revise(c, a.Source, p, cut(p, p.Regions.Names(), nil))
}

// setWeights edits one service's weights in one region, in the document itself: its comments and order stay.
func (s *State) setWeights(c Command, w *SetWeights) (done, *Error) {
	current := s.Current()
	if err := known(current.Policy, w.Service, w.Region); err != nil {
		return done{}, err
	}
	source, p, err := policy.Reweigh(current.Policy, current.Source, w.Service, w.Region, w.Weights)
	if err != nil {
		return done{}, unfit(w, err)
	}
	if bytes.Equal(source, current.Source) {
		return done{}, nil
	}
	if w.Base != 0 && w.Base != current.Number {
		return done{}, s.stale(w.Base, p)
	}
	return s.revise(c, source, p, cut(p, []string{w.Region}, s.cuts)) // no other region's cut says anything of these weights
}

// unfit is why weights cannot be set.
func unfit(w *SetWeights, err error) *Error {
	e := refuse(Invalid, "weights of %s in %s: %s", w.Service, w.Region, err)
	var problems policy.Problems
	if errors.As(err, &problems) {
		e.Problems = problems[:min(len(problems), maxLines)]
	}
	return e
}

// known tells whether the policy has the service and the region.
func known(p *policy.Policy, service, region string) *Error {
	if _, ok := p.Regions.Find(region); !ok {
		return refuse(NotFound, "there is no region %q", region)
	}
	for _, s := range p.Services {
		if s.Name == service {
			return nil
		}
	}
	return refuse(NotFound, "there is no service %q", service)
}

// revise puts a checked document in force, with its cuts.
func (s *State) revise(c Command, source []byte, p *policy.Policy, cuts map[string][]byte) (done, *Error) {
	if len(source) > policy.MaxDocument {
		return done{}, refuse(Invalid, "the policy would have %d bytes, at most %d are kept", len(source), policy.MaxDocument)
	}
	current := s.Current()
	r := Revision{
		Number: current.Number + 1, Source: source, Policy: p, At: c.At, Actor: c.Actor, Reason: c.Reason,
		Summary: lines(policy.Diff(current.Policy, p)),
	}
	s.Revisions = keep(s.Revisions, r)
	s.cuts = cuts
	return done{text: fmt.Sprintf("revision %d: %s", r.Number, sentence(r.Summary))}, nil
}

// keep returns a new list that ends in r and holds to the bounds.
func keep(list []Revision, r Revision) []Revision {
	total, first := len(r.Source), len(list)
	for first > 0 && len(list)-first < MaxRevisions-1 && total+len(list[first-1].Source) <= MaxRevisionBytes {
		first--
		total += len(list[first].Source)
	}
	return append(append(make([]Revision, 0, len(list)-first+1), list[first:]...), r)
}

// cut makes the documents of the named regions, once per revision: an Update then costs nothing but its send. The others are taken
// over from the revision before.
func cut(p *policy.Policy, names []string, before map[string][]byte) map[string][]byte {
	cuts := maps.Clone(before)
	if cuts == nil {
		cuts = make(map[string][]byte, len(names))
	}
	for _, name := range names {
		cuts[name] = policy.Marshal(policy.Cut(p, name))
	}
	return cuts
}

// stale shows what others changed since base and what was asked for.
func (s *State) stale(base uint64, asked *policy.Policy) *Error {
	current := s.Current()
	conflict := &Conflict{Base: base, Current: current.Number}
	e := &Error{Code: Stale, Base: conflict}
	e.Message = fmt.Sprintf("based on revision %d, but revision %d is in force", base, current.Number)
	from, ok := s.Revision(base)
	switch {
	case ok:
	case base == 0:
		from = Revision{Policy: &policy.Policy{}}
	default:
		e.Message += fmt.Sprintf("; revision %d is not kept", base)
		conflict.Yours = lines(policy.Diff(current.Policy, asked))
		return e
	}
	conflict.Theirs = lines(policy.Diff(from.Policy, current.Policy))
	conflict.Yours = lines(policy.Diff(from.Policy, asked))
	return e
}

func invalid(problems policy.Problems) *Error {
	e := refuse(Invalid, "the policy has %d problems", len(problems))
	if len(problems) == 1 {
		e.Message = "the policy has a problem"
	}
	e.Problems = problems[:min(len(problems), maxLines)]
	return e
}

// lines are the changes as text, cut where nobody reads on.
func lines(changes []policy.Change) []string {
	var out []string
	for i, c := range changes {
		if i == maxLines {
			return append(out, fmt.Sprintf("and %d more", len(changes)-i))
		}
		out = append(out, c.Text)
	}
	return out
}

// sentence is a summary on one line.
func sentence(summary []string) string {
	switch len(summary) {
	case 0:
		return "the document's text changed, its meaning did not"
	case 1:
		return summary[0]
	default:
		return fmt.Sprintf("%s, and %d more", summary[0], len(summary)-1)
	}
}
