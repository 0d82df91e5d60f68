package health

import (
	"time"

	"segue/controlplane/policy"
)

// Learn takes the providers' limits from the policy in force.
func (w *Window) Learn(p *policy.Policy) {
	w.limits = make(map[string]policy.Limits, len(p.Providers))
	for i := range p.Providers {
		w.limits[p.Providers[i].Name] = p.Providers[i].Limits
	}
}

// spare tells whether calls can do without what the verdict is about, wherever it fails: another provider of the service is there, and
// those that are there can carry what is asked of the service. A provider that is the last is never left because of others' evidence.
func (w *Window) spare(v Verdict, voices []*voice, now time.Time) bool {
	some := false
	for _, one := range voices {
		if one.service != v.Service || one.provider != v.Provider || v.Region != "" && one.region != v.Region {
			continue
		}
		if !one.alarmed && one.loudest() < calm {
			continue // there it is well, and nothing makes the region leave it
		}
		some = true
		if !w.carried(one.cellKey, voices, now) {
			return false
		}
	}
	return some
}

// carried tells whether a region's other providers of a service can take all of its calls.
func (w *Window) carried(without cellKey, voices []*voice, now time.Time) bool {
	demand, room := 0.0, 0.0
	for _, v := range voices {
		if v.region != without.region || v.service != without.service {
			continue
		}
		load := Load{}
		if s := w.cells[v.cellKey]; s != nil {
			load = w.load(s, now)
		}
		demand += load.Rate
		if v.cellKey == without || v.alarmed || v.drained || w.ejected(v.cellKey) {
			continue
		}
		most, bounded := w.capacity(v, load.P50)
		if !bounded {
			return true
		}
		room += most
	}
	return room > 0 && room >= demand
}

// capacity is how many calls a second a provider takes from a region by its limits; false: there are none.
func (w *Window) capacity(v *voice, p50 float64) (perSecond float64, bounded bool) {
	l, agents := w.limits[v.provider], float64(len(v.heard))
	if l.Rate > 0 {
		perSecond, bounded = l.Rate*agents, true
	}
	if l.InFlight > 0 {
		if p50 <= 0 {
			p50 = usualLatency
		}
		if byFlight := float64(l.InFlight) * agents * 1000 / p50; !bounded || byFlight < perSecond {
			perSecond, bounded = byFlight, true
		}
	}
	return perSecond, bounded
}

// usualLatency stands for a provider that was not called yet, in milliseconds.
const usualLatency = 500

// ejected tells whether agents were told to leave it.
func (w *Window) ejected(k cellKey) bool {
	for i := range w.court.held {
		h := &w.court.held[i]
		if h.Eject && h.Service == k.service && h.Provider == k.provider && (h.Region == "" || h.Region == k.region) {
			return true
		}
	}
	return false
}
