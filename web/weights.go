package web

import (
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"segue/controlplane/policy"
	"segue/controlplane/state"
	"segue/web/view"
)

// draft is a change of weights that somebody is about to make.
type draft struct {
	service, region string
	base            uint64
	weights         []policy.Weight
	typed           map[string]string // what the fields held
	errors          map[string]string // by provider; "" is of all of them
	changes         []policy.Change
	conflict        *view.Conflict
	reason, wanted  string // and what is wrong with the reason
	inSteps         view.InSteps
}

func (d *draft) wrong(provider, text string) {
	if d.errors[provider] == "" {
		d.errors[provider] = text
	}
}

// readDraft reads a form and checks it against the policy in force, as the State will.
func readDraft(s scene, svc *policy.ServiceSpec, form url.Values) *draft {
	d := &draft{service: svc.Name, region: form.Get("region"), typed: map[string]string{}, errors: map[string]string{}}
	current := s.State.Current()
	d.base, _ = strconv.ParseUint(form.Get("base"), 10, 64)
	if d.base == 0 {
		d.base = current.Number
	}
	for _, old := range svc.WeightsIn(d.region) {
		text := strings.TrimSpace(strings.Replace(form.Get("w."+old.Provider), ",", ".", 1))
		if !form.Has("w." + old.Provider) {
			text = plain(old.Percent)
		}
		d.typed[old.Provider] = text
		percent, ok := typedShare(text)
		if !ok {
			d.wrong(old.Provider, "is no number")
			continue
		}
		d.weights = append(d.weights, policy.Weight{Provider: old.Provider, Percent: percent})
	}
	d.check(s)
	return d
}

// check finds what would change, what is wrong, and whether somebody was faster.
func (d *draft) check(s scene) {
	if len(d.errors) > 0 {
		return
	}
	current := s.State.Current()
	changed, err := withWeights(current.Source, d)
	if err != nil {
		d.refused(err)
		return
	}
	d.changes = policy.Diff(current.Policy, changed)
	if from, kept := s.State.Revision(d.base); d.base != current.Number && kept {
		yours := d.changes
		if p, err := withWeights(from.Source, d); err == nil {
			yours = policy.Diff(from.Policy, p)
		}
		theirs := policy.Diff(from.Policy, current.Policy)
		d.conflict = &view.Conflict{Base: d.base, Current: current.Number, Theirs: texts(theirs), Yours: texts(yours), Fields: clashes(theirs, yours)}
	}
}

func withWeights(source []byte, d *draft) (*policy.Policy, error) {
	text, err := policy.SetWeights(source, d.service, d.region, d.weights)
	if err != nil {
		return nil, err
	}
	p, problems := policy.Parse("policy", text)
	return p, problems.Err()
}

// refused puts each problem beside the field that it is about.
func (d *draft) refused(err error) {
	var problems policy.Problems
	if !errors.As(err, &problems) {
		d.wrong("", err.Error())
		return
	}
	for _, p := range problems {
		at := p.Path[strings.LastIndexByte(p.Path, '.')+1:]
		if _, ok := d.typed[at]; !ok {
			at = ""
		}
		text := p.Message
		if p.Fix != "" {
			text += "; " + p.Fix
		}
		d.wrong(at, text)
	}
}

func texts(changes []policy.Change) []string {
	list := make([]string, len(changes))
	for i, c := range changes {
		list[i] = c.Text
	}
	return list
}

// query is the draft as a form's fields, for the hidden form and for links.
func (d *draft) query(base uint64) url.Values {
	q := url.Values{"region": {d.region}, "base": {strconv.FormatUint(base, 10)}}
	for provider, text := range d.typed {
		q.Set("w."+provider, text)
	}
	return q
}

// showDraft renders the page with a review, or the same as JSON.
func (w *Web) showDraft(c echo.Context, status int, s scene, svc *policy.ServiceSpec, d *draft) error {
	page := w.routingPage(c, s, svc)
	page.Rollout = nil
	page.Frame.Live = "/live/routing/" + url.PathEscape(svc.Name) + "?review=1"
	if d.conflict != nil {
		d.conflict.Again = page.Frame.Path + "?" + d.query(d.conflict.Current).Encode()
		page.Conflict = d.conflict
	} else {
		review := w.review(s, svc, d)
		review.WhatIf = w.whatIfOf(c, s, svc, d)
		page.Review = &review
	}
	for i := range page.Regions {
		if page.Regions[i].Region == d.region {
			d.fill(&page.Regions[i])
		}
	}
	value := map[string]any{"revision": s.State.Current().Number, "changes": d.changes, "errors": d.errors, "conflict": d.conflict}
	return w.answer(c, status, value, view.RoutingPage(page))
}

// fill shows what was typed, what is in force where it differs, and what is wrong.
func (d *draft) fill(card *view.RegionCard) {
	sum := 0.0
	for i := range card.Rows {
		row := &card.Rows[i]
		row.Error = d.errors[row.Provider]
		if text := d.typed[row.Provider]; text != row.Percent {
			row.Was, row.Percent = row.Percent, text
		}
		row.Share = 0
		if percent, ok := typedShare(row.Percent); ok {
			row.Share = min(max(percent, 0), 100)
			sum += percent
		}
	}
	card.Sum, card.Error = plain(sum), d.errors[""]
}

