package policy

import (
	"math"
	"slices"
	"strings"
)

func (c *checker) services() {
	names := make([]string, len(c.Services))
	for i := range c.Services {
		names[i] = c.Services[i].Name
	}
	c.unique("services", names, nameProblem)
	for i := range c.Services {
		c.service(&c.Services[i])
	}
	c.listeners()
	c.sharing()
}

func (c *checker) service(s *ServiceSpec) {
	path := join("services", clip(s.Name))
	if s.Speaks == "" {
		c.lacks(path+".speaks", "name the contract that the application's code talks, like stripe/v1")
	} else if spoken, _, err := c.catalog.resolve(s.Speaks); err != nil {
		c.problem(path+".speaks", didYouMean(s.Speaks, c.catalog.names()), "%v", err)
	} else if len(s.Operations) == 0 && len(spoken.Operations) == 0 {
		c.lacks(path+".operations", "list them: contract "+s.Speaks+" has none")
	}
	if s.Listen.Port == 0 && s.Listen.Host == "" {
		c.lacks(path+".listen", "write a port, like 7101")
	} else {
		c.listen(path+".listen", s.Listen)
	}
	c.operations(path+".operations", s.Operations)
	c.strategy(path, s)
	c.plan(path, s)
	c.attempts(path+".attempts", s.Attempts)
	c.breaker(path+".breaker", s.Breaker)
	c.session(path+".session", s.Session)
	c.tokensOf(path+".session", s)
	c.offline(path, s)
}

func (c *checker) listen(path string, l Listen) {
	if l.Port < 1 || l.Port > 65535 {
		c.problem(path, "write a port, like 7101", "port %d is not between 1 and 65535", l.Port)
	}
	if l.Host != "" && !hostName(l.Host) {
		c.problem(path+".host", "write a name in small letters, like payments.segue.internal", "%q is no host name", clip(l.Host))
	}
}

func hostName(host string) bool {
	for label := range strings.SplitSeq(host, ".") {
		if nameProblem(label) != "" || strings.Contains(label, "_") {
			return false
		}
	}
	return len(host) <= 253
}

// listeners refuses two services that a caller could not tell apart.
func (c *checker) listeners() {
	for i := range c.Services {
		s := &c.Services[i]
		for j := range i {
			other := &c.Services[j]
			if s.Listen.Port != other.Listen.Port || s.Listen.Port == 0 {
				continue
			}
			path := join("services", clip(s.Name)) + ".listen"
			switch {
			case s.Listen.Host == "" || other.Listen.Host == "":
				c.problem(path, "give both a host, or one another port", "services %s and %s share port %d without a host each", other.Name, s.Name, s.Listen.Port)
			case s.Listen.Host == other.Listen.Host:
				c.problem(path, "give one another host or port", "services %s and %s listen on the same port and host", other.Name, s.Name)
			}
		}
	}
}

// sharing refuses a provider in two services: its circuit, its slots and its drain belong to one.
func (c *checker) sharing() {
	owner := map[string]string{}
	for i := range c.Services {
		s := &c.Services[i]
		for _, name := range s.allProviders() {
			if first, taken := owner[name]; taken && first != s.Name {
				c.problem(join("services", clip(s.Name)), "declare a second provider with the same contract",
					"provider %s serves %s already, and a provider belongs to one service", clip(name), clip(first))
			}
			owner[name] = s.Name
		}
	}
}

