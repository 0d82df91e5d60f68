package proxy

import (
	"cmp"
	"context"
	"maps"
	"math"
	"runtime"
	"slices"
	"time"

	"segue/controlplane/policy"
	"segue/controlplane/query"
	"segue/dataplane/route"
)

// Bounds of a replay.
const (
	replayYield  = 64               // decisions between two looks at whether somebody else wants the processor
	replayFollow = 1 << 17          // sessions that are followed to where they would be
	replayPrior  = 20.0             // attempts of the whole window that weigh as much as the minute's own
	shortestBusy = 10 * time.Second // a span below it says nothing about a rate
)

// Replay makes the decisions since from again under another policy, and tells what they would have come to. It holds no lock while it
// decides, gives way to calls, and ends with ctx: then Cut says so. New attempts are not guessed: of a call whose first choice goes elsewhere
// nobody knows how that would have ended.
func (p *Proxy) Replay(ctx context.Context, is *policy.Snapshot, from time.Time) query.Replayed {
	p.past.mu.Lock()
	services := maps.Clone(p.past.services)
	p.past.mu.Unlock()
	all := query.Replayed{Services: []query.ReplayedService{}, Left: []query.ReplayLeft{}}
	for _, name := range slices.Sorted(maps.Keys(services)) {
		r := &replay{ctx: ctx, from: from, regions: is.Regions, all: &all, left: map[string]uint64{}, follow: map[uint64]string{}}
		segments := services[name].since(from)
		if svc, ok := is.Service(name); ok {
			r.service(svc, segments)
		} else {
			r.gone(segments)
		}
		for _, why := range slices.Sorted(maps.Keys(r.left)) {
			all.Left = append(all.Left, query.ReplayLeft{Service: name, Why: why, Stand: r.left[why]})
		}
	}
	return all
}

// replay is one service's.
type replay struct {
	ctx     context.Context
	from    time.Time
	regions []string
	all     *query.Replayed
	svc     *policy.Service
	out     query.ReplayedService
	left    map[string]uint64
	follow  map[uint64]string     // sessions by their draw → where they would be now
	whole   map[string]*attempted // by provider, over the window
	first   time.Time
	last    time.Time
}

func (r *replay) gone(segments []segment) {
	for i := range segments {
		r.left["the service is not in the policy"] += segments[i].seen
	}
}

func (r *replay) service(svc *policy.Service, segments []segment) {
	r.svc, r.whole = svc, map[string]*attempted{}
	r.out = query.ReplayedService{Service: svc.Name, Providers: make([]query.ReplayedProvider, 0, len(svc.Candidates))}
	for _, c := range svc.Candidates {
		r.out.Providers = append(r.out.Providers, query.ReplayedProvider{Provider: c.Provider, RateLimit: c.Limits.Rate, FlightLimit: c.Limits.InFlight})
	}
	for i := range segments {
		s := &segments[i]
		for k, e := range s.ends {
			name := s.svc.Candidates[k].Provider
			if r.whole[name] == nil {
				r.whole[name] = &attempted{}
			}
			r.whole[name].add(e)
		}
	}
	for i := range segments {
		r.segment(&segments[i])
	}
	if r.out.Stand > 0 {
		slices.SortStableFunc(r.out.Providers[len(svc.Candidates):], func(a, b query.ReplayedProvider) int { return cmp.Compare(a.Provider, b.Provider) })
		r.all.Services = append(r.all.Services, r.out)
		r.all.Span = max(r.all.Span, r.last.Sub(r.first))
	}
}

func (e *attempted) add(o attempted) {
	e.attempts += o.attempts
	e.answered += o.answered
	e.elapsed += o.elapsed
}

// provider is the row of a provider; one that the new policy does not have any more gets its own.
func (r *replay) provider(name string) *query.ReplayedProvider {
	for i := range r.out.Providers {
		if r.out.Providers[i].Provider == name {
			return &r.out.Providers[i]
		}
	}
	r.out.Providers = append(r.out.Providers, query.ReplayedProvider{Provider: name})
	return &r.out.Providers[len(r.out.Providers)-1]
}

// minute is what one segment comes to.
type minute struct {
	*segment
	bridge      *route.Bridge
	load        map[string]uint64
	first, last time.Time
}

func (r *replay) segment(s *segment) {
	var old, d route.Decision
	m := minute{segment: s, bridge: route.NewBridge(s.svc, r.svc, s.regions, r.regions), load: map[string]uint64{}}
	rest := s.buf
	for n := 0; len(rest) > 2; n++ {
		if n%replayYield == 0 {
			if r.ctx.Err() != nil {
				r.all.Cut = true
				return
			}
			runtime.Gosched()
		}
		var one []byte
		one, rest = next(rest)
		if _, err := old.Restore(one, s.svc); err != nil {
			r.left[err.Error()] += uint64(s.every)
			continue
		}
		if old.At.Before(r.from) {
			continue
		}
		m.span(old.At)
		r.one(&m, &old, &d)
	}
	r.busy(&m)
}

