package policy

import (
	"fmt"
	"slices"
	"strings"
)

func (c *checker) rules(path string, s *ServiceSpec) {
	if len(s.Rules) > maxRules {
		c.problem(path, "put some together", "has %d rules, more than %d", len(s.Rules), maxRules)
		return
	}
	if c.all += len(s.Rules); c.all > maxAllRules {
		c.problem(path, "put some together", "is one rule too many: a policy has at most %d", maxAllRules)
		return
	}
	l := c.lowering(&c.trees, s, "")
	for i := range s.Rules {
		at := fmt.Sprintf("%s[%d]", path, i)
		c.ruleName(at, s, i)
		c.leaving(at, s, &s.Rules[i])
		c.conditionOf(at+".when", s, &s.Rules[i], l)
	}
}

func (c *checker) ruleName(path string, s *ServiceSpec, i int) {
	name := s.Rules[i].Name
	if name == "" {
		c.lacks(path+".name", "say what it is for, like EU cards stay in the EU")
		return
	}
	if what := ruleNameProblem(name); what != "" {
		c.problem(path+".name", "say what it is for, like EU cards stay in the EU", "%s", what)
	}
	if slices.ContainsFunc(s.Rules[:i], func(r RuleSpec) bool { return r.Name == name }) {
		c.problem(path+".name", "give each its own", "a rule is called so already")
	}
}

// leaving checks whom a rule names.
func (c *checker) leaving(path string, s *ServiceSpec, rule *RuleSpec) {
	said := 0
	for _, list := range [...][]string{rule.Only, rule.Never, rule.Needs} {
		if len(list) > 0 {
			said++
		}
	}
	if said != 1 {
		c.problem(path, "write one of only: [main], never: [main], needs: [3ds]", "says %s of whom it leaves", map[bool]string{true: "nothing", false: "several things"}[said == 0])
		return
	}
	all := s.allProviders()
	for _, list := range [...]struct {
		key   string
		names []string
	}{{"only", rule.Only}, {"never", rule.Never}} {
		for i, name := range list.names {
			at := fmt.Sprintf("%s.%s[%d]", path, list.key, i)
			if !slices.Contains(all, name) {
				c.problem(at, didYouMean(name, all), "no provider %q serves %s", clip(name), clip(s.Name))
			} else if slices.Contains(list.names[:i], name) {
				c.problem(at, "keep one of them", "%s is there twice", name)
			}
		}
	}
	for i, f := range rule.Needs {
		at := fmt.Sprintf("%s.needs[%d]", path, i)
		if slices.Contains(rule.Needs[:i], f) {
			c.problem(at, "keep one of them", "%s is there twice", clip(f))
		} else if had := c.featuresOf(all); !slices.Contains(had, f) {
			c.problem(at, didYouMean(f, had), "no provider of %s has the feature %q", clip(s.Name), clip(f))
		}
	}
}

// conditionOf compiles a condition, with what the rules before it read, and in every region, and refuses a rule that leaves nobody for all calls of one.
func (c *checker) conditionOf(path string, s *ServiceSpec, rule *RuleSpec, l *lowering) {
	if len(rule.When) > maxRule {
		c.problem(path, "write several rules", "is longer than %d bytes", maxRule)
		return
	}
	if _, wrong := l.condition(rule.When); wrong != nil {
		c.within[path] = wrong.place
		c.problem(path, wrong.fix, "%s", wrong.what)
		return
	}
	var alone []string
	for _, r := range c.Regions {
		here := s.ProvidersIn(r.Name)
		if known := slices.ContainsFunc(here, func(name string) bool { return c.Provider(name) == nil }); known || len(here) == 0 {
			continue
		}
		if got, wrong := c.lowering(&c.trees, s, r.Name).condition(rule.When); wrong == nil && got.known == always && c.leaves(rule, here) == 0 {
			alone = append(alone, clip(r.Name))
		}
	}
	if len(alone) > 0 {
		c.problem(strings.TrimSuffix(path, ".when"), "write when, or leave it somebody there", "leaves nobody for any call in %s", strings.Join(alone, ", "))
	}
}
