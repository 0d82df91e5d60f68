package state

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"segue/controlplane/policy"
)

// Origin says where a revision came from.
type Origin string

// The origins. A document with FromFile or FromEdit is merged with what others changed since its base.
const (
	FromFile     Origin = "file"
	FromWeights  Origin = "weights"
	FromEdit     Origin = "edit"
	FromRollback Origin = "rollback"
)

// Filed is the document that a file said last, before anything was merged into it: what the next version of that file is compared with.
type Filed struct {
	Revision uint64 // that it led to
	Source   []byte
}

// Clash is a field that two sides changed to different values, and who made the other side's change.
type Clash struct {
	policy.Conflict
	Owner Owner `json:"owner"`
}

// Owner is who set a value. Revision 0: it was longer ago than is looked back.
type Owner struct {
	Revision uint64    `json:"revision"`
	Actor    string    `json:"actor"`
	At       time.Time `json:"at"`
	Reason   string    `json:"reason"`
	Origin   Origin    `json:"origin,omitempty"`
}

// Plan is what a document would lead to.
type Plan struct {
	Base, Current uint64 // revisions; Base 0: nothing was in force before
	Document      policy.Document
	Changes       []policy.Change // from the policy in force
	Kept          []policy.Change // what others changed since the base and the document does not say
}

// Plan finds what a document would lead to, and refuses what would be refused. It changes nothing.
func (s *State) Plan(a ApplyPolicy) (Plan, *Error) {
	if a.Back != 0 {
		return s.planBack(a)
	}
	if len(a.Source) > policy.MaxDocument {
		return Plan{}, refuse(Invalid, "the policy has %d bytes, at most %d are kept", len(a.Source), policy.MaxDocument)
	}
	current := s.Current()
	p := Plan{Base: current.Number, Current: current.Number}
	if current.Number > 0 && bytes.Equal(a.Source, current.Source) {
		p.Document = s.document()
		return p, nil
	}
	doc, problems := policy.Read("policy", a.Source)
	if len(problems) > 0 {
		return Plan{}, invalid(problems)
	}
	p.Document = doc
	if !a.Replace && (a.Origin != "" || a.Base != current.Number) {
		if err := s.mergeInto(&p, a); err != nil {
			return Plan{}, err
		}
	}
	p.Changes = policy.Diff(current.Policy, p.Document.Policy)
	return p, nil
}

// mergeInto takes what others changed since the base into the document.
func (s *State) mergeInto(p *Plan, a ApplyPolicy) *Error {
	if a.Origin == "" {
		return s.stale(a.Base, p.Document.Policy)
	}
	base, err := s.mergeBase(a)
	if err != nil {
		return err
	}
	p.Base = base.Number
	if p.Current == 0 {
		return nil
	}
	m, failed := policy.Merge(base.Source, s.Current().Source, a.Source)
	if failed != nil {
		return s.unmerged(base.Number, failed)
	}
	if len(m.Conflicts) > 0 {
		return s.clash(base, p.Document.Policy, m.Conflicts)
	}
	p.Document, p.Kept = policy.Document{Policy: m.Policy, Source: m.Source}, m.Kept
	return nil
}

// mergeBase finds what a document was made from: the revision that its author names, or what the file said last. Where no file was ever
// applied, it is the newest revision whose origin nobody said, or the oldest that is kept.
func (s *State) mergeBase(a ApplyPolicy) (Revision, *Error) {
	switch {
	case len(s.Revisions) == 0 && a.Base == 0:
		return Revision{}, nil
	case a.Base != 0:
		if r, ok := s.Revision(a.Base); ok {
			return r, nil
		}
		return Revision{}, refuse(Stale, "revision %d is not kept, so it cannot be the base; begin from revision %d, which is in force", a.Base, s.Current().Number)
	case a.Origin == FromEdit:
		return Revision{}, refuse(Invalid, "an edit names the revision that it was made from")
	case s.Filed != nil:
		return Revision{Number: s.Filed.Revision, Source: s.Filed.Source}, nil
	}
	for i := len(s.Revisions) - 1; i >= 0; i-- {
		if s.Revisions[i].Origin == "" {
			return s.Revisions[i], nil
		}
	}
	return s.Revisions[0], nil
}

// unmerged tells what is wrong with the document that a merge would make.
func (s *State) unmerged(base uint64, err error) *Error {
	e := refuse(Stale, "what others changed since revision %d and what you changed do not fit together: %s", base, err)
	var problems policy.Problems
	if errors.As(err, &problems) {
		e.Problems = problems[:min(len(problems), maxLines)]
		e.Message = fmt.Sprintf("what others changed since revision %d and what you changed do not fit together", base)
	}
	return e
}

