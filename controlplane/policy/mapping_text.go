package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/invopop/jsonschema"
	"go.yaml.in/yaml/v3"
)

// writeSpoken writes mappings as Parse reads them.
func writeSpoken(w writer, list []Spoken) {
	if len(list) == 0 {
		return
	}
	apis := w.below("speaks", 0)
	for i := range list {
		s := &list[i]
		m := apis.below(s.API, 0)
		m.texts("headers", s.Headers)
		if len(s.Tables) > 0 {
			tables := m.below("tables", 0)
			for _, t := range s.Tables {
				entries := tables.below(t.Name, 0)
				for _, e := range t.Entries {
					entries.text(e.From, e.To)
				}
			}
		}
		m.program("define", s.Define)
		m.program("error", s.Error)
		if len(s.Operations) > 0 {
			operations := m.below("operations", 0)
			for j := range s.Operations {
				writeMapping(operations.below(s.Operations[j].Operation, 0), &s.Operations[j])
			}
		}
	}
}

func writeMapping(w writer, m *Mapping) {
	w.text("to", m.To)
	w.program("request", m.Request)
	w.program("answer", m.Answer)
	w.program("error", m.Error)
	w.program("event", m.Event)
}

// program writes a program line by line.
func (w writer) program(key, text string) {
	if text != "" {
		n := scalar(text)
		n.Style = yaml.LiteralStyle
		w.add(key, n)
	}
}

// spokenFacts are what a contract says of other APIs, for a comparison. A program is told by its print: it is not read in one line.
func spokenFacts(path, name string, list []Spoken) []fact {
	var facts []fact
	add := func(where, value string) {
		if value != "" {
			facts = append(facts, fact{path: path + ".speaks." + where, label: name + " speaks " + where, value: value})
		}
	}
	for i := range list {
		s := &list[i]
		add(s.API, present)
		add(s.API+".headers", strings.Join(s.Headers, ", "))
		add(s.API+".define", programPrint(s.Define))
		add(s.API+".error", programPrint(s.Error))
		for _, t := range s.Tables {
			for _, e := range t.Entries {
				add(s.API+".tables."+t.Name+"."+e.From, e.To)
			}
		}
		for j := range s.Operations {
			m := &s.Operations[j]
			add(s.API+".operations."+m.Operation, m.text())
		}
	}
	return facts
}

func (m *Mapping) text() string {
	text := "to " + m.To
	for _, p := range [][2]string{{"request", m.Request}, {"answer", m.Answer}, {"error", m.Error}, {"event", m.Event}} {
		if p[1] != "" {
			text += ", " + p[0] + " " + programPrint(p[1])
		}
	}
	return text
}

// programPrint is a short name of a program's text.
func programPrint(text string) string {
	if text == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(text))
	return fmt.Sprintf("%s (%d lines)", hex.EncodeToString(sum[:4]), strings.Count(strings.TrimSuffix(text, "\n"), "\n")+1)
}

// spokenText says what a contract maps, for people: one line for each API.
func spokenText(list []Spoken) string {
	lines := make([]string, len(list))
	for i := range list {
		s := &list[i]
		names := make([]string, len(s.Operations))
		for j := range s.Operations {
			names[j] = s.Operations[j].Operation + " → " + s.Operations[j].To
			if s.Operations[j].Event != "" {
				names[j] += " (streams too)"
			}
		}
		lines[i] = s.API + ": " + strings.Join(names, ", ")
	}
	return strings.Join(lines, "; ")
}

func spokenSchema() *jsonschema.Schema {
	program := &jsonschema.Schema{Type: "string", MinLength: new(uint64(1)), MaxLength: new(uint64(maxProgram))}
	operation := object(nil,
		property{"to", "the operation of this contract that carries it out", text()},
		property{"request", "jq: the call → the provider's", program},
		property{"answer", "jq: the provider's answer to what succeeded → one of the API that is spoken", program},
		property{"error", "jq: any other answer", program},
		property{"event", "jq: one event of a stream → events of the API that is spoken", program})
	return byName(object(nil,
		property{"headers", "of calls and answers, that programs see", listOf(text(), maxHeaders)},
		property{"tables", "words and what stands for them: $tables in programs", byName(byName(text(), 1, maxEntries), 1, maxTables)},
		property{"define", "jq definitions before each program", program},
		property{"error", "for operations without one of their own", program},
		property{"operations", "of the API that is spoken, by name", byName(operation, 1, maxOperations)},
	), 1, maxSpoken)
}
