package policy

import (
	"fmt"
	"slices"
	"strings"
)

// synthetics checks scripts under the contract that they are run by.
func (c *checker) synthetics(path string, list []Synthetic, contract *Contract) {
	names := make([]string, len(list))
	for i := range list {
		names[i] = list[i].Name
	}
	c.unique(path, names, nameProblem)
	if len(list) > maxSynthetics {
		c.problem(path, "take some out", "has %d synthetics, more than %d", len(list), maxSynthetics)
	}
	for i := range list {
		c.synthetic(join(path, clip(list[i].Name)), &list[i], contract)
	}
}

// scriptCheck is one synthetic being checked, step by step.
type scriptCheck struct {
	*checker
	contract *Contract
	vars     []string    // that are known by now
	undone   []*TestStep // effects that began something, and what each kept
	names    []string
}

func (c *checker) synthetic(path string, s *Synthetic, contract *Contract) {
	if len(s.Steps) == 0 {
		c.lacks(path+".steps", "write at least one, like {call: GET /v1/balance, expect: {status: 200}}")
	}
	x := &scriptCheck{checker: c, contract: contract, vars: []string{RunMark}}
	for i := range s.Steps {
		x.step(fmt.Sprintf("%s.steps[%d]", path, i), &s.Steps[i], false)
	}
	for i := range s.Cleanup {
		x.step(fmt.Sprintf("%s.cleanup[%d]", path, i), &s.Cleanup[i], true)
	}
	for _, begun := range x.undone {
		if !s.cleans(begun) {
			c.problem(path+".cleanup", "keep the id of what it makes, and write a cleanup that uses it, like {call: POST /v1/payment_intents/{id}/cancel}",
				"nothing takes away what the step %s makes", clip(begun.title()))
		}
	}
}

// cleans tells whether a cleanup uses what a step kept.
func (s *Synthetic) cleans(begun *TestStep) bool {
	return slices.ContainsFunc(s.Cleanup, func(c TestStep) bool {
		return slices.ContainsFunc(begun.Keep, func(k Kept) bool {
			mark := "{" + k.Name + "}"
			return strings.Contains(c.Call, mark) || strings.Contains(c.Body, mark)
		})
	})
}

func (x *scriptCheck) step(path string, s *TestStep, cleanup bool) {
	if s.Name != "" {
		if what := nameProblem(s.Name); what != "" {
			x.problem(path+".name", "write a name, like authorise", "%s", what)
		}
		if slices.Contains(x.names, s.Name) {
			x.problem(path+".name", "give each its own", "%s is there twice", clip(s.Name))
		}
	}
	if s.Unless != "" && (!cleanup || !slices.Contains(x.names, s.Unless)) {
		x.problem(path+".unless", "name a step, in a cleanup", "there is no step %s before", clip(s.Unless))
	}
	x.names = append(x.names, s.Name)
	if !x.call(path, s) {
		return
	}
	x.uses(path, s)
	x.effect(path, s, cleanup)
	x.answers(path, s)
}

func (x *scriptCheck) call(path string, s *TestStep) bool {
	p, err := s.pattern()
	open := err == nil && slices.ContainsFunc(p.segments, func(g segment) bool { return g.kind == one || g.kind == many })
	query := s.query()
	switch {
	case s.Call == "":
		x.lacks(path+".call", "write a request, like POST /v1/payment_intents")
	case err != nil:
		x.problem(path+".call", "write a request, like POST /v1/payment_intents/{id}/cancel", "%v", err)
	case open:
		x.problem(path+".call", "write the whole path", "it is open: * stands for nothing that could be sent")
	case strings.ContainsFunc(query, func(r rune) bool { return r <= ' ' || r > '~' || r == '#' || r == '{' }):
		x.problem(path+".call", "write a plain query, like ?limit=1", "%q is no query", clip(query))
	case s.Body != "" && (p.method == "GET" || p.method == "HEAD"):
		x.problem(path+".body", "leave it out", "a %s has no body", p.method)
	case s.Form && s.Body == "":
		x.problem(path+".form", "leave it out", "there is no body")
	default:
		return true
	}
	return false
}

// uses holds the variables of a step against those that are there.
func (x *scriptCheck) uses(path string, s *TestStep) {
	p, _ := s.pattern() // it was read before
	used := marksIn(s.Body)
	for _, g := range p.segments {
		if g.kind == named {
			used = append(used, g.text)
		}
	}
	for _, e := range s.Expect {
		for _, w := range e.Want {
			used = append(used, marksIn(w)...)
		}
	}
	for _, name := range used {
		if !slices.Contains(x.vars, name) {
			x.problem(path, "keep it in a step before, like keep: {"+name+": body.id}", "nobody knows {%s} here; known: %s", clip(name), strings.Join(x.vars, ", "))
		}
	}
	for _, h := range s.Header {
		if !putHeader(h[0]) || strings.ContainsFunc(h[1], unprintable) || strings.EqualFold(h[0], x.contract.Credential.Header) || strings.EqualFold(h[0], x.contract.Keys.Header) {
			x.problem(path+".header", "name another; the credential and the key are put in by agents", "%s is no header that a step can set", clip(h[0]))
		}
	}
}

// marksIn are the {names} in a text.
func marksIn(text string) []string {
	var found []string
	for {
		_, rest, there := strings.Cut(text, "{")
		if !there {
			return found
		}
		if name, after, closed := strings.Cut(rest, "}"); closed && nameProblem(name) == "" {
			found = append(found, name)
			text = after
			continue
		}
		text = rest
	}
}

