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
	"segue/web/view"
)

// providersPage is the list of providers.
func (w *Web) providersPage(c echo.Context) error {
	if wantsJSON(c) {
		return w.providers(c)
	}
	s := w.fresh(c.Request().Context())
	f := w.frame(c, "Providers", "providers", "/live/providers")
	f.Command = "segue provider list"
	return w.html(c, http.StatusOK, view.ProvidersPage(view.Providers{Frame: f, Headline: blamed(providersHeadline(s, f.Prefs), blames(s, f.Prefs, nil)), Rows: providerLines(s, f.Prefs)}))
}

func (w *Web) providersParts(s scene, p view.Prefs) []part {
	return append(w.statusParts(s), part{"headline", view.HeadlinePart(providersHeadline(s, p))}, part{"providers", view.ProvidersPart(providerLines(s, p))})
}

func providersHeadline(s scene, p view.Prefs) view.Headline {
	n := len(s.State.Current().Policy.Providers)
	if n == 0 {
		return view.Headline{Level: view.Off, Parts: say("No provider yet."), More: "The first policy names them."}
	}
	if !s.Seen {
		return view.Headline{Level: view.Off, Parts: say(plural(n, "provider") + ", and no reports about them yet."), More: "Agents report each second; the leader puts their figures together."}
	}
	ill := illnesses(s, p)
	if len(ill) == 0 {
		return view.Headline{Level: view.OK, Parts: say("Every provider is well."), More: orders(s.State, s.Now, p)}
	}
	first := ill[0]
	return view.Headline{Level: first.level, Parts: []view.Part{{Text: first.provider, Level: first.level}, {Text: " " + first.text + "."}}, More: more(first, ill[1:])}
}

// cellsAt are one provider's, in every region and service.
func cellsAt(world health.World, provider string) []health.Cell {
	var list []health.Cell
	for _, c := range world.Cells {
		if c.Provider == provider {
			list = append(list, c)
		}
	}
	return list
}

func providerLines(s scene, p view.Prefs) []view.ProviderLine {
	doc := s.State.Current().Policy
	var rows []view.ProviderLine
	for i := range doc.Providers {
		rows = append(rows, providerLine(s, &doc.Providers[i], p))
	}
	return rows
}

func providerLine(s scene, spec *policy.ProviderSpec, p view.Prefs) view.ProviderLine {
	cells := cellsAt(s.View.World, spec.Name)
	row := view.ProviderLine{
		Name: spec.Name, Href: "/providers/" + url.PathEscape(spec.Name), Contract: spec.Contract, Services: servicesOf(s.State.Current().Policy, spec.Name),
		Icon: "off", Word: "not heard", Rate: "–", Success: "–", P99: "–", Use: "–",
	}
	worst := stand{Level: view.Off, Icon: "off", Word: "not heard"}
	var at []string
	for _, c := range cells {
		st := standing(c, true, s.Now, p)
		switch d := badness(st.Level) - badness(worst.Level); {
		case d > 0:
			worst, at = st, []string{c.Region}
		case d == 0 && st.Word == worst.Word && !slices.Contains(at, c.Region):
			at = append(at, c.Region)
		}
	}
	row.Level, row.Icon, row.Word = worst.Level, worst.Icon, worst.Word
	if worst.Level == view.Bad || worst.Level == view.Warn {
		row.Note = "in " + enumerate(at) + andWhy(worst.Why)
	}
	row.Asked = illLanes(cells, s.Now)
	if drains := drainsOf(s, spec.Name); len(drains) > 0 {
		row.Drain = "drained " + whereDrained(drains[0].Regions) + " until " + p.Clock(drains[0].Ends())
	}
	if len(cells) > 0 {
		sum := sumOf(cells)
		row.Rate, row.Success, row.P99 = view.Number(sum.Rate, digits(sum.Rate)), percentText(sum.Success), view.Millis(sum.P99)
		row.Use = fmt.Sprint(sum.inFlight)
		row.Spark = view.NewSpark(sum.Rates, health.HistoryPoints, 1, spec.Name+": attempts per second, last 15 minutes")
	}
	return row
}

func badness(l view.Level) int {
	switch l {
	case view.Bad:
		return 3
	case view.Warn:
		return 2
	case view.OK:
		return 1
	default:
		return 0
	}
}