func (m *minute) span(at time.Time) {
	if m.first.IsZero() || at.Before(m.first) {
		m.first = at
	}
	if at.After(m.last) {
		m.last = at
	}
}

// one makes one decision again.
func (r *replay) one(m *minute, old, d *route.Decision) {
	stand := uint64(m.every)
	was := name(m.svc, old.Winner)
	if old.Facts.Tried != 0 { // it loads its provider all the same
		m.load[was] += stand
	}
	pinned := ""
	if p := old.Facts.Pinned; p >= 0 {
		pinned = r.follow[old.Facts.Draw]
	}
	if err := d.Again(old, m.bridge, pinned); err != nil {
		r.left[err.Error()] += stand
		return
	}
	is := name(r.svc, d.Winner)
	session := old.Facts.Pinned < 0 && old.Facts.Owner < 0
	if session && is != was && is != "" && len(r.follow) < replayFollow {
		r.follow[old.Facts.Draw] = is
	}
	r.all.Decisions++
	r.all.Stand += stand
	r.out.Stand += stand
	m.load[is] += stand
	if r.first.IsZero() || old.At.Before(r.first) {
		r.first = old.At
	}
	if old.At.After(r.last) {
		r.last = old.At
	}
	r.count(was, is, session, stand)
	r.expect(m, was, is, stand)
	if !m.bridge.Unpriced() {
		r.price(m, was, is, &old.Facts, stand)
	}
}

func name(svc *policy.Service, i int8) string {
	if i < 0 {
		return ""
	}
	return svc.Candidates[i].Provider
}

func (r *replay) count(was, is string, session bool, stand uint64) {
	switch {
	case was == "" && is != "":
		r.out.Served += stand
	case was != "" && is == "":
		r.out.Refused += stand
	case was != is:
		r.out.Moves += stand
		r.all.Moves += stand
	}
	if was != "" {
		p := r.provider(was)
		p.Before += stand
		if session {
			p.SessionsBefore += stand
		}
	}
	if is != "" {
		p := r.provider(is)
		p.After += stand
		if session {
			p.SessionsAfter += stand
		}
	}
}

// expect adds what the call could expect at both; where one of them showed nothing in the whole window, nothing is expected.
func (r *replay) expect(m *minute, was, is string, stand uint64) {
	before, known := r.chance(m, was)
	after, too := r.chance(m, is)
	if known && too {
		e, n := &r.out.Success, float64(stand)
		e.Calls += stand
		e.Before += float64(before * n)
		e.After += float64(after * n)
	}
}

// price adds what the call costs at both, by the fees of the new policy; those of a provider that it does not have, by the old one.
func (r *replay) price(m *minute, was, is string, f *policy.Facts, stand uint64) {
	before, known := fee(was, f, r.svc, m.svc)
	after, too := fee(is, f, r.svc, m.svc)
	if known && too {
		e := &r.out.Cost
		e.Calls += stand
		e.Before += float64(before) * float64(stand)
		e.After += float64(after) * float64(stand)
	}
}

func fee(provider string, f *policy.Facts, in ...*policy.Service) (policy.Money, bool) {
	if provider == "" {
		return 0, true
	}
	for _, svc := range in {
		for i, c := range svc.Candidates {
			if c.Provider == provider {
				return svc.Price(i, f), c.Cost.Known
			}
		}
	}
	return 0, false
}

// chance is the share of its attempts that a provider answered in that minute. A call without a provider is answered by none.
func (r *replay) chance(m *minute, provider string) (float64, bool) {
	if provider == "" {
		return 0, true
	}
	w := r.whole[provider]
	if w == nil || w.attempts == 0 {
		return 0, false
	}
	all := float64(w.answered) / float64(w.attempts)
	for i, c := range m.svc.Candidates {
		if c.Provider == provider {
			e := &m.ends[i]
			return (float64(e.answered) + float64(all*replayPrior)) / (float64(e.attempts) + replayPrior), true
		}
	}
	return all, true
}

// busy holds the minute's load against what the provider had in its busiest so far.
func (r *replay) busy(m *minute) {
	span := max(m.last.Sub(m.first), shortestBusy).Seconds()
	for provider, calls := range m.load {
		if provider == "" {
			continue
		}
		p := r.provider(provider)
		rate := float64(calls) / span
		if rate <= p.Rate {
			continue
		}
		p.Rate = rate
		if w := r.whole[provider]; w != nil && w.attempts > 0 {
			p.InFlight = rate * w.elapsed.Seconds() / float64(w.attempts)
		}
		p.Rate, p.InFlight = round(p.Rate), round(p.InFlight)
	}
}

// round keeps what people can use of a rate.
func round(x float64) float64 { return math.Round(x*1000) / 1000 }
