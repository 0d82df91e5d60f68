package health

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// World shows the window at now. What it returns shares nothing with the window.
func (w *Window) World(now time.Time) World {
	w.forget(now)
	world := World{At: now, Events: slices.Clone(w.events), Told: w.told}
	slices.Reverse(world.Events)
	for _, v := range w.court.verdicts() {
		if v.Until.After(now) {
			world.Verdicts = append(world.Verdicts, v)
		}
	}
	world.Total = w.flow(flowKey{}, now)
	for _, name := range w.names(func(k flowKey) string { return k.service }) {
		world.Services = append(world.Services, ServiceWorld{Service: name, Flow: w.flow(flowKey{service: name}, now)})
	}
	for _, name := range w.names(func(k flowKey) string { return k.region }) {
		world.Regions = append(world.Regions, RegionWorld{Region: name, Flow: w.flow(flowKey{region: name}, now)})
	}
	sessions := map[flowKey]uint64{}
	for k, s := range w.cells {
		c := Cell{Region: k.region, Service: k.service, Provider: k.provider, Load: w.load(s, now), Stand: w.stand(k, now)}
		sessions[flowKey{k.region, k.service}] += c.Sessions
		world.Cells = append(world.Cells, c)
	}
	for i := range world.Cells {
		c := &world.Cells[i]
		c.Share = percent(c.Sessions, sessions[flowKey{c.Region, c.Service}])
	}
	slices.SortFunc(world.Cells, func(a, b Cell) int {
		return cmp.Or(cmp.Compare(a.Region, b.Region), cmp.Compare(a.Service, b.Service), cmp.Compare(a.Provider, b.Provider))
	})
	world.Budgets = w.budgets(now)
	world.Agents = w.agentsSeen(now)
	return world
}

// budgets are those that stand at agents that are heard, the most that is spent by one agent of a region.
func (w *Window) budgets(now time.Time) []BudgetSeen {
	most := map[flowKey]Budget{}
	for _, a := range w.agents {
		if !a.heard(now) {
			continue
		}
		for service, g := range a.services {
			k := flowKey{a.seen.Region, service}
			if b, known := most[k]; g.budget.Resets.After(now) && (!known || g.budget.Spent > b.Spent) {
				most[k] = g.budget
			}
		}
	}
	var list []BudgetSeen
	for k, b := range most {
		list = append(list, BudgetSeen{Region: k.region, Service: k.service, Budget: b})
	}
	slices.SortFunc(list, func(a, b BudgetSeen) int {
		return cmp.Or(cmp.Compare(a.Region, b.Region), cmp.Compare(a.Service, b.Service))
	})
	return list
}

// names are the services, or the regions, of what callers saw.
func (w *Window) names(of func(flowKey) string) []string {
	var names []string
	for k := range w.flows {
		if !slices.Contains(names, of(k)) {
			names = append(names, of(k))
		}
	}
	slices.Sort(names)
	return names
}

// covers tells whether a flow is asked for: "" is every service, or every region.
func (k flowKey) covers(region, service string) bool {
	return (k.region == "" || k.region == region) && (k.service == "" || k.service == service)
}

func (w *Window) agentsSeen(now time.Time) []AgentSeen {
	var seen []AgentSeen
	for _, a := range w.agents {
		s := a.seen
		s.AgeMS, s.Heard = now.Sub(s.LastSeen).Milliseconds(), a.heard(now)
		if now.Sub(a.twinAt) > Silent {
			s.Twin = ""
		}
		s.Addr = make(map[string]string, len(a.seen.Addr))
		for service, addr := range a.seen.Addr {
			s.Addr[service] = addr
		}
		seen = append(seen, s)
	}
	slices.SortFunc(seen, func(a, b AgentSeen) int {
		return cmp.Or(cmp.Compare(a.Region, b.Region), cmp.Compare(a.ID, b.ID))
	})
	return seen
}

func (a *agent) heard(now time.Time) bool { return now.Sub(a.seen.LastSeen) <= Silent }

