package web

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"segue/controlplane/health"
	"segue/controlplane/policy"
	"segue/controlplane/state"
)

// shift is one as the API shows it: a move of weights in steps, with a stop.
type shift struct {
	ID      string    `json:"id"`
	Service string    `json:"service"`
	Region  string    `json:"region"`
	By      string    `json:"by"` // who began it
	Reason  string    `json:"reason"`
	Began   time.Time `json:"began"`
	shiftCourse
	shiftShares
	shiftPace
	Success []shiftSide `json:"success"` // of the last minute, for those whose share changes
}

// shiftCourse is how far a shift has come.
type shiftCourse struct {
	Phase   state.Phase `json:"phase"` // shifting, held, stopped, returned or finished
	Why     string      `json:"why,omitempty"`
	Taken   int         `json:"taken"`         // steps that were taken
	Changed time.Time   `json:"changed"`       // when the phase or the step changed last
	Next    time.Time   `json:"next,omitzero"` // while it is shifting: the next step, or after the last one the end, comes not before
}

// shiftShares are its weights, by provider.
type shiftShares struct {
	Start  map[string]float64 `json:"start"`  // from before
	Target map[string]float64 `json:"target"` // at its end
	Set    map[string]float64 `json:"set"`    // that it has set
}

// shiftPace is how it goes.
type shiftPace struct {
	Steps     []float64 `json:"steps"` // percent of the way
	Every     string    `json:"every"`
	OnTrouble string    `json:"on_trouble"` // back or stay
	Margin    float64   `json:"margin"`     // percentage points by which who gains may succeed less often than who loses
}

// shiftSide is how one provider of a shift does now.
type shiftSide struct {
	Provider string  `json:"provider"`
	Gains    bool    `json:"gains"`
	Calls    uint64  `json:"calls"`   // attempts
	Success  float64 `json:"success"` // percent of attempts that were no failure of the provider; -1: there were none
	Breaker  string  `json:"breaker"` // its circuit, the worst of the agents; empty: no agent is heard
}

// shifts are those that were begun.
type shifts struct {
	Shifts []shift `json:"shifts"` // newest first
}

func showShift(f *state.Shift, world *health.World) shift {
	v := shift{
		ID: f.ID, Service: f.Service, Region: f.Region, By: f.By, Reason: f.Reason, Began: f.At, Success: []shiftSide{},
		shiftCourse: shiftCourse{Phase: f.Phase, Why: f.Why, Taken: f.Taken, Changed: f.Changed},
		shiftShares: shiftShares{Start: byProvider(f.Start), Target: byProvider(f.Target), Set: byProvider(f.Set())},
		shiftPace:   shiftPace{Steps: f.Steps, Every: f.Every.String(), OnTrouble: "back", Margin: f.Margin},
	}
	if f.Phase == state.Shifting {
		v.Next = f.Next
	}
	if f.Stay {
		v.OnTrouble = "stay"
	}
	gainers := f.Gainers()
	for _, name := range slices.Concat(f.Losers(), gainers) {
		side := shiftSide{Provider: name, Gains: slices.Contains(gainers, name), Success: health.None64}
		for i := range world.Cells {
			if c := &world.Cells[i]; c.Region == f.Region && c.Service == f.Service && c.Provider == name {
				side.Calls, side.Success, side.Breaker = c.Calls, c.Success, c.Breaker
			}
		}
		v.Success = append(v.Success, side)
	}
	return v
}

func byProvider(weights []policy.Weight) map[string]float64 {
	m := make(map[string]float64, len(weights))
	for _, w := range weights {
		m[w.Provider] = w.Percent
	}
	return m
}

// listShifts shows all that are kept, or those of one service.
func (w *Web) listShifts(c echo.Context) error {
	s := w.fresh(c.Request().Context())
	return c.JSON(http.StatusOK, shifts{shiftsOf(s, c.QueryParam("service"))})
}

