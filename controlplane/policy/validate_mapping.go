package policy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// speaks checks what a contract itself says of other APIs, and the whole of it once like has been followed.
func (c *checker) speaks(path string, own, full *Contract) {
	if len(own.Speaks) > maxSpoken {
		c.problem(path, "take some out", "are %d APIs, more than %d", len(own.Speaks), maxSpoken)
	}
	seen := map[string]bool{}
	for i := range own.Speaks {
		s := &own.Speaks[i]
		at := join(path, clip(s.API))
		if seen[s.API] {
			c.problem(at, "keep one of them", "is there twice")
		}
		seen[s.API] = true
		spoken, chain, err := c.catalog.resolve(s.API)
		switch {
		case err != nil:
			c.problem(at, didYouMean(s.API, c.catalog.names()), "%v", err)
			continue
		case slices.Contains(chain, own.Name) || c.likes(own, s.API):
			c.problem(at, "leave it out", "is its own API: there is nothing to map")
			continue
		}
		c.spokenParts(at, s)
		if whole := full.spoken(s.API); whole != nil {
			c.spokenWhole(at, s, whole, &spoken, full)
		}
	}
}

// likes tells whether a contract starts from another.
func (c *checker) likes(own *Contract, name string) bool {
	_, chain, err := c.catalog.resolve(own.Name)
	return err == nil && slices.Contains(chain, name)
}

func (c *checker) spokenParts(path string, s *Spoken) {
	if len(s.Headers) > maxHeaders {
		c.problem(path+".headers", "take some out", "has %d headers, more than %d", len(s.Headers), maxHeaders)
	}
	for i, h := range s.Headers {
		at := fmt.Sprintf("%s.headers[%d]", path, i)
		switch {
		case !token(h):
			c.problem(at, "write one, like Accept-Language", "%q is no header's name", clip(h))
		case secretHeader(h):
			c.problem(at, "leave it out", "%s holds a secret, which no program sees", clip(h))
		}
	}
	c.unique(path+".tables", namesOf(s.Tables, func(t Table) string { return t.Name }), nameProblem)
	for _, t := range s.Tables {
		at := join(path+".tables", clip(t.Name))
		if len(t.Entries) == 0 || len(t.Entries) > maxEntries {
			c.problem(at, "", "has %d entries, not 1 to %d", len(t.Entries), maxEntries)
		}
		seen := map[string]bool{}
		for _, e := range t.Entries {
			if seen[e.From] || e.From == "" || len(e.From) > maxText || len(e.To) > maxText || strings.ContainsFunc(e.From+e.To, unprintable) {
				c.problem(join(at, clip(e.From)), "keep one entry, of at most 512 printable bytes", "is empty, too long, unprintable, or there twice")
			}
			seen[e.From] = true
		}
	}
	c.unique(path+".operations", namesOf(s.Operations, func(m Mapping) string { return m.Operation }), nameProblem)
}

func namesOf[T any](list []T, name func(T) string) []string {
	names := make([]string, len(list))
	for i := range list {
		names[i] = name(list[i])
	}
	return names
}

// secretHeader tells whether a header is made to hold a credential.
func secretHeader(name string) bool {
	return slices.ContainsFunc([]string{"Authorization", "Proxy-Authorization", "Cookie", "Set-Cookie", "X-Api-Key", "Api-Key", "Www-Authenticate"},
		func(s string) bool { return strings.EqualFold(s, name) })
}

// spokenWhole checks each operation as agents will run it. A program that like brought along is told where this contract changed what it
// stands on.
func (c *checker) spokenWhole(path string, own, whole *Spoken, spoken, full *Contract) {
	tables := tableTrees(whole.Tables)
	if own.Define != "" { // read with nothing behind it
		text := own.Define + "\n."
		c.program(path+".define", text, "", text, tables)
	}
	c.program(path+".error", own.Error, whole.Define, own.Error, tables)
	operations := namesOf(spoken.Operations, func(o OperationSpec) string { return o.Name })
	targets := namesOf(full.Operations, func(o OperationSpec) string { return o.Name })
	for i := range whole.Operations {
		m := &whole.Operations[i]
		mine := own.mapping(m.Operation)
		if mine == nil {
			mine = &Mapping{}
		}
		at := join(path+".operations", clip(m.Operation))
		if len(operations) > 0 && !slices.Contains(operations, m.Operation) {
			c.problem(at, didYouMean(m.Operation, operations), "%s has no operation %q", spoken.Name, clip(m.Operation))
			continue
		}
		switch to := full.operation(m.To); {
		case m.To == "":
			c.lacks(at+".to", "name the operation that carries it out: "+strings.Join(targets, ", "))
		case to == nil:
			c.problem(at+".to", didYouMean(m.To, targets), "the contract has no operation called %q", clip(m.To))
		case spoken.operation(m.Operation) != nil && spoken.operation(m.Operation).Read && !to.Read:
			c.problem(at+".to", "choose a read", "%s is an effect, and %s is a read of %s, which is sent again", m.To, m.Operation, spoken.Name)
		}
		for _, p := range []struct{ field, own, whole string }{
			{"request", mine.Request, m.Request}, {"answer", mine.Answer, m.Answer},
			{"error", mine.Error, firstOf(m.Error, whole.Error)}, {"event", mine.Event, m.Event},
		} {
			if p.whole == "" && p.field != "event" {
				c.lacks(at+"."+p.field, "write the jq program")
			}
			before := len(c.problems)
			if c.program(at+"."+p.field, p.own, whole.Define, p.whole, tables); len(c.problems) == before && own.holds(p.own) {
				gives := c.ends(at+"."+p.field, whole.Define, p.whole, tables, emptyCall(), "an empty call")
				if _, mapping := gives.(map[string]any); mapping {
					if _, err := members(gives, givenBy(p.field)...); err != nil {
						c.problem(at+"."+p.field, "", "%v", err)
					}
				}
			}
		}
	}
}

