package state

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"segue/controlplane/health"
	"segue/controlplane/policy"
)

// What a shift is judged by. Detectors judge a provider by itself, long before this does: it compares those who gain with those who lose.
const (
	shiftCalls   = 20            // of the last minute, on either side: fewer compare nothing
	shiftFailed  = 3             // of a gainer: fewer are chance
	shiftHeldFor = time.Hour     // then it stops where it is: nobody expects it to go on by itself
	shiftLook    = health.Silent // a new leader, who has heard nothing yet, concludes nothing from silence for so long
)

// Due is what the leader does to the shifts under way, by what it sees now. led is how long it has led.
func (s *State) Due(w *health.World, led time.Duration) []MoveShift {
	var moves []MoveShift
	for i := range s.Shifts {
		if f := &s.Shifts[i]; f.Phase.UnderWay() {
			if m, ok := s.due(f, w, led); ok {
				m.ID, m.Index = f.ID, f.Index
				moves = append(moves, m)
			}
		}
	}
	return moves
}

func (s *State) due(f *Shift, w *health.World, led time.Duration) (MoveShift, bool) {
	g := lookAt(f, w)
	if why := g.trouble(); why != "" {
		switch help := g.noHelp(); {
		case f.Stay:
			return MoveShift{Act: ShiftHalt, Why: why + "; it stays where it is, as was asked"}, true
		case help != "":
			return MoveShift{Act: ShiftHalt, Why: why + "; going back would be no help: " + help}, true
		default:
			return MoveShift{Act: ShiftReturn, Why: why}, true
		}
	}
	blind := s.blind(f, g)
	switch {
	case f.Phase == Held && blind == "":
		return MoveShift{Act: ShiftResume}, true
	case f.Phase == Held && w.At.Sub(f.Changed) >= shiftHeldFor:
		return MoveShift{Act: ShiftHalt, Why: fmt.Sprintf("it was held for %s: %s", shiftHeldFor, f.Why)}, true
	case f.Phase == Held || w.At.Before(f.Next) || led < shiftLook:
		return MoveShift{}, false
	case blind != "":
		return MoveShift{Act: ShiftHold, Why: blind}, true
	default:
		loser, _ := g.success(g.losers)
		return MoveShift{Act: ShiftStep, Loser: loser}, true
	}
}

// glance is what is seen of a shift's region.
type glance struct {
	f               *Shift
	w               *health.World
	gainers, losers []string
	cells           map[string]health.Cell
}

func lookAt(f *Shift, w *health.World) *glance {
	g := &glance{f: f, w: w, gainers: f.Gainers(), losers: f.Losers(), cells: map[string]health.Cell{}}
	for _, c := range w.Cells {
		if c.Service == f.Service && c.Region == f.Region {
			g.cells[c.Provider] = c
		}
	}
	return g
}

// trouble is what says that a gainer should not gain; empty: nothing.
func (g *glance) trouble() string {
	for _, name := range g.gainers {
		if why := g.gated(name); why != "" {
			return why
		}
	}
	loser, calls := g.success(g.losers)
	if calls < shiftCalls {
		loser = g.f.Loser
	}
	for _, name := range g.gainers {
		c, ok := g.cells[name]
		if !ok || loser < 0 || c.Calls < shiftCalls || c.Failed < shiftFailed || c.Success >= loser-g.f.Margin {
			continue
		}
		return fmt.Sprintf("%s succeeds in %.1f %% of its last %d calls, %s in %.1f %%: more than %s points less",
			name, c.Success, c.Calls, strings.Join(g.losers, ", "), loser, number(g.f.Margin))
	}
	return ""
}

// gated is why a provider gets no calls, or soon will: its circuit, or a verdict on it.
func (g *glance) gated(provider string) string {
	f := g.f
	if c := g.cells[provider]; c.Breaker == "open" || c.Breaker == "half-open" {
		why := fmt.Sprintf("the circuit of %s is %s in %s", provider, c.Breaker, f.Region)
		if c.Why != "" {
			why += " (" + c.Why + ")"
		}
		return why
	}
	for _, v := range g.w.Verdicts {
		if v.Service == f.Service && v.Provider == provider && (v.Region == "" || v.Region == f.Region) {
			return fmt.Sprintf("%s is at fault: %s", v.Named(), v.Why)
		}
	}
	return ""
}

// noHelp is why the weights from before are no better: all who lost weight are in trouble themselves.
func (g *glance) noHelp() string {
	var whys []string
	for _, name := range g.losers {
		why := g.gated(name)
		if why == "" {
			return ""
		}
		whys = append(whys, why)
	}
	return strings.Join(whys, "; ")
}

// success is the share of several providers' attempts that were no failure, and of how many; below 0: of too few.
func (g *glance) success(names []string) (percent float64, calls uint64) {
	var failed uint64
	for _, name := range names {
		c := g.cells[name]
		calls, failed = calls+c.Calls, failed+min(c.Failed, c.Calls)
	}
	if calls < shiftCalls {
		return -1, calls
	}
	return 100 * float64(calls-failed) / float64(calls), calls
}

// blind is why nobody can see how the last step went, or what the next one would show; empty: it can be seen.
func (s *State) blind(f *Shift, g *glance) string {
	heard := 0
	for _, a := range g.w.Agents {
		switch {
		case a.Region != f.Region:
		case !a.Heard:
			return fmt.Sprintf("agent %s in %s is silent", a.ID, f.Region)
		case f.Taken > 0 && a.Revision < f.Revision:
			return fmt.Sprintf("agent %s in %s has revision %d, not yet what the last step set", a.ID, f.Region, a.Revision)
		default:
			heard++
		}
	}
	if heard == 0 {
		return fmt.Sprintf("no agent in %s reports", f.Region)
	}
	for _, v := range g.w.Verdicts {
		if v.Kind == health.OursFault || v.Kind == health.RegionFault && v.Region == f.Region {
			return fmt.Sprintf("%s is in trouble, not one provider: %s", v.Named(), v.Why)
		}
	}
	for _, name := range g.gainers {
		drains := func(o policy.Order) bool {
			return o.Kind == policy.Drain && o.Provider == name && concerns(&o, f.Region) && o.Ends().After(g.w.At)
		}
		if i := slices.IndexFunc(s.Orders, drains); i >= 0 {
			return fmt.Sprintf("%s is drained in %s until %s", name, f.Region, s.Orders[i].Ends().UTC().Format(time.RFC3339))
		}
	}
	return ""
}
