package health

import (
	"fmt"
	"slices"
	"time"
)

// When a verdict begins and ends.
const (
	settleFor  = 3 * time.Second  // what looks like one region's trouble may be the begin of everybody's: it must last
	calmFor    = 10 * time.Second // without its conditions, and a verdict ends
	ejectEvery = 30 * time.Second // one provider, or one path to one, at a time: what is left is watched first
)

// court is what a window remembers of its verdicts.
type court struct {
	held    []holding
	suspect map[Verdict]time.Time // what may become a verdict: since when; keys have no times and no words
	ejected time.Time             // when agents were last told to leave a provider sooner
}

// holding is a verdict that holds.
type holding struct {
	Verdict
	seen time.Time // when its conditions last held
	some bool      // something was seen to succeed since: All is not told again
}

// Adopt takes the verdicts that a leader before this one left: they hold on until they end or are judged anew.
func (w *Window) Adopt(verdicts []Verdict, now time.Time) {
	for _, v := range verdicts {
		if v.Check() == nil && v.Until.After(now) && len(w.court.held) < MaxVerdicts {
			v.Until = ahead(v.Until, now, VerdictFor)
			w.court.held = append(w.court.held, holding{Verdict: v, seen: now})
		}
	}
}

// Judge tells whose fault what is. It concludes nothing for one span after the window's first report: until then what a leader before
// said holds on. What it returns is sorted, the widest first, and shares nothing with the window.
func (w *Window) Judge(now time.Time) []Verdict {
	w.forget(now)
	c := &w.court
	if w.start.IsZero() || now.Sub(w.start) < span {
		c.held = slices.DeleteFunc(c.held, func(h holding) bool { return !h.Until.After(now) })
		return c.verdicts()
	}
	voices := w.voices(now)
	found := w.find(voices)
	for _, v := range found {
		w.keep(v, voices, now)
	}
	w.clear(found, now)
	return c.verdicts()
}

func (c *court) verdicts() []Verdict {
	out := make([]Verdict, len(c.held))
	for i := range c.held {
		out[i] = c.held[i].Verdict
	}
	slices.SortFunc(out, compareVerdicts)
	return out
}

// key is what a verdict is about, without when and why.
func (v Verdict) key() Verdict {
	return Verdict{Kind: v.Kind, Region: v.Region, Service: v.Service, Provider: v.Provider}
}

func (c *court) find(v Verdict) *holding {
	if i := slices.IndexFunc(c.held, func(h holding) bool { return h.Same(v) }); i >= 0 {
		return &c.held[i]
	}
	return nil
}

// keep holds a verdict whose conditions are there, or begins it.
func (w *Window) keep(v Verdict, voices []*voice, now time.Time) {
	c := &w.court
	h := c.find(v)
	if h == nil {
		if !c.settled(v, now) || len(c.held) >= MaxVerdicts {
			return
		}
		v.Since, v.Until = now, now.Add(VerdictFor)
		c.held = append(c.held, holding{Verdict: v, seen: now})
		h = &c.held[len(c.held)-1]
		w.announce(v, now, false)
	}
	h.seen, h.Why = now, v.Why
	h.some = h.some || h.All && !v.All
	h.All = v.All && !h.some
	if h.Until.Sub(now) < VerdictFor/2 {
		h.Until = now.Add(VerdictFor)
	}
	eject := v.Kind == ProviderFault || v.Kind == PathFault
	if eject && !h.Eject && (c.ejected.IsZero() || now.Sub(c.ejected) >= ejectEvery) && w.spare(v, voices, now) {
		h.Eject, h.Until, c.ejected = true, now.Add(VerdictFor), now
	}
}

// settled tells whether the conditions have been there for long enough.
func (c *court) settled(v Verdict, now time.Time) bool {
	if v.Kind == ProviderFault {
		return true
	}
	first, known := c.suspect[v.key()]
	if !known {
		if c.suspect == nil {
			c.suspect = map[Verdict]time.Time{}
		}
		c.suspect[v.key()], first = now, now
	}
	return now.Sub(first) >= settleFor
}

