package web

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"segue/controlplane/health"
	"segue/controlplane/policy"
	"segue/controlplane/state"
	"segue/web/view"
)

// hues is how many colours there are for providers; more repeat.
const hues = 6

// routingFirst leads to the first service.
func (w *Web) routingFirst(c echo.Context) error {
	s := w.fresh(c.Request().Context())
	if services := s.State.Current().Policy.Services; len(services) > 0 && !wantsJSON(c) {
		return seeOther(c, "/routing/"+url.PathEscape(services[0].Name))
	}
	f := w.frame(c, "Routing", "routing", "")
	return w.answer(c, http.StatusOK, map[string]any{"revision": s.State.Current().Number, "services": s.State.Current().Policy.Services}, view.NoServicePage(f))
}

// routing is one service's weights. With a region in the query it reviews a change: a GET, so that it can be sent to somebody.
func (w *Web) routing(c echo.Context) error {
	s := w.fresh(c.Request().Context())
	svc := s.State.Current().Policy.Service(c.Param("service"))
	if svc == nil {
		return refusal(state.NotFound, fmt.Sprintf("there is no service %q", c.Param("service")))
	}
	if c.QueryParam("region") == "" {
		return w.answer(c, http.StatusOK, routingValue(s, svc), view.RoutingPage(w.routingPage(c, s, svc)))
	}
	d := readDraft(s, svc, c.QueryParams())
	return w.showDraft(c, http.StatusOK, s, svc, d)
}

// routingValue is the same as JSON.
func routingValue(s scene, svc *policy.ServiceSpec) any {
	var cells []health.Cell
	for _, c := range s.View.World.Cells {
		if c.Service == svc.Name {
			cells = append(cells, c)
		}
	}
	return map[string]any{"revision": s.State.Current().Number, "service": svc, "effective": cells}
}

// routingPage is the page without a review.
func (w *Web) routingPage(c echo.Context, s scene, svc *policy.ServiceSpec) view.Routing {
	current := s.State.Current()
	live := fmt.Sprintf("/live/routing/%s?base=%d", url.PathEscape(svc.Name), current.Number)
	r := view.Routing{
		Frame: w.frame(c, "Routing · "+svc.Name, "routing", live), Service: svc.Name, Speaks: svc.Speaks, Strategy: svc.Strategy.String(),
		Base: current.Number, Facts: facts(svc),
	}
	r.Frame.Path = "/routing/" + url.PathEscape(svc.Name)
	r.Frame.Command = "segue policy get"
	for i := range current.Policy.Services {
		name := current.Policy.Services[i].Name
		r.Tabs = append(r.Tabs, view.Tab{Name: name, Href: "/routing/" + url.PathEscape(name), Current: name == svc.Name})
	}
	for _, region := range current.Policy.Regions.Names() {
		r.Regions = append(r.Regions, regionCard(s, svc, region, r.Frame.Prefs))
	}
	if len(r.Regions) > 0 && svc.Strategy == policy.Weighted {
		r.Frame.Command = weightCommand(svc.Name, r.Regions[0].Region, svc.WeightsIn(r.Regions[0].Region))
	}
	if svc.Strategy != policy.Weighted {
		what := "Who serves, and by what, is changed"
		if svc.Strategy == policy.Priority {
			what = "The first of the order that is healthy gets every new session. The order is changed"
		}
		r.ByDocument = &view.ByDocument{What: what, Commands: []string{"segue policy get > p.yaml", fmt.Sprintf("segue policy apply p.yaml --base %d", current.Number)}}
	}
	r.Try, r.Steering = tryCard(s, svc, testRequest{}), steeringOf(current.Policy, svc)
	rollout := rolloutOf(s, svc.Name)
	r.Rollout, r.Shifts = &rollout, shiftCards(s, svc)
	return r
}

func facts(svc *policy.ServiceSpec) []string {
	list := []string{fmt.Sprintf("port %d", svc.Listen.Port)}
	if svc.Listen.Host != "" {
		list[0] = svc.Listen.Host
	}
	if n := len(svc.Operations); n > 0 {
		list = append(list, plural(n, "operation"))
	}
	return list
}

// colors gives each provider of a service one colour, in every region the same.
func colors(svc *policy.ServiceSpec, regions []string) map[string]int {
	of := map[string]int{}
	for i, name := range providersOf(svc, regions) {
		of[name] = i % hues
	}
	return of
}