func servicesOf(doc *policy.Policy, provider string) []string {
	var names []string
	for i := range doc.Services {
		if slices.Contains(providersOf(&doc.Services[i], doc.Regions.Names()), provider) {
			names = append(names, doc.Services[i].Name)
		}
	}
	return names
}

// whole is a provider's load over several cells.
type whole struct {
	health.Load
	inFlight int64
}

// sumOf puts cells together. The slowest region's latency stands for all: percentiles do not add.
func sumOf(cells []health.Cell) whole {
	w := whole{Load: health.Load{Success: health.None64, P99: health.None64}}
	for _, c := range cells {
		w.Rate, w.Calls, w.Failed, w.inFlight = w.Rate+c.Rate, w.Calls+c.Calls, w.Failed+c.Failed, w.inFlight+c.InFlight
		w.P99 = max(w.P99, c.P99)
		for i, r := range c.Rates {
			if i == len(w.Rates) {
				w.Rates = append(w.Rates, 0)
			}
			w.Rates[i] += r
		}
	}
	if w.Calls > 0 {
		w.Success = 100 * float64(w.Calls-min(w.Failed, w.Calls)) / float64(w.Calls)
	}
	return w
}

func drainsOf(s scene, provider string) []policy.Order {
	var list []policy.Order
	for _, o := range s.State.InForce(s.Now) {
		if o.Kind == policy.Drain && o.Provider == provider {
			list = append(list, o)
		}
	}
	return list
}

func whereDrained(regions []string) string {
	if len(regions) == 0 {
		return "everywhere"
	}
	return "in " + enumerate(regions)
}

// providerPage is one of them. With drain in the query it reviews a drain: a GET, so that it can be sent to somebody.
func (w *Web) providerPage(c echo.Context) error {
	if wantsJSON(c) && c.QueryParam("drain") == "" {
		return w.providers(c)
	}
	s := w.fresh(c.Request().Context())
	spec := s.State.Current().Policy.Provider(c.Param("provider"))
	if spec == nil {
		return refusal(state.NotFound, fmt.Sprintf("the policy has no provider %q", c.Param("provider")))
	}
	if c.QueryParam("drain") == "" {
		return w.html(c, http.StatusOK, view.ProviderPage(w.providerView(c, s, spec)))
	}
	return w.showDrain(c, http.StatusOK, s, spec, readDrain(s, spec.Name, c.QueryParams()))
}

func (w *Web) providerView(c echo.Context, s scene, spec *policy.ProviderSpec) view.Provider {
	f := w.frame(c, spec.Name+" · Providers", "providers", "/live/providers/"+url.PathEscape(spec.Name))
	f.Path, f.Command = "/providers/"+url.PathEscape(spec.Name), "segue provider show "+spec.Name
	page := view.Provider{
		Frame: f, Name: spec.Name, Headline: providerHeadline(s, spec.Name, f.Prefs), Lanes: providerLanes(s, spec.Name, f.Prefs), Asked: askedRows(s, spec.Name), Trends: trends(s, spec.Name, f.Prefs),
		Drains: w.drainCards(s, spec.Name), Limits: limits(s, spec), Done: doneText(c.QueryParam("done")), Facts: []string{"contract " + spec.Contract},
	}
	if spec.AccountName() != spec.Name {
		page.Facts = append(page.Facts, "account "+spec.AccountName())
	}
	if services := servicesOf(s.State.Current().Policy, spec.Name); len(services) > 0 {
		page.Facts = append(page.Facts, "serves "+enumerate(services))
	}
	page.Contract, page.Promise = contractFacts(s.State.Current().Policy, spec)
	page.Drain = drainForm(s, spec.Name, "30m", "")
	page.Probe = probeForm(spec)
	return page
}

func (w *Web) providerParts(s scene, name string, p view.Prefs) []part {
	parts := w.statusParts(s)
	spec := s.State.Current().Policy.Provider(name)
	if spec == nil {
		return parts
	}
	f := view.Frame{Prefs: p, Status: statusOf(s, w.cfg.Env)}
	return append(parts,
		part{"headline", view.HeadlinePart(providerHeadline(s, name, p))}, part{"lanes", view.LanesPart(providerLanes(s, name, p), "region")}, part{"asked", view.AskedPart(askedRows(s, name))},
		part{"trends", view.TrendsPart(trends(s, name, p))}, part{"drains", view.DrainsPart(w.drainCards(s, name), f)},
		part{"limits", view.PairsPart(limits(s, spec))},
	)
}

