package web

import (
	"cmp"
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
	"segue/regions"
	"segue/web/view"
)

// regionsPage is the list of regions.
func (w *Web) regionsPage(c echo.Context) error {
	if wantsJSON(c) {
		return w.regions(c)
	}
	s := w.fresh(c.Request().Context())
	f := w.frame(c, "Regions", "regions", "/live/regions")
	f.Command = "segue status"
	return w.html(c, http.StatusOK, view.RegionsPage(view.Regions{Frame: f, Headline: regionsHeadline(s), Rows: regionRows(s)}))
}

func (w *Web) regionsParts(s scene) []part {
	return append(w.statusParts(s), part{"headline", view.HeadlinePart(regionsHeadline(s))}, part{"regions", view.RegionsPart(regionRows(s))})
}

// regionsHeadline says which regions serve, and names those that do not.
func regionsHeadline(s scene) view.Headline {
	current := s.State.Current()
	names := current.Policy.Regions.Names()
	if len(names) == 0 {
		return view.Headline{Level: view.Off, Parts: say("No region yet."), More: "The first policy names them."}
	}
	var silent, late []string
	for _, r := range names {
		switch heard, _ := agentsOf(s.View.World, r); {
		case heard == 0:
			silent = append(silent, r)
		case regionLags(s, r, current.Number) != "":
			late = append(late, r)
		}
	}
	switch {
	case len(silent) > 0:
		return view.Headline{Level: view.Bad, Parts: []view.Part{{Text: enumerate(silent), Level: view.Bad}, {Text: ": no agent is heard."}},
			More: "Calls there go on as long as the agents live: only their reports are missing. If they are gone, DNS or a load balancer sends callers to the standby."}
	case len(late) > 0:
		return view.Headline{Level: view.Warn, Parts: []view.Part{{Text: enumerate(late), Level: view.Warn}, {Text: fmt.Sprintf(" not at policy %d yet.", current.Number)}},
			More: "What is in force there is the policy before: it serves."}
	default:
		return view.Headline{Level: view.OK, Parts: say(allOf(len(names), "region") + fmt.Sprintf(" with policy %d.", current.Number))}
	}
}

func allOf(n int, word string) string {
	if n == 1 {
		return "The one " + word + " serves"
	}
	return fmt.Sprintf("All %d %ss serve", n, word)
}

// agentsOf counts a region's agents: those that are heard, and those that were heard a minute ago.
func agentsOf(world health.World, region string) (heard, known int) {
	for _, a := range world.Agents {
		if a.Region != region {
			continue
		}
		if known++; a.Heard {
			heard++
		}
	}
	return heard, known
}

func flowOf(world health.World, region string) health.Flow {
	for _, r := range world.Regions {
		if r.Region == region {
			return r.Flow
		}
	}
	return health.Flow{Before: health.None64, After: health.None64, AddedP50: health.None64, AddedP99: health.None64}
}

func regionRows(s scene) []view.RegionRow {
	current := s.State.Current()
	rows := make([]view.RegionRow, 0, len(current.Policy.Regions))
	for _, r := range current.Policy.Regions {
		rows = append(rows, regionRow(s, current, r))
	}
	return rows
}

func regionRow(s scene, current state.Revision, r regions.Region) view.RegionRow {
	f := flowOf(s.View.World, r.Name)
	heard, known := agentsOf(s.View.World, r.Name)
	row := view.RegionRow{
		Name: r.Name, Href: "/regions/" + url.PathEscape(r.Name), Stands: view.Lane{Level: view.OK, Icon: "ok", Word: "serves"},
		Agents: fmt.Sprintf("%d heard", heard), Policy: fmt.Sprintf("%d in force", current.Number), PolicyLevel: view.Off,
		Rate: view.Number(f.Rate, digits(f.Rate)), Success: percentText(f.After), SuccessLevel: successLevel(f), Added: view.Millis(f.AddedP99), Standby: r.Standby,
		Spark: history(f, 1, r.Name+": calls per second", func(p health.Point) float64 { return p.Rate }),
	}
	if row.SuccessLevel == view.OK {
		row.SuccessLevel = view.Off
	}
	if known > heard {
		row.Agents = fmt.Sprintf("%d of %d heard", heard, known)
	}
	for _, svc := range current.Policy.Services {
		row.Services = append(row.Services, svc.Name)
	}
	if age, any := youngestReport(s.View.World, r.Name); any {
		row.Age = view.Span(age) + " ago"
	}
	switch why := regionLags(s, r.Name, current.Number); {
	case heard == 0:
		row.Stands, row.Rate, row.Policy = view.Lane{Level: view.Bad, Icon: "bad", Word: "not heard"}, "–", "–"
	case why != "":
		row.Stands = view.Lane{Level: view.Warn, Icon: "under-way", Word: "behind", Evidence: why}
		row.Policy, row.PolicyLevel = "waiting for "+fmt.Sprint(current.Number), view.Warn
	}
	return row
}

