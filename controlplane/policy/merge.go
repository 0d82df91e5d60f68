package policy

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Merged is what came of two documents that were made from a third.
type Merged struct {
	Source    []byte     // yours with what they changed in it: your comments and order stay
	Policy    *Policy    // what Source says
	Kept      []Change   // what they changed and you did not: from yours to Source
	Conflicts []Conflict // with any, there is no Source
}

// Conflict is a field that both sides changed, to different values. An empty value: the field is not there.
type Conflict struct {
	Path   string `json:"path"`
	Base   string `json:"base"`
	Theirs string `json:"theirs"`
	Yours  string `json:"yours"`
}

// maxShown bounds a value in a conflict: a service's operations are one field.
const maxShown = 200

// Merge takes what they changed since base into your document. Whatever only one side changed is taken, by meaning: another form of the
// same value is no change. Fields are compared one by one, but a service's operations, an order and a contract's statuses are one field
// each, because their order decides. Shares of one region that both changed and that no longer add up are a conflict. An empty base says
// that nothing was there before. An error is Problems: one of the documents, or the one that would come of them, is not a policy.
func Merge(base, theirs, yours []byte) (Merged, error) {
	var from *canon
	if len(base) > 0 {
		p, problems := Parse("base", base)
		if problems != nil {
			return Merged{}, fmt.Errorf("the base: %w", problems)
		}
		from = normal(p)
	}
	their, problems := Parse("theirs", theirs)
	if problems != nil {
		return Merged{}, problems
	}
	your, problems := Parse("yours", yours)
	if problems != nil {
		return Merged{}, problems
	}
	return mergeParsed(from, side{their, theirs}, side{your, yours})
}

// side is a document and what it says.
type side struct {
	policy *Policy
	source []byte
}

func mergeParsed(base *canon, theirs, yours side) (Merged, error) {
	m := &merger{}
	own := normal(yours.policy)
	want := m.merge(nil, base, normal(theirs.policy), own)
	if len(m.conflicts) > 0 {
		return Merged{Conflicts: m.conflicts}, nil
	}
	if own.equal(want) {
		return Merged{Source: yours.source, Policy: yours.policy}, nil
	}
	p, problems := Parse("", encode(want.node()))
	if problems != nil {
		return Merged{}, problems.placelessCopy()
	}
	source, p := write(yours.source, own, want, theirs.source, p)
	return Merged{Source: source, Policy: p, Kept: Diff(yours.policy, p)}, nil
}

// placelessCopy takes the lines away: they are those of a document that nobody has seen.
func (ps Problems) placelessCopy() Problems {
	list := slices.Clone(ps)
	for i := range list {
		list[i].Line, list[i].Col = 0, 0
	}
	return list
}

// merger collects conflicts.
type merger struct{ conflicts []Conflict }

// merge returns what both sides say of a path; nil is nothing.
func (m *merger) merge(path []string, base, theirs, yours *canon) *canon {
	switch {
	case theirs.equal(yours) || theirs.equal(base):
		return yours
	case yours.equal(base):
		return theirs
	case theirs.mapping() && yours.mapping() && (base == nil || base.mapping()):
		return m.entries(path, base, theirs, yours)
	default: // one side took away what the other changed, or both changed one value
		m.differ(path, base, theirs, yours)
		return yours
	}
}

// entries merges two mappings: yours keeps its order, what is theirs alone comes last.
func (m *merger) entries(path []string, base, theirs, yours *canon) *canon {
	before, merged := len(m.conflicts), &canon{below: map[string]*canon{}}
	for _, key := range both(yours, theirs) {
		at := append(slices.Clone(path), key)
		if one := m.merge(at, base.at(key), theirs.at(key), yours.at(key)); one != nil {
			merged.add(key, one)
		}
	}
	if ofShares(path) && len(m.conflicts) == before && !merged.adds() {
		m.differ(path, base, theirs, yours)
	}
	return merged
}

// both lists the keys of two mappings, the first one's order first.
func both(a, b *canon) []string {
	keys := slices.Clone(a.list())
	for _, key := range b.list() {
		if a.at(key) == nil {
			keys = append(keys, key)
		}
	}
	return keys
}

// differ tells every value below a path on which the sides do not agree and that one of them changed.
func (m *merger) differ(path []string, base, theirs, yours *canon) {
	if theirs.single() || yours.single() {
		if len(m.conflicts) < maxProblems {
			m.conflicts = append(m.conflicts, Conflict{strings.Join(path, "."), base.shown(), theirs.shown(), yours.shown()})
		}
		return
	}
	for _, key := range both(yours, theirs) {
		b, t, y := base.at(key), theirs.at(key), yours.at(key)
		if !t.equal(y) && !(b.equal(t) && y == nil) && !(b.equal(y) && t == nil) {
			m.differ(append(slices.Clone(path), key), b, t, y)
		}
	}
}

// ofShares tells the path of one region's weights.
func ofShares(path []string) bool {
	return len(path) == 4 && path[0] == "services" && path[2] == "weights"
}

// adds tells whether shares add up to 100.
func (c *canon) adds() bool {
	sum := 0.0
	for _, key := range c.keys {
		share, err := strconv.ParseFloat(c.below[key].value.Value, 64)
		if err != nil {
			return false
		}
		sum += share
	}
	return math.Abs(sum-100) <= 0.01
}

// Values is what a policy says at each path that a Conflict can name.
func Values(p *Policy) map[string]string {
	values := map[string]string{}
	normal(p).each("", func(at string, leaf *canon) { values[at] = leaf.shown() })
	return values
}

// each visits every value.
func (c *canon) each(path string, visit func(string, *canon)) {
	if c != nil && !c.mapping() {
		visit(path, c)
	}
	for _, key := range c.list() {
		c.below[key].each(join(path, key), visit)
	}
}
