package state

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"segue/controlplane/policy"
)

// MoveShift is what is done to a shift that was begun. What the leader does of itself names the shift's Index that it judged by: where
// somebody did something meanwhile, it does nothing.
type MoveShift struct {
	ID    string
	Act   Act
	Index uint64  `json:",omitempty"`
	Why   string  `json:",omitempty"` // of the leader's acts
	Loser float64 `json:",omitempty"` // of a step: percent of the losers' attempts that were no failure; below 0: not measured
}

// Act is what is done to a shift.
type Act string

// The acts. A person stops, goes on, goes back or finishes; the leader does the rest.
const (
	ShiftStop   Act = "stop"   // stay where it is
	ShiftGo     Act = "go"     // go on
	ShiftBack   Act = "back"   // the weights from before, at once
	ShiftFinish Act = "finish" // all of the way, at once
	ShiftStep   Act = "step"   // the next step, or after the last one the end
	ShiftHold   Act = "hold"   // no steps while nobody can see how the last one went
	ShiftResume Act = "resume" // they can again
	ShiftHalt   Act = "halt"   // the leader's stop
	ShiftReturn Act = "return" // the leader's way back
)

// own tells the leader's acts.
func (a Act) own() bool {
	return slices.Contains([]Act{ShiftStep, ShiftHold, ShiftResume, ShiftHalt, ShiftReturn}, a)
}

func (m *MoveShift) check() *Error {
	switch {
	case !m.Act.own() && !slices.Contains([]Act{ShiftStop, ShiftGo, ShiftBack, ShiftFinish}, m.Act):
		return refuse(Invalid, "act: %.40q is unknown; there are stop, go, back and finish", string(m.Act))
	case len(m.Why) > maxReason:
		return refuse(Invalid, "why has %d bytes, at most %d are kept", len(m.Why), maxReason)
	case !(m.Loser >= -1 && m.Loser <= 100):
		return refuse(Invalid, "loser: %v is no percentage", m.Loser)
	}
	return nil
}

// beginShift begins shifts. All of the way is held against the policy and its rules now: the steps are nobody's own changes, and no way
// around a rule. Nothing moves yet: the leader takes the first step at once, if nothing speaks against it.
func (s *State) beginShift(c Command, b *BeginShift) (done, *Error) {
	current := s.Current()
	regions := b.Regions
	if len(regions) == 0 {
		regions = current.Policy.Regions.Names()
	}
	var ids, texts []string
	for i, region := range regions {
		if err := known(current.Policy, b.Service, region); err != nil {
			return done{}, err
		}
		if slices.Contains(regions[:i], region) {
			return done{}, wrong("regions", "name it once", "%s is there twice", region)
		}
		f, target, err := s.newShift(c, b, region)
		if err != nil {
			return done{}, err
		}
		if b.Base != 0 && b.Base != current.Number {
			return done{}, s.stale(b.Base, target)
		}
		if err := s.keepShift(f); err != nil {
			return done{}, err
		}
		ids, texts = append(ids, f.ID), append(texts, fmt.Sprintf("%s of %s in %s: %s", f.ID, f.Service, region, f.Words()))
	}
	after := "back at once"
	if b.Stay {
		after = "it stays where it is"
	}
	text := fmt.Sprintf("shift %s; %s %% of the way, a step every %s; on trouble %s", strings.Join(texts, "; "), steps(b.Steps), b.Every, after)
	return done{text: text, order: strings.Join(ids, " ")}, nil
}

func steps(list []float64) string {
	words := make([]string, len(list))
	for i, x := range list {
		words[i] = number(x)
	}
	return strings.Join(words, ", ")
}

// newShift makes one region's, and the policy at its end.
func (s *State) newShift(c Command, b *BeginShift, region string) (Shift, *policy.Policy, *Error) {
	for _, f := range s.Shifts {
		if f.Service == b.Service && f.Region == region && f.Phase.UnderWay() {
			return Shift{}, nil, refuse(Invalid, "shift %s of %s in %s is under way: stop it, take it back or finish it first", f.ID, f.Service, region)
		}
	}
	p := s.Current().Policy
	if svc := p.Service(b.Service); svc.Strategy != policy.Weighted {
		return Shift{}, nil, refuse(Invalid, "service %s goes by %s, not by weights: write strategy: weighted first", b.Service, svc.Strategy)
	}
	target, err := b.target(p, region)
	if err != nil {
		return Shift{}, nil, err
	}
	end, err := s.fits(b.Service, region, target)
	if err != nil {
		return Shift{}, nil, err
	}
	f := Shift{
		ID: shiftID(c.Request, region), Service: b.Service, Region: region, By: c.Actor, Reason: c.Reason, At: c.At,
		Start: slices.Clone(p.Service(b.Service).WeightsIn(region)), Target: slices.Clone(end.Service(b.Service).WeightsIn(region)), Pace: b.Pace,
		Course: Course{Phase: Shifting, Next: c.At, Changed: c.At, Index: s.Index, Loser: -1},
	}
	f.Steps = slices.Clone(b.Steps)
	if len(f.Gainers()) == 0 {
		return Shift{}, nil, refuse(Invalid, "%s in %s has these weights: nothing would move", b.Service, region)
	}
	for _, way := range f.Steps[:len(f.Steps)-1] {
		if _, err := s.fits(b.Service, region, f.Along(way)); err != nil {
			return Shift{}, nil, err
		}
	}
	return f, end, nil
}

