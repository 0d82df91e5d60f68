package web

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	"segue/controlplane/policy"
	"segue/controlplane/query"
	"segue/controlplane/state"
	"segue/web/view"
)

// whatIfPart replays the change that a page reviews: the page asks for it by itself.
func (w *Web) whatIfPart(c echo.Context) error {
	s := w.fresh(c.Request().Context())
	svc := s.State.Current().Policy.Service(c.Param("service"))
	if svc == nil {
		return refusal(state.NotFound, fmt.Sprintf("there is no service %q", c.Param("service")))
	}
	d := readDraft(s, svc, c.QueryParams())
	f, err := w.replayDraft(c, s, d, query.MaxReplay)
	if err != nil && c.Request().Header.Get("HX-Request") != "" { // a page about a problem would stand in the middle of the review
		return w.html(c, http.StatusOK, view.WhatIfPart(view.WhatIf{Text: sentenceOf(w.describe(err).Detail)}))
	}
	if err != nil {
		return err
	}
	return w.answer(c, http.StatusOK, f, view.WhatIfPart(shownWhatIf(&f, svc.Name)))
}

// replayDraft replays a draft that could be applied.
func (w *Web) replayDraft(c echo.Context, s scene, d *draft, window time.Duration) (whatIf, error) {
	if len(d.errors) > 0 {
		return whatIf{}, refusal(state.Invalid, "the change has errors: there is nothing to replay")
	}
	p, err := withWeights(s.State.Current().Source, d)
	if err != nil {
		return whatIf{}, refusal(state.Invalid, "the change has errors: there is nothing to replay")
	}
	return w.replay(c.Request().Context(), p, window), nil
}

// whatIfOf is the replay's part of a review: done already where the address asks for it, else where to get it.
func (w *Web) whatIfOf(c echo.Context, s scene, svc *policy.ServiceSpec, d *draft) *view.WhatIf {
	if len(d.changes) == 0 || len(d.errors) > 0 {
		return nil
	}
	q := d.query(d.base)
	path := "/routing/" + url.PathEscape(svc.Name)
	v := &view.WhatIf{Part: path + "/what-if?" + q.Encode(), Within: whatIfWithin}
	q.Set("replay", "1h")
	v.Link = path + "?" + q.Encode()
	if window, err := windowOf(c.QueryParam("replay")); err == nil && window > 0 {
		if f, err := w.replayDraft(c, s, d, window); err == nil {
			shown := shownWhatIf(&f, svc.Name)
			v = &shown
		}
	}
	return v
}

// shownWhatIf is what a page shows of one service's replay.
func shownWhatIf(f *whatIf, service string) view.WhatIf {
	v := view.WhatIf{Text: sentenceOf(f.Text), Heard: f.Decisions > 0, Silent: f.Silent, Left: leftOut(f, service)}
	for i := range f.Services {
		if s := &f.Services[i]; s.Service == service && s.Moves+s.Served+s.Refused > 0 {
			v.Regions = append(v.Regions, whatIfRegion(s))
		}
	}
	return v
}

func whatIfRegion(s *whatIfService) view.WhatIfRegion {
	r := view.WhatIfRegion{Region: s.Region, Note: "of " + view.Count(s.Stand) + " calls"}
	if s.Served > 0 {
		r.Note += ", " + view.Count(s.Served) + " more served"
	}
	if s.Refused > 0 {
		r.Note += ", " + view.Count(s.Refused) + " more refused"
	}
	for k := range s.Providers {
		p := &s.Providers[k]
		row := view.WhatIfRow{
			Provider: p.Provider, Before: view.Number(p.Before, 1), After: view.Number(p.After, 1),
			SessionsBefore: view.Number(p.SessionsBefore, 1), SessionsAfter: view.Number(p.SessionsAfter, 1), Load: "no limit",
		}
		if p.sum.RateLimit > 0 || p.sum.FlightLimit > 0 {
			row.Load = view.Number(p.Load, 0) + " %"
		}
		r.Rows = append(r.Rows, row)
	}
	return r
}

// leftOut is what of a service could not be made again: a line for each reason, over all regions.
func leftOut(f *whatIf, service string) []string {
	type cause struct {
		why     string
		calls   uint64
		regions []string
	}
	var causes []cause
	for _, l := range f.Left {
		if l.Service != service {
			continue
		}
		i := slices.IndexFunc(causes, func(c cause) bool { return c.why == l.Why })
		if i < 0 {
			i, causes = len(causes), append(causes, cause{why: l.Why})
		}
		causes[i].calls += l.Stand
		causes[i].regions = append(causes[i].regions, l.Region)
	}
	var lines []string
	for _, c := range causes {
		lines = append(lines, fmt.Sprintf("%s in %s: %s", view.Count(c.calls), enumerate(c.regions), c.why))
	}
	return lines
}