// clash shows every field that both sides changed, and who changed it on the other side.
func (s *State) clash(base Revision, yours *policy.Policy, conflicts []policy.Conflict) *Error {
	current := s.Current()
	from := &policy.Policy{}
	if p, problems := policy.Parse("base", base.Source); problems == nil {
		from = p
	}
	c := &Conflict{Base: base.Number, Current: current.Number,
		Theirs: lines(policy.Diff(from, current.Policy)), Yours: lines(policy.Diff(from, yours))}
	conflicts = conflicts[:min(len(conflicts), maxLines)]
	owners := s.owners(conflicts)
	for _, one := range conflicts {
		c.Fields = append(c.Fields, Clash{one, owners[one.Path]})
	}
	what := conflicts[0].Path
	if n := len(conflicts) - 1; n > 0 {
		what += fmt.Sprintf(" and %d more fields of yours", n)
	}
	e := refuse(Stale, "revision %d is in force, and since revision %d others changed %s too; nothing was applied", current.Number, base.Number, what)
	if base.Number == current.Number { // it has what was merged into the file that led to it
		e = refuse(Stale, "revision %d is in force, and others changed %s too, which the file did not say when it was last applied; nothing was applied", current.Number, what)
	}
	e.Base = c
	return e
}

// maxOwnerBytes bounds how much of the history is read to find who set a value: every node does this while it applies the command.
const maxOwnerBytes = 1 << 20

// owners finds the newest revision that changed each field. It looks at the last two in any case.
func (s *State) owners(conflicts []policy.Conflict) map[string]Owner {
	found := map[string]Owner{}
	read, last := 0, len(s.Revisions)-1
	var newer map[string]string
	for i := last; i >= 0 && len(found) < len(conflicts); i-- {
		r := s.Revisions[i]
		if read += len(r.Source); read > maxOwnerBytes && i < last-1 {
			break
		}
		values := policy.Values(r.Policy)
		s.claim(found, conflicts, i+1, newer, values)
		newer = values
	}
	if last >= 0 && s.Revisions[0].Number == 1 && read <= maxOwnerBytes {
		s.claim(found, conflicts, 0, newer, nil) // the first revision set what nobody changed since
	}
	return found
}

// claim gives revision i the fields whose value it changed.
func (s *State) claim(found map[string]Owner, conflicts []policy.Conflict, i int, is, was map[string]string) {
	if is == nil {
		return
	}
	r := s.Revisions[i]
	for _, c := range conflicts {
		if _, known := found[c.Path]; !known && is[c.Path] != was[c.Path] {
			found[c.Path] = Owner{r.Number, r.Actor, r.At, r.Reason, r.Origin}
		}
	}
}

// file remembers what a file said. It says what it did where no revision came of it.
func (s *State) file(a *ApplyPolicy, revision uint64) done {
	if a.Origin != FromFile || s.Filed != nil && bytes.Equal(s.Filed.Source, a.Source) {
		return done{}
	}
	s.Filed = &Filed{revision, a.Source}
	return done{text: fmt.Sprintf("the file says what revision %d says", revision)}
}

// origin is where the revision that a command makes comes from.
func (c *Command) origin() (Origin, uint64) {
	switch {
	case c.ApplyPolicy != nil && c.ApplyPolicy.Back != 0:
		return FromRollback, c.ApplyPolicy.Back
	case c.ApplyPolicy != nil:
		return c.ApplyPolicy.Origin, 0
	case c.SetWeights != nil:
		return c.SetWeights.Origin, 0
	case c.MoveShift != nil:
		return FromWeights, 0
	default:
		return "", 0
	}
}

// checkOrigin refuses an origin that a command cannot have.
func (c *Command) checkOrigin() *Error {
	a, w := c.ApplyPolicy, c.SetWeights
	switch {
	case a != nil && a.Origin != "" && a.Origin != FromFile && a.Origin != FromEdit:
		return refuse(Invalid, "origin is %.40q: a document comes from a file or from an edit", a.Origin)
	case a != nil && a.Back != 0 && (len(a.Source) > 0 || a.Origin != "" || a.Replace):
		return refuse(Invalid, "a rollback names a revision and brings no document")
	case w != nil && w.Origin != "" && w.Origin != FromWeights:
		return refuse(Invalid, "origin is %.40q: weights come from weights", w.Origin)
	default:
		return nil
	}
}

func clashSize(fields []Clash) int {
	n := 0
	for _, f := range fields {
		n += 200 + len(f.Path) + len(f.Base) + len(f.Theirs) + len(f.Yours) + len(f.Owner.Actor) + len(f.Owner.Reason)
	}
	return n
}
