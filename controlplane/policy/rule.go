package policy

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Sentence says a rule as people read it. A condition that cannot be read is shown as it is written.
func (p *Policy) Sentence(s *ServiceSpec, rule *RuleSpec) string {
	text := rule.Name + ": " + rule.says()
	if rule.When == "" {
		return text
	}
	if c, wrong := p.lowering(&ruleTrees{}, s, "").condition(rule.When); wrong == nil && c.says != "" {
		return text + " when " + c.says
	}
	return text + " when " + rule.When
}

func (s *RuleSpec) says() string {
	switch {
	case len(s.Only) > 0:
		return "only " + strings.Join(s.Only, ", ")
	case len(s.Never) > 0:
		return "never " + strings.Join(s.Never, ", ")
	default:
		return "only who has " + strings.Join(s.Needs, ", ")
	}
}

// pathNames are the names that segments of the operations' paths have. An id may stand anywhere in a path that is open at its end.
func pathNames(ops []OperationSpec) []string {
	var names []string
	for i := range ops {
		pattern, err := parsePattern(ops[i].Match)
		if err != nil {
			continue // told where the operation stands
		}
		for _, s := range pattern.segments {
			if s.kind == named && !slices.Contains(names, s.text) {
				names = append(names, s.text)
			}
		}
		if pattern.fixed() < len(pattern.segments) && !slices.Contains(names, "id") {
			names = append(names, "id")
		}
	}
	return names
}

// lowering compiles the rules of a service for a region; "" is none of them, so that what depends on the region stays open.
func (p *Policy) lowering(trees *ruleTrees, s *ServiceSpec, region string) *lowering {
	ops := s.Operations
	if len(ops) == 0 {
		if spoken, _, err := newCatalog(p.Contracts).resolve(s.Speaks); err == nil {
			ops = spoken.Operations
		}
	}
	names := make([]string, len(ops))
	for i := range ops {
		names[i] = ops[i].Name
	}
	return &lowering{trees: trees, region: region, regions: p.Regions.Names(), operations: names, places: pathNames(ops), base: p.base(), words: map[string]uint16{}}
}

// rule compiles the rules of a service. What never holds in this region is left out.
func (b *builder) rule(s *ServiceSpec, svc *Service) error {
	rules := b.policy.rulesIn(s, b.region)
	if len(rules) == 0 {
		return nil
	}
	l := b.policy.lowering(b.trees, s, b.region)
	for i := range rules {
		c, wrong := l.condition(rules[i].When)
		if wrong != nil {
			return fmt.Errorf("rule %s: %w", rules[i].Name, wrong)
		}
		if c.known == never {
			continue
		}
		text := rules[i].Name + ": " + rules[i].says()
		if c.known == depends {
			text += " when " + c.says
		}
		svc.Rules = append(svc.Rules, Rule{Name: rules[i].Name, Text: text, When: c.run(), Only: b.policy.leaves(&rules[i], s.ProvidersIn(b.region))})
	}
	svc.Reads, svc.words = l.reads, l.words
	return nil
}

// leaves are the candidates that a rule leaves.
func (p *Policy) leaves(rule *RuleSpec, candidates []string) Set {
	var set Set
	for i, name := range candidates {
		if rule.allows(p.Provider(name)) {
			set = set.With(i)
		}
	}
	return set
}

func (s *RuleSpec) allows(p *ProviderSpec) bool {
	switch {
	case len(s.Only) > 0:
		return slices.Contains(s.Only, p.Name)
	case len(s.Never) > 0:
		return !slices.Contains(s.Never, p.Name)
	default:
		return !slices.ContainsFunc(s.Needs, func(f string) bool { return !slices.Contains(p.Features, f) })
	}
}

// rulesIn are the rules of a service as one region may see them: those of its providers that they name. A rule that leaves nobody there
// forbids all of them; one that forbids nobody there is none.
func (p *Policy) rulesIn(s *ServiceSpec, region string) []RuleSpec {
	here := s.ProvidersIn(region)
	elsewhere := func(name string) bool { return !slices.Contains(here, name) }
	var kept []RuleSpec
	for _, rule := range s.Rules {
		switch only, never := slices.DeleteFunc(slices.Clone(rule.Only), elsewhere), slices.DeleteFunc(slices.Clone(rule.Never), elsewhere); {
		case len(rule.Only) > 0 && len(only) == 0, len(rule.Needs) > 0 && p.leaves(&rule, here) == 0:
			rule.Only, rule.Never, rule.Needs = nil, here, nil
		case len(rule.Never) > 0 && len(never) == 0:
			continue
		case len(rule.Only) > 0:
			rule.Only = only
		case len(rule.Never) > 0:
			rule.Never = never
		}
		kept = append(kept, rule)
	}
	return kept
}

// condition reads a CEL text. Where it stands is remembered, so that a mistake in it is told at its own column.
func (r *reader) condition(v value) string {
	switch {
	case v.node.Kind != yaml.ScalarNode:
		r.problem(v, "is "+kindOf(v.node)+", not a condition", "write one, like value > 500")
	case v.node.ShortTag() == "!!null" || strings.TrimSpace(v.node.Value) == "":
		r.problem(v, "is empty", "write a condition, or leave when out: the rule always holds")
	case len(v.node.Value) > maxRule:
		r.problem(v, fmt.Sprintf("is longer than %d bytes", maxRule), "write several rules")
	default:
		r.inLine(v)
		return v.node.Value
	}
	return ""
}

// inLine remembers where a text stands that is written as it is, in one line or in a block.
func (r *reader) inLine(v value) {
	at := place{v.node.Line, v.node.Column}
	if v.node.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0 {
		at.col++
	}
	if v.node.Style&yaml.LiteralStyle != 0 {
		at = place{v.node.Line + 1, 0}
	} else if i, ok := byteOf(r.src, at.line, at.col); !ok || !bytes.HasPrefix(r.src[i:], []byte(v.node.Value)) {
		return
	}
	r.places[v.path+programText] = at
}