// fits is the policy with other weights, if the policy permits them.
func (s *State) fits(service, region string, weights []policy.Weight) (*policy.Policy, *Error) {
	doc, err := s.document().Reweigh(service, region, weights)
	if err != nil {
		return nil, unfit(&SetWeights{Service: service, Region: region}, err)
	}
	return doc.Policy, nil
}

// keepShift adds a shift, in the place of the one that ended first where there are too many.
func (s *State) keepShift(f Shift) *Error {
	if _, twice := s.Shift(f.ID); twice {
		return refuse(Invalid, "shift %s was begun already", f.ID)
	}
	s.Shifts = append(slices.Clone(s.Shifts), f)
	if len(s.Shifts) <= MaxShifts {
		return nil
	}
	oldest := -1
	for i := range s.Shifts {
		if f := &s.Shifts[i]; !f.Phase.UnderWay() && (oldest < 0 || f.Changed.Before(s.Shifts[oldest].Changed)) {
			oldest = i
		}
	}
	if oldest < 0 {
		return refuse(Invalid, "%d shifts are under way, the limit: stop one first", MaxShifts)
	}
	s.Shifts = slices.Delete(s.Shifts, oldest, oldest+1)
	return nil
}

// moveShift does one act. The leader's acts on an older look, or before their time, do nothing.
func (s *State) moveShift(c Command, m *MoveShift) (done, *Error) {
	i := slices.IndexFunc(s.Shifts, func(f Shift) bool { return f.ID == m.ID })
	if i < 0 {
		return done{}, refuse(NotFound, "there is no shift %.40q", m.ID)
	}
	f := s.Shifts[i]
	if m.Act.own() && (!f.Phase.UnderWay() || m.Index != f.Index) {
		return done{}, nil
	}
	made, err := s.actOn(c, &f, m)
	if err != nil || made.text == "" {
		return done{}, err
	}
	f.Changed, f.Index = c.At, s.Index
	s.Shifts = slices.Clone(s.Shifts)
	s.Shifts[i] = f
	made.order = f.ID
	return made, nil
}

// actOn changes the shift, and the policy where the act is one that moves weights.
func (s *State) actOn(c Command, f *Shift, m *MoveShift) (done, *Error) {
	switch m.Act {
	case ShiftStep:
		return s.stepShift(c, f, m)
	case ShiftHold:
		if f.Phase == Held {
			return done{}, nil
		}
		f.Phase, f.Why = Held, m.Why
		return f.told("is held after step %d of %d: %s", f.Taken, len(f.Steps), m.Why), nil
	case ShiftResume:
		if f.Phase != Held {
			return done{}, nil
		}
		f.Phase, f.Why, f.Next = Shifting, "", c.At.Add(f.Every)
		return f.told("goes on, the next step in %s", f.Every), nil
	case ShiftHalt:
		f.Phase, f.Why = Stopped, m.Why
		return f.told("was stopped after step %d of %d: %s", f.Taken, len(f.Steps), m.Why), nil
	case ShiftReturn:
		return s.backShift(c, f, m.Why)
	case ShiftStop:
		if !f.Phase.UnderWay() {
			return done{}, nil
		}
		f.Phase, f.Why = Stopped, "stopped by "+c.Actor
		return f.told("was stopped after step %d of %d", f.Taken, len(f.Steps)), nil
	case ShiftGo:
		return s.goOn(c, f)
	case ShiftBack:
		if f.Phase == Returned {
			return done{}, nil
		}
		return s.backShift(c, f, "taken back by "+c.Actor)
	case ShiftFinish:
		return s.finishShift(c, f)
	default:
		return done{}, refuse(Invalid, "act %.40q is unknown", string(m.Act))
	}
}

func (f *Shift) told(format string, args ...any) done {
	return done{text: fmt.Sprintf("shift %s of %s in %s ", f.ID, f.Service, f.Region) + fmt.Sprintf(format, args...)}
}

// stepShift takes the next step, or ends the shift when the last one was watched as long as the others.
func (s *State) stepShift(c Command, f *Shift, m *MoveShift) (done, *Error) {
	if f.Phase != Shifting || c.At.Before(f.Next) {
		return done{}, nil
	}
	if m.Loser >= 0 {
		f.Loser = m.Loser
	}
	if f.Taken == len(f.Steps) {
		f.Phase = Finished
		return f.told("is finished: %s", f.Words()), nil
	}
	way := f.Steps[f.Taken]
	made, err := s.reweigh(c, f, f.Along(way))
	if err != nil { // others changed the policy so that this step does not fit any more
		f.Phase, f.Why = Stopped, "step "+fmt.Sprint(f.Taken+1)+" is not permitted any more: "+err.Message
		return f.told("was stopped after step %d of %d: %s", f.Taken, len(f.Steps), f.Why), nil
	}
	f.Taken++
	f.Revision = s.Current().Number
	f.Next = c.At.Add(f.Every)
	return made.and("step %d of %d, %s %% of the way, of shift %s by %s", f.Taken, len(f.Steps), number(way), f.ID, f.By), nil
}