// flow sums what callers saw of a service in a region; "" is all of them.
func (w *Window) flow(wanted flowKey, now time.Time) Flow {
	var recent, rate, all ServiceRow
	var history [HistoryPoints]ServiceRow
	newest := step(now) - 1
	for k, s := range w.flows {
		if !wanted.covers(k.region, k.service) {
			continue
		}
		r, q, h := sum(s, now, Recent), sum(s, now, RateSpan), sum(s, now, HistoryPoints*Step)
		recent.Add(&r)
		rate.Add(&q)
		all.Add(&h)
		for i := range history {
			if got := s.get(newest - int64(HistoryPoints-1-i)); got != nil {
				history[i].Add(got)
			}
		}
	}
	f := Flow{
		Rate: perSecond(rate.Calls, w.elapsed(now, RateSpan)), Calls: uint64(recent.Calls),
		FailedOver: uint64(recent.FailedOver), Refused: uint64(recent.Refused),
		AddedP50: fine(&recent.Overhead, .5), AddedP99: fine(&recent.Overhead, .99),
	}
	f.Before, f.After = success(&recent)
	f.Covered = percent(uint64(recent.Covered), uint64(recent.Calls))
	f.Gains = Gains{Saved: uint64(all.Saved), Elsewhere: uint64(all.Elsewhere), Worth: all.Worth}
	w.gauge(&f, wanted, now)
	for i := HistoryPoints - w.steps(now); i < HistoryPoints; i++ {
		f.History = append(f.History, point(&history[i]))
	}
	return f
}

func point(r *ServiceRow) Point {
	p := Point{Rate: perSecond(r.Calls, Step), AddedP99: fine(&r.Overhead, .99), Coverage: percent(uint64(r.Could), uint64(r.InUse))}
	p.Before, p.After = success(r)
	return p
}

// success is what callers would have had without a second provider, and what they had. A decline is the provider's own answer: it counts.
func success(r *ServiceRow) (before, after float64) {
	good := uint64(r.Succeeded) + uint64(r.Declined)
	return percent(good-min(good, uint64(r.Saved)), uint64(r.Calls)), percent(good, uint64(r.Calls))
}

// gauge sums what stands now at the agents that are heard.
func (w *Window) gauge(f *Flow, wanted flowKey, now time.Time) {
	for _, a := range w.agents {
		if !a.heard(now) {
			continue
		}
		for name, u := range a.services {
			if !wanted.covers(a.seen.Region, name) {
				continue
			}
			f.UnknownOpen += int64(u.open)
			f.OldestUnknown = earliest(f.OldestUnknown, u.oldest)
			f.InUse, f.Could = f.InUse+int64(u.inUse), f.Could+int64(u.could)
		}
	}
}

// load sums a cell's traffic. Its share needs the cells beside it: see World.
func (w *Window) load(s *series[Traffic], now time.Time) Load {
	recent, rate := sum(s, now, Recent), sum(s, now, RateSpan)
	l := Load{
		Rate: perSecond(rate.Calls, w.elapsed(now, RateSpan)), Success: None64, P50: None64, P99: None64,
		Sessions: uint64(recent.Sessions), Calls: uint64(recent.Calls), Failed: uint64(recent.Failed), Unknown: uint64(recent.Unknown),
	}
	if l.Calls > 0 {
		l.Success = percent(l.Calls-min(l.Failed, l.Calls), l.Calls)
	}
	if d, ok := recent.Latency.Quantile(.5); ok {
		l.P50 = ms(d)
	}
	if d, ok := recent.Latency.Quantile(.99); ok {
		l.P99 = ms(d)
	}
	l.Spending = spending(s, now)
	var none Traffic
	for i := w.steps(now); i > 0; i-- {
		got := s.get(step(now) - int64(i))
		if got == nil {
			got = &none
		}
		l.Rates, l.Good, l.P99s = append(l.Rates, perSecond(got.Calls, Step)), append(l.Good, good(got)), append(l.P99s, slowest(got))
	}
	return l
}

