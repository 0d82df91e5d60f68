package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// spot is one entry of a mapping in the fullest good document: the tests below break each in turn.
type spot struct {
	path  string
	fixed bool // the key is a word of the policy language, not a name of the operator's
	edit  func(doc *yaml.Node) (key, val *yaml.Node)
}

// names are the levels under which the operator's own names stand.
func namesBelow(path string) bool {
	parts := strings.Split(path, ".")
	switch last := parts[len(parts)-1]; last {
	case "regions", "services", "providers", "contracts", "operations", "sources", "session", "speaks", "tables", "synthetics":
		return true
	case "weights", "priority", "endpoint", "credential":
		return len(parts) == 3 && (parts[0] != "contracts")
	case "rates", "currencies":
		return true
	case "cost":
		return len(parts) == 3 && parts[1] == "there"
	default:
		return len(parts) > 3 && (parts[2] == "weights" || parts[len(parts)-2] == "tables")
	}
}

func spots(t *testing.T) []spot {
	t.Helper()
	var found []spot
	var walk func(n *yaml.Node, path string, way []int)
	walk = func(n *yaml.Node, path string, way []int) {
		for i := range n.Content {
			here := append(slices.Clone(way), i)
			if n.Kind == yaml.MappingNode {
				if i%2 == 1 {
					continue
				}
				below := join(path, n.Content[i].Value)
				found = append(found, spot{below, path == "" || !namesBelow(path), func(doc *yaml.Node) (*yaml.Node, *yaml.Node) {
					at := doc
					for _, step := range here[:len(here)-1] {
						at = at.Content[step]
					}
					return at.Content[i], at.Content[i+1]
				}})
				walk(n.Content[i+1], below, append(slices.Clone(way), i+1))
				continue
			}
			walk(n.Content[i], fmt.Sprintf("%s[%d]", path, i), here)
		}
	}
	doc := tree(t)
	walk(doc.Content[0], "", []int{0})
	return found
}

func tree(t *testing.T) *yaml.Node {
	t.Helper()
	var doc yaml.Node
	src := string(read(t, "testdata/good/three-regions.yaml"))
	for _, long := range []string{`body.max_tokens > 4000 || header["X-Long"] == "yes"`, `client_region == "eu-west" && !(hour in [1, 2])`,
		`weekday == 0 && (value > 100 ? read : has(card.kind))`} {
		src = edited(t, src, long, "read") // parsed thousands of times: what is in them is tested elsewhere
	}
	if err := yaml.Unmarshal([]byte(src), &doc); err != nil {
		t.Fatal(err)
	}
	return &doc
}

// broken writes the document with one entry changed, and parses it.
func broken(t *testing.T, s spot, change func(key, val *yaml.Node)) (string, Problems) {
	t.Helper()
	doc := tree(t)
	change(s.edit(doc))
	src := encode(doc)
	_, problems := Parse("p.yaml", src)
	return string(src), problems
}

func TestEveryMistypedFieldIsGuessed(t *testing.T) {
	n := 0
	for _, s := range spots(t) {
		field := s.path[strings.LastIndexByte(s.path, '.')+1:]
		if !s.fixed || len(field) < 4 || strings.Contains(s.path, "[") {
			continue
		}
		n++
		wrong := field[:1] + field[2:] // a letter is missing
		_, problems := broken(t, s, func(key, _ *yaml.Node) { key.Value = wrong })
		if !strings.Contains(problems.Error(), wrong+": unknown field; did you mean "+field+"?") {
			t.Errorf("%s written as %s:\n%s", s.path, wrong, problems.Error())
		}
	}
	if n < 50 {
		t.Errorf("only %d fields were tried", n)
	}
}