func regionCard(s scene, svc *policy.ServiceSpec, region string, p view.Prefs) view.RegionCard {
	cells := cellsOf(s.View.World)
	color := colors(svc, s.State.Current().Policy.Regions.Names())
	card := view.RegionCard{Region: region, Weighted: svc.Strategy == policy.Weighted, Ordered: svc.Strategy == policy.Priority}
	rate, sum := 0.0, 0.0
	for i, name := range svc.ProvidersIn(region) {
		configured, _, _ := configuredShare(svc, region, name)
		c, known := cells[cellKey{region, svc.Name, name}]
		rate, sum = rate+c.Rate, sum+configured
		card.Rows = append(card.Rows, view.WeightRow{
			Provider: name, Color: color[name], Percent: plain(configured), Share: configured, Place: i + 1,
			Live: effective(svc.Name, region, name, color[name], c, known, s.Now, p),
		})
	}
	card.Sum = plain(sum)
	card.Rate = view.Number(rate, digits(rate)) + " attempts/s"
	return card
}

func effective(service, region, provider string, color int, c health.Cell, known bool, now time.Time, p view.Prefs) view.Effective {
	st := standing(c, known, now, p)
	e := view.Effective{ID: "eff-" + region + "-" + provider, Color: color, Percent: health.None64, Level: st.Level, Icon: st.Icon, Word: st.Word}
	if known {
		e.Percent = c.Share
	}
	if st.Level == view.Bad && st.Since != "" {
		e.Word += " since " + st.Since
	}
	if st.Icon == "half" && st.Why != "" {
		e.Word += ", " + st.Why
	}
	return e
}

// rolloutOf tells how the newest revision came into force, and how to take it back where it changed weights of this service alone.
func rolloutOf(s scene, service string) view.Rollout {
	r := s.State.Current()
	out := view.Rollout{Revision: r.Number, At: r.At, Actor: r.Actor, Reason: r.Reason, Summary: r.Summary}
	if len(out.Summary) > 8 {
		out.Summary = append(slices.Clone(out.Summary[:8]), fmt.Sprintf("and %d more", len(out.Summary)-8))
	}
	for _, region := range r.Policy.Regions.Names() {
		out.Regions = append(out.Regions, acknowledged(s, region, r))
	}
	if region, ok := undoable(s.State, service); ok {
		out.Undo = &view.Undo{
			Action: "/undo/" + url.PathEscape(service), Region: region, Revision: r.Number, Base: r.Number, Text: fmt.Sprintf("Undo %d", r.Number),
			Request: fmt.Sprintf("undo-%s-%d", s.State.Incarnation, r.Number),
		}
	}
	return out
}

func acknowledged(s scene, region string, r state.Revision) view.RolloutRegion {
	out := view.RolloutRegion{Region: region}
	why := regionLags(s, region, r.Number)
	switch {
	case strings.Contains(why, " refused it"):
		out.Level, out.Text = view.Bad, why
	case why != "":
		out.Text = "waiting: " + why
	default:
		out.Level, out.Text = view.OK, "in force"+afterText(s, region, r)
	}
	return out
}

// afterText is how long the slowest agent of a region took, where its acknowledgement was seen.
func afterText(s scene, region string, r state.Revision) string {
	var took time.Duration
	seen := false
	for _, a := range s.View.World.Agents {
		if at, ok := s.Acked[a.ID]; ok && s.Of == r.Number && a.Region == region {
			took, seen = max(took, at.Sub(r.At)), true
		}
	}
	if !seen || took > time.Minute {
		return ""
	}
	return fmt.Sprintf(" after %.2f s", took.Seconds())
}

// undoable tells whether the newest revision changed nothing but this service's weights in one region, and which.
func undoable(st *state.State, service string) (region string, ok bool) {
	r := st.Current()
	before, kept := st.Revision(r.Number - 1)
	if !kept || r.Number < 2 {
		return "", false
	}
	changes := policy.Diff(before.Policy, r.Policy)
	for _, ch := range changes {
		if ch.Service != service || ch.Region == "" || ch.Provider == "" || region != "" && ch.Region != region {
			return "", false
		}
		region = ch.Region
	}
	return region, region != ""
}

// weightCommand is the same change on the command line.
func weightCommand(service, region string, weights []policy.Weight) string {
	parts := []string{"segue weight set", service, region}
	for _, wt := range weights {
		parts = append(parts, wt.Provider+"="+plain(wt.Percent))
	}
	return strings.Join(parts, " ")
}

// plain is a percentage as a field holds it.
func plain(percent float64) string {
	return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.6f", percent), "0"), ".")
}

// sessionsPerMinute is how many new sessions a service got in a region in the last minute.
func sessionsPerMinute(w health.World, service, region string) uint64 {
	var n uint64
	for _, c := range w.Cells {
		if c.Service == service && c.Region == region {
			n += c.Sessions
		}
	}
	return n
}

// moved is the share of new sessions that goes elsewhere: what some lose is what others win.
func moved(old, now []policy.Weight) float64 {
	was := map[string]float64{}
	for _, wt := range old {
		was[wt.Provider] = wt.Percent
	}
	sum := 0.0
	for _, wt := range now {
		sum += max(wt.Percent-was[wt.Provider], 0)
	}
	return sum
}