// allProviders are the providers of a service in any region, each once, in the order in which they are named.
func (s *ServiceSpec) allProviders() []string {
	var names []string
	add := func(name string) {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	for _, w := range s.Weights {
		for _, p := range w.Weights {
			add(p.Provider)
		}
	}
	for _, p := range slices.Concat(s.Priority, s.Providers) {
		for _, name := range p.Providers {
			add(name)
		}
	}
	return names
}

func (c *checker) strategy(path string, s *ServiceSpec) {
	switch s.Strategy {
	case Weighted:
		c.weights(path+".weights", s)
	case Priority:
		c.priority(path+".priority", s)
	case Nearest, Adaptive:
		c.listed(path+".providers", s)
	default:
		c.lacks(path+".strategy", "write "+strings.Join(strategyWords(), ", "))
		return
	}
	c.beside(path, s)
}

func (c *checker) weights(path string, s *ServiceSpec) {
	if len(s.Weights) == 0 {
		c.lacks(path, "write a share for each provider, like {main: 100, backup: 0}")
		return
	}
	var keys []string
	for _, w := range s.Weights {
		keys = append(keys, w.Region)
		c.shares(regionPath(path, w.Region, len(s.Weights)), s, w.Weights)
	}
	c.regionKeys(path, keys)
	c.everyRegion(path, s)
}

// shares checks one region's weights.
func (c *checker) shares(path string, s *ServiceSpec, weights []Weight) {
	sum, names, good := 0.0, []string(nil), true
	for _, w := range weights {
		if !(w.Percent >= 0 && w.Percent <= 100) {
			c.problem(join(path, clip(w.Provider)), "write a share from 0 to 100", "%v is no share in percent", w.Percent)
			good = false
		}
		sum += w.Percent
		names = append(names, w.Provider)
	}
	c.candidates(path, s, names, func(i int) string { return join(path, clip(names[i])) })
	switch {
	case !good || len(weights) == 0:
	case sum == 0:
		c.problem(path, "give at least one provider a share", "no provider has a share: every weight is 0")
	case math.Abs(sum-100) > 0.01:
		c.problem(path, "let the shares add up to 100", "the shares add up to %s", percent(sum))
	}
}

func (c *checker) priority(path string, s *ServiceSpec) {
	if len(s.Priority) == 0 {
		c.lacks(path, "list the providers, the preferred first, like [main, backup]")
		return
	}
	c.orders(path, s, s.Priority)
}

// everyRegion wants providers for each region: an agent without one could only refuse. An entry that is there but names none
// is told where it stands.
func (c *checker) everyRegion(path string, s *ServiceSpec) {
	var bare []string
	for _, r := range c.Regions {
		_, weighted := inRegion(s.Weights, r.Name, func(w RegionWeights) string { return w.Region })
		_, ordered := inRegion(s.Priority, r.Name, func(p RegionPriority) string { return p.Region })
		_, listed := inRegion(s.Providers, r.Name, func(p RegionPriority) string { return p.Region })
		if !weighted && !ordered && !listed {
			bare = append(bare, clip(r.Name))
		}
	}
	if len(bare) > 0 {
		c.problem(path, "add them, or "+Default+" for every region that is not named", "says nothing of %s", strings.Join(bare, ", "))
	}
}

// candidates checks the providers that a service names in one region.
func (c *checker) candidates(path string, s *ServiceSpec, names []string, at func(int) string) {
	if len(names) == 0 {
		c.problem(path, "name at least one", "names no provider")
	}
	if len(names) > MaxCandidates {
		c.problem(path, "take some out", "has %d providers, more than %d", len(names), MaxCandidates)
	}
	for i, name := range names {
		p := c.Provider(name)
		switch {
		case slices.Contains(names[:i], name):
			c.problem(at(i), "keep one of them", "provider %s is there twice", clip(name))
		case p == nil:
			c.problem(at(i), didYouMean(name, c.providerNames()), "there is no provider %q", clip(name))
		default:
			c.spokenBy(at(i), s, p)
		}
	}
}

func (c *checker) attempts(path string, a Attempts) {
	c.retryBudget(path+".budget", a.Budget)
	full := a.filled()
	switch {
	case a.Max < 0 || a.Max > maxAttempts:
		c.problem(path+".max", "", "%d is not between 1 and %d", a.Max, maxAttempts)
	case a.PerTry < 0 || a.PerTry > maxPerTry:
		c.problem(path+".per_try", "", "%s is not between 0 and %s", span(a.PerTry), span(maxPerTry))
	case a.Deadline < 0 || a.Deadline > maxDeadline:
		c.problem(path+".deadline", "", "%s is not between 0 and %s", span(a.Deadline), span(maxDeadline))
	case full.PerTry > full.Deadline:
		c.problem(path, "shorten per_try or write a longer deadline",
			"one try (%s) takes longer than the deadline (%s) allows", span(full.PerTry), span(full.Deadline))
	}
}

func (c *checker) breaker(path string, b Breaker) {
	if b.Failures < 0 || b.Failures > maxBreakerRuns {
		c.problem(path+".failures", "", "%d is not between 1 and %d", b.Failures, maxBreakerRuns)
	}
	if b.Successes < 0 || b.Successes > maxBreakerRuns {
		c.problem(path+".successes", "", "%d is not between 1 and %d", b.Successes, maxBreakerRuns)
	}
	if b.Reset < 0 || b.Reset > maxReset {
		c.problem(path+".reset", "", "%s is not between 0 and %s", span(b.Reset), span(maxReset))
	}
	c.window(path, b)
}
