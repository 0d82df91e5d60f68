package policy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"segue/regions"
)

// Local is the region of a policy that names none.
const Local = "local"

// Default is the key of what holds for every region that is not named.
const Default = "default"

// Parse reads a policy document and checks it. With problems there is no policy: nothing of a bad document is used.
func Parse(file string, src []byte) (*Policy, Problems) {
	r := &reader{file: file, places: map[string]place{}}
	root := r.root(src)
	if root == nil {
		return nil, r.problems.sorted()
	}
	p := r.policy(value{root, ""})
	r.add(check(p))
	if len(r.problems) > 0 {
		return nil, r.problems.sorted()
	}
	return p, nil
}

// add takes what Validate found, and gives it its place. What only follows from a problem in reading (an unreadable share makes
// a wrong sum, a mistyped field a missing one) is left out.
func (r *reader) add(c *checker) {
	read := r.problems
	for _, p := range c.problems {
		if slices.ContainsFunc(read, func(cause Problem) bool { return follows(cause, p.Path, c.missing[p.Path]) }) {
			continue
		}
		at := r.locate(p.Path)
		p.File, p.Line, p.Col = r.file, at.line, at.col
		r.inProgram(&p, c.within[p.Path])
		r.problems = append(r.problems, p)
	}
}

func follows(read Problem, path string, missing bool) bool {
	cause := read.Path
	switch {
	case cause == "" || slices.Contains(sections(), cause): // the document, or a whole section of it, could not be read
		return true
	case !strings.Contains(cause, "."): // a mistyped section is one that is missing, and so are all the names in it
		return nearest(cause, sections()) != ""
	case below(path, cause) || below(cause, path):
		return true
	default:
		return missing && parent(cause) == parent(path)
	}
}

func sections() []string {
	return []string{"regions", "services", "providers", "contracts", "exchange"}
}

// below tells whether path is top or stands below it.
func below(path, top string) bool {
	rest, ok := strings.CutPrefix(path, top)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

func parent(path string) string { return path[:max(0, strings.LastIndexAny(path, ".["))] }

// root returns the document's only mapping, or nil with problems.
func (r *reader) root(src []byte) *yaml.Node {
	start := &yaml.Node{Line: 1, Column: 1}
	if len(src) > MaxDocument {
		r.problem(value{start, ""}, fmt.Sprintf("the document has %d bytes, more than %d", len(src), MaxDocument), "split the policy")
		return nil
	}
	if at, bad := badByte(src); bad {
		r.problem(value{&yaml.Node{Line: at.line, Column: at.col}, ""}, "holds bytes that are not UTF-8 text", "save it as UTF-8")
		return nil
	}
	r.src = src
	d := yaml.NewDecoder(bytes.NewReader(src))
	doc, err := decode(d)
	if err != nil {
		r.syntax(err, src)
		return nil
	}
	if second, err := decode(d); !errors.Is(err, io.EOF) {
		r.problem(value{place0(second), ""}, "a second document begins", "keep one document in a file")
		return nil
	}
	if len(doc.Content) != 1 || doc.Content[0].Kind != yaml.MappingNode {
		r.problem(value{start, ""}, "the document is no mapping", "begin with segue: v1")
		return nil
	}
	if !r.harmless(doc.Content[0], 0) {
		return nil
	}
	return doc.Content[0]
}

func place0(n *yaml.Node) *yaml.Node {
	if n == nil || n.Line == 0 {
		return &yaml.Node{Line: 1, Column: 1}
	}
	return n
}

// decode reads the next document. A panic of the library is an error like any other: a policy must not take a process down.
func decode(d *yaml.Decoder) (doc *yaml.Node, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			doc, err = nil, fmt.Errorf("yaml: cannot be read: %v", cause)
		}
	}()
	doc = &yaml.Node{}
	if err := d.Decode(doc); err != nil {
		return nil, err
	}
	return doc, nil
}

