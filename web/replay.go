package web

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"segue/controlplane/policy"
	"segue/controlplane/query"
	"segue/controlplane/state"
	"segue/web/view"
)

// whatIfWithin is how long the agents are waited for: they give up a little earlier, with what they have.
const whatIfWithin = 8 * time.Second

// whatIf is what recorded traffic would have come to under a policy that is not in force.
type whatIf struct {
	Text      string          `json:"text"`                   // one line
	Window    string          `json:"window"`                 // how far back was asked
	Decisions uint64          `json:"decisions"`              // made again
	Stand     uint64          `json:"stand_for"`              // calls that they stand for: busy minutes are sampled
	Moves     uint64          `json:"moves"`                  // of these, go to another provider
	PerMinute float64         `json:"moves_per_minute"`       // of all agents together
	Success   *float64        `json:"success_pp,omitempty"`   // change of the calls that their first provider answers, percentage points
	Cost      *float64        `json:"cost_percent,omitempty"` // change of what the calls cost, by the fees of the new policy
	Services  []whatIfService `json:"services"`
	Left      []whatIfLeft    `json:"left_out"` // what could not be made again, and why
	Silent    []string        `json:"silent"`   // who did not answer, and why
	Cut       bool            `json:"cut"`      // an agent's time was over before all was made again
}

// whatIfService is one service in one region.
type whatIfService struct {
	Service   string           `json:"service"`
	Region    string           `json:"region"`
	Stand     uint64           `json:"stand_for"`
	Moves     uint64           `json:"moves"`
	Served    uint64           `json:"served"`  // had no provider then, and would have one
	Refused   uint64           `json:"refused"` // had a provider then, and would have none
	Providers []whatIfProvider `json:"providers"`
	success   query.Expected
	cost      query.Expected
}

// whatIfProvider is a provider's part of a service's calls in a region, and of its new sessions, in percent.
type whatIfProvider struct {
	Provider       string  `json:"provider"`
	Before         float64 `json:"before"`
	After          float64 `json:"after"`
	SessionsBefore float64 `json:"sessions_before"`
	SessionsAfter  float64 `json:"sessions_after"`
	Load           float64 `json:"load"` // percent of the nearer of its limits in the busiest minute of the busiest agent; 0: it has none
	sum            query.ReplayedProvider
}

type whatIfLeft struct {
	Region string `json:"region"`
	query.ReplayLeft
}

// windowOf reads how far back to replay; empty is no replay at all.
func windowOf(text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	window, err := time.ParseDuration(text)
	if err != nil || window < time.Minute || window > query.MaxReplay {
		return 0, refusal(state.Invalid, fmt.Sprintf("replay: %.40q is no span from 1m to %v: agents keep the decisions of the last hour", text, hour(query.MaxReplay)))
	}
	return window, nil
}

// hour writes a span without its zeros.
func hour(d time.Duration) string {
	text := d.String()
	for _, zero := range [...]string{"m0s", "h0m"} { // not of 10m, whose nought says something
		if strings.HasSuffix(text, zero) {
			text = text[:len(text)-2]
		}
	}
	return text
}

// replay has every agent make its recorded decisions again under its region's part of a policy.
func (w *Web) replay(ctx context.Context, p *policy.Policy, window time.Duration) whatIf {
	ctx, cancel := context.WithTimeout(ctx, whatIfWithin)
	defer cancel()
	out := whatIf{Window: hour(window), Services: []whatIfService{}, Left: []whatIfLeft{}, Silent: []string{}}
	names := p.Regions.Names()
	told := make([][]Answer, len(names))
	failed := make([]error, len(names))
	var all sync.WaitGroup
	for i, region := range names {
		q := query.Question{Kind: query.ReplayAll, Region: region, Replay: &query.Replay{Policy: policy.Marshal(policy.Cut(p, region)), Window: window}}
		all.Go(func() { told[i], failed[i] = w.cfg.Control.Ask(ctx, q) })
	}
	all.Wait()
	span := map[string]time.Duration{}
	for i, region := range names {
		if failed[i] != nil {
			out.Silent = append(out.Silent, region+": the agents were not asked: "+failed[i].Error())
			continue
		}
		answered := 0
		for _, a := range told[i] {
			if a.Region != region {
				continue
			}
			answered++
			var r query.Replayed
			if why := a.read(&r); why != "" {
				out.Silent = append(out.Silent, a.Agent+": "+why)
				continue
			}
			out.add(region, &r)
			if minutes := r.Span.Minutes(); r.Moves > 0 {
				out.PerMinute += float64(r.Moves) / math.Max(minutes, 1)
			}
			span[region] = max(span[region], r.Span)
		}
		if answered == 0 {
			out.Silent = append(out.Silent, region+": no agent is attached")
		}
	}
	out.sum(len(span) > 0)
	return out
}

// add puts one agent's answer to the others of its region.
func (f *whatIf) add(region string, r *query.Replayed) {
	f.Decisions, f.Stand, f.Moves, f.Cut = f.Decisions+r.Decisions, f.Stand+r.Stand, f.Moves+r.Moves, f.Cut || r.Cut
	for i := range r.Services {
		f.service(region, r.Services[i].Service).add(&r.Services[i])
	}
	for _, l := range r.Left {
		f.left(region, l)
	}
}

func (f *whatIf) service(region, name string) *whatIfService {
	for i := range f.Services {
		if s := &f.Services[i]; s.Region == region && s.Service == name {
			return s
		}
	}
	f.Services = append(f.Services, whatIfService{Region: region, Service: name, Providers: []whatIfProvider{}})
	return &f.Services[len(f.Services)-1]
}

