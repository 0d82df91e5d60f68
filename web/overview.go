package web

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"segue/controlplane/health"
	"segue/controlplane/policy"
	"segue/web/view"
)

// overview is the first page: what is served where by whom, and what happened.
func (w *Web) overview(c echo.Context) error {
	s := w.fresh(c.Request().Context())
	page := w.overviewPage(c, s)
	return w.answer(c, http.StatusOK, w.overviewValue(s), view.OverviewPage(page))
}

// overviewValue is the same as JSON.
func (w *Web) overviewValue(s scene) any {
	said := overviewHeadline(s, view.Prefs{})
	value := map[string]any{
		"headline": map[string]any{"level": said.Level, "text": textOf(said), "more": said.More},
		"world":    s.View.World, "policy": s.State.Current().Number, "leader": s.Leader, "term": s.Term,
		"orders": s.State.InForce(s.Now), "status": statusOf(s, w.cfg.Env),
	}
	if w.cfg.Sandbox != nil {
		value["faults"], value["naive"] = w.cfg.Sandbox.Faults(), w.cfg.Sandbox.Naive()
		if v, err := w.cfg.Sandbox.Books(); err == nil {
			value["books"] = v
		}
	}
	return value
}

// textOf is a headline without its colours.
func textOf(h view.Headline) string {
	var text strings.Builder
	for _, p := range h.Parts {
		text.WriteString(p.Text)
	}
	return text.String()
}

func (w *Web) overviewPage(c echo.Context, s scene) view.Overview {
	f := w.frame(c, "Overview", "overview", "/live/overview")
	f.Command = "segue drill list"
	if w.cfg.Sandbox != nil {
		f.Command += " --sandbox"
	}
	band := w.band()
	return view.Overview{
		Frame: f, Headline: overviewHeadline(s, f.Prefs), Tiles: tiles(s), Band: band, Naive: w.naiveCard(band), Matrix: matrix(s, f.Prefs),
		Break: w.breakPanel(s), Happened: happened(s),
	}
}

// band reads the providers' own books, where there are any.
func (w *Web) band() *view.Band {
	if w.cfg.Sandbox == nil {
		return nil
	}
	v, err := w.cfg.Sandbox.Books()
	if err != nil {
		return &view.Band{Error: err.Error()}
	}
	return &view.Band{Twice: v.Twice, Lost: v.Lost, Unknown: v.Unknown, Guessed: v.Guessed, Operations: v.Operations}
}

// tiles are the figures of all regions, each with its history.
func tiles(s scene) []view.Tile {
	regions := map[string]bool{}
	for _, a := range s.View.World.Agents {
		if a.Heard {
			regions[a.Region] = true
		}
	}
	return flowTiles(s.View.World.Total, s, plural(len(regions), "region"))
}

// flowTiles are what callers saw of all regions, or of one.
func flowTiles(f health.Flow, s scene, note string) []view.Tile {
	rate := view.Number(f.Rate, digits(f.Rate))
	if !s.Seen {
		rate, f.After, f.Before, f.AddedP99 = "–", health.None64, health.None64, health.None64
	}
	return []view.Tile{
		{Name: "Calls", Value: rate, Unit: "/s", Note: note, Level: view.Off,
			Spark: history(f, 1, "calls per second", func(p health.Point) float64 { return p.Rate })},
		{Name: "Success", Value: view.Percent(f.After), Unit: "%", Note: withoutFailover(f), Level: successLevel(f),
			Spark: history(f, 5, "success in percent", func(p health.Point) float64 { return p.After })},
		{Name: "Added latency p99", Value: value(view.Millis(f.AddedP99)), Unit: unit(view.Millis(f.AddedP99)), Note: "Segue’s own part", Level: view.Off,
			Spark: history(f, 0.5, "added latency in milliseconds", func(p health.Point) float64 { return p.AddedP99 })},
		unknownTile(f, s.Now),
		coverageTile(f),
		gainsTile(f, s.State.Current().Policy.Base()),
	}
}