func percentText(x float64) string {
	if x < 0 {
		return "–"
	}
	return view.Percent(x) + " %"
}

func youngestReport(world health.World, region string) (age time.Duration, any bool) {
	for _, a := range world.Agents {
		if d := time.Duration(a.AgeMS) * time.Millisecond; a.Region == region && (!any || d < age) {
			age, any = d, true
		}
	}
	return age, any
}

// regionPage is one of them.
func (w *Web) regionPage(c echo.Context) error {
	if wantsJSON(c) {
		return w.regions(c)
	}
	s := w.fresh(c.Request().Context())
	page, ok := regionView(s, c.Param("region"), prefs(c))
	if !ok {
		return refusal(state.NotFound, fmt.Sprintf("the policy has no region %q", c.Param("region")))
	}
	page.Frame = w.frame(c, page.Name+" · Regions", "regions", "/live/regions/"+url.PathEscape(page.Name))
	page.Frame.Command = "segue status"
	return w.html(c, http.StatusOK, view.RegionPage(page))
}

func (w *Web) regionParts(s scene, name string, p view.Prefs) []part {
	parts := w.statusParts(s)
	page, ok := regionView(s, name, p)
	if !ok {
		return parts
	}
	return append(parts,
		part{"headline", view.HeadlinePart(page.Headline)}, part{"tiles", view.TilesPart(page.Tiles)},
		part{"lanes", view.LanesPart(page.Providers, "provider")}, part{"agents", view.AgentsPart(page.Agents, false)},
	)
}

func regionView(s scene, name string, p view.Prefs) (view.Region, bool) {
	current := s.State.Current()
	r, ok := current.Policy.Regions.Find(name)
	if !ok {
		return view.Region{}, false
	}
	page := view.Region{Name: name, Headline: regionHeadline(s, name, p), Standby: r.Standby, Tiles: flowTiles(flowOf(s.View.World, name), s, agentsNote(s, name))}
	for i := range current.Policy.Services {
		svc := &current.Policy.Services[i]
		for _, provider := range svc.ProvidersIn(name) {
			row := laneRow(s, svc, name, provider, p)
			row.Name, row.Href = provider, "/providers/"+url.PathEscape(provider)
			page.Providers = append(page.Providers, row)
		}
	}
	for _, other := range current.Policy.Regions {
		if len(other.Standby) > 0 && other.Standby[0] == name {
			page.Backs = append(page.Backs, other.Name)
		}
	}
	page.Agents = agentRows(s, func(region string) bool { return region == name })
	page.Endpoints = endpoints(s, name)
	return page, true
}

func agentsNote(s scene, region string) string {
	heard, _ := agentsOf(s.View.World, region)
	return plural(heard, "agent") + " heard"
}

func regionHeadline(s scene, name string, p view.Prefs) view.Headline {
	return blamed(regionStands(s, name, p), blames(s, p, aboutRegion(name)))
}

