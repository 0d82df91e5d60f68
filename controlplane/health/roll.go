package health

import (
	"maps"
	"slices"

	"segue/controlplane/policy"
)

// roll is what a policy has: who may be reported of.
type roll struct{ regions, services, providers map[string]bool }

// Know tells what the policy has. Reports from other regions are refused, and what is said of other services and providers is left out: a broken
// agent fills nothing. What the policy before had stays known until the next, because agents take a new one later than others.
func (w *Window) Know(p *policy.Policy) {
	r := &roll{regions: map[string]bool{}, services: map[string]bool{}, providers: map[string]bool{}}
	for _, name := range p.Regions.Names() {
		r.regions[name] = true
	}
	for i := range p.Services {
		r.services[p.Services[i].Name] = true
	}
	for i := range p.Providers {
		r.providers[p.Providers[i].Name] = true
	}
	w.roll = [2]*roll{r, w.roll[0]}
}

func (w *Window) has(it func(*roll) bool) bool {
	return w.roll[0] == nil || it(w.roll[0]) || w.roll[1] != nil && it(w.roll[1])
}

func (w *Window) hasService(name string) bool {
	return w.has(func(r *roll) bool { return r.services[name] })
}

func (w *Window) hasProvider(name string) bool {
	return w.has(func(r *roll) bool { return r.providers[name] })
}

// Strange is what of a report was left out, because the policy does not have it.
type Strange struct {
	Rows  int
	Name  string // of one of them
	First bool   // of the agent's run
}

// Strange is what the last Put left out.
func (w *Window) Strange() Strange { return w.strange }

// strip leaves out what the policy does not have. The report's lists are the caller's: they are not changed.
func (w *Window) strip(a *agent, r *Report) {
	if w.roll[0] == nil {
		return
	}
	out := func(strange bool, name string) bool {
		if strange {
			w.strange.Rows++
			w.strange.Name = sentence(name, maxName)
		}
		return strange
	}
	r.Rows = slices.DeleteFunc(slices.Clone(r.Rows[:min(len(r.Rows), MaxRows)]), func(o Row) bool {
		return out(!w.hasService(o.Service), o.Service) || out(!w.hasProvider(o.Provider), o.Provider)
	})
	r.Services = slices.DeleteFunc(slices.Clone(r.Services[:min(len(r.Services), MaxServiceRows)]), func(o ServiceRow) bool {
		return out(!w.hasService(o.Service), o.Service)
	})
	r.Events = slices.DeleteFunc(slices.Clone(r.Events[max(0, len(r.Events)-MaxEvents):]), func(o Event) bool {
		return o.Service != "" && out(!w.hasService(o.Service), o.Service) || o.Provider != "" && out(!w.hasProvider(o.Provider), o.Provider)
	})
	r.Addr = maps.Clone(r.Addr)
	maps.DeleteFunc(r.Addr, func(service, _ string) bool { return !w.hasService(service) })
	if w.strange.Rows > 0 {
		w.strange.First, a.strange = !a.strange, true
	}
}