func withoutFailover(f health.Flow) string {
	if f.Before < 0 {
		return "no calls in the last minute"
	}
	return view.Percent(f.Before) + " % without failover"
}

// successLevel is amber as soon as a call failed that no decline explains, red where many do.
func successLevel(f health.Flow) view.Level {
	switch {
	case f.After < 0:
		return view.Off
	case f.After < 95:
		return view.Bad
	case f.After < 99.5:
		return view.Warn
	default:
		return view.OK
	}
}

func unknownTile(f health.Flow, now time.Time) view.Tile {
	t := view.Tile{Name: "Unknown outcomes", Value: view.Count(f.UnknownOpen), Note: "none is open", Level: view.Off, Spark: view.Spark{Label: "no history is kept of open outcomes"}}
	if f.UnknownOpen > 0 {
		t.Level, t.Note = view.Warn, "kept, not repeated on a guess"
		if !f.OldestUnknown.IsZero() {
			t.Note = "oldest " + view.Span(now.Sub(f.OldestUnknown)) + " · not repeated on a guess"
		}
	}
	return t
}

// coverageTile is what failover can really save: the share of the sessions in use that have a second provider now.
func coverageTile(f health.Flow) view.Tile {
	level, _, percent := shareOf(int(f.InUse), int(f.Could))
	t := view.Tile{Name: "Coverage of sessions", Value: "–", Note: "no session is in use", Level: level,
		Spark: history(f, 5, "sessions that could go on elsewhere, in percent", func(p health.Point) float64 { return p.Coverage })}
	if f.InUse > 0 {
		t.Value, t.Unit, t.Note = view.Percent(percent), "%", "of "+view.Count(f.InUse)+" sessions in use could go on elsewhere"
	}
	return t
}

// gainsTile is what second providers were good for: the calls that they saved and what these were worth, how many calls had a second one
// when the first was chosen, and the declines that another did not share.
func gainsTile(f health.Flow, currency string) view.Tile {
	t := view.Tile{Name: "Saved by failover", Value: view.Count(f.Gains.Saved), Unit: "calls", Level: view.Off, Spark: view.Spark{Label: "no history is kept of saved calls"}}
	notes := []string{"in 15 min"}
	if f.Gains.Worth > 0 && currency != "" {
		notes[0] += ", worth " + view.Number(money(f.Gains.Worth), 0) + "\u00a0" + currency
	}
	if f.Calls > 0 {
		notes = append(notes, view.Percent(f.Covered)+"\u00a0% of calls had a second provider")
	}
	if f.Gains.Elsewhere > 0 {
		notes = append(notes, plural(int(f.Gains.Elsewhere), "false decline")+": accepted elsewhere")
	}
	t.Note = strings.Join(notes, " · ")
	return t
}

func history(f health.Flow, least float64, label string, of func(health.Point) float64) view.Spark {
	values := make([]float64, len(f.History))
	for i, p := range f.History {
		values[i] = of(p)
	}
	return view.NewSpark(values, health.HistoryPoints, least, label+", last 15 minutes")
}

// matrix is service·provider × region.
func matrix(s scene, p view.Prefs) view.Matrix {
	doc := s.State.Current().Policy
	cells := cellsOf(s.View.World)
	var m view.Matrix
	for _, region := range doc.Regions.Names() {
		m.Regions = append(m.Regions, regionHead(s.View.World, region))
	}
	for i := range doc.Services {
		svc := &doc.Services[i]
		rows := view.ServiceRows{Name: svc.Name, Strategy: svc.Strategy.String()}
		for _, provider := range providersOf(svc, doc.Regions.Names()) {
			row := view.ProviderRow{Name: provider}
			for _, region := range doc.Regions.Names() {
				row.Cells = append(row.Cells, cell(svc, region, provider, cells, p, s.Now))
			}
			rows.Providers = append(rows.Providers, row)
		}
		m.Services = append(m.Services, rows)
	}
	return m
}

type cellKey struct{ region, service, provider string }