func doneText(word string) string {
	switch word {
	case "drained":
		return "The drain is in force. It ends by itself; Resume ends it now."
	case "resumed":
		return "The drain has ended: new calls come back as the circuit and the weights allow."
	default:
		return ""
	}
}

func providerHeadline(s scene, name string, p view.Prefs) view.Headline {
	return blamed(providerStands(s, name, p), blames(s, p, aboutProvider(name)))
}

func providerStands(s scene, name string, p view.Prefs) view.Headline {
	only := s
	only.View.World.Cells = cellsAt(s.View.World, name)
	ill := illnesses(only, p)
	heard := slices.ContainsFunc(only.View.World.Cells, func(c health.Cell) bool { return c.Agents > 0 })
	switch drains := drainsOf(s, name); {
	case len(ill) > 0:
		return view.Headline{Level: ill[0].level, Parts: []view.Part{{Text: name, Level: ill[0].level}, {Text: " " + ill[0].text + "."}}, More: more(ill[0], ill[1:])}
	case len(drains) > 0:
		return view.Headline{Level: view.Off, Parts: say(fmt.Sprintf("%s is drained %s until %s.", name, whereDrained(drains[0].Regions), p.Clock(drains[0].Ends())))}
	case !heard:
		return view.Headline{Level: view.Off, Parts: say(name + " is not heard of."), More: "No agent that is heard sends anything there."}
	default:
		return view.Headline{Level: view.OK, Parts: say(name + " is well.")}
	}
}

func providerLanes(s scene, name string, p view.Prefs) []view.LaneRow {
	doc := s.State.Current().Policy
	var rows []view.LaneRow
	for i := range doc.Services {
		svc := &doc.Services[i]
		for _, region := range doc.Regions.Names() {
			if !slices.Contains(svc.ProvidersIn(region), name) {
				continue
			}
			row := laneRow(s, svc, region, name, p)
			row.Name, row.Href = region, "/regions/"+url.PathEscape(region)
			rows = append(rows, row)
		}
	}
	return rows
}

// inOrder are cells by region as the policy lists them, and as every other table has them.
func (s scene) inOrder(cells []health.Cell) []health.Cell {
	names := s.State.Current().Policy.Regions.Names()
	slices.SortStableFunc(cells, func(a, b health.Cell) int {
		return cmp.Compare(slices.Index(names, a.Region), slices.Index(names, b.Region))
	})
	return cells
}

// trends are what each region saw: lines, and the same by the minute.
func trends(s scene, name string, p view.Prefs) []view.Trend {
	var list []view.Trend
	for _, c := range s.inOrder(cellsAt(s.View.World, name)) {
		where := name + " from " + c.Region
		t := view.Trend{Region: c.Region, Service: c.Service, P99Now: view.Millis(c.P99), ErrorsNow: "–", Level: view.Off}
		errors := make([]float64, len(c.Good))
		for i, g := range c.Good {
			if errors[i] = health.None64; g >= 0 {
				errors[i] = 100 - g
			}
		}
		t.P99 = view.NewSpark(c.P99s, health.HistoryPoints, 20, where+": p99 in milliseconds, last 15 minutes")
		t.Errors = view.NewSpark(errors, health.HistoryPoints, 10, where+": errors in percent, last 15 minutes")
		if c.Success >= 0 {
			t.ErrorsNow = view.Percent(100-c.Success) + " %"
			if c.Success < 95 {
				t.Level = view.Warn
			}
		}
		t.Rows = minutes(c.Load, errors, s.View.World.At, p)
		list = append(list, t)
	}
	return list
}

// minutes is a cell's history by the minute, newest first: the mean of rates and errors, the highest p99.
func minutes(l health.Load, errors []float64, at time.Time, p view.Prefs) []view.TrendRow {
	const steps = int(time.Minute / health.Step)
	var rows []view.TrendRow
	for to := len(l.Rates); to > 0 && len(errors) == len(l.Rates) && len(l.P99s) == len(l.Rates); to -= steps {
		from := max(0, to-steps)
		calls, failed, worst := 0.0, 0.0, health.None64
		for i := from; i < to; i++ {
			calls += l.Rates[i]
			failed += l.Rates[i] * max(errors[i], 0)
			worst = max(worst, l.P99s[i])
		}
		row := view.TrendRow{At: p.Clock(at.Add(-time.Duration(len(l.Rates)-from) * health.Step))[:5], Rate: view.Number(calls/float64(to-from), 1), Errors: "–", P99: view.Millis(worst)}
		if calls > 0 {
			row.Errors = view.Percent(failed/calls) + " %"
		}
		rows = append(rows, row)
	}
	return rows
}

