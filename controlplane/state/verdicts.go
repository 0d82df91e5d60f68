package state

import (
	"slices"
	"time"

	"segue/controlplane/health"
)

// SetVerdicts replaces the leader's verdicts on whose fault what is. It is nobody's change: the audit does not know it, and its request id
// is not remembered, so that a day of troubles pushes no operator's out. It is always Ignorable: a node that does not know it lacks the hints
// alone.
type SetVerdicts struct{ Verdicts []health.Verdict }

// setVerdicts puts verdicts in force. Each ends by itself.
func (s *State) setVerdicts(c Command, v *SetVerdicts) (done, *Error) {
	if len(v.Verdicts) > health.MaxVerdicts {
		return done{}, refuse(Invalid, "%d verdicts, at most %d are kept", len(v.Verdicts), health.MaxVerdicts)
	}
	next := make([]health.Verdict, 0, len(v.Verdicts))
	for _, one := range v.Verdicts {
		one.Since, one.Until = one.Since.Round(0).UTC(), one.Until.Round(0).UTC()
		if err := one.Check(); err != nil {
			return done{}, refuse(Invalid, "%s", err)
		}
		switch {
		case one.Until.Sub(c.At) > health.VerdictMost:
			return done{}, refuse(Invalid, "verdict %s holds for %v, at most %v", one.Kind, one.Until.Sub(c.At), health.VerdictMost)
		case slices.ContainsFunc(next, one.Same):
			return done{}, refuse(Invalid, "verdict %s on %s is given twice", one.Kind, one.Named())
		case one.Until.After(c.At):
			next = append(next, one)
		}
	}
	if slices.Equal(next, s.Verdicts) {
		return done{}, nil
	}
	s.Verdicts = next
	return done{text: "verdicts"}, nil
}

// verdictsAt are the verdicts that have not ended by now. The list may not be written to.
func (s *State) verdictsAt(now time.Time) []health.Verdict {
	ended := func(v health.Verdict) bool { return !v.Until.After(now) }
	if !slices.ContainsFunc(s.Verdicts, ended) {
		return slices.Clip(s.Verdicts)
	}
	return slices.DeleteFunc(slices.Clone(s.Verdicts), ended)
}

// about tells whether a verdict says anything to a region's agents.
func about(v health.Verdict, region string) bool { return v.Region == "" || v.Region == region }