func cellsOf(w health.World) map[cellKey]health.Cell {
	cells := make(map[cellKey]health.Cell, len(w.Cells))
	for _, c := range w.Cells {
		cells[cellKey{c.Region, c.Service, c.Provider}] = c
	}
	return cells
}

func regionHead(w health.World, region string) view.RegionHead {
	head := view.RegionHead{Name: region, Rate: "no agent is heard", Level: view.Bad}
	for _, a := range w.Agents {
		if a.Region == region && a.Heard {
			head.Level = view.Off
		}
	}
	if head.Level == view.Bad {
		return head
	}
	rate := 0.0
	for _, c := range w.Cells {
		if c.Region == region {
			rate += c.Rate
		}
	}
	head.Rate = view.Number(rate, digits(rate)) + " attempts/s"
	return head
}

// providersOf are a service's providers in any region, in the document's order.
func providersOf(svc *policy.ServiceSpec, regions []string) []string {
	var names []string
	seen := map[string]bool{}
	for _, r := range regions {
		for _, p := range svc.ProvidersIn(r) {
			if !seen[p] {
				seen[p] = true
				names = append(names, p)
			}
		}
	}
	return names
}

// cell is one provider in one region.
func cell(svc *policy.ServiceSpec, region, provider string, cells map[cellKey]health.Cell, p view.Prefs, now time.Time) view.Cell {
	configured, place, used := configuredShare(svc, region, provider)
	if !used {
		return view.Cell{Region: region, Absent: true}
	}
	c, known := cells[cellKey{region, svc.Name, provider}]
	out := view.Cell{Region: region, Share: view.Percent(configured), Effective: health.None64, Success: "–", P99: "–"}
	if !shares(svc.Strategy) {
		out.Share = ""
	}
	if known {
		out.Effective, out.P99 = c.Share, view.Millis(c.P99)
		if c.Success >= 0 {
			out.Success = view.Percent(c.Success) + "%"
		}
	}
	stand := standing(c, known, now, p)
	out.Level, out.Icon, out.Word, out.Since, out.Note = stand.Level, stand.Icon, stand.Word, stand.Since, stand.Why
	if stand.Word == "half-open" { // it opened then: it is half-open since its last probe
		out.Since, out.Note = "", strings.TrimPrefix(out.Note+", opened at "+stand.Since, ", ")
	}
	if stand.Word == "on a ramp" {
		out.Since, out.Note = "", strings.TrimPrefix(out.Note+", in trouble since "+stand.Since, ", ")
	}
	if out.Note == "" {
		out.Note = roleNote(svc.Strategy, configured, place)
	}
	if c.CheckOK < 0 && stand.Level != view.Bad {
		out.Note = "active check fails: " + c.CheckWhy
	}
	return out
}

// configuredShare is what the policy gives a provider; by order, the first of it gets everything.
func configuredShare(svc *policy.ServiceSpec, region, provider string) (share float64, place int, used bool) {
	switch svc.Strategy {
	case policy.Priority:
		for i, name := range svc.PriorityIn(region) {
			if name == provider {
				return map[bool]float64{true: 100}[i == 0], i + 1, true
			}
		}
	case policy.Nearest, policy.Adaptive:
		for i, name := range svc.ListedIn(region) {
			if name == provider {
				return 0, i + 1, true
			}
		}
	case policy.Weighted:
		for i, wt := range svc.WeightsIn(region) {
			if wt.Provider == provider {
				return wt.Percent, i + 1, true
			}
		}
	}
	return 0, 0, false
}

// shares tells whether the policy itself says who gets how much; the others decide call by call.
func shares(s policy.Strategy) bool { return s == policy.Weighted || s == policy.Priority }

func roleNote(strategy policy.Strategy, share float64, place int) string {
	switch {
	case strategy == policy.Priority && place > 1:
		return fmt.Sprintf("%d. in order", place)
	case strategy == policy.Weighted && share == 0:
		return "fallback only"
	default:
		return ""
	}
}