func regionStands(s scene, name string, p view.Prefs) view.Headline {
	heard, _ := agentsOf(s.View.World, name)
	if heard == 0 {
		return view.Headline{Level: view.Bad, Parts: []view.Part{{Text: name, Level: view.Bad}, {Text: ": no agent is heard."}}, More: "Calls there go on as long as the agents live: only their reports are missing."}
	}
	f := flowOf(s.View.World, name)
	h := served(f)
	h.Parts[0].Text = name + ": " + strings.ToLower(h.Parts[0].Text[:1]) + h.Parts[0].Text[1:]
	only := s
	only.View.World.Cells = slices.DeleteFunc(slices.Clone(s.View.World.Cells), func(c health.Cell) bool { return c.Region != name })
	if ill := illnesses(only, p); len(ill) > 0 {
		if h.Level == view.OK {
			h.Level = view.Warn
		}
		h.More = more(illness{}, ill)
	}
	if why := regionLags(s, name, s.State.Current().Number); why != "" {
		h.More = strings.TrimSpace(h.More + " " + sentenceOf(why))
	}
	return h
}

// agentRows are the agents that were heard within a minute, and those that only acknowledged.
func agentRows(s scene, wanted func(region string) bool) []view.AgentRow {
	var rows []view.AgentRow
	current := s.State.Current().Number
	seen := map[string]bool{}
	for _, a := range s.View.World.Agents {
		seen[a.ID] = true
		if !wanted(a.Region) {
			continue
		}
		row := view.AgentRow{
			ID: a.ID, Region: a.Region, Level: view.OK, Icon: "ok", Word: "heard", Revision: fmt.Sprint(a.Revision),
			Seen: view.Span(time.Duration(a.AgeMS)*time.Millisecond) + " ago", Skew: skew(time.Duration(a.SkewMS) * time.Millisecond),
		}
		switch {
		case !a.Heard:
			row.Level, row.Icon, row.Word = view.Bad, "bad", "silent"
		case refusedBy(s, a.ID, current) != "":
			row.Level, row.Icon, row.Word, row.Why = view.Bad, "bad", fmt.Sprintf("refused %d", current), refusedBy(s, a.ID, current)
		case a.Revision < current && s.Acked[a.ID].IsZero():
			row.Level, row.Icon, row.Word = view.Warn, "under-way", fmt.Sprintf("waits for %d", current)
		}
		rows = append(rows, row)
	}
	for _, a := range s.View.Acks {
		if !seen[a.Agent] && wanted(a.Region) {
			rows = append(rows, view.AgentRow{ID: a.Agent, Region: a.Region, Level: view.Bad, Icon: "bad", Word: "silent", Revision: fmt.Sprint(a.Revision), Seen: "over a minute ago", Skew: "–", Why: a.Reason})
		}
	}
	slices.SortStableFunc(rows, func(a, b view.AgentRow) int {
		return cmp.Or(cmp.Compare(a.Region, b.Region), cmp.Compare(a.ID, b.ID))
	})
	return rows
}

// refusedBy is why an agent refused a revision; "" where it did not.
func refusedBy(s scene, agent string, revision uint64) string {
	for _, a := range s.View.Acks {
		if a.Agent == agent && a.Revision >= revision {
			return a.Reason
		}
	}
	return ""
}

// skew says how far a clock is off; what the way takes is no news.
func skew(d time.Duration) string {
	switch {
	case d.Abs() < 500*time.Millisecond:
		return "right"
	case d > 0:
		return view.Span(d) + " ahead"
	default:
		return view.Span(-d) + " behind"
	}
}

// endpoints are where each service listens in a region, as its agents say.
func endpoints(s scene, region string) []view.Pair {
	var list []view.Pair
	for _, a := range s.View.World.Agents {
		if a.Region != region || !a.Heard {
			continue
		}
		for _, service := range slices.Sorted(keys(a.Addr)) {
			list = append(list, view.Pair{Name: service, Value: a.Addr[service]})
		}
	}
	return list
}

// laneRow is one provider of one service in one region.
func laneRow(s scene, svc *policy.ServiceSpec, region, provider string, p view.Prefs) view.LaneRow {
	configured, place, _ := configuredShare(svc, region, provider)
	c, known := cellsOf(s.View.World)[cellKey{region, svc.Name, provider}]
	st := standing(c, known, s.Now, p)
	row := view.LaneRow{Service: svc.Name, Level: st.Level, Share: view.Percent(configured) + " %", Rate: "–", P99: "–"}
	if svc.Strategy == policy.Priority {
		row.Share = fmt.Sprintf("%d. in order", place)
	} else if !shares(svc.Strategy) {
		row.Share = svc.Strategy.String()
	}
	row.Circuit, row.Passive = circuitLane(c, known, p), passiveLane(c, known)
	row.Check, row.Synthetic = askedLane(c, known, health.Active, s.Now), askedLane(c, known, health.Synthetic, s.Now)
	if known {
		row.Rate, row.P99 = view.Number(c.Rate, digits(c.Rate)), view.Millis(c.P99)
		row.Effective = percentText(c.Share) + " effective"
		if c.Share < 0 {
			row.Effective = ""
		}
	}
	return row
}

