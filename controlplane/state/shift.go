package state

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"segue/controlplane/policy"
)

// Shift moves a service's weights in one region from where they were to where an operator wants them, in steps, with a stop. Each step is
// a revision. The leader takes the steps; what was done stands here, so that the next leader goes on where the last one stopped.
type Shift struct {
	ID              string
	Service, Region string
	By, Reason      string // of whoever began it
	At              time.Time
	Start, Target   []policy.Weight // Target has every provider that Start has
	Pace
	Course
}

// Pace is how an operator wants a shift to go.
type Pace struct {
	Steps  []float64     // percent of the way, rising to 100
	Every  time.Duration // at least this long after each step before the next one, and after the last one before it is done
	Stay   bool          `json:",omitempty"` // on trouble: stop where it is. Otherwise: back to the start at once
	Margin float64       // percentage points by which a gainer may succeed less often than who loses
}

// Course is how far a shift has come.
type Course struct {
	Phase   Phase
	Taken   int       // steps
	Next    time.Time // nothing is done by itself before
	Why     string    `json:",omitempty"` // of the phase: why it is held, stopped or back
	Changed time.Time // when the phase or the step changed last
	Index   uint64    // of the last change: who acts on an older look does nothing
	// Revision is what the last step made: an agent that does not have it yet shows nothing of it.
	Revision uint64  `json:",omitempty"`
	Loser    float64 // percent of the losers' attempts that were no failure, when that was measured last; below 0: never
}

// Phase is where a shift stands.
type Phase string

// The phases. The last three can not be left but by a person; Stopped can go on, and from all of them the way back is open while the
// weights are the shift's.
const (
	Shifting Phase = "shifting"
	Held     Phase = "held" // under way, and no step is taken until it can be seen how the last one went
	Stopped  Phase = "stopped"
	Returned Phase = "returned"
	Finished Phase = "finished"
)

// UnderWay tells whether the leader watches it.
func (p Phase) UnderWay() bool { return p == Shifting || p == Held }

// Bounds of shifts.
const (
	MaxShifts     = 64 // that are kept, those under way among them
	MaxShiftSteps = 20
	MinShiftEvery = 10 * time.Second // agents report each second: less is no time to see anything
	MaxShiftEvery = 24 * time.Hour
	ShiftEvery    = 2 * time.Minute
	ShiftMargin   = 5 // percentage points
)

// ShiftSteps are the steps where nobody says others: little first, because the first calls show what is wrong.
func ShiftSteps() []float64 { return []float64{5, 25, 50, 100} }

// BeginShift begins a shift in each of the regions; without one, in all of them. Where it should lead says Weights, or From, To and Amount:
// so many percentage points go from one provider to another, Amount 0: all that it has. Nothing is left out in Pace. Base 0: whatever is
// in force.
type BeginShift struct {
	Base     uint64
	Service  string
	Regions  []string        `json:",omitempty"`
	Weights  []policy.Weight `json:",omitempty"`
	From, To string          `json:",omitempty"`
	Amount   float64         `json:",omitempty"`
	Pace
}

// Along are the weights after so many percent of the way, each between its start and its target.
func (f *Shift) Along(way float64) []policy.Weight {
	out := slices.Clone(f.Target)
	for i := range out {
		start, target := share(f.Start, out[i].Provider), out[i].Percent
		moved := math.Round((target-start)*way*1e4) / 1e6
		out[i].Percent = min(max(math.Round((start+moved)*1e6)/1e6, min(start, target)), max(start, target))
	}
	return out
}

// Set are the weights that the shift has set, by the steps that were taken.
func (f *Shift) Set() []policy.Weight {
	switch {
	case f.Phase == Returned || f.Taken == 0:
		return f.Start
	case f.Taken >= len(f.Steps):
		return f.Target
	}
	return f.Along(f.Steps[f.Taken-1])
}

// Gainers are the providers whose share grows.
func (f *Shift) Gainers() []string { return f.movers(1) }

// Losers are those whose share shrinks.
func (f *Shift) Losers() []string { return f.movers(-1) }

func (f *Shift) movers(sign float64) (names []string) {
	for _, t := range f.Target {
		if (t.Percent-share(f.Start, t.Provider))*sign > 0 {
			names = append(names, t.Provider)
		}
	}
	return names
}

// Words is what moves, like "main 70 → 20 %, backup 30 → 80 %".
func (f *Shift) Words() string {
	var parts []string
	for _, t := range f.Target {
		if was := share(f.Start, t.Provider); was != t.Percent {
			parts = append(parts, fmt.Sprintf("%s %s → %s %%", t.Provider, number(was), number(t.Percent)))
		}
	}
	return strings.Join(parts, ", ")
}

func number(x float64) string { return strconv.FormatFloat(x, 'f', -1, 64) }

func share(weights []policy.Weight, provider string) float64 {
	for _, w := range weights {
		if w.Provider == provider {
			return w.Percent
		}
	}
	return 0
}

// Stands tells whether the policy's weights are those that the shift has set. A provider that is not named has 0.
func (f *Shift) Stands(p *policy.Policy) bool {
	s := p.Service(f.Service)
	if _, ok := p.Regions.Find(f.Region); !ok || s == nil || s.Strategy != policy.Weighted {
		return false
	}
	now, set := s.WeightsIn(f.Region), f.Set()
	for _, w := range append(slices.Clone(now), set...) {
		if math.Abs(share(now, w.Provider)-share(set, w.Provider)) > 1e-9 {
			return false
		}
	}
	return true
}

