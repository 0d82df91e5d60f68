package health

import (
	"cmp"
	"slices"
	"time"
)

// voice is what one region says of one provider: one voice, however many agents it has and whatever one of them claims.
type voice struct {
	cellKey
	heard         []*proof // of the agents that are heard
	open          int      // of them, those whose circuit is not closed
	drained       bool     // an order keeps calls away
	calls, failed uint64   // in the span
	evidence      [banks]float64
	alarmed       bool   // it says that the provider fails
	fine          bool   // it says that the provider is well
	succeeds      bool   // an agent's last call, not long ago, did not fail
	inARow        uint32 // calls of all its agents that failed since
	lately        bool   // a call or an active check has shown so in the last seconds
}

// Enough evidence.
const (
	enoughCalls = 20          // in the span
	calm        = alarmAt / 4 // evidence below this is a failure or none
	lately      = 10 * time.Second
)

// voices are the regions' voices at now, sorted by service, provider and region: nothing that is added up depends on a map's order.
func (w *Window) voices(now time.Time) []*voice {
	all, table := make([]*voice, 0, len(w.panels)), make([]voice, len(w.panels))
	for k, panel := range w.panels {
		v := &table[len(all)]
		v.cellKey, v.heard = k, panel
		if slices.ContainsFunc(panel, func(p *proof) bool { return !p.agent.heard(now) }) {
			v.heard = slices.DeleteFunc(slices.Clone(panel), func(p *proof) bool { return !p.agent.heard(now) })
		}
		if len(v.heard) > 0 {
			all = append(all, v)
		}
	}
	slices.SortFunc(all, func(a, b *voice) int {
		return cmp.Or(cmp.Compare(a.service, b.service), cmp.Compare(a.provider, b.provider), cmp.Compare(a.region, b.region))
	})
	for _, v := range all {
		v.speak(w.pools[v.cellKey], now)
	}
	return all
}

// speak puts the agents together. What one agent can add is held to its part of a majority: of three, two must say so.
func (v *voice) speak(p *pool, now time.Time) {
	active := make([]*proof, 0, len(v.heard))
	good, bad, well := 0, 0, false
	for _, one := range v.heard {
		if one.open {
			v.open++
		}
		v.drained = v.drained || one.drained.After(now)
		calls, failed := one.counts(now)
		v.calls, v.failed = v.calls+calls, v.failed+failed
		if calls > 0 {
			active = append(active, one)
		}
		v.inARow += one.inARow
		v.succeeds = v.succeeds || one.inARow == 0 && !one.asked.IsZero() && now.Sub(one.asked) <= lately
		well = well || now.Sub(one.good) <= span && !one.good.IsZero()
		v.lately = v.lately || now.Sub(one.good) <= lately || one.checks > 0 && now.Sub(one.checked) <= lately
		switch fresh := now.Sub(one.checked) <= span; {
		case fresh && one.checks >= maxChecks:
			good++
		case fresh && one.checks <= -maxChecks:
			bad++
		}
	}
	most := majority(len(v.heard))
	failing := false
	for i := range v.evidence {
		sum := 0.0
		for _, one := range active {
			sum += min(one.s[i], alarmAt/float64(majority(len(active))))
		}
		if p != nil && now.Sub(p.at) <= span {
			v.evidence[i] = min(sum, p.s[i])
		}
		failing = failing || v.evidence[i] >= alarmAt-rounding
	}
	v.alarmed = failing || v.open >= most || bad >= most && !well
	v.fine = !v.alarmed && v.open == 0 && v.loudest() < calm && (v.calls >= enoughCalls && v.failed*2 < v.calls || good >= most && v.failed == 0)
}

// rounding is what sums of parts may miss of the whole.
const rounding = 1e-9

func majority(n int) int { return n/2 + 1 }

// loudest is the strongest of its tests.
func (v *voice) loudest() float64 { return slices.Max(v.evidence[:]) }

// enough tells whether it rests on enough: calls, probes, or a circuit that an agent opened on evidence of its own.
func (v *voice) enough() bool {
	return v.calls >= enoughCalls || v.probes() >= maxChecks || v.open > 0
}

// probes are the active checks that went the same way in a row.
func (v *voice) probes() (n int) {
	for _, p := range v.heard {
		n += int(max(p.checks, -p.checks))
	}
	return n
}
