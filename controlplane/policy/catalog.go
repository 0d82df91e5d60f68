package policy

import (
	"embed"
	"fmt"
	"slices"
	"strings"
)

// contractFiles are the contracts that come with Segue, in the form in which users write their own.
//
//go:embed contracts/*.yaml
var contractFiles embed.FS

// builtins are the contracts that come with Segue, by name: read once, for every Parse needs them, and never written to.
var builtins = readBuiltins()

// Builtins returns the contracts that come with Segue, by name.
func Builtins() []Contract { return slices.Clone(builtins) }

func readBuiltins() []Contract {
	var found []Contract
	files, _ := contractFiles.ReadDir("contracts") // embedded: cannot fail
	for _, f := range files {
		src, _ := contractFiles.ReadFile("contracts/" + f.Name())
		r := &reader{file: f.Name(), places: map[string]place{}}
		if root := r.root(src); root != nil {
			found = append(found, r.policy(value{root, ""}).Contracts...)
		}
	}
	slices.SortFunc(found, func(a, b Contract) int { return strings.Compare(a.Name, b.Name) })
	return found
}

// Builtin returns one contract that comes with Segue.
func Builtin(name string) (Contract, bool) {
	for _, c := range builtins {
		if c.Name == name {
			return c, true
		}
	}
	return Contract{}, false
}

// Contract returns the contract called name, the policy's own or a built-in one, with all that like brings along.
func (p *Policy) Contract(name string) (Contract, error) {
	c, _, err := newCatalog(p.Contracts).resolve(name)
	return c, err
}

// catalog knows every contract that a policy can name, as written.
type catalog struct {
	written  []Contract // the built-in ones first: nothing takes their names away
	builtins int
}

func newCatalog(own []Contract) catalog {
	return catalog{slices.Concat(builtins, own), len(builtins)}
}

func (c catalog) find(name string) (Contract, bool) {
	for i := range c.written {
		if c.written[i].Name == name {
			return c.written[i], true
		}
	}
	return Contract{}, false
}

func (c catalog) names() []string {
	names := make([]string, len(c.written))
	for i := range c.written {
		names[i] = c.written[i].Name
	}
	return names
}

// builtin tells whether a name is taken by a contract that comes with Segue.
func (c catalog) builtin(name string) bool {
	return slices.ContainsFunc(c.written[:c.builtins], func(b Contract) bool { return b.Name == name })
}

// resolve follows like and lays each contract over the one that it starts from. chain is the names that were passed, name first.
func (c catalog) resolve(name string) (resolved Contract, chain []string, err error) {
	var layers []Contract
	for next := name; next != ""; {
		if slices.Contains(chain, next) {
			return Contract{}, nil, fmt.Errorf("contract %s is like itself: %s → %s", name, strings.Join(chain, " → "), next)
		}
		layer, ok := c.find(next)
		if !ok {
			return Contract{}, nil, fmt.Errorf("there is no contract %q", clip(next))
		}
		if chain = append(chain, next); len(chain) > maxLike {
			return Contract{}, nil, fmt.Errorf("contract %s starts from more than %d others", name, maxLike)
		}
		layers = append(layers, layer)
		next = layer.Like
	}
	resolved = Contract{Dialect: Plain, RetryAfter: "Retry-After", Credential: Slot{Header: "Authorization", Value: "Bearer {credential}"}}
	for _, layer := range slices.Backward(layers) {
		resolved = overlay(resolved, layer)
	}
	return resolved, chain, nil
}

// overlay lays a contract over the one that it starts from. A list of operations replaces the other whole; the rules for statuses
// are tried before those that were there, so that one rule can be added.
func overlay(under, over Contract) Contract {
	under.Name, under.Like = over.Name, over.Like
	set(&under.Dialect, over.Dialect)
	set(&under.Endpoint, over.Endpoint)
	set(&under.Credential, over.Credential)
	set(&under.Keys.Header, over.Keys.Header)
	set(&under.Keys.Scope, over.Keys.Scope)
	set(&under.Keys.Life, over.Keys.Life)
	set(&under.Keys.Max, over.Keys.Max)
	set(&under.Keys.Syntax, over.Keys.Syntax)
	set(&under.Keys.InUse, over.Keys.InUse)
	set(&under.Keys.Replay, over.Keys.Replay)
	if over.Keys.Enforced || over.Keys.Ignored {
		under.Keys.Enforced, under.Keys.Ignored = over.Keys.Enforced, over.Keys.Ignored
	}
	set(&under.RetryAfter, over.RetryAfter)
	set(&under.RateLimit.Limit, over.RateLimit.Limit)
	set(&under.RateLimit.Remaining, over.RateLimit.Remaining)
	set(&under.RateLimit.Reset, over.RateLimit.Reset)
	set(&under.ObjectID, over.ObjectID)
	if len(over.Codes) > 0 {
		under.Codes = over.Codes
	}
	under.Recourse = under.Recourse.under(&over.Recourse)
	under.Session = passagesOver(under.Session, over.Session)
	under.Speaks = spokenOver(under.Speaks, over.Speaks)
	if over.Webhooks.say() {
		under.Webhooks = over.Webhooks
	}
	if len(over.Fees) > 0 {
		under.Fees = over.Fees
	}
	if over.Use.Set() {
		under.Use = over.Use
	}
	set(&under.Tests.Header, over.Tests.Header)
	set(&under.Tests.Field, over.Tests.Field)
	under.Synthetics = syntheticsOver(under.Synthetics, over.Synthetics)
	under.Sources = sourcesOver(under.Sources, over)
	under.Statuses = slices.Concat(over.Statuses, under.Statuses)
	if len(over.Operations) > 0 {
		under.Operations = over.Operations
	}
	return under
}

// under lays what is stated of an aid over what was: each aid is one fact, for its parts make sense together only.
func (r Recourse) under(over *Recourse) Recourse {
	if over.Lookup.Match != "" {
		r.Lookup = over.Lookup
	}
	if over.Cancel.Match != "" {
		r.Cancel = over.Cancel
	}
	set(&r.Refund, over.Refund)
	set(&r.Settle, over.Settle)
	return r
}

// sourcesOver are the pages of both. A fact that is stated anew is not what the page of the contract underneath says.
func sourcesOver(under []Source, over Contract) []Source {
	stated := over.stated()
	kept := slices.DeleteFunc(slices.Clone(under), func(s Source) bool { return slices.Contains(stated, s.Fact) })
	if kept = append(kept, over.Sources...); len(kept) == 0 {
		return nil
	}
	return kept
}

// set replaces a value by one that was said.
func set[T comparable](value *T, said T) {
	var unsaid T
	if said != unsaid {
		*value = said
	}
}