// holds tells whether this contract itself has a program, or what the program stands on; what like brought along is held where it is from.
func (s *Spoken) holds(program string) bool {
	return program != "" || s.Define != "" || s.Error != "" || len(s.Tables) > 0
}

// emptyCall is the least that a program of a mapping can see.
func emptyCall() map[string]any {
	m := map[string]any{"method": "POST", "path": "/", "status": 200, "at": 0, "event": "", "data": map[string]any{}}
	for _, name := range []string{"param", "query", "header", "body"} {
		m[name] = map[string]any{}
	}
	m["request"] = map[string]any{"method": "POST", "path": "/", "param": map[string]any{}, "query": map[string]any{}, "header": map[string]any{}, "body": map[string]any{}}
	return m
}

// maxTried bounds the steps of all programs of one policy that are run to see whether they end. Steps, and no clock: what is refused must not
// hang on how busy a machine is.
const maxTried = 8 * maxSteps

// ends runs a program on the least that it can see, and returns what it gives. One that loops or grows does so there already, or is stopped when it does.
func (c *checker) ends(path, define, text string, tables map[string]any, input any, on string) any {
	p, bad := compileProgram(define, text, tables)
	if bad != nil || c.tried > maxTried-maxSteps {
		return nil // it is told already; or others were tried long enough
	}
	r := newRun(context.Background())
	v, err := p.runWithin(r, input)
	c.tried += maxSteps - max(r.steps, 0)
	var stopped *ProgramError
	if errors.As(err, &stopped) && (errors.Is(stopped.Why, errSteps) || errors.Is(stopped.Why, errGrows)) {
		c.problem(path, "write one that ends", "explodes: on %s %v", on, stopped.Why)
	}
	if err != nil {
		return nil
	}
	return v
}

func firstOf(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// program checks one program. own is what stands in this contract; "" where like brought it along.
func (c *checker) program(path, own, define, text string, tables map[string]any) {
	if text == "" {
		return
	}
	if len(text) > maxProgram+2 || len(define) > maxProgram {
		c.problem(path, "shorten it", "is longer than %d bytes", maxProgram)
		return
	}
	_, bad := compileProgram(define, text, tables)
	if bad == nil {
		return
	}
	if bad.offset >= 0 && text == own {
		line, col := lineAndColumn(text, bad.offset)
		c.within[path] = place{line, col}
	}
	c.problem(path, bad.fix, "%s", bad.message)
}

func tableTrees(list []Table) map[string]any {
	m := make(map[string]any, len(list))
	for i := range list {
		m[list[i].Name] = list[i].tree()
	}
	return m
}

// spokenBy checks that a provider of another API can stand in for the one that a service speaks: it maps at least one of its operations,
// and has a credential of its own, for the application's is of the other API.
func (c *checker) spokenBy(path string, s *ServiceSpec, p *ProviderSpec) {
	contract, chain, err := c.catalog.resolve(p.Contract)
	spoken, _, unknown := c.catalog.resolve(s.Speaks)
	if err != nil || unknown != nil || slices.Contains(chain, s.Speaks) || p.Contract == "" {
		return // a contract that is missing or unknown is told where it is named
	}
	operations := s.Operations
	if len(operations) == 0 {
		operations = spoken.Operations
	}
	if !c.mapsSome(path, s, p, &contract, operations) {
		return
	}
	for _, v := range p.Credential {
		if v.Value == CredentialCaller {
			c.problem(path, "write env:NAME or file:PATH for it", "provider %s has the API %s, which the application's own %s credential does not open", p.Name, p.Contract, s.Speaks)
		}
	}
}

func (c *checker) mapsSome(path string, s *ServiceSpec, p *ProviderSpec, contract *Contract, operations []OperationSpec) bool {
	how := contract.spoken(s.Speaks)
	if how == nil {
		c.problem(path, "choose a provider whose contract is (like) "+s.Speaks+", or write contracts."+p.Contract+".speaks",
			"provider %s has the API %s, which does not say how %s is mapped to it", p.Name, p.Contract, s.Speaks)
		return false
	}
	for i := range operations {
		if how.mapping(operations[i].Name) != nil {
			return true
		}
	}
	c.problem(path, "use the operations of "+s.Speaks+" by their names",
		"provider %s maps none of the operations of %s", p.Name, s.Name)
	return false
}
