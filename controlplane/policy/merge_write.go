package policy

import (
	"bytes"
	"slices"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// write changes a document from what it says (was) to what it is to say (want), and returns it with its policy. p is what want says.
// Three ways, the first that says exactly what is wanted: only the values that change, in the bytes as they stand; the nodes, with what
// is new as the other side wrote it; the canonical form, which has no comments.
func write(src []byte, was, want *canon, theirs []byte, p *Policy) ([]byte, *Policy) {
	var others []*yaml.Node
	if other := document(theirs); other != nil {
		others = append(others, other.Content[0])
	}
	for _, other := range append(others, nil) {
		doc := document(src)
		if doc == nil {
			break
		}
		w := &pen{}
		w.mapping(nil, doc.Content[0], was, want, other)
		if text, ok := w.spliced(src); ok && w.inPlace() {
			if got, problems := Parse("", text); problems == nil && normal(got).equal(want) {
				return text, got
			}
		}
		text := encode(doc)
		if got, problems := Parse("", text); problems == nil && normal(got).equal(want) {
			return text, got
		}
	}
	return Marshal(p), p
}

// pen edits the nodes of a document and remembers which edits were of one value alone.
type pen struct {
	values []replaced
	shape  bool // nodes came or went: the bytes cannot be edited in place
}

// replaced is a plain value that became another.
type replaced struct {
	line, col int
	old, new  string
}

func (w *pen) inPlace() bool { return !w.shape && len(w.values) > 0 }

// mapping brings one mapping of the document from was to want.
func (w *pen) mapping(path []string, m *yaml.Node, was, want *canon, theirs *yaml.Node) {
	for _, key := range was.list() {
		if k, _ := child(m, key); want.at(key) == nil && k >= 0 {
			m.Content = slices.Delete(m.Content, k, k+2)
			w.shape = true
		}
	}
	for _, key := range want.list() {
		if was.at(key).equal(want.at(key)) {
			continue
		}
		_, other := child(theirs, key)
		w.field(append(slices.Clone(path), key), m, was.at(key), want.at(key), other)
	}
}

// field brings one entry of a mapping from was to want.
func (w *pen) field(path []string, m *yaml.Node, was, want *canon, theirs *yaml.Node) {
	key := path[len(path)-1]
	k, node := child(m, key)
	switch {
	case k >= 0 && regional(path) && want.mapping() && was.mapping() &&
		!perRegion(path, node):
		w.spreadOut(path, m, k+1, was, want, theirs)
	case k >= 0 && want.mapping() && was.mapping() && node.Kind == yaml.MappingNode:
		w.mapping(path, node, was, want, theirs)
	case k >= 0:
		w.value(m, k+1, want)
	case was == nil && theirs != nil: // new to this document: as the other side wrote it
		w.append(m, key, theirs)
	case was.mapping() && want.mapping() && len(path) == 3 && !regional(path): // all of it stood there by default
		below := mapping().node
		below.Style = yaml.FlowStyle
		w.mapping(path, below, was, want, nil)
		w.append(m, key, below)
	default: // a region that had the default's value, or a single value
		w.append(m, key, want.node())
	}
}

func (w *pen) append(m *yaml.Node, key string, value *yaml.Node) {
	w.shape = true
	m.Content = append(m.Content, scalar(key), value)
}

// value puts another value in a place; its comments stay.
func (w *pen) value(m *yaml.Node, at int, want *canon) {
	old, node := m.Content[at], *want.node()
	if old.Kind == yaml.ScalarNode && node.Kind == yaml.ScalarNode && old.Style == 0 && safePlain(node.Value) {
		w.values = append(w.values, replaced{old.Line, old.Column, old.Value, node.Value})
	} else {
		w.shape = true
	}
	node.HeadComment, node.LineComment, node.FootComment = old.HeadComment, old.LineComment, old.FootComment
	m.Content[at] = &node
}

// safePlain tells whether a value may stand unquoted wherever another stood: also in [] and {}.
func safePlain(text string) bool {
	for i := range len(text) {
		if c := text[i]; !lowerOrDigit(c) && (c < 'A' || c > 'Z') && c != '.' && c != '_' && c != '/' && (c != '-' || i == 0) {
			return false
		}
	}
	return text != ""
}

// regional tells the fields that may be written once for all regions, or by region.
func regional(path []string) bool {
	if len(path) != 3 {
		return false
	}
	name := path[0] + "." + path[2]
	return slices.Contains([]string{"services.weights", "services.priority", "services.providers",
		"providers.endpoint", "providers.credential", "providers.webhook_secret", "providers.cost"}, name)
}

// perRegion tells whether such a field is written by region.
func perRegion(path []string, n *yaml.Node) bool {
	if n.Kind != yaml.MappingNode {
		return false
	}
	switch path[2] {
	case "weights":
	case "cost":
		return costByRegion(n)
	default:
		return true
	}
	for i := 1; i < len(n.Content); i += 2 {
		if n.Content[i].Kind == yaml.MappingNode {
			return true
		}
	}
	return false
}

// spreadOut edits a field that is written once for all regions. Where there is one region it stays so; else what stood there becomes the
// default, and the regions that differ come beside it.
func (w *pen) spreadOut(path []string, m *yaml.Node, at int, was, want *canon, theirs *yaml.Node) {
	node := m.Content[at]
	if len(was.keys) == 1 && len(want.keys) == 1 && was.keys[0] == want.keys[0] {
		was, want = was.below[was.keys[0]], want.below[want.keys[0]]
		if want.mapping() && node.Kind == yaml.MappingNode {
			w.mapping(append(slices.Clone(path), Default), node, was, want, nil)
		} else {
			w.value(m, at, want)
		}
		return
	}
	w.shape = true
	regions := mapping().node
	regions.Content = append(regions.Content, scalar(Default), node)
	m.Content[at] = regions
	w.mapping(path, regions, was, want, theirs)
}

// child finds a key of a mapping: its place in Content, -1 where it is not.
func child(m *yaml.Node, key string) (int, *yaml.Node) {
	if m == nil || m.Kind != yaml.MappingNode {
		return -1, nil
	}
	for i := 0; i+1 < len(m.Content); i += 2 {
		if m.Content[i].Value == key {
			return i, m.Content[i+1]
		}
	}
	return -1, nil
}

// spliced puts the new values into the bytes. It says no where a place does not hold the text that was read there.
func (w *pen) spliced(src []byte) ([]byte, bool) {
	list := slices.Clone(w.values)
	slices.SortFunc(list, func(a, b replaced) int {
		if a.line != b.line {
			return b.line - a.line
		}
		return b.col - a.col
	})
	text := slices.Clone(src)
	for _, v := range list { // from the end, so that earlier places stay true
		at, ok := byteOf(text, v.line, v.col)
		if !ok || !bytes.HasPrefix(text[at:], []byte(v.old)) {
			return nil, false
		}
		text = slices.Replace(text, at, at+len(v.old), []byte(v.new)...)
	}
	return text, true
}

// byteOf finds a line and column in a text.
func byteOf(src []byte, line, col int) (int, bool) {
	at := 0
	for range line - 1 {
		i := bytes.IndexByte(src[at:], '\n')
		if i < 0 {
			return 0, false
		}
		at += i + 1
	}
	for range col - 1 {
		_, size := utf8.DecodeRune(src[at:])
		at += size
	}
	return at, true
}