// shiftsOf are a service's, or with "" all, the newest first.
func shiftsOf(s scene, service string) []shift {
	list := []shift{}
	for i := range s.State.Shifts {
		if f := &s.State.Shifts[i]; service == "" || f.Service == service {
			list = append(list, showShift(f, &s.View.World))
		}
	}
	slices.SortStableFunc(list, func(a, b shift) int {
		return cmp.Or(b.Began.Compare(a.Began), strings.Compare(a.Region, b.Region))
	})
	return list
}

func (w *Web) getShift(c echo.Context) error {
	s := w.fresh(c.Request().Context())
	f, ok := s.State.Shift(c.Param("id"))
	if !ok {
		return noShift(c.Param("id"))
	}
	return c.JSON(http.StatusOK, showShift(&f, &s.View.World))
}

func noShift(id string) error {
	return refusal(state.NotFound, fmt.Sprintf("there is no shift %.40q; segue shift list shows those that are kept", id))
}

// shiftPlan is what a shift is begun with.
type shiftPlan struct {
	Regions   []string           `json:"regions"`
	Weights   map[string]float64 `json:"weights"`
	From      string             `json:"from"`
	To        string             `json:"to"`
	By        float64            `json:"by"`
	Steps     []float64          `json:"steps"`
	Every     string             `json:"every"`
	OnTrouble string             `json:"on_trouble"`
	Margin    *float64           `json:"margin"`
}

// command is the plan with all that was left out.
func (p *shiftPlan) command(service string) (*state.BeginShift, error) {
	b := &state.BeginShift{Service: service, Regions: p.Regions, From: p.From, To: p.To, Amount: p.By}
	for _, name := range slices.Sorted(keys(p.Weights)) {
		b.Weights = append(b.Weights, policy.Weight{Provider: name, Percent: p.Weights[name]})
	}
	var err error
	if b.Every, err = span("every", p.Every, state.ShiftEvery); err != nil {
		return nil, err
	}
	if b.Steps = p.Steps; len(b.Steps) == 0 {
		b.Steps = state.ShiftSteps()
	}
	if b.Margin = state.ShiftMargin; p.Margin != nil {
		b.Margin = *p.Margin
	}
	switch p.OnTrouble {
	case "", "back":
	case "stay":
		b.Stay = true
	default:
		return nil, refusal(state.Invalid, fmt.Sprintf("on_trouble: %.40q is unknown; write back or stay", p.OnTrouble))
	}
	return b, nil
}

// beginShift is the API's way to begin one.
func (w *Web) beginShift(c echo.Context) error {
	a, err := authorOf(c)
	if err != nil {
		return err
	}
	var plan shiftPlan
	if err := readJSON(c, &plan); err != nil {
		return err
	}
	begin, err := plan.command(c.Param("service"))
	if err != nil {
		return err
	}
	begun, err := w.begin(c.Request().Context(), a, begin)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, shifts{begun})
}

func (w *Web) begin(ctx context.Context, a author, b *state.BeginShift) ([]shift, error) {
	result, err := w.propose(ctx, a, state.Command{Beside: state.Beside{BeginShift: b}})
	if err != nil {
		return nil, err
	}
	begun := []shift{}
	s := w.fresh(ctx)
	for _, id := range strings.Fields(result.Order) {
		if f, ok := s.State.Shift(id); ok {
			begun = append(begun, showShift(&f, &s.View.World))
		}
	}
	return begun, nil
}

// moveShift does to a shift what a person may do.
func (w *Web) moveShift(act state.Act) echo.HandlerFunc {
	return func(c echo.Context) error {
		a, err := authorOf(c)
		if err != nil {
			return err
		}
		if err := w.move(c.Request().Context(), a, c.Param("id"), act); err != nil {
			return err
		}
		return w.getShift(c)
	}
}

func (w *Web) move(ctx context.Context, a author, id string, act state.Act) error {
	_, err := w.propose(ctx, a, state.Command{Beside: state.Beside{MoveShift: &state.MoveShift{ID: id, Act: act}}})
	return err
}
