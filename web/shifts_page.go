package web

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"segue/controlplane/health"
	"segue/controlplane/policy"
	"segue/controlplane/state"
	"segue/web/view"
)

// acts are what a person may do to a shift, in the order of the buttons.
var acts = [...]state.Act{state.ShiftStop, state.ShiftGo, state.ShiftBack, state.ShiftFinish}

// What of a service's shifts the page shows: those under way, and what ended lately.
const (
	shownShifts   = 4
	shiftShownFor = time.Hour
)

// shiftCards are a service's shifts, those under way first.
func shiftCards(s scene, svc *policy.ServiceSpec) (cards []view.Shift) {
	var list []*state.Shift
	for i := range s.State.Shifts {
		if f := &s.State.Shifts[i]; f.Service == svc.Name && (f.Phase.UnderWay() || s.Now.Sub(f.Changed) < shiftShownFor) {
			list = append(list, f)
		}
	}
	slices.SortStableFunc(list, func(a, b *state.Shift) int {
		switch {
		case a.Phase.UnderWay() && !b.Phase.UnderWay():
			return -1
		case b.Phase.UnderWay() && !a.Phase.UnderWay():
			return 1
		}
		return b.Changed.Compare(a.Changed)
	})
	color := colors(svc, s.State.Current().Policy.Regions.Names())
	for _, f := range list[:min(len(list), shownShifts)] {
		cards = append(cards, shiftCard(s, f, color))
	}
	return cards
}

func shiftCard(s scene, f *state.Shift, color map[string]int) view.Shift {
	v := view.Shift{ID: f.ID, Service: f.Service, Region: f.Region, At: f.At, By: f.By, Reason: f.Reason, Why: sentenceOf(f.Why), Next: nextOf(f, s.Now)}
	v.Level, v.Icon, v.Word = phaseWords(f.Phase)
	for i, way := range f.Steps {
		v.Steps = append(v.Steps, view.ShiftStep{Percent: plain(way), Taken: i < f.Taken})
	}
	set, start, target, cells := byProvider(f.Set()), byProvider(f.Start), byProvider(f.Target), cellsOf(s.View.World)
	moving := slices.Concat(f.Losers(), f.Gainers())
	if f.Phase == state.Returned || f.Phase == state.Finished {
		moving = nil
	}
	for _, name := range moving {
		side := view.ShiftSide{Provider: name, Color: color[name], From: plain(start[name]), To: plain(target[name]), Now: plain(set[name]), Success: "no calls"}
		c, known := cells[cellKey{f.Region, f.Service, name}]
		if c.Calls > 0 && c.Success != health.None64 {
			side.Success = fmt.Sprintf("%s %% of %s", view.Percent(c.Success), view.Count(c.Calls))
		}
		if st := standing(c, known, s.Now, view.Prefs{}); st.Level != view.OK {
			side.Level, side.Icon, side.Word = st.Level, st.Icon, st.Word
		}
		v.Sides = append(v.Sides, side)
	}
	for _, act := range mayBe(f, s.State) {
		v.Acts = append(v.Acts, view.ShiftAct{
			Action: "/shifts/" + url.PathEscape(f.ID) + "/" + string(act), Request: fmt.Sprintf("%s-%s-%d", f.ID, act, f.Index), Text: actWords(act, f),
		})
	}
	return v
}

// nextOf is what comes next by itself.
func nextOf(f *state.Shift, now time.Time) string {
	left := view.Span(max(f.Next.Sub(now), 0).Truncate(time.Second))
	switch {
	case f.Phase != state.Shifting:
		return fmt.Sprintf("after step %d of %d", f.Taken, len(f.Steps))
	case f.Taken == 0:
		return "the first step comes at once"
	case !f.Next.After(now) && f.Taken < len(f.Steps):
		return fmt.Sprintf("step %d of %d comes at once", f.Taken+1, len(f.Steps))
	case f.Taken == len(f.Steps):
		return "all steps are taken; done in " + left
	default:
		return fmt.Sprintf("step %d of %d in %s", f.Taken+1, len(f.Steps), left)
	}
}

func phaseWords(p state.Phase) (view.Level, string, string) {
	switch p {
	case state.Shifting:
		return view.OK, "under-way", "under way"
	case state.Held:
		return view.Warn, "warn", "held"
	case state.Stopped:
		return view.Warn, "warn", "stopped"
	case state.Returned:
		return view.Warn, "undo", "back to the start"
	case state.Finished:
		return view.OK, "ok", "finished"
	default:
		return view.Off, "off", string(p)
	}
}

// mayBe is what may be done to it now.
func mayBe(f *state.Shift, st *state.State) []state.Act {
	switch {
	case f.Phase.UnderWay():
		return []state.Act{state.ShiftStop, state.ShiftBack, state.ShiftFinish}
	case !f.Stands(st.Current().Policy):
		return nil
	case f.Phase == state.Stopped:
		return []state.Act{state.ShiftGo, state.ShiftBack, state.ShiftFinish}
	case f.Phase == state.Finished:
		return []state.Act{state.ShiftBack}
	default:
		return nil
	}
}

