package policy

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// reader turns the nodes of a document into a Policy. It goes on after each problem, so that all of them are told at once, and
// remembers where every path stands, so that what Validate finds later has a place too.
type reader struct {
	file     string
	problems Problems
	places   map[string]place
	src      []byte
}

// place is where a value stands in the document; column and line begin at 1.
type place struct{ line, col int }

// value is a node and the path that leads to it.
type value struct {
	node *yaml.Node
	path string
}

func (r *reader) problem(v value, message, fix string) {
	if len(r.problems) > 10*maxProblems { // nobody reads them: stop collecting, but keep enough to sort
		return
	}
	r.problems = append(r.problems, Problem{
		File: r.file, Line: v.node.Line, Col: v.node.Column, Path: v.path, Message: message, Fix: fix,
	})
}

// at is a value below v; its path is remembered.
func (r *reader) at(v value, name string, key, node *yaml.Node) value {
	below := value{node, join(v.path, name)}
	if _, known := r.places[below.path]; !known {
		r.places[below.path] = place{key.Line, key.Column}
	}
	return below
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// locate finds where a path stands, or the longest beginning of it that does.
func (r *reader) locate(path string) place {
	for path != "" {
		if p, ok := r.places[path]; ok {
			return p
		}
		path = path[:max(0, strings.LastIndexAny(path, ".["))]
	}
	return place{1, 1}
}

// pairs returns the entries of a mapping. A key that stands there twice is a problem that names both places.
func (r *reader) pairs(v value, limit int) []pair {
	if v.node.Kind != yaml.MappingNode {
		r.problem(v, "is "+kindOf(v.node)+", not a mapping", "write name: value lines")
		return nil
	}
	first := make(map[string]*yaml.Node, len(v.node.Content)/2)
	var found []pair
	for i := 0; i+1 < len(v.node.Content); i += 2 {
		key, node := v.node.Content[i], v.node.Content[i+1]
		if key.Kind != yaml.ScalarNode {
			r.problem(value{key, v.path}, "a key is "+kindOf(key), "write a name")
			continue
		}
		name := key.Value
		if earlier, twice := first[name]; twice {
			r.problem(value{key, join(v.path, clip(name))},
				fmt.Sprintf("is there twice, the first time at line %d, column %d", earlier.Line, earlier.Column), "keep one of them")
			continue
		}
		first[name] = key
		if len(found) == limit {
			r.problem(value{key, v.path}, fmt.Sprintf("more than %d entries", limit), "split the policy")
			return found
		}
		found = append(found, pair{name, r.at(value{key, v.path}, clip(name), key, node), key})
	}
	return found
}

// pair is one entry of a mapping.
type pair struct {
	name string
	value
	key *yaml.Node
}

// clip keeps a hostile name from filling the messages.
func clip(name string) string {
	if len(name) <= maxName {
		return name
	}
	return strings.ToValidUTF8(name[:maxName], "") + "…"
}

// fields says what a mapping may hold: how each field is read, and which words are known but belong to parts that are not built.
type fields struct {
	known map[string]func(value)
	later []string
}

// notBuilt is said of what a later version will know: accepting it now would be a promise that nothing keeps.
const notBuilt = "is not built yet"

// object reads a mapping by its fields.
func (r *reader) object(v value, f fields) {
	known := slices.Sorted(maps.Keys(f.known))
	for _, p := range r.pairs(v, len(known)+len(f.later)+maxProblems) {
		here := value{p.key, p.path}
		switch read, ok := f.known[p.name]; {
		case ok:
			read(p.value)
		case slices.Contains(f.later, p.name):
			r.problem(here, notBuilt, "leave it out")
		default:
			r.problem(here, "unknown field", didYouMean(p.name, known))
		}
	}
}

// text reads a scalar.
func (r *reader) text(v value) string {
	switch {
	case v.node.Kind != yaml.ScalarNode:
		r.problem(v, "is "+kindOf(v.node)+", not a text", "write one value")
	case v.node.ShortTag() == "!!null" || v.node.Value == "":
		r.problem(v, "is empty", "write a value or leave the field out")
	case len(v.node.Value) > maxText:
		r.problem(v, fmt.Sprintf("is longer than %d bytes", maxText), "shorten it")
	default:
		return v.node.Value
	}
	return ""
}

// word reads one of a closed set.
func (r *reader) word(v value, known, later []string) string {
	text := r.text(v)
	switch {
	case text == "" || slices.Contains(known, text):
		return text
	case slices.Contains(later, text):
		r.problem(v, text+" is not built yet", "known: "+strings.Join(known, ", "))
	default:
		r.problem(v, fmt.Sprintf("%q is unknown", clip(text)), didYouMean(text, known))
	}
	return ""
}

// number reads a plain number. Texts, NaN and the infinities are none.
func (r *reader) number(v value) (float64, bool) {
	if v.node.Kind == yaml.ScalarNode && (v.node.ShortTag() == "!!int" || v.node.ShortTag() == "!!float") {
		if n, err := strconv.ParseFloat(v.node.Value, 64); err == nil && !math.IsNaN(n) && !math.IsInf(n, 0) {
			return n + 0, true
		}
	}
	r.problem(v, "is "+shown(v.node)+", not a number", "write a number, like 40")
	return 0, false
}

// positive reads a whole number from 1 to limit. An explicit 0 is refused, because in a Policy 0 stands for "not said".
func (r *reader) positive(v value, limit int) int {
	if v.node.Kind == yaml.ScalarNode && v.node.ShortTag() == "!!int" {
		if n, err := strconv.Atoi(v.node.Value); err == nil && n >= 1 && n <= limit {
			return n
		}
	}
	r.problem(v, "is "+shown(v.node), fmt.Sprintf("write a whole number from 1 to %d", limit))
	return 0
}

// duration reads a span of time above 0.
func (r *reader) duration(v value) time.Duration {
	if v.node.Kind == yaml.ScalarNode {
		if d, err := time.ParseDuration(v.node.Value); err == nil && d > 0 {
			return d
		}
	}
	r.problem(v, "is "+shown(v.node)+", not a span of time above 0", "write a number with a unit, like 500ms, 4s or 5m")
	return 0
}

// boolean reads true or false.
func (r *reader) boolean(v value) (yes, ok bool) {
	if v.node.Kind == yaml.ScalarNode && v.node.ShortTag() == "!!bool" {
		return strings.EqualFold(v.node.Value, "true"), true
	}
	r.problem(v, "is "+shown(v.node), "write true or false")
	return false, false
}

// list returns the entries of a sequence.
func (r *reader) list(v value, limit int) []value {
	if v.node.Kind != yaml.SequenceNode {
		r.problem(v, "is "+kindOf(v.node)+", not a list", "write [a, b]")
		return nil
	}
	if len(v.node.Content) > limit {
		r.problem(v, fmt.Sprintf("has %d entries, more than %d", len(v.node.Content), limit), "shorten the list")
		return nil
	}
	found := make([]value, len(v.node.Content))
	for i, n := range v.node.Content {
		found[i] = value{n, fmt.Sprintf("%s[%d]", v.path, i)}
		r.places[found[i].path] = place{n.Line, n.Column}
	}
	return found
}

// texts reads a list of scalars; nil when it is empty.
func (r *reader) texts(v value, limit int) []string {
	var found []string
	for _, e := range r.list(v, limit) {
		found = append(found, r.text(e))
	}
	return found
}

func empty(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

func kindOf(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case empty(n):
		return "empty"
	default:
		return "a single value"
	}
}

// shown is a node in a message: its text when it is short.
func shown(n *yaml.Node) string {
	if n.Kind != yaml.ScalarNode || empty(n) {
		return kindOf(n)
	}
	return strconv.Quote(clip(n.Value))
}
