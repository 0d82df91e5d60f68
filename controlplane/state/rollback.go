package state

import "segue/controlplane/policy"

// planBack finds what it would be to put an old revision's document in force again. It is held against today's rules: what was right then
// may not be now.
func (s *State) planBack(a ApplyPolicy) (Plan, *Error) {
	current := s.Current()
	old, ok := s.Revision(a.Back)
	switch {
	case !ok && len(s.Revisions) == 0:
		return Plan{}, refuse(NotFound, "there is no revision %d: no policy is in force yet", a.Back)
	case !ok:
		return Plan{}, refuse(NotFound, "revision %d is not kept; revisions %d to %d are", a.Back, s.Revisions[0].Number, current.Number)
	case a.Back == current.Number:
		return Plan{Base: current.Number, Current: current.Number, Document: s.document()}, nil
	}
	doc, problems := policy.Read("policy", old.Source)
	if len(problems) > 0 {
		e := invalid(problems)
		e.Message = refuse(Invalid, "revision %d does not fit any more: %s", a.Back, e.Message).Message
		return Plan{}, e
	}
	if a.Base != 0 && a.Base != current.Number {
		return Plan{}, s.stale(a.Base, doc.Policy)
	}
	return Plan{Base: current.Number, Current: current.Number, Document: doc, Changes: policy.Diff(current.Policy, doc.Policy)}, nil
}