// clear ends what has been without its conditions for long enough, and at once what became part of something wider.
func (w *Window) clear(found []Verdict, now time.Time) {
	c := &w.court
	for k := range c.suspect {
		if !slices.ContainsFunc(found, k.Same) {
			delete(c.suspect, k)
		}
	}
	all := c.verdicts()
	c.held = slices.DeleteFunc(c.held, func(h holding) bool {
		wider := func(o Verdict) bool { return o.covers(h.Verdict, h.seen.Equal(now)) }
		if slices.ContainsFunc(all, wider) {
			return true
		}
		over := now.Sub(h.seen) >= calmFor || !h.Until.After(now)
		if over {
			w.announce(h.Verdict, now, true)
		}
		return over
	})
}

// covers tells whether v is the wider trouble that o is a part of. A provider that is not found to fail once a region's own egress is
// known did not fail.
func (v Verdict) covers(o Verdict, found bool) bool {
	switch v.Kind {
	case OursFault:
		return o.Kind != OursFault
	case RegionFault:
		return o.Kind == PathFault && o.Region == v.Region || o.Kind == ProviderFault && !found
	case ProviderFault:
		return o.Kind == PathFault && o.Service == v.Service && o.Provider == v.Provider
	case PathFault:
	}
	return false
}

// announce puts a verdict's begin or end among what happens.
func (w *Window) announce(v Verdict, now time.Time, over bool) {
	e := Event{At: now, Kind: "verdict", Region: v.Region, Service: v.Service, Provider: v.Provider, Level: "bad", Text: v.Sentence()}
	if over {
		e.Level, e.Text = "ok", fmt.Sprintf("%s: over, after %v", v.Named(), now.Sub(v.Since).Round(time.Second))
	}
	w.told++
	e.Seq = w.told
	w.events = append(w.events, e)
	w.sortEvents()
}

// Sentence is the verdict in words.
func (v Verdict) Sentence() string {
	if v.Kind == RegionFault {
		return v.Why
	}
	return v.Named() + ": " + v.Why
}

// find looks for every trouble whose conditions are there now, the widest first. What is part of a wider one is not told.
func (w *Window) find(voices []*voice) []Verdict {
	lost, reporting := lostRegions(voices)
	switch {
	case reporting < 2: // nothing to compare with
		lost = nil
	case len(lost) == reporting:
		return []Verdict{{Kind: OursFault, Why: "ours; gates frozen"}}
	}
	var found []Verdict
	for _, l := range lost {
		found = append(found, Verdict{Kind: RegionFault, Region: l.region, Why: fmt.Sprintf("%s's own egress: %d of its %d providers fail, and not elsewhere", l.region, l.alarmed, l.heard)})
	}
	left := slices.DeleteFunc(slices.Clone(voices), func(v *voice) bool {
		return slices.ContainsFunc(lost, func(l place) bool { return l.region == v.region })
	})
	for len(left) > 0 {
		n := 1
		for n < len(left) && left[n].service == left[0].service && left[n].provider == left[0].provider {
			n++
		}
		found = append(found, w.blame(left[:n], voices)...)
		left = left[n:]
	}
	slices.SortFunc(found, compareVerdicts)
	return found
}

// place is a region by how many of its providers fail.
type place struct {
	region         string
	heard, alarmed int
	calls          uint64
	enough         bool
}

// lostRegions are those in which two thirds of the providers fail, of those that anything is known of: two at the least. It also counts the
// regions that anything is known of.
func lostRegions(voices []*voice) (lost []place, reporting int) {
	by := map[string]*place{}
	var names []string
	for _, v := range voices {
		if !v.alarmed && !v.lately {
			continue // nobody asked it: that it was well a while ago says nothing of the region now
		}
		p := by[v.region]
		if p == nil {
			p = &place{region: v.region}
			by[v.region] = p
			names = append(names, v.region)
		}
		p.heard++
		p.enough = p.enough || v.enough()
		p.calls += v.calls
		if v.alarmed {
			p.alarmed++
		}
	}
	slices.Sort(names)
	for _, name := range names {
		if p := by[name]; p.heard >= 2 && p.alarmed*3 >= p.heard*2 && (p.enough || p.calls >= enoughCalls) {
			lost = append(lost, *p)
		}
	}
	return lost, len(by)
}