// effect wants each effect to be one that can be made once, and taken away.
func (x *scriptCheck) effect(path string, s *TestStep, cleanup bool) {
	o := x.contract.operationOf(s)
	if s.Read && o != nil && !o.Read && (o.Value.Set() || x.contract.Keys.Enforced) {
		x.problem(path+".semantics", "leave it out", "%s is an effect by the contract, and not a read", clip(o.Name))
		return
	}
	if !x.contract.Effects(s) {
		return
	}
	if k := x.contract.Keys; !k.Enforced || k.Header == "" {
		x.problem(path, "use calls that read, or say semantics: read where an answer twice is as good as one", "it is an effect, and the contract has no key that keeps it from executing twice after a crash")
		return
	}
	if !cleanup && x.contract.Begins(s) {
		x.undone = append(x.undone, s)
	}
	if cleanup && x.contract.Begins(s) {
		x.problem(path, "name what it takes away, like POST /v1/payment_intents/{id}/cancel", "it begins something new instead of taking something away")
	}
}

func (x *scriptCheck) answers(path string, s *TestStep) {
	for _, e := range s.Expect {
		if e.Field.In == "status" && slices.ContainsFunc(e.Want, func(w string) bool { return len(w) != 3 || w < "100" || w > "599" }) {
			x.problem(path+".expect.status", "write a status, like 200, or several, like [200, 201]", "%s is no status", clip(strings.Join(e.Want, ", ")))
		}
	}
	for _, k := range s.Keep {
		switch {
		case nameProblem(k.Name) != "" || k.Name == RunMark:
			x.problem(path+".keep", "give it another name, like id", "%q is no name for a variable", clip(k.Name))
		case slices.Contains(x.vars, k.Name):
			x.problem(path+".keep", "give it another name", "{%s} is there already", clip(k.Name))
		case k.From.In == "path":
			x.problem(path+".keep", "write a field of the answer, like body.id", "%s is no field of an answer", k.From)
		}
		x.vars = append(x.vars, k.Name)
	}
}

// testMarks checks how tests are marked.
func (c *checker) testMarks(path string, m TestMarks) {
	if m.Header != "" && !putHeader(m.Header) {
		c.problem(path+".header", "write one, like Segue-Test", "%q is no header that can be set", clip(m.Header))
	}
	if m.Field != "" && (Field{In: "body", Name: m.Field}).problem() != "" {
		c.problem(path+".field", "write a field of the body, like metadata.segue_test", "%q is no field of a body", clip(m.Field))
	}
}

// syntheticRuns checks which synthetics are run at a provider.
func (c *checker) syntheticRuns(path string, p *ProviderSpec, contract *Contract) {
	known := syntheticsOver(contract.Synthetics, p.Synthetics)
	if len(p.Checks.Synthetic) > maxSynthetics {
		c.problem(path+".synthetic", "take some out", "has %d synthetics, more than %d", len(p.Checks.Synthetic), maxSynthetics)
	}
	for i, r := range p.Checks.Synthetic {
		at := path + ".synthetic"
		if len(p.Checks.Synthetic) > 1 {
			at = fmt.Sprintf("%s[%d]", at, i)
		}
		j := slices.IndexFunc(known, func(s Synthetic) bool { return s.Name == r.Name })
		switch {
		case j < 0:
			c.problem(at, "write it under synthetics of the provider or its contract; known: "+orNone(syntheticNames(known)), "there is no synthetic %s", clip(r.Name))
		case r.Every < minSyntheticEvery || r.Every > maxSyntheticEvery:
			c.problem(at, "", "every %s is not between %s and %s", span(r.Every), span(minSyntheticEvery), span(maxSyntheticEvery))
		case slices.ContainsFunc(p.Checks.Synthetic[:i], func(o SyntheticRun) bool { return o.Name == r.Name }):
			c.problem(at, "name each once", "%s is there twice", clip(r.Name))
		default:
			c.synthetic(at, &known[j], contract) // what its contract brings along was written for another one
			c.affordable(at, &known[j], p, contract)
		}
	}
	if len(p.Checks.Synthetic) > 0 && slices.ContainsFunc(p.Credential, func(v RegionValue) bool { return v.Value == CredentialCaller }) {
		c.problem(path+".synthetic", "give the provider a credential of its own, like env:NAME", "nobody calls: the credential cannot be the caller's")
	}
	if p.Checks.AtMost != (Value{}) && len(p.Checks.Synthetic) == 0 {
		c.problem(path+".at_most", "leave it out, or name a synthetic", "bounds nothing")
	}
}

// affordable makes each step as a run would, and holds its value against the bound.
func (c *checker) affordable(path string, s *Synthetic, p *ProviderSpec, contract *Contract) {
	plan := Planned{Synthetic: *s, AtMost: p.Checks.AtMost}
	vars := map[string]string{RunMark: "x"}
	for _, step := range slices.Concat(s.Steps, s.Cleanup) {
		for _, k := range step.Keep {
			vars[k.Name] = "x"
		}
		if _, err := plan.Make(contract, &step, vars); err != nil {
			c.problem(path, "write checks.at_most, like 5 USD, or a smaller amount", "step %s: %v", clip(step.title()), err)
			return
		}
	}
}
