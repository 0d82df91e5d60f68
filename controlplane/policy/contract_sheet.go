package policy

import (
	"slices"
	"strings"
)

// Sheet is a contract as people read it: what is stated, where the vendor says so, and what follows for each operation.
type Sheet struct {
	Name       string    `json:"name"`
	Like       string    `json:"like,omitempty"` // the contract that it starts from
	Builtin    bool      `json:"builtin"`        // it comes with Segue
	Facts      []Stated  `json:"facts"`          // what is not stated is not here
	Operations []Promise `json:"operations"`
}

// Stated is one fact of a contract.
type Stated struct {
	Fact   string `json:"fact"`             // as the document calls it
	Says   string `json:"says"`             // in words
	Source string `json:"source,omitempty"` // the vendor's page
}

// Promise is what holds for one operation.
type Promise struct {
	Operation string `json:"operation"`
	Match     string `json:"match"`        // method and path
	Class     Class  `json:"class"`        // G, F, T, N, D or read; none: it is not made there
	To        string `json:"to,omitempty"` // the provider's own operation that carries it out, where it has another API
	Why       string `json:"why"`
}

// Sheets are the contracts that a policy can name, the built-in ones first.
func (p *Policy) Sheets() []Sheet {
	var list []Sheet
	for _, name := range newCatalog(p.Contracts).names() {
		if c, err := p.Contract(name); err == nil {
			list = append(list, c.Sheet())
		}
	}
	return list
}

// Sheet is the contract as people read it. It is for a contract with all that like brings along.
func (c *Contract) Sheet() Sheet {
	_, builtin := Builtin(c.Name)
	return Sheet{Name: c.Name, Like: c.Like, Builtin: builtin, Facts: c.facts(), Operations: Promises(c.Operations, c)}
}

// Promises are what holds for operations at a provider with a contract.
func Promises(operations []OperationSpec, c *Contract) []Promise {
	list := make([]Promise, len(operations))
	for i := range operations {
		o := &operations[i]
		list[i] = Promise{Operation: o.Name, Match: o.Match}
		list[i].Class, list[i].Why = ClassOf(o, c)
	}
	return list
}

// Promises are what holds for the operations of a service at one of its providers. Where that has another API, they are those of the
// operations that carry them out there.
func (p *Policy) Promises(s *ServiceSpec, c *Contract) []Promise {
	operations := p.OperationsOf(s)
	_, chain, err := newCatalog(p.Contracts).resolve(c.Name)
	if err != nil || slices.Contains(chain, s.Speaks) {
		return Promises(operations, c)
	}
	list := make([]Promise, len(operations))
	for i := range operations {
		o := operations[i]
		list[i] = Promise{Operation: o.Name, Match: o.Match, Class: NotThere, Why: "Its contract does not map this operation: it is never sent there."}
		if m := c.spoken(s.Speaks).mapping(o.Name); m != nil {
			o.Name = m.To
			list[i].Class, list[i].Why = ClassOf(&o, c)
			list[i].To = m.To
		}
	}
	return list
}

// facts are in the order in which one asks for them.
func (c *Contract) facts() []Stated {
	slot := c.Credential.Header + ": " + c.Credential.Value
	if c.Credential.Path != "" {
		slot += ", and {user} of " + c.Credential.Path
	}
	list := []Stated{}
	for _, f := range [][2]string{
		{"endpoint", c.Endpoint}, {"dialect", string(c.Dialect)}, {"credential", slot}, {"keys", c.Keys.text()}, {"statuses", c.statusLines()},
		{"retry_after", c.RetryAfter}, {"rate_limit", c.RateLimit.text()}, {"object_id", c.ObjectID}, {"fees", c.feesText()}, {"use", c.Use.text()}, {"codes", strings.Join(c.Codes, ", ")}, {"lookup", c.Recourse.Lookup.text()},
		{"cancel", c.Recourse.Cancel.text()}, {"refund", c.Recourse.Refund}, {"settle", spanText(c.Recourse.Settle)}, {"webhooks", c.Webhooks.text()},
		{"session", passagesText(c.Session)},
		{"speaks", spokenText(c.Speaks)},
		{"tests", strings.Join(strings.Fields(c.Tests.Header+" "+c.Tests.Field), ", ")}, {"synthetics", syntheticNames(c.Synthetics)},
	} {
		if f[1] != "" {
			list = append(list, Stated{f[0], f[1], c.page(f[0])})
		}
	}
	return list
}

// statusLines are the rules by what they prove.
func (c *Contract) statusLines() string {
	var lines []string
	for _, outcome := range outcomes() {
		var list []string
		for _, r := range c.Statuses {
			if r.Outcome == outcome {
				list = append(list, strings.TrimSpace(rangeText(r.From, r.To)+" "+r.Code))
			}
		}
		if len(list) > 0 {
			lines = append(lines, outcome+": "+strings.Join(list, ", "))
		}
	}
	return strings.Join(lines, "; ")
}

// OperationsOf are what a service offers: its own, or those of the contract that it speaks.
func (p *Policy) OperationsOf(s *ServiceSpec) []OperationSpec {
	if len(s.Operations) > 0 {
		return slices.Clone(s.Operations)
	}
	c, err := p.Contract(s.Speaks)
	if err != nil {
		return nil
	}
	return c.Operations
}