// blame judges one provider by the voices of the regions that are well themselves.
func (w *Window) blame(says, all []*voice) []Verdict {
	var alarmed, fine []*voice
	reporting, calls, enough := 0, uint64(0), false
	for _, v := range says {
		calls += v.calls
		enough = enough || v.enough()
		switch {
		case v.alarmed:
			alarmed = append(alarmed, v)
			reporting++
		case v.enough():
			reporting++
			if v.fine {
				fine = append(fine, v)
			}
		}
	}
	v := Verdict{Service: says[0].service, Provider: says[0].provider}
	enough = enough || calls >= enoughCalls || w.court.find(Verdict{Kind: ProviderFault, Service: v.Service, Provider: v.Provider}) != nil
	v.All = allFail(says)
	switch n := len(alarmed); {
	case v.All:
		v.Kind, v.Why = ProviderFault, fmt.Sprintf("nothing succeeded lately from any of %d regions", failing(says))
	case !enough:
		return nil
	case n >= 2 && n*2 >= reporting:
		v.Kind, v.Why = ProviderFault, fmt.Sprintf("alarmed in %d of %d regions", n, reporting)
	case w.together(says):
		v.Kind, v.Why = ProviderFault, fmt.Sprintf("failing in %d of %d regions", failing(says), max(reporting, failing(says)))
	default:
		return paths(alarmed, fine, all)
	}
	return []Verdict{v}
}

// together is the pooled test: at low rates no region alone has seen enough. Every call of every region counts; a region's part is held to
// its share of the alarm, so that none alarms alone.
func (w *Window) together(says []*voice) bool {
	need := max(2, (len(says)+1)/2)
	p := w.pools[cellKey{service: says[0].service, provider: says[0].provider}]
	if p == nil || failing(says) < need {
		return false
	}
	for i := range p.s {
		sum := 0.0
		for _, v := range says {
			sum += min(v.evidence[i], alarmAt/float64(need))
		}
		if min(sum, p.s[i]) >= alarmAt-rounding {
			return true
		}
	}
	return false
}

// What it takes to say that nothing succeeds anywhere.
const (
	allInARow = 5 // failures of all regions, since the last call that did not fail in each
	partOfAll = 3 // what one region adds at most: none says so alone
)

// allFail tells whether all regions that called the provider lately have seen nothing but failures since, and so many that it is no chance.
func allFail(says []*voice) bool {
	inARow, sum := uint32(0), 0.0
	for _, v := range says {
		if v.succeeds {
			return false
		}
		inARow += min(v.inARow, partOfAll)
		sum += min(v.loudest(), alarmAt/2)
	}
	return inARow >= allInARow && sum >= alarmAt/2
}

// failing counts the regions that have seen failures which chance does not explain at once.
func failing(says []*voice) int {
	n := 0
	for _, v := range says {
		if v.loudest() >= calm && v.failed > 0 {
			n++
		}
	}
	return n
}

// paths are the regions that cannot reach a provider which is well from elsewhere, while their other providers are well.
func paths(alarmed, fine, all []*voice) []Verdict {
	var found []Verdict
	for _, v := range alarmed {
		if len(fine) == 0 || !v.enough() && v.open == 0 {
			continue
		}
		others, ill := 0, false
		for _, o := range all {
			if o.region == v.region && o.cellKey != v.cellKey {
				ill = ill || o.alarmed
				if o.fine {
					others++
				}
			}
		}
		if ill || others == 0 {
			continue
		}
		found = append(found, Verdict{
			Kind: PathFault, Region: v.region, Service: v.service, Provider: v.provider,
			Why: fmt.Sprintf("fails from %s alone; %d other %s and %d other %s there are well", v.region, len(fine), plural(len(fine), "region"), others, plural(others, "provider")),
		})
	}
	return found
}

func plural(n int, what string) string {
	if n == 1 {
		return what
	}
	return what + "s"
}