func (w *Web) review(s scene, svc *policy.ServiceSpec, d *draft) view.Review {
	v := view.Review{
		Service: d.service, Region: d.region, Reason: d.reason, ReasonError: d.wanted, Request: rand.Text(),
		Discard: "/routing/" + url.PathEscape(d.service),
		Command: weightCommand(d.service, d.region, d.weights) + fmt.Sprintf(" --base %d --reason '…'", d.base),
		InSteps: d.inStepsForm(),
	}
	for _, c := range d.changes {
		v.Changes = append(v.Changes, view.ReviewLine{Provider: c.Provider, Old: c.Old + " %", New: c.New + " %"})
	}
	for _, provider := range slices.Sorted(keys(d.errors)) {
		v.Problems = append(v.Problems, strings.TrimSpace(provider+" "+d.errors[provider]))
	}
	q := d.query(d.base)
	for _, name := range slices.Sorted(keys(q)) {
		v.Fields = append(v.Fields, view.Pair{Name: name, Value: q.Get(name)})
	}
	if len(d.changes) > 0 {
		v.Effects = effects(s, svc, d)
	}
	return v
}

// effects is what the change would do, by the figures of the last minute.
func effects(s scene, svc *policy.ServiceSpec, d *draft) []view.Pair {
	share := moved(svc.WeightsIn(d.region), d.weights)
	sessions := float64(sessionsPerMinute(s.View.World, d.service, d.region))
	list := []view.Pair{
		{Name: "moves", Value: fmt.Sprintf("%s %% of new sessions, ≈ %s sessions/min", view.Percent(share), view.Number(sessions*share/100, 0))},
		{Name: "stays", Value: "pinned sessions and owned objects"},
		{Name: "other regions", Value: "unmoved"},
		{Name: "revision", Value: fmt.Sprintf("%d → %d", s.State.Current().Number, s.State.Current().Number+1)},
	}
	cells := cellsOf(s.View.World)
	for _, wt := range d.weights {
		c, known := cells[cellKey{d.region, d.service, wt.Provider}]
		if st := standing(c, known, s.Now, view.Prefs{}); wt.Percent > 0 && st.Level == view.Bad {
			list = append(list, view.Pair{Name: "note", Value: wt.Provider + " is " + st.Word + " there: its share goes to the others meanwhile"})
		}
	}
	return list
}

func keys[V any](m map[string]V) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// applyWeights makes the change. What is refused comes back as the page that it was sent from, with both sides or with what is wrong.
func (w *Web) applyWeights(c echo.Context) error {
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
	a, err := authorOf(c)
	if err != nil {
		d.wanted = "A reason is needed: the audit keeps it."
	}
	d.reason = a.reason
	if d.wanted != "" || len(d.errors) > 0 {
		return w.showDraft(c, http.StatusUnprocessableEntity, s, svc, d)
	}
	change := &state.SetWeights{Base: d.base, Service: d.service, Region: d.region, Weights: d.weights}
	if _, err := w.propose(c.Request().Context(), a, state.Command{SetWeights: change}); err != nil {
		return w.notApplied(c, svc, d, err)
	}
	return seeOther(c, "/routing/"+url.PathEscape(svc.Name))
}

// notApplied shows why a change was refused where it can be mended; anything else is a page of its own.
func (w *Web) notApplied(c echo.Context, svc *policy.ServiceSpec, d *draft, err error) error {
	var refused *state.Error
	if !errors.As(err, &refused) || wantsJSON(c) {
		return err
	}
	s := w.fresh(c.Request().Context())
	switch {
	case refused.Code == state.Stale && refused.Base != nil:
		b := refused.Base
		d.conflict = &view.Conflict{Base: b.Base, Current: b.Current, Theirs: b.Theirs, Yours: b.Yours, Fields: owned(b.Fields)}
		return w.showDraft(c, http.StatusConflict, s, svc, d)
	case refused.Code == state.Invalid && len(refused.Problems) > 0:
		d.refused(refused.Problems)
		return w.showDraft(c, http.StatusUnprocessableEntity, s, svc, d)
	default:
		return err
	}
}

// undo puts back the weights that were there before a revision.
func (w *Web) undo(c echo.Context) error {
	service, region := c.Param("service"), c.FormValue("region")
	number, err := strconv.ParseUint(c.FormValue("revision"), 10, 64)
	if err != nil || number < 2 {
		return refusal(state.Invalid, "revision: name the one that is to be undone")
	}
	s := w.fresh(c.Request().Context())
	before, ok := s.State.Revision(number - 1)
	if !ok || before.Policy.Service(service) == nil {
		return refusal(state.NotFound, fmt.Sprintf("what was before revision %d is not kept", number))
	}
	a := author{actor: localOperator + " @ loopback", reason: fmt.Sprintf("undo revision %d", number), request: requestID(c)}
	if a.request == "" {
		a.request = rand.Text()
	}
	change := &state.SetWeights{Base: number, Service: service, Region: region, Weights: before.Policy.Service(service).WeightsIn(region)}
	if _, err := w.propose(c.Request().Context(), a, state.Command{SetWeights: change}); err != nil {
		return err
	}
	return seeOther(c, "/routing/"+url.PathEscape(service))
}

// patchWeights is the API's form of the same: {"main": 40, "backup": 60}.
func (w *Web) patchWeights(c echo.Context) error {
	a, err := authorOf(c)
	if err != nil {
		return err
	}
	from, err := base(c)
	if err != nil {
		return err
	}
	shares, err := readShares(c)
	if err != nil {
		return err
	}
	change := &state.SetWeights{Base: from, Service: c.Param("service"), Region: c.Param("region"), Weights: shares}
	result, err := w.propose(c.Request().Context(), a, state.Command{SetWeights: change})
	if err != nil {
		return err
	}
	return w.tellChanged(c, result)
}

// typedShare reads what stands in a field. NaN and the infinities are words for Go and no numbers for people.
func typedShare(text string) (float64, bool) {
	percent, err := strconv.ParseFloat(text, 64)
	return percent, err == nil && !math.IsNaN(percent) && !math.IsInf(percent, 0)
}
