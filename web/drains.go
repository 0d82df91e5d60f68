package web

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"segue/controlplane/policy"
	"segue/controlplane/state"
	"segue/web/view"
)

// drainPlan is a drain that somebody is about to give.
type drainPlan struct {
	provider, region, length string // region "": everywhere
	span                     time.Duration
	problem                  string
	reason, wanted           string // and what is wrong with the reason
}

func drainLengths() []view.Option {
	return []view.Option{{Value: "10m", Label: "10 min"}, {Value: "30m", Label: "30 min"}, {Value: "1h", Label: "1 h"}, {Value: "4h", Label: "4 h"}, {Value: "24h", Label: "24 h"}}
}

func readDrain(s scene, provider string, form url.Values) drainPlan {
	d := drainPlan{provider: provider, region: form.Get("region"), length: form.Get("for")}
	span, err := span("for", d.length, 30*time.Minute)
	d.span = span
	var refused *state.Error
	if errors.As(err, &refused) {
		d.problem = refused.Message
		return d
	}
	o := d.order()
	if err := o.Check(s.State.Current().Policy); err != nil {
		d.problem = err.Error()
	}
	return d
}

func (d drainPlan) order() policy.Order {
	o := policy.Order{Kind: policy.Drain, Provider: d.provider, For: d.span}
	if d.region != "" {
		o.Regions = []string{d.region}
	}
	return o
}

func (d drainPlan) command() string {
	text := "segue provider drain " + d.provider + " --for " + d.length
	if d.length == "" {
		text = "segue provider drain " + d.provider + " --for 30m"
	}
	if d.region != "" {
		text += " --region " + d.region
	}
	return text
}

func drainForm(s scene, provider, length, region string) view.DrainForm {
	f := view.DrainForm{Action: "/providers/" + url.PathEscape(provider), For: drainLengths(), Command: drainPlan{provider: provider, length: length, region: region}.command()}
	for i := range f.For {
		f.For[i].Chosen = f.For[i].Value == length
	}
	f.Regions = []view.Option{{Label: "every region", Chosen: region == ""}}
	for _, r := range s.State.Current().Policy.Regions.Names() {
		f.Regions = append(f.Regions, option(r, r, region))
	}
	return f
}

// showDrain renders the provider's page with the one confirm, or the same as JSON.
func (w *Web) showDrain(c echo.Context, status int, s scene, spec *policy.ProviderSpec, d drainPlan) error {
	page := w.providerView(c, s, spec)
	page.Done = ""
	effects, warnings := drainEffects(s, d, page.Frame.Prefs)
	value := map[string]any{"order": d.order(), "effects": effects, "warnings": warnings, "problem": d.problem}
	if d.problem != "" {
		page.Drain = drainForm(s, d.provider, d.length, d.region)
		page.Drain.Error = d.problem
		return w.answer(c, http.StatusUnprocessableEntity, value, view.ProviderPage(page))
	}
	page.Review = &view.DrainReview{
		Sentence: fmt.Sprintf("%s %s, for %s", d.provider, whereDrained(d.order().Regions), view.Span(d.span)), Effects: effects, Warnings: warnings,
		Fields: []view.Pair{{Name: "request", Value: rand.Text()}, {Name: "for", Value: d.length}, {Name: "region", Value: d.region}},
		Action: "/providers/" + url.PathEscape(d.provider) + "/drain", Button: "Drain until " + page.Frame.Prefs.Clock(s.Now.Add(d.span))[:5],
		Reason: d.reason, ReasonError: d.wanted, Discard: "/providers/" + url.PathEscape(d.provider), Command: d.command() + " --reason '…'",
	}
	return w.answer(c, status, value, view.ProviderPage(page))
}

// drainEffects is what a drain would do, by the figures of the last minute: what moves where, and where nobody else is left.
func drainEffects(s scene, d drainPlan, p view.Prefs) (effects []view.Pair, warnings []string) {
	doc := s.State.Current().Policy
	cells := cellsOf(s.View.World)
	moves := uint64(0)
	for i := range doc.Services {
		svc := &doc.Services[i]
		for _, region := range doc.Regions.Names() {
			if d.region != "" && region != d.region || !slices.Contains(svc.ProvidersIn(region), d.provider) {
				continue
			}
			moves += cells[cellKey{region, svc.Name, d.provider}].Sessions
			var takes []string
			for _, other := range svc.ProvidersIn(region) {
				c, known := cells[cellKey{region, svc.Name, other}]
				st := standing(c, known, s.Now, p)
				if other != d.provider && st.Level != view.Bad && !strings.HasPrefix(st.Word, "drained") {
					takes = append(takes, other)
				}
			}
			effects = append(effects, view.Pair{Name: svc.Name + " / " + region, Value: "goes to " + enumerate(takes)})
			if len(takes) == 0 {
				effects[len(effects)-1].Value = "nobody left"
				warnings = append(warnings, fmt.Sprintf("%s in %s has no other provider that is well: its calls would be refused there.", svc.Name, region))
			}
		}
	}
	effects = append([]view.Pair{{Name: "moves", Value: "≈ " + view.Count(moves) + " new sessions/min"}}, effects...)
	effects = append(effects, view.Pair{Name: "stays", Value: "calls about objects that it owns"}, view.Pair{Name: "ends", Value: p.Clock(s.Now.Add(d.span)) + ", by itself"})
	return effects, warnings
}

