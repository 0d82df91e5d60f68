package policy

import (
	"fmt"
	"slices"
)

// Warnings tells what a change takes away that people may not have meant. It refuses nothing.
func Warnings(old, new *Policy) []string {
	var list []string
	for i := range new.Services {
		list = append(list, serviceWarnings(old, new, &new.Services[i])...)
	}
	for i := range old.Services {
		if new.Service(old.Services[i].Name) == nil {
			list = append(list, "service "+old.Services[i].Name+" goes: its applications are refused")
		}
	}
	for _, r := range old.Regions {
		if _, stays := new.Regions.Find(r.Name); !stays {
			list = append(list, "region "+r.Name+" goes: its agents get no more updates, they keep the last policy")
		}
	}
	before := old.steeringWarnings()
	for _, text := range new.steeringWarnings() {
		if !slices.Contains(before, text) {
			list = append(list, text)
		}
	}
	for i := range new.Providers {
		name := new.Providers[i].Name
		if old.takes(name) && !new.takes(name) {
			list = append(list, "provider "+name+" is left with nothing: it gets new sessions in no region")
		}
	}
	return list
}

func serviceWarnings(old, new *Policy, s *ServiceSpec) []string {
	was := old.Service(s.Name)
	if was == nil {
		return nil
	}
	var list []string
	if was.Listen != s.Listen {
		list = append(list, "service "+s.Name+" listens elsewhere: its applications must follow")
	}
	for _, r := range new.Regions {
		before, now := was.ProvidersIn(r.Name), s.ProvidersIn(r.Name)
		if len(before) > 1 && len(now) == 1 {
			list = append(list, fmt.Sprintf("%s / %s: %s is alone: nothing can take over from it", s.Name, r.Name, now[0]))
		}
	}
	return list
}

// takes tells whether a provider gets new sessions anywhere while all are well: by a share, or as the first of an order.
func (p *Policy) takes(provider string) bool {
	for i := range p.Services {
		s := &p.Services[i]
		for _, r := range p.Regions {
			if order := s.PriorityIn(r.Name); s.Strategy == Priority && len(order) > 0 && order[0] == provider {
				return true
			}
			if s.Strategy.listed() && slices.Contains(s.ListedIn(r.Name), provider) {
				return true
			}
			for _, w := range s.WeightsIn(r.Name) {
				if w.Provider == provider && w.Percent > 0 {
					return true
				}
			}
		}
	}
	return false
}