// limits are what agents may ask of it, and what they do.
func limits(s scene, spec *policy.ProviderSpec) []view.Pair {
	cells := cellsAt(s.View.World, spec.Name)
	sum := sumOf(cells)
	list := []view.Pair{
		{Name: "in flight now", Value: fmt.Sprint(sum.inFlight)}, {Name: "most in flight, each agent", Value: limitText(float64(spec.Limits.InFlight), "")},
		{Name: "attempts now", Value: view.Number(sum.Rate, digits(sum.Rate)) + "/s"}, {Name: "highest rate, each agent", Value: limitText(spec.Limits.Rate, "/s")},
	}
	for _, c := range s.inOrder(cells) {
		for _, text := range c.Passed {
			list = append(list, view.Pair{Name: "endpoints, " + c.Region, Value: text})
		}
	}
	for _, k := range spec.Checks.Active {
		list = append(list, view.Pair{Name: "active check", Value: k.String()})
	}
	for _, r := range spec.Checks.Synthetic {
		list = append(list, view.Pair{Name: "synthetic", Value: r.String()})
	}
	return list
}

func limitText(n float64, unit string) string {
	if n == 0 {
		return "no limit"
	}
	return plain(n) + unit
}

// promised are the operations by their class, and what each class means here.
func promised(list []policy.Promise) (classes []view.Pair, sentence string) {
	var order []policy.Class
	operations, why := map[policy.Class][]string{}, map[policy.Class][]string{}
	for _, p := range list {
		if operations[p.Class] == nil {
			order = append(order, p.Class)
		}
		operations[p.Class] = append(operations[p.Class], p.Operation)
		if p.Class != policy.Free && !slices.Contains(why[p.Class], p.Why) {
			why[p.Class] = append(why[p.Class], p.Why)
		}
	}
	var sentences []string
	for _, class := range order {
		name := "class " + string(class)
		if class == policy.Free {
			name = "reads"
		}
		classes = append(classes, view.Pair{Name: name, Value: strings.Join(operations[class], ", ")})
		sentences = append(sentences, why[class]...)
	}
	return classes, strings.Join(sentences, " ")
}

// replayText is what becomes of an answer under a key.
func replayText(s policy.Stored) string {
	switch s {
	case policy.StoredAll:
		return "every answer, errors too"
	case policy.Stored2xx:
		return "successes only"
	default:
		return "no answer"
	}
}

// contractFacts are what the contract says, and what can be promised by it.
func contractFacts(doc *policy.Policy, spec *policy.ProviderSpec) (facts []view.Pair, promise string) {
	c, err := doc.Contract(spec.Contract)
	if err != nil {
		return nil, sentenceOf(err.Error())
	}
	classes, promise := promised(promises(doc, spec))
	facts = append(facts, classes...)
	if c.Keys.Enforced {
		facts = append(facts, view.Pair{Name: "idempotency key in", Value: c.Keys.Header}, view.Pair{Name: "key remembered for", Value: view.Span(c.Keys.Life)})
	}
	if c.Keys.Enforced && c.Keys.Replay != "" {
		facts = append(facts, view.Pair{Name: "stored under a key", Value: replayText(c.Keys.Replay)})
	}
	for _, f := range []view.Pair{{Name: "form of its errors", Value: string(c.Dialect)}, {Name: "field of an object’s id", Value: c.ObjectID}, {Name: "header that asks to wait", Value: c.RetryAfter}} {
		if f.Value != "" {
			facts = append(facts, f)
		}
	}
	seen := map[string][]string{}
	var order []string
	for _, r := range doc.Regions.Names() {
		e := cmp.Or(strings.Join(spec.EndpointsIn(r), ", then "), c.Endpoint)
		if e == "" {
			continue
		}
		if seen[e] == nil {
			order = append(order, e)
		}
		seen[e] = append(seen[e], r)
	}
	for _, e := range order {
		name := "endpoint"
		if len(order) > 1 {
			name += " in " + enumerate(seen[e])
		}
		facts = append(facts, view.Pair{Name: name, Value: strings.TrimPrefix(e, "https://")})
	}
	return facts, promise
}
