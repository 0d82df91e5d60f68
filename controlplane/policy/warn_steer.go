package policy

import "fmt"

// steeringWarnings tell what a policy says that depends on calls, or does less than its author may think. None of it is wrong.
func (p *Policy) steeringWarnings() []string {
	var list []string
	trees := &ruleTrees{}
	for i := range p.Services {
		s := &p.Services[i]
		for k := range s.Rules {
			for _, r := range p.Regions {
				c, wrong := p.lowering(trees, s, r.Name).condition(s.Rules[k].When)
				if wrong == nil && c.known == depends && p.leaves(&s.Rules[k], s.ProvidersIn(r.Name)) == 0 {
					list = append(list, fmt.Sprintf("%s / %s: rule %q leaves nobody there: the calls that it is for are refused", s.Name, r.Name, s.Rules[k].Name))
				}
			}
		}
		if s.Strategy == Nearest && !p.someNear(s) {
			list = append(list, s.Name+": no provider says what it is near: all are equally far")
		}
		if s.Strategy == Adaptive && !p.someCost(s) {
			list = append(list, s.Name+": no provider says what a call costs: only reliability and latency decide")
		}
	}
	return list
}

func (p *Policy) someNear(s *ServiceSpec) bool {
	for _, name := range s.allProviders() {
		if one := p.Provider(name); one != nil && len(one.Near) > 0 {
			return true
		}
	}
	return false
}

func (p *Policy) someCost(s *ServiceSpec) bool {
	for _, name := range s.allProviders() {
		if one := p.Provider(name); one != nil && len(one.Cost) > 0 {
			return true
		}
	}
	return false
}