// circuitLane tells the circuit in words, with what opened it.
func circuitLane(c health.Cell, known bool, p view.Prefs) view.Lane {
	switch {
	case !known || c.Agents == 0:
		return view.Lane{Level: view.Off, Icon: "off", Word: "not heard"}
	case c.Breaker == "open":
		return view.Lane{Level: view.Bad, Icon: "bad", Word: "open since " + p.Clock(c.Since), Evidence: c.Why + ofAgents(c)}
	case c.Breaker == "half-open":
		return view.Lane{Level: view.Warn, Icon: "half", Word: "half-open", Evidence: fmt.Sprintf("%s probes good; it opened at %s%s%s", c.Probes, p.Clock(c.Since), andWhy(c.Why), ofAgents(c))}
	case c.Breaker == "ramp":
		return view.Lane{Level: view.Warn, Icon: "half", Word: "on a ramp", Evidence: fmt.Sprintf("%s; its trouble began at %s%s", c.Why, p.Clock(c.Since), ofAgents(c))}
	case !c.Since.IsZero():
		return view.Lane{Level: view.OK, Icon: "ok", Word: "closed", Evidence: "since " + p.Clock(c.Since) + andWhy(c.Why)}
	default:
		return view.Lane{Level: view.OK, Icon: "ok", Word: "closed", Evidence: c.Why}
	}
}

func andWhy(why string) string {
	if why == "" {
		return ""
	}
	return "; " + why
}

// ofAgents says how many of a region's agents see it so, where they differ.
func ofAgents(c health.Cell) string {
	if c.Agents < 2 || c.OpenAgents == c.Agents {
		return ""
	}
	return fmt.Sprintf("; at %d of %d agents", c.OpenAgents, c.Agents)
}

func passiveLane(c health.Cell, known bool) view.Lane {
	if !known || c.Calls == 0 {
		return view.Lane{Level: view.Off, Icon: "off", Word: "no calls"}
	}
	l := view.Lane{Level: view.OK, Icon: "ok", Word: percentText(c.Success) + " good", Evidence: fmt.Sprintf("%s attempts, p99 %s", view.Count(c.Calls), view.Millis(c.P99))}
	if c.Failed > 0 {
		l.Evidence = fmt.Sprintf("%s of %s failed, p99 %s", view.Count(c.Failed), view.Count(c.Calls), view.Millis(c.P99))
	}
	if c.Unknown > 0 {
		l.Evidence += fmt.Sprintf(", %s unknown", view.Count(c.Unknown))
	}
	if c.Success < 95 {
		l.Level, l.Icon = view.Warn, "warn"
	}
	return l
}

// placeParts are those of the lists of regions, providers and changes, and of one of them.
func (w *Web) placeParts(c echo.Context, p view.Prefs) func(int) []part {
	page, one := c.Param("page"), c.Param("service")
	return func(int) []part {
		s := w.scene()
		switch {
		case page == "regions" && one == "":
			return w.regionsParts(s)
		case page == "regions":
			return w.regionParts(s, one, p)
		case page == "changes" && one == "":
			return w.changesParts(s, p)
		case page == "changes":
			return append(w.statusParts(s), part{"rollout", view.RolloutPart(rolloutSince(s, one))})
		case one == "":
			return w.providersParts(s, p)
		default:
			return w.providerParts(s, one, p)
		}
	}
}

// rolloutSince is how the newest revision came into force, and whether it is newer than the one that a page shows.
func rolloutSince(s scene, shown string) view.Rollout {
	r := rolloutOf(s, "")
	r.Newer = fmt.Sprint(r.Revision) != shown
	return r
}
