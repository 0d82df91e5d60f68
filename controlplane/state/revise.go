package state

import (
	"bytes"
	"errors"
	"fmt"
	"maps"

	"segue/controlplane/policy"
)

// applyPolicy makes the document the next revision: as it is, merged with what others changed, or an old one's again.
func (s *State) applyPolicy(c Command, a *ApplyPolicy) (done, *Error) {
	plan, err := s.Plan(*a)
	if err != nil {
		return done{}, err
	}
	current := s.Current()
	if current.Number > 0 && bytes.Equal(plan.Document.Source, current.Source) {
		return s.file(a, current.Number), nil
	}
	if err := s.repin(plan.Document.Policy, c.At); err != nil {
		return done{}, err
	}
	made, err := s.revise(c, plan.Document, plan.Changes, cutAll(plan.Document.Policy))
	if err != nil {
		return done{}, err
	}
	s.file(a, s.Current().Number)
	if a.Back != 0 {
		made.text += fmt.Sprintf(" (back to revision %d)", a.Back)
	}
	return made, nil
}

// setWeights edits one service's weights in one region, in the document itself: its comments and order stay.
func (s *State) setWeights(c Command, w *SetWeights) (done, *Error) {
	current := s.Current()
	if err := known(current.Policy, w.Service, w.Region); err != nil {
		return done{}, err
	}
	doc, err := s.document().Reweigh(w.Service, w.Region, w.Weights)
	if err != nil {
		return done{}, unfit(w, err)
	}
	if bytes.Equal(doc.Source, current.Source) {
		return done{}, nil
	}
	if w.Base != 0 && w.Base != current.Number {
		return done{}, s.stale(w.Base, doc.Policy)
	}
	cuts := maps.Clone(s.cuts)
	cuts[w.Region] = cuts[w.Region].Recut(doc.Policy, w.Service, w.Region) // no other region's cut says anything of these weights
	return s.revise(c, doc, policy.DiffWeights(current.Policy, doc.Policy, w.Service, w.Region), cuts)
}

// document is the revision in force; what is known of its text stays known from one weight to the next.
func (s *State) document() policy.Document {
	if s.text.Policy == nil {
		current := s.Current()
		return policy.Document{Policy: current.Policy, Source: current.Source}
	}
	return s.text
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

// revise puts a checked document in force, with what it changes and its cuts.
func (s *State) revise(c Command, doc policy.Document, changes []policy.Change, cuts map[string]policy.Document) (done, *Error) {
	if len(doc.Source) > policy.MaxDocument {
		return done{}, refuse(Invalid, "the policy would have %d bytes, at most %d are kept", len(doc.Source), policy.MaxDocument)
	}
	r := Revision{
		Number: s.Current().Number + 1, Source: doc.Source, Policy: doc.Policy, At: c.At, Actor: c.Actor, Reason: c.Reason, Summary: lines(changes),
	}
	r.Origin, r.Back = c.origin()
	s.keep(r)
	s.text, s.cuts = doc, cuts
	made := done{text: fmt.Sprintf("revision %d: %s", r.Number, sentence(r.Summary))}
	if c.MoveShift == nil {
		made.text += s.interrupted(c)
	}
	return made, nil
}

// spareRevisions are the places behind a full list: what was dropped before them stays in memory until they are taken.
const spareRevisions = 32

// keep appends a revision and drops the oldest beyond the bounds.
func (s *State) keep(r Revision) {
	total, first := len(r.Source), len(s.Revisions)
	for first > 0 && len(s.Revisions)-first < MaxRevisions-1 && total+len(s.Revisions[first-1].Source) <= MaxRevisionBytes {
		first--
		total += len(s.Revisions[first].Source)
	}
	s.Revisions, s.room.revisions = growBy(s.Revisions[first:], s.room.revisions, r, spareRevisions)
}

// cutAll makes the document of each region, once per revision: an Update then costs nothing but its send.
func cutAll(p *policy.Policy) map[string]policy.Document {
	cuts := make(map[string]policy.Document, len(p.Regions))
	for _, r := range p.Regions {
		cuts[r.Name] = policy.CutDocument(p, r.Name)
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