// syntax tells a YAML error. The library's text begins with "yaml: line N: ", but for an alias to nothing.
func (r *reader) syntax(err error, src []byte) {
	if errors.Is(err, io.EOF) {
		r.problem(value{&yaml.Node{Line: 1, Column: 1}, ""}, "the document is empty", "begin with segue: v1")
		return
	}
	at, text := &yaml.Node{Line: 1, Column: 1}, strings.TrimPrefix(err.Error(), "yaml: ")
	if rest, ok := strings.CutPrefix(text, "line "); ok {
		number, message, _ := strings.Cut(rest, ": ")
		if n, err := strconv.Atoi(number); err == nil {
			at.Line, text = n, message
			if strings.HasPrefix(text, "did not find expected") { // the library counts these from 0, the others from 1
				at.Line++
			}
		}
	}
	if rest, ok := strings.CutPrefix(text, "unknown anchor '"); ok {
		name, _, _ := strings.Cut(rest, "'")
		before, _, _ := bytes.Cut(src, []byte("*"+name))
		at.Line = 1 + bytes.Count(before, []byte("\n"))
	}
	r.problem(value{at, ""}, "is not YAML: "+text, "")
}

// badByte finds the first byte that is not UTF-8.
func badByte(src []byte) (place, bool) {
	if utf8.Valid(src) {
		return place{}, false
	}
	at := place{1, 1}
	for len(src) > 0 {
		c, size := utf8.DecodeRune(src)
		if c == utf8.RuneError && size <= 1 {
			return at, true
		}
		at.col++
		if c == '\n' {
			at = place{at.line + 1, 1}
		}
		src = src[size:]
	}
	return at, true
}

// harmless refuses what a policy never needs and what makes small documents grow: aliases, anchors, tags of one's own, depth.
func (r *reader) harmless(n *yaml.Node, depth int) bool {
	switch {
	case depth > maxDepth:
		r.problem(value{n, ""}, fmt.Sprintf("is nested deeper than %d", maxDepth), "")
		return false
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		r.problem(value{n, ""}, "anchors and aliases are refused", "write the value out")
		return false
	case n.Style&yaml.TaggedStyle != 0:
		r.problem(value{n, ""}, "tags are refused", "write the value without "+clip(n.Tag))
		return false
	}
	for _, c := range n.Content {
		if !r.harmless(c, depth+1) {
			return false
		}
	}
	return true
}

func (r *reader) policy(v value) *Policy {
	p := &Policy{}
	version := ""
	r.object(v, fields{
		known: map[string]func(value){
			"segue":     func(v value) { version = r.word(v, []string{"v1"}, nil) },
			"regions":   func(v value) { p.Regions = r.regions(v) },
			"services":  func(v value) { p.Services = r.services(v) },
			"providers": func(v value) { p.Providers = r.providers(v) },
			"contracts": func(v value) { p.Contracts = r.contracts(v) },
			"exchange":  func(v value) { p.Exchange = r.exchange(v) },
		},
		later: []string{"safety", "rollout", "drills", "credentials", "applications", "apps"},
	})
	if version == "" && len(r.problems) == 0 {
		r.problem(v, "does not say its version", "begin with segue: v1")
	}
	if p.Regions == nil {
		p.Regions = regions.Topology{{Name: Local}}
	}
	return p
}

func (r *reader) regions(v value) regions.Topology {
	var t regions.Topology
	for _, p := range r.pairs(v, maxRegions) {
		region := regions.Region{Name: p.name}
		if !empty(p.node) {
			r.object(p.value, fields{known: map[string]func(value){
				"standby": func(v value) { region.Standby = r.texts(v, maxRegions) },
			}, later: []string{"distance", "ledger_group", "egress"}})
		}
		t = append(t, region)
	}
	if t == nil && v.node.Kind == yaml.MappingNode {
		r.problem(v, "names no region", "leave regions out for one region called "+Local)
	}
	return t
}
