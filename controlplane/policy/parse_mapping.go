package policy

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Bounds of a mapping.
const (
	maxSpoken  = 8 // APIs that one contract maps
	maxTables  = 8
	maxEntries = 256 // of a table
	maxHeaders = 16  // that programs see
)

// speaks reads how a contract carries out other APIs.
func (r *reader) speaks(v value) []Spoken {
	var found []Spoken
	for _, p := range r.pairs(v, maxSpoken) {
		found = append(found, r.spoken(p.name, p.value))
	}
	return found
}

func (r *reader) spoken(api string, v value) Spoken {
	s := Spoken{API: api}
	r.object(v, fields{known: map[string]func(value){
		"headers":    func(v value) { s.Headers = r.texts(v, maxHeaders) },
		"tables":     func(v value) { s.Tables = r.tables(v) },
		"define":     func(v value) { s.Define = r.program(v) },
		"error":      func(v value) { s.Error = r.program(v) },
		"operations": func(v value) { s.Operations = r.mappings(v) },
	}})
	return s
}

func (r *reader) tables(v value) []Table {
	var found []Table
	for _, p := range r.pairs(v, maxTables) {
		t := Table{Name: p.name}
		for _, e := range r.pairs(p.value, maxEntries) {
			t.Entries = append(t.Entries, TableEntry{e.name, r.text(e.value)})
		}
		found = append(found, t)
	}
	return found
}

func (r *reader) mappings(v value) []Mapping {
	var found []Mapping
	for _, p := range r.pairs(v, maxOperations) {
		m := Mapping{Operation: p.name}
		r.object(p.value, fields{known: map[string]func(value){
			"to":      func(v value) { m.To = r.text(v) },
			"request": func(v value) { m.Request = r.program(v) },
			"answer":  func(v value) { m.Answer = r.program(v) },
			"error":   func(v value) { m.Error = r.program(v) },
			"event":   func(v value) { m.Event = r.program(v) },
		}})
		found = append(found, m)
	}
	return found
}

// program reads a jq text. Where it begins is remembered, so that a mistake in it is told at its own line.
func (r *reader) program(v value) string {
	switch {
	case v.node.Kind != yaml.ScalarNode:
		r.problem(v, "is "+kindOf(v.node)+", not a jq program", "write | and the program below it")
	case v.node.ShortTag() == "!!null" || v.node.Value == "":
		r.problem(v, "is empty", "write a jq program or leave the field out")
	case len(v.node.Value) > maxProgram:
		r.problem(v, fmt.Sprintf("is longer than %d bytes", maxProgram), "shorten it")
	default:
		if v.node.Style&yaml.LiteralStyle != 0 {
			r.places[v.path+programText] = place{v.node.Line + 1, 0}
		}
		return v.node.Value
	}
	return ""
}

// programText is behind the path of a program whose text stands in the document line by line.
const programText = ".jq"

// inProgram moves a problem to the line of the program that it is about, if it is about one. A block is indented as its first line is that is not empty.
func (r *reader) inProgram(p *Problem, at place) {
	begins, ok := r.places[p.Path+programText]
	if at.line == 0 {
		return
	}
	if ok && begins.col > 0 { // the text stands in one line
		p.Line, p.Col = begins.line, begins.col+at.col-1
		return
	}
	if !ok {
		p.Message += fmt.Sprintf(" (line %d, column %d of the program)", at.line, at.col)
		return
	}
	lines := strings.Split(string(r.src), "\n")
	indent := 0
	for _, l := range lines[min(begins.line-1, len(lines)):] {
		if bare := strings.TrimLeft(l, " "); strings.TrimSpace(bare) != "" {
			indent = len(l) - len(bare)
			break
		}
	}
	p.Line, p.Col = begins.line+at.line-1, at.col+indent
}