// drainCards are the drains in force.
func (w *Web) drainCards(s scene, provider string) []view.Drain {
	var list []view.Drain
	for _, o := range drainsOf(s, provider) {
		list = append(list, view.Drain{
			ID: o.ID, Where: whereDrained(o.Regions), Ends: o.Ends(), Left: view.Span(o.Ends().Sub(s.Now).Truncate(time.Second)), Actor: o.Actor, Reason: o.Reason,
			Action: "/providers/" + url.PathEscape(provider) + "/resume", Request: "resume-" + s.State.Incarnation + "-" + o.ID, Command: "segue provider resume " + provider,
		})
	}
	return list
}

// drainPost puts the drain in force.
func (w *Web) drainPost(c echo.Context) error {
	form, err := c.FormParams()
	if err != nil {
		return fmt.Errorf("web: form: %w", err)
	}
	s := w.fresh(c.Request().Context())
	spec := s.State.Current().Policy.Provider(c.Param("provider"))
	if spec == nil {
		return refusal(state.NotFound, fmt.Sprintf("the policy has no provider %q", c.Param("provider")))
	}
	d := readDrain(s, spec.Name, form)
	a, err := authorOf(c)
	if err != nil {
		d.wanted = "A reason is needed: the audit keeps it."
	}
	if d.reason = a.reason; d.wanted != "" || d.problem != "" {
		return w.showDrain(c, http.StatusUnprocessableEntity, s, spec, d)
	}
	if _, err := w.order(c.Request().Context(), a, d.order()); err != nil {
		return err
	}
	return seeOther(c, "/providers/"+url.PathEscape(spec.Name)+"?done=drained")
}

// resumePost ends one drain early. One that has ended by itself is what was asked for.
func (w *Web) resumePost(c echo.Context) error {
	provider, id := c.Param("provider"), c.FormValue("order")
	a := author{actor: localOperator + " @ loopback", reason: "resumed from the provider’s page", request: requestID(c)}
	if a.request == "" {
		a.request = rand.Text()
	}
	if id == "" {
		return refusal(state.Invalid, "order: name the drain that is to end")
	}
	if _, err := w.propose(c.Request().Context(), a, state.Command{EndOrder: &state.EndOrder{ID: id}}); err != nil && !gone(err) {
		return err
	}
	return seeOther(c, "/providers/"+url.PathEscape(provider)+"?done=resumed")
}

// probeForm asks agents to try it at once.
func probeForm(spec *policy.ProviderSpec) view.ProbeForm {
	f := view.ProbeForm{Action: "/providers/" + url.PathEscape(spec.Name) + "/probe", Request: rand.Text(), Command: "segue provider probe " + spec.Name}
	f.Synthetic = len(spec.Checks.Synthetic) > 0
	f.Note = "The policy gives it no check, so there is nothing to ask. Give it one: checks: {active: GET /path every 10s}"
	if len(spec.Checks.Active) > 0 {
		f.Ready, f.Note = true, fmt.Sprintf("Every agent makes %s now, beside its own rhythm.", enumerate(checkNames(&spec.Checks)))
	} else if f.Synthetic {
		f.Ready, f.Note, f.Command = true, "Every agent runs the synthetics now, beside their own rhythm.", f.Command+" --synthetic"
	}
	f.Active = len(spec.Checks.Active) > 0
	return f
}

// probePost has every agent ask now, and shows what each was answered. Its result is not kept, so it is the answer to the form itself:
// sent again, it asks nobody twice.
func (w *Web) probePost(c echo.Context) error {
	s := w.fresh(c.Request().Context())
	spec := s.State.Current().Policy.Provider(c.Param("provider"))
	if spec == nil {
		return refusal(state.NotFound, fmt.Sprintf("the policy has no provider %q", c.Param("provider")))
	}
	a := author{actor: localOperator + " @ loopback", reason: "probed from the provider’s page", request: requestID(c)}
	if a.request == "" {
		a.request = rand.Text()
	}
	done, err := w.probeNow(c.Request().Context(), a, spec.Name, nil, c.FormValue("synthetic") != "")
	if err != nil {
		return err
	}
	page := w.providerView(c, w.fresh(c.Request().Context()), spec)
	for _, r := range done.Results {
		line := view.ProbeLine{Where: r.Region + " · " + r.Agent, Level: view.Warn, Icon: "warn", Word: r.Result, Detail: r.Why}
		if r.Name != "" {
			line.Where += " · " + r.Name
		}
		if r.Result == "good" {
			line.Level, line.Icon, line.Detail = view.OK, "ok", strings.TrimSuffix(view.Millis(r.ElapsedMS)+", "+r.Why, ", ")
		}
		page.Probe.Results = append(page.Probe.Results, line)
	}
	page.Probe.Silent = done.Silent
	page.Probe.Asked = true
	return w.answer(c, http.StatusOK, done, view.ProviderPage(page))
}