// checkPace refuses what is no pace, and names the field.
func checkPace(p *Pace) *Error {
	last := 0.0
	for i, step := range p.Steps {
		switch field := fmt.Sprintf("steps[%d]", i); {
		case !(step > 0 && step <= 100):
			return wrong(field, "write percents of the way, rising to 100, like [5, 25, 50, 100]", "%v is no percentage above 0 and at most 100", step)
		case step <= last:
			return wrong(field, "let the steps rise, like [5, 25, 50, 100]", "%v does not come after %v", step, last)
		}
		last = step
	}
	switch {
	case len(p.Steps) > MaxShiftSteps:
		return wrong("steps", "", "there are %d, at most %d are taken", len(p.Steps), MaxShiftSteps)
	case last != 100:
		return wrong("steps", "end with 100: that is where the weights lead", "they end at %v %% of the way", last)
	case p.Every < MinShiftEvery || p.Every > MaxShiftEvery:
		return wrong("every", "write a length of time, like 2m", "%s is not between %s and %s", p.Every, MinShiftEvery, MaxShiftEvery)
	case !(p.Margin > 0 && p.Margin <= 100):
		return wrong("margin", "write percentage points, like 5", "%v is not above 0 and at most 100", p.Margin)
	}
	return nil
}

// check finds what no State needs to be known for.
func (b *BeginShift) check() *Error {
	if err := checkPace(&b.Pace); err != nil {
		return err
	}
	switch named := b.From != "" || b.To != "" || b.Amount != 0; {
	case len(b.Weights) > 0 && named:
		return wrong("weights", "give weights, or from, to and by", "they stand beside from, to and by")
	case len(b.Weights) > 0:
		return checkWeights(b.Weights)
	case b.From == "":
		return wrong("from", "name the provider that loses and, as to, the one that gains; or give weights", "it is missing")
	case b.To == "" || b.To == b.From:
		return wrong("to", "name another provider than "+b.From, "%.40q cannot gain", b.To)
	case !(b.Amount >= 0 && b.Amount <= 100):
		return wrong("by", "write percentage points, like 20, or leave it out for all that "+b.From+" has", "%v is not between 0 and 100", b.Amount)
	}
	return nil
}

// wrong refuses a field and says what would be right.
func wrong(field, fix, format string, args ...any) *Error {
	problem := policy.Problem{Path: field, Message: fmt.Sprintf(format, args...), Fix: fix}
	e := refuse(Invalid, "%s: %s", field, problem.Message)
	if fix != "" {
		e.Message += "; " + fix
	}
	e.Problems = policy.Problems{problem}
	return e
}

// target is where the shift leads in a region.
func (b *BeginShift) target(p *policy.Policy, region string) ([]policy.Weight, *Error) {
	if len(b.Weights) > 0 {
		return b.Weights, nil
	}
	now := slices.Clone(p.Service(b.Service).WeightsIn(region))
	from := slices.IndexFunc(now, func(w policy.Weight) bool { return w.Provider == b.From })
	to := slices.IndexFunc(now, func(w policy.Weight) bool { return w.Provider == b.To })
	if from < 0 || to < 0 {
		name, field := b.From, "from"
		if from >= 0 {
			name, field = b.To, "to"
		}
		return nil, wrong(field, "name one of "+strings.Join(providers(now), ", "), "%s has no weight for %.40q in %s", b.Service, name, region)
	}
	amount := b.Amount
	if amount == 0 {
		amount = now[from].Percent
	}
	if amount > now[from].Percent {
		return nil, wrong("by", "write at most that", "%s has %v %% in %s, not %v", b.From, now[from].Percent, region, amount)
	}
	now[from].Percent = math.Round((now[from].Percent-amount)*1e6) / 1e6 // 70.1 less 20 is 50.1
	now[to].Percent = math.Round((now[to].Percent+amount)*1e6) / 1e6
	return now, nil
}

// shiftID comes from the request alone, as an order's does.
func shiftID(request, region string) string {
	h := sha256.Sum256([]byte("shift\x00" + request + "\x00" + region))
	return "sh_" + hex.EncodeToString(h[:5])
}

// Shift returns the shift with that id, while it is kept.
func (s *State) Shift(id string) (Shift, bool) {
	i := slices.IndexFunc(s.Shifts, func(f Shift) bool { return f.ID == id })
	if i < 0 {
		return Shift{}, false
	}
	return s.Shifts[i], true
}

func providers(weights []policy.Weight) []string {
	names := make([]string, len(weights))
	for i, w := range weights {
		names[i] = w.Provider
	}
	return names
}

// Way is how far it has come, from 0 to 1.
func (f *Shift) Way() float64 {
	if f.Phase == Returned || f.Taken == 0 {
		return 0
	}
	return f.Steps[f.Taken-1] / 100
}

// UnderWay tells whether there is a shift that the leader has to watch.
func (s *State) UnderWay() bool {
	return slices.ContainsFunc(s.Shifts, func(f Shift) bool { return f.Phase.UnderWay() })
}