func spending(s *series[Traffic], now time.Time) Spending {
	t := sum(s, now, HistoryPoints*Step)
	return Spending{
		Calls: uint64(t.Calls), Priced: uint64(t.Priced), Cost: t.Cost, Told: uint64(t.Told), Meant: t.Meant, Stated: t.Stated,
	}
}

// good is the share of attempts that were no failure of the provider, to a tenth: a history is drawn, and travels each second.
func good(t *Traffic) float64 {
	return tenth(percent(uint64(t.Calls-min(t.Failed, t.Calls)), uint64(t.Calls)))
}

func slowest(t *Traffic) float64 {
	d, ok := t.Latency.Quantile(.99)
	if !ok {
		return None64
	}
	return tenth(ms(d))
}

func tenth(x float64) float64 { return math.Round(x*10) / 10 }

// stand puts the gauges of the agents that are heard together.
func (w *Window) stand(k cellKey, now time.Time) Stand {
	var st Stand
	for _, a := range w.agents {
		if c, ok := a.rows[k]; ok && a.heard(now) {
			st.add(&c)
		}
	}
	w.histories(k, &st)
	return st
}

func (st *Stand) add(c *Condition) {
	st.Agents++
	st.Weight = max(st.Weight, c.Weight)
	st.InFlight += int64(c.InFlight)
	if c.Breaker != "closed" {
		st.OpenAgents++
	}
	ill := badness(st.Breaker) > badness("closed")
	switch worse := badness(c.Breaker) - badness(st.Breaker); {
	case worse > 0:
		began := c.Since
		if ill { // another agent's trouble of the same provider began earlier: half-open is not over
			began = earliest(st.Since, c.Since)
		}
		st.Breaker, st.Since, st.Why, st.Probes = c.Breaker, began, c.Why, c.Probes
	case worse == 0 && st.Since.After(c.Since):
		st.Since, st.Why, st.Probes = c.Since, c.Why, c.Probes
	case worse < 0 && (c.Breaker == "half-open" || c.Breaker == "ramp"):
		st.Since = earliest(st.Since, c.Since)
	}
	if c.Drained.After(st.Drained) {
		st.Drained = c.Drained
	}
	switch {
	case c.CheckOK < 0 && st.CheckOK >= 0:
		st.CheckOK, st.CheckWhy = c.CheckOK, c.CheckWhy
	case c.CheckOK > 0 && st.CheckOK == 0:
		st.CheckOK, st.CheckWhy = c.CheckOK, c.CheckWhy
	}
	if c.CheckAt.After(st.CheckAt) {
		st.CheckAt = c.CheckAt
	}
	st.addLanes(c.Lanes)
	if len(c.Passed) > len(st.Passed) { // agents of a region have the same endpoints
		st.Passed = c.Passed
	}
}

func badness(breaker string) int {
	switch breaker {
	case "open":
		return 4
	case "half-open":
		return 3
	case "ramp":
		return 2
	case "closed":
		return 1
	default:
		return 0
	}
}

// elapsed is how much time a sum over span covers: the unfinished step counts as far as it went, and nothing from before the first report.
func (w *Window) elapsed(now time.Time, span time.Duration) time.Duration {
	begin := time.Unix(0, (step(now)-int64(span/Step))*int64(Step))
	if w.start.After(begin) {
		begin = w.start
	}
	return max(now.Sub(begin), time.Second)
}

// steps is how many whole steps of history there are.
func (w *Window) steps(now time.Time) int {
	if w.start.IsZero() {
		return 0
	}
	return int(min(max(step(now)-step(w.start), 0), HistoryPoints))
}

func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

func perSecond(n uint32, span time.Duration) float64 { return float64(n) / span.Seconds() }

func percent(part, whole uint64) float64 {
	if whole == 0 {
		return None64
	}
	return 100 * float64(part) / float64(whole)
}

func fine(h *FineHistogram, q float64) float64 {
	d, ok := h.Quantile(q)
	if !ok {
		return None64
	}
	return ms(d)
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
