package policy

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// canon is a document in its normal form: every default filled in, every region written out, so that what means the same is the same.
type canon struct {
	keys  []string
	below map[string]*canon // nil: a value
	value *yaml.Node
	text  string // of the value, for comparing
}

func (c *canon) mapping() bool { return c != nil && c.below != nil }

func (c *canon) single() bool { return c != nil && c.below == nil }

func (c *canon) at(key string) *canon {
	if c == nil {
		return nil
	}
	return c.below[key]
}

func (c *canon) list() []string {
	if c == nil {
		return nil
	}
	return c.keys
}

func (c *canon) add(key string, one *canon) {
	c.keys = append(c.keys, key)
	c.below[key] = one
}

// equal compares what is said; the order of a mapping says nothing.
func (c *canon) equal(o *canon) bool {
	switch {
	case c == nil || o == nil:
		return c == o
	case c.mapping() != o.mapping() || c.text != o.text || len(c.keys) != len(o.keys):
		return false
	}
	for _, key := range c.keys {
		if other, there := o.below[key]; !there || !c.below[key].equal(other) {
			return false
		}
	}
	return true
}

// normal is a policy's normal form. What Marshal wrote can be read; if it could not, the tree would be empty, and no policy comes of that.
func normal(p *Policy) *canon {
	doc := document(Marshal(spread(p)))
	if doc == nil {
		return &canon{below: map[string]*canon{}}
	}
	return grown(nil, doc.Content[0])
}

// document reads the nodes of a text, nil where there are none.
func document(src []byte) *yaml.Node {
	var doc yaml.Node
	if err := yaml.Unmarshal(src, &doc); err != nil || len(doc.Content) == 0 {
		return nil
	}
	return &doc
}

// spread writes out what a policy says by leaving it out: the weights of every region, the defaults.
func spread(p *Policy) *Policy {
	q := *p
	q.Services, q.Providers, q.Exchange = slices.Clone(p.Services), slices.Clone(p.Providers), p.wholeExchange()
	for i := range q.Services {
		s, from := &q.Services[i], &p.Services[i]
		s.Attempts, s.Breaker = s.Attempts.filled(), s.Breaker.filled()
		s.Weights, s.Priority, s.Providers, s.NoQuorum = nil, nil, nil, cmp.Or(s.NoQuorum, RefuseEffects)
		s.HighValue, s.Budget = s.HighValue.filled(), s.Budget.filled()
		if s.Strategy == Adaptive {
			s.Balance = s.Balance.filled()
		}
		for _, r := range p.Regions {
			if w := from.WeightsIn(r.Name); w != nil {
				s.Weights = append(s.Weights, RegionWeights{r.Name, w})
			}
			if order := from.PriorityIn(r.Name); order != nil {
				s.Priority = append(s.Priority, RegionPriority{r.Name, order})
			}
			if list := from.ListedIn(r.Name); list != nil {
				s.Providers = append(s.Providers, RegionPriority{r.Name, list})
			}
		}
	}
	for i := range q.Providers {
		s, from := &q.Providers[i], &p.Providers[i]
		s.Account, s.Endpoint, s.Credential, s.HookSecret, s.Cost = from.AccountName(), nil, nil, nil, nil
		for _, r := range p.Regions {
			if v := valueIn(from.Endpoint, r.Name); v != "" {
				s.Endpoint = append(s.Endpoint, RegionValue{r.Name, v})
			}
			if v := from.CredentialIn(r.Name); v != "" {
				s.Credential = append(s.Credential, RegionValue{r.Name, v})
			}
			if v := from.HookSecretIn(r.Name); v != "" {
				s.HookSecret = append(s.HookSecret, RegionValue{r.Name, v})
			}
			if cost, said := from.CostIn(r.Name); said {
				s.Cost = append(s.Cost, RegionCost{r.Name, cost})
			}
		}
	}
	return &q
}

// grown reads a canonical node.
func grown(path []string, n *yaml.Node) *canon {
	if n.Kind != yaml.MappingNode || oneField(path) {
		return &canon{value: n, text: exact(n)}
	}
	t := &canon{below: map[string]*canon{}}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i].Value
		t.add(key, grown(append(slices.Clone(path), key), n.Content[i+1]))
	}
	return t
}

// oneField tells mappings that are merged as one value: where the order decides, or where there are two ways to write it.
func oneField(path []string) bool {
	return len(path) == 4 && path[2] == "synthetics" ||
		len(path) == 3 && (path[2] == "operations" || path[0] == "services" && (path[2] == "listen" || path[2] == "balance"))
}

// exact is a node as a text that no other value has.
func exact(n *yaml.Node) string {
	return flow(n, strconv.Quote)
}

// shown is a value as people read it.
func (c *canon) shown() string {
	switch {
	case c == nil:
		return ""
	case c.mapping():
		return present
	}
	text := flow(c.value, func(s string) string { return s })
	if len(text) > maxShown {
		text = strings.ToValidUTF8(text[:maxShown], "") + "…"
	}
	return text
}

func flow(n *yaml.Node, scalar func(string) string) string {
	var parts []string
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			parts = append(parts, scalar(n.Content[i].Value)+": "+flow(n.Content[i+1], scalar))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case yaml.SequenceNode:
		for _, e := range n.Content {
			parts = append(parts, flow(e, scalar))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	default:
		return scalar(n.Value)
	}
}

// node is the tree as YAML.
func (c *canon) node() *yaml.Node {
	if !c.mapping() {
		return c.value
	}
	m := mapping().node
	flat := len(c.keys) > 0
	for _, key := range c.keys {
		one := c.below[key]
		flat = flat && !one.mapping() && one.value.Kind == yaml.ScalarNode
		m.Content = append(m.Content, scalar(key), one.node())
	}
	if flat {
		m.Style = yaml.FlowStyle
	}
	return m
}