func TestEveryFieldThatSaysNothingIsRefused(t *testing.T) {
	for _, s := range spots(t) {
		if strings.HasPrefix(s.path, "regions.") && strings.Count(s.path, ".") == 1 {
			continue // ap-south: with nothing behind it is a region without standby
		}
		_, problems := broken(t, s, func(_, val *yaml.Node) { *val = yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"} })
		if problems == nil {
			t.Errorf("%s: null is accepted", s.path)
		}
	}
}

// Junk of any shape, anywhere: refused with a place, or it means something; never a panic.
func TestEveryFieldSurvivesJunk(t *testing.T) {
	junk := map[string]*yaml.Node{
		"a list of lists": {Kind: yaml.SequenceNode, Content: []*yaml.Node{{Kind: yaml.SequenceNode}}},
		"an empty list":   {Kind: yaml.SequenceNode},
		"an empty map":    {Kind: yaml.MappingNode},
		"a map of maps":   {Kind: yaml.MappingNode, Content: []*yaml.Node{scalar("x"), {Kind: yaml.MappingNode, Content: []*yaml.Node{scalar("y"), scalar("z")}}}},
		"a negative":      plain("!!int", "-1"),
		"a huge number":   plain("!!int", "99999999999999999999999"),
		"a NaN":           plain("!!float", ".nan"),
		"a date":          plain("!!timestamp", "2026-11-21"),
		"a boolean":       plain("!!bool", "true"),
		"spaces":          scalar("   "),
		"a long text":     scalar(strings.Repeat("x", maxText+1)),
		"control bytes":   scalar("a\x01b\u2028c"),
		"several lines":   scalar("a\nb\n"),
		"a template":      scalar("{credential}"),
	}
	for i, s := range spots(t) {
		for n, name := range slices.Sorted(maps.Keys(junk)) {
			node := junk[name]
			if part := map[bool]int{true: 8, false: 3}[testing.Short()]; (i+n)%part != 0 {
				continue // each field meets a part of the junk, and each junk a part of the fields: all of them take a minute
			}
			src, problems := broken(t, s, func(_, val *yaml.Node) { *val = *node })
			for _, p := range problems {
				if p.Line < 1 || p.Line > strings.Count(src, "\n")+1 || p.Col < 1 {
					t.Errorf("%s: %s: no such place: %s", s.path, name, p)
				}
			}
			if name == "a map of maps" && (strings.HasSuffix(s.path, ".tables") || strings.Contains(s.path, "].body")) {
				continue // that is what tables and bodies are
			}
			if problems == nil && slices.Contains([]string{"a long text", "control bytes", "a map of maps"}, name) {
				t.Errorf("%s: %s is accepted", s.path, name)
			}
		}
	}
}

func TestEveryKeyTwiceIsRefused(t *testing.T) {
	for _, s := range spots(t) {
		doc := tree(t)
		key, val := s.edit(doc)
		var parent *yaml.Node
		var find func(n *yaml.Node)
		find = func(n *yaml.Node) {
			for _, c := range n.Content {
				if c == key {
					parent = n
				}
				find(c)
			}
		}
		find(doc)
		again := *key
		parent.Content = append(parent.Content, &again, val)
		_, problems := Parse("p.yaml", encode(doc))
		if !strings.Contains(problems.Error(), s.path+": is there twice, the first time at line ") {
			t.Errorf("%s: %s", s.path, problems.Error())
		}
	}
}

// The document's own words for what later versions bring are refused as such, and none of them is a known field too.
func TestNothingOfALaterVersionIsAccepted(t *testing.T) {
	base := string(read(t, "testdata/good/flat.yaml"))
	for _, c := range []struct {
		after string
		words []string
	}{
		{"segue: v1\n", []string{"safety: []", "rollout: {}", "drills: {}"}},
		{"    listen: {port: 7101}\n", []string{"apps: [shop]", "across_regions: active-active", "objectives: {}"}},
		{"providers:\n", []string{"x: {contract: stripe/v1, credential: caller, capacity: 9}",
			"x: {contract: stripe/v1, credential: caller, checks: {passive: a}}"}},
	} {
		indent := strings.Repeat(" ", len(c.after)-len(strings.TrimLeft(c.after, " ")))
		if c.after == "providers:\n" {
			indent = "  "
		}
		for _, word := range c.words {
			src := strings.Replace(base, c.after, c.after+indent+word+"\n", 1)
			_, problems := Parse("p.yaml", []byte(src))
			if len(problems) != 1 || problems[0].Message != notBuilt {
				t.Errorf("%s: %s", word, problems.Error())
			}
		}
	}
}