func (f *whatIf) left(region string, l query.ReplayLeft) {
	for i := range f.Left {
		if k := &f.Left[i]; k.Region == region && k.Service == l.Service && k.Why == l.Why {
			k.Stand += l.Stand
			return
		}
	}
	f.Left = append(f.Left, whatIfLeft{region, l})
}

func (s *whatIfService) add(r *query.ReplayedService) {
	s.Stand, s.Moves, s.Served, s.Refused = s.Stand+r.Stand, s.Moves+r.Moves, s.Served+r.Served, s.Refused+r.Refused
	for _, e := range [...]struct{ to, of *query.Expected }{{&s.success, &r.Success}, {&s.cost, &r.Cost}} {
		e.to.Calls, e.to.Before, e.to.After = e.to.Calls+e.of.Calls, e.to.Before+e.of.Before, e.to.After+e.of.After
	}
	for _, p := range r.Providers {
		i := slices.IndexFunc(s.Providers, func(k whatIfProvider) bool { return k.Provider == p.Provider })
		if i < 0 {
			s.Providers = append(s.Providers, whatIfProvider{Provider: p.Provider, Load: 100 * p.Load(), sum: p})
			continue
		}
		k := &s.Providers[i] // limits are an agent's: the busiest one counts
		k.Load = max(k.Load, 100*p.Load())
		t := &k.sum
		t.Before, t.After, t.SessionsBefore, t.SessionsAfter = t.Before+p.Before, t.After+p.After, t.SessionsBefore+p.SessionsBefore, t.SessionsAfter+p.SessionsAfter
	}
}

// sum makes shares of counts, and the line.
func (f *whatIf) sum(heard bool) {
	var success, cost query.Expected
	var most *whatIfProvider
	for i := range f.Services {
		s := &f.Services[i]
		s.share()
		for _, e := range [...]struct{ to, of *query.Expected }{{&success, &s.success}, {&cost, &s.cost}} {
			e.to.Calls, e.to.Before, e.to.After = e.to.Calls+e.of.Calls, e.to.Before+e.of.Before, e.to.After+e.of.After
		}
		for k := range s.Providers {
			if p := &s.Providers[k]; p.Load > 0 && (most == nil || p.Load > most.Load) {
				most = p
			}
		}
	}
	slices.SortStableFunc(f.Services, func(a, b whatIfService) int {
		return cmp.Or(cmp.Compare(a.Service, b.Service), cmp.Compare(a.Region, b.Region))
	})
	if success.Calls > 0 {
		pp := 100 * (success.After - success.Before) / float64(success.Calls)
		f.Success = &pp
	}
	if cost.Before > 0 {
		percent := 100 * (cost.After - cost.Before) / cost.Before
		f.Cost = &percent
	}
	f.Text = f.line(heard, most)
}

func (s *whatIfService) share() {
	var before, after, sessionsBefore, sessionsAfter uint64
	for i := range s.Providers {
		t := &s.Providers[i].sum
		before, after, sessionsBefore, sessionsAfter = before+t.Before, after+t.After, sessionsBefore+t.SessionsBefore, sessionsAfter+t.SessionsAfter
	}
	of := func(n, all uint64) float64 {
		if all == 0 {
			return 0
		}
		return math.Round(10000*float64(n)/float64(all)) / 100
	}
	for i := range s.Providers {
		p := &s.Providers[i]
		t := &p.sum
		p.Before, p.After, p.SessionsBefore, p.SessionsAfter = of(t.Before, before), of(t.After, after), of(t.SessionsBefore, sessionsBefore), of(t.SessionsAfter, sessionsAfter)
		p.Load = math.Round(10*p.Load) / 10
	}
}

func (f *whatIf) line(heard bool, most *whatIfProvider) string {
	switch {
	case !heard:
		return "no agent answered: nothing was replayed"
	case f.Decisions == 0 && f.Cut:
		return "the agents had no time: nothing was replayed"
	case f.Decisions == 0:
		return "no decision of the last " + f.Window + " could be replayed"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "replayed %s decisions", view.Count(f.Decisions))
	if f.Stand > f.Decisions {
		fmt.Fprintf(&b, ", which stand for %s", view.Count(f.Stand))
	}
	var parts []string
	if f.Success != nil {
		parts = append(parts, "success "+signed(*f.Success)+" pp")
	}
	if f.Cost != nil {
		parts = append(parts, "cost "+signed(*f.Cost)+" %")
	}
	sep := ": "
	if len(parts) > 0 {
		b.WriteString(sep + strings.Join(parts, ", "))
		sep = "; "
	}
	if f.Moves > 0 {
		fmt.Fprintf(&b, "%smoves ≈ %s calls/min", sep, view.Number(f.PerMinute, digits(f.PerMinute)))
	} else {
		b.WriteString(sep + "moves none")
	}
	if most != nil && most.Load >= 1 {
		fmt.Fprintf(&b, "; %s at %s %% of its limit", most.Provider, view.Number(most.Load, 0))
	}
	if f.Cut {
		b.WriteString("; not all: the agents’ time was over")
	}
	return b.String()
}

// signed writes a change with its sign; what rounds to nothing has none.
func signed(x float64) string {
	text := view.Number(math.Abs(x), 2)
	switch {
	case text == view.Number(0, 2):
		return "±0"
	case x < 0:
		return "−" + text
	default:
		return "+" + text
	}
}