func actWords(act state.Act, f *state.Shift) string {
	switch act {
	case state.ShiftStop:
		return "Stop"
	case state.ShiftGo:
		return "Go on"
	case state.ShiftFinish:
		return "Finish now"
	default:
		if f.Phase == state.Finished {
			return "Take it back"
		}
		return "Back"
	}
}

// inStepsForm are the fields as they were sent, or the usual.
func (d *draft) inStepsForm() view.InSteps {
	v := d.inSteps
	v.Action = "/routing/" + url.PathEscape(d.service) + "/" + url.PathEscape(d.region) + "/shift"
	if v.Steps == "" {
		var words []string
		for _, step := range state.ShiftSteps() {
			words = append(words, plain(step))
		}
		v.Steps = strings.Join(words, ", ")
	}
	if v.Every == "" {
		v.Every = spanText(state.ShiftEvery)
	}
	return v
}

// spanText writes a length of time as people do: 2m, not 2m0s.
func spanText(d time.Duration) string { return strings.TrimSuffix(d.String(), "0s") }

// typedSteps reads "5, 25, 50, 100".
func typedSteps(text string) ([]float64, error) {
	var steps []float64
	for word := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ',' || r == ';' || r == ' ' || r == '%' }) {
		step, err := strconv.ParseFloat(word, 64)
		if err != nil {
			return nil, refusal(state.Invalid, fmt.Sprintf("steps: %.20q is no number; write percents of the way, rising to 100, like 5, 25, 50, 100", word))
		}
		steps = append(steps, step)
	}
	return steps, nil
}

// beginShiftForm begins what was reviewed, in steps. What is refused comes back as the page that it was sent from.
func (w *Web) beginShiftForm(c echo.Context) error {
	form, err := c.FormParams()
	if err != nil {
		return fmt.Errorf("web: form: %w", err)
	}
	form.Set("region", c.Param("region"))
	s := w.fresh(c.Request().Context())
	svc := s.State.Current().Policy.Service(c.Param("service"))
	if svc == nil {
		return refusal(state.NotFound, fmt.Sprintf("there is no service %q", c.Param("service")))
	}
	d := readDraft(s, svc, form)
	d.inSteps = view.InSteps{Steps: form.Get("steps"), Every: form.Get("every"), OnTrouble: form.Get("on_trouble"), Open: true}
	a, err := authorOf(c)
	if err != nil {
		d.wanted = "A reason is needed: the audit keeps it."
	}
	if d.reason = a.reason; d.wanted != "" || len(d.errors) > 0 {
		return w.showDraft(c, http.StatusUnprocessableEntity, s, svc, d)
	}
	begin, err := d.shiftOf()
	if err == nil {
		_, err = w.begin(c.Request().Context(), a, begin)
	}
	if err != nil {
		return w.notBegun(c, svc, d, err)
	}
	return seeOther(c, "/routing/"+url.PathEscape(svc.Name))
}

// shiftOf is the draft as a shift.
func (d *draft) shiftOf() (*state.BeginShift, error) {
	steps, err := typedSteps(d.inSteps.Steps)
	if err != nil {
		return nil, err
	}
	plan := shiftPlan{Regions: []string{d.region}, Weights: byProvider(d.weights), Steps: steps, Every: d.inSteps.Every, OnTrouble: d.inSteps.OnTrouble}
	b, err := plan.command(d.service)
	if err == nil {
		b.Base = d.base
	}
	return b, err
}

// notBegun shows why beside the fields, where it can be mended there.
func (w *Web) notBegun(c echo.Context, svc *policy.ServiceSpec, d *draft, err error) error {
	var refused *state.Error
	if errors.As(err, &refused) && refused.Code == state.Invalid && !wantsJSON(c) {
		d.inSteps.Error = sentenceOf(refused.Message)
		return w.showDraft(c, http.StatusUnprocessableEntity, w.fresh(c.Request().Context()), svc, d)
	}
	return w.notApplied(c, svc, d, err)
}

// moveShiftForm is a button of a shift's card.
func (w *Web) moveShiftForm(act state.Act) echo.HandlerFunc {
	return func(c echo.Context) error {
		f, ok := w.fresh(c.Request().Context()).State.Shift(c.Param("id"))
		if !ok {
			return noShift(c.Param("id"))
		}
		a := author{actor: localOperator + " @ loopback", reason: actWords(act, &f) + ", on the page", request: requestID(c)}
		if a.request == "" {
			a.request = rand.Text()
		}
		if err := w.move(c.Request().Context(), a, f.ID, act); err != nil {
			return err
		}
		return seeOther(c, "/routing/"+url.PathEscape(f.Service))
	}
}
