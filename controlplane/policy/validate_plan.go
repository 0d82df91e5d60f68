package policy

import (
	"fmt"
	"slices"
	"strings"
)

// plan checks how a service's provider is chosen, beside its strategy.
func (c *checker) plan(path string, s *ServiceSpec) {
	c.balance(path+".balance", s)
	if h := s.HighValue; h != (ValuePlan{}) {
		switch {
		case !h.Above.good() || h.Above.Amount == 0:
			c.problem(path+".high_value.above", priceExample, "%s is no amount above 0", h.Above)
		case h.Prefer != "" && h.Prefer != PreferReliability:
			c.problem(path+".high_value.prefer", "write reliability", "%q is unknown", clip(string(h.Prefer)))
		}
	}
	if s.Shift.Away < 0 || s.Shift.Away > maxShift {
		c.problem(path+".shift.away", "", "%s is not between 0 and %s", span(s.Shift.Away), span(maxShift))
	}
	if s.Shift.Back < 0 || s.Shift.Back > maxShift {
		c.problem(path+".shift.back", "", "%s is not between 0 and %s", span(s.Shift.Back), span(maxShift))
	}
	if b := s.Budget; b != (SpendPlan{}) {
		switch {
		case !b.Limit.good() || b.Limit.Amount == 0 || b.text() == "":
			c.problem(path+".budget.spend", "write an amount over an hour or a day, like 200 USD/day", "is no budget")
		case b.Then != "" && b.Then != SpendRefuse && b.Then != SpendCheapest:
			c.problem(path+".budget.then", "write refuse or cheapest", "%q is unknown", clip(string(b.Then)))
		}
	}
	c.rules(path+".rules", s)
}

func (c *checker) balance(path string, s *ServiceSpec) {
	b := s.Balance
	switch parts := b; {
	case b == (Balance{}):
	case s.Strategy != Adaptive:
		c.problem(path, "write strategy: adaptive, or leave it out", "does nothing beside strategy %s", s.Strategy)
	case b.Preset != "":
		if parts.Preset = ""; !slices.Contains(presets(), b.Preset) || parts != (Balance{}) {
			c.problem(path, didYouMean(b.Preset, presets()), "%q is no preset, or has parts beside it", clip(b.Preset))
		}
	default:
		for _, part := range [...]float64{b.Cost, b.Reliability, b.Latency} {
			if !(part >= 0 && part <= 100) {
				c.problem(path, "write how much each matters, like {cost: 70, reliability: 30}", "%v is not between 0 and 100", part)
			}
		}
	}
}

// listed checks `providers` of strategies nearest and adaptive.
func (c *checker) listed(path string, s *ServiceSpec) {
	if len(s.Providers) == 0 {
		c.lacks(path, "list those who serve, like [main, backup]")
		return
	}
	c.orders(path, s, s.Providers)
}

// orders checks lists of providers by region.
func (c *checker) orders(path string, s *ServiceSpec, orders []RegionPriority) {
	var keys []string
	for _, p := range orders {
		keys = append(keys, p.Region)
		at := regionPath(path, p.Region, len(orders))
		c.candidates(at, s, p.Providers, func(i int) string { return fmt.Sprintf("%s[%d]", at, i) })
	}
	c.regionKeys(path, keys)
	c.everyRegion(path, s)
}

// beside refuses the fields of other strategies: they would do nothing.
func (c *checker) beside(path string, s *ServiceSpec) {
	for _, f := range [...]struct {
		name  string
		there bool
		of    bool
	}{
		{"weights", len(s.Weights) > 0, s.Strategy == Weighted},
		{"priority", len(s.Priority) > 0, s.Strategy == Priority},
		{"providers", len(s.Providers) > 0, s.Strategy.listed()},
	} {
		if f.there && !f.of {
			c.problem(path+"."+f.name, "leave one of them out", "does nothing beside strategy %s", s.Strategy)
		}
	}
}

func (c *checker) retryBudget(path string, b RetryBudget) {
	if !(b.Ratio >= 0 && b.Ratio <= 1) {
		c.problem(path+".ratio", "write a number above 0 and at most 1, like 0.2", "%v is no share of the calls", b.Ratio)
	}
	if !(b.Floor >= 0 && b.Floor <= maxRate) {
		c.problem(path+".floor", "", "%v a second is not between 0 and %d", b.Floor, maxRate)
	}
}

// window checks the error rate of a breaker. Window and calls without percent would do nothing.
func (c *checker) window(path string, b Breaker) {
	switch {
	case !(b.Percent >= 0 && b.Percent <= 100):
		c.problem(path+".percent", "write percent, like 50", "%v is not between 0 and 100", b.Percent)
	case b.Window < 0 || b.Window > maxWindow:
		c.problem(path+".window", "", "%s is not between 0 and %s", span(b.Window), span(maxWindow))
	case b.Calls < 0 || b.Calls > maxBreakerRuns:
		c.problem(path+".calls", "", "%d is not between 1 and %d", b.Calls, maxBreakerRuns)
	case b.Percent == 0 && b.Window != 0:
		c.problem(path+".window", "write percent too, like 50", "does nothing without percent")
	case b.Percent == 0 && b.Calls != 0:
		c.problem(path+".calls", "write percent too, like 50", "does nothing without percent")
	}
}

// offer checks what a provider can, and where it is near.
func (c *checker) offer(path string, p *ProviderSpec) {
	if len(p.Features) > maxFeatures {
		c.problem(path+".features", "shorten the list", "has %d entries, more than %d", len(p.Features), maxFeatures)
	}
	for i, f := range p.Features {
		at := fmt.Sprintf("%s.features[%d]", path, i)
		if what := nameProblem(f); what != "" {
			c.problem(at, "names are like 3ds or refunds", "%s", what)
		} else if slices.Contains(p.Features[:i], f) {
			c.problem(at, "keep one of them", "%s is there twice", f)
		}
	}
	for i, n := range p.Near {
		at := fmt.Sprintf("%s.near[%d]", path, i)
		if !c.hasRegion(n) {
			c.problem(at, didYouMean(n, c.Regions.Names()), "there is no region %q", clip(n))
		} else if slices.Contains(p.Near[:i], n) {
			c.problem(at, "keep one of them", "%s is there twice", n)
		}
	}
	c.costs(path+".cost", p.Cost)
}

// featuresOf are all that some of the providers have.
func (c *checker) featuresOf(providers []string) []string {
	var list []string
	for _, name := range providers {
		if p := c.Provider(name); p != nil {
			list = append(list, p.Features...)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// ruleProblem tells what is wrong with a rule's name, or "".
func ruleNameProblem(name string) string {
	switch {
	case name == "":
		return "the name is empty"
	case len(name) > maxRuleName:
		return fmt.Sprintf("the name is longer than %d bytes", maxRuleName)
	case strings.TrimSpace(name) != name || strings.ContainsFunc(name, unprintable):
		return "the name begins or ends with blanks, or holds what cannot be printed"
	default:
		return ""
	}
}