func (d done) and(format string, args ...any) done {
	d.text += " (" + fmt.Sprintf(format, args...) + ")"
	return d
}

// backShift brings the weights from before back.
func (s *State) backShift(c Command, f *Shift, why string) (done, *Error) {
	made, err := s.whereItLeft(c, f, f.Start)
	if err != nil {
		return done{}, err
	}
	taken := f.Taken
	f.Phase, f.Why = Returned, why
	return made.and("shift %s went back after step %d of %d: %s", f.ID, taken, len(f.Steps), why), nil
}

// finishShift goes all of the way at once. Who asks for it has decided: nothing is watched any more.
func (s *State) finishShift(c Command, f *Shift) (done, *Error) {
	switch {
	case f.Phase == Finished:
		return done{}, nil
	case f.Phase == Returned:
		return done{}, refuse(Invalid, "shift %s went back: begin a new one", f.ID)
	}
	if err := s.alone(f); err != nil {
		return done{}, err
	}
	made, err := s.whereItLeft(c, f, f.Target)
	if err != nil {
		return done{}, err
	}
	taken := f.Taken
	f.Phase, f.Why, f.Taken = Finished, "finished by "+c.Actor, len(f.Steps)
	return made.and("shift %s was finished at once, after step %d of %d", f.ID, taken, len(f.Steps)), nil
}

// goOn lets a shift that was stopped go on from where it is. A full step's time passes first: what stopped it may not show yet.
func (s *State) goOn(c Command, f *Shift) (done, *Error) {
	switch {
	case f.Phase.UnderWay():
		return done{}, nil
	case f.Phase != Stopped:
		return done{}, refuse(Invalid, "shift %s is %s: begin a new one", f.ID, f.Phase)
	case !f.Stands(s.Current().Policy):
		return done{}, refuse(Invalid, "the weights of %s in %s are not those of shift %s any more: begin a new one", f.Service, f.Region, f.ID)
	}
	if err := s.alone(f); err != nil {
		return done{}, err
	}
	f.Phase, f.Why, f.Next = Shifting, "", c.At.Add(f.Every)
	return f.told("goes on after step %d of %d, the next step in %s", f.Taken, len(f.Steps), f.Every), nil
}

// alone refuses a shift beside another one.
func (s *State) alone(f *Shift) *Error {
	for _, o := range s.Shifts {
		if o.ID != f.ID && o.Service == f.Service && o.Region == f.Region && o.Phase.UnderWay() {
			return refuse(Invalid, "shift %s of %s in %s is under way instead", o.ID, o.Service, o.Region)
		}
	}
	return nil
}

// whereItLeft changes the weights only where they are still those that the shift set: nobody's change is overwritten.
func (s *State) whereItLeft(c Command, f *Shift, to []policy.Weight) (done, *Error) {
	if !f.Stands(s.Current().Policy) {
		return done{}, refuse(Invalid, "the weights of %s in %s are not those of shift %s any more: others changed them; set them by hand", f.Service, f.Region, f.ID)
	}
	return s.reweigh(c, f, to)
}

// reweigh is an ordinary change of weights. Where they are what they shall be, there is no revision.
func (s *State) reweigh(c Command, f *Shift, to []policy.Weight) (done, *Error) {
	made, err := s.setWeights(c, &SetWeights{Service: f.Service, Region: f.Region, Weights: to})
	if err == nil && made.text == "" {
		made.text = "the weights of " + f.Service + " in " + f.Region + " stay"
	}
	return made, err
}

// interrupted stops the shifts whose weights somebody else changed, and says so behind what was done.
func (s *State) interrupted(c Command) string {
	var said string
	p := s.Current().Policy
	for i := range s.Shifts {
		if f := s.Shifts[i]; f.Phase.UnderWay() && !f.Stands(p) {
			f.Phase, f.Changed, f.Index = Stopped, c.At, s.Index
			f.Why = fmt.Sprintf("%s changed these weights in revision %d", c.Actor, s.Current().Number)
			s.Shifts = slices.Clone(s.Shifts)
			s.Shifts[i] = f
			said += fmt.Sprintf("; that stopped shift %s after step %d of %d", f.ID, f.Taken, len(f.Steps))
		}
	}
	return said
}

// stopShifts stops what was under way, where the State is another one's now.
func (s *State) stopShifts(at time.Time, why string) {
	s.Shifts = slices.Clone(s.Shifts)
	for i := range s.Shifts {
		if f := &s.Shifts[i]; f.Phase.UnderWay() {
			f.Phase, f.Why, f.Changed, f.Index = Stopped, why, at, s.Index
		}
	}
}
