package policy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/invopop/jsonschema"
	"go.yaml.in/yaml/v3"
)

const (
	maxSessionFields = 32 // of one service
	maxFloor         = 1 << 53
)

// SessionField is what a service's sessions hold beside the pinned provider, under a name of the operator's.
type SessionField struct {
	Name     string
	Class    FieldClass
	Kind     FieldKind
	Map      string // the contract's import that brings it to a provider: vault/cards
	At       Field  // where a request carries it; zero: nowhere
	Floor    int64  // of a counter; HasFloor tells whether there is one
	HasFloor bool
	Compare  bool // each write names the version that it replaces
	Report   bool // of a pinned field: a session may leave it behind, and that is reported
	Warm     bool // changes are brought to the provider that would be next as they happen
}

// FieldClass says what becomes of a field when its session goes to another provider.
type FieldClass string

// The classes.
const (
	Replicated FieldClass = "replicated" // copied there by its import call
	Rebuilt    FieldClass = "rebuilt"    // made there again from the history, or by the requests themselves
	PinnedHere FieldClass = "pinned"     // it cannot move
)

func fieldClasses() []string {
	return []string{string(Replicated), string(Rebuilt), string(PinnedHere)}
}

// FieldKind says how a field is written and merged.
type FieldKind string

// The kinds. A value is what is meant where nothing is said.
const (
	KindValue   FieldKind = ""
	KindSet     FieldKind = "set"
	KindCounter FieldKind = "counter"
	KindTokens  FieldKind = "tokens" // what providers let the conversation in by, each its own: no application reads them back
)

// kindValue is how the document writes KindValue.
const kindValue = "value"

// String is the kind as the document writes it.
func (k FieldKind) String() string {
	if k == KindValue {
		return kindValue
	}
	return string(k)
}

func fieldKinds() []string {
	return []string{kindValue, string(KindSet), string(KindCounter), string(KindTokens)}
}

// Guarded tells whether a field's writes need a quorum: they are compared, or held above a floor.
func (f *SessionField) Guarded() bool { return f.Compare || f.HasFloor }

// Field returns the field that a service's sessions have under a name.
func (s *Service) Field(name string) (*SessionField, bool) {
	for i := range s.Session {
		if s.Session[i].Name == name {
			return &s.Session[i], true
		}
	}
	return nil, false
}

// NearestField is the field that a mistyped name probably meant, "" where none is near.
func (s *Service) NearestField(name string) string {
	names := make([]string, len(s.Session))
	for i := range s.Session {
		names[i] = s.Session[i].Name
	}
	return nearest(name, names)
}

func (r *reader) session(v value) []SessionField {
	var found []SessionField
	for _, p := range r.pairs(v, maxSessionFields) {
		found = append(found, r.sessionField(p.name, p.value))
	}
	if found == nil && v.node.Kind == yaml.MappingNode {
		r.problem(v, "lists no field", "leave session out, or write one, like card: {class: replicated, map: vault/cards}")
	}
	return found
}

func (r *reader) sessionField(name string, v value) SessionField {
	f := SessionField{Name: name}
	r.object(v, fields{known: map[string]func(value){
		"class": func(v value) { f.Class = FieldClass(r.word(v, fieldClasses(), nil)) },
		"kind": func(v value) {
			if f.Kind = FieldKind(r.word(v, fieldKinds(), nil)); f.Kind == kindValue {
				f.Kind = KindValue
			}
		},
		"map":     func(v value) { f.Map = r.text(v) },
		"at":      func(v value) { f.At = r.oneField(v) },
		"floor":   func(v value) { f.Floor, f.HasFloor = r.wholeNumber(v) },
		"compare": func(v value) { f.Compare, _ = r.boolean(v) },
		"lose":    func(v value) { f.Report = r.word(v, []string{"refuse", "report"}, nil) == "report" },
		"standby": func(v value) { f.Warm = r.word(v, []string{"warm"}, []string{"cold"}) != "" },
	}})
	return f
}

// wholeNumber reads a whole number of either sign.
func (r *reader) wholeNumber(v value) (int64, bool) {
	if v.node.Kind == yaml.ScalarNode && v.node.ShortTag() == "!!int" {
		if n, err := strconv.ParseInt(v.node.Value, 10, 64); err == nil {
			return n, true
		}
	}
	r.problem(v, "is "+shown(v.node), "write a whole number, like 0")
	return 0, false
}

func (c *checker) session(path string, list []SessionField) {
	names := make([]string, len(list))
	for i := range list {
		names[i] = list[i].Name
	}
	c.unique(path, names, nameProblem)
	if len(list) > maxSessionFields {
		c.problem(path, "take some out", "has %d fields, more than %d", len(list), maxSessionFields)
	}
	for i := range list {
		c.sessionField(join(path, clip(list[i].Name)), &list[i])
	}
}

func (c *checker) sessionField(path string, f *SessionField) {
	switch f.Class {
	case Replicated:
		if f.Kind == KindTokens {
			c.problem(path+".class", "write rebuilt: the next provider issues its own; or pinned", "tokens open one provider alone: they are never copied to another")
		} else if f.Map == "" {
			c.lacks(path+".map", "name the contract's import that copies it, like vault/cards; or write class: rebuilt")
		}
	case Rebuilt, PinnedHere:
	case "":
		c.lacks(path+".class", "write "+strings.Join(fieldClasses(), ", "))
	default:
		c.problem(path+".class", didYouMean(string(f.Class), fieldClasses()), "%q is unknown", clip(string(f.Class)))
	}
	if !slices.Contains(fieldKinds(), f.Kind.String()) {
		c.problem(path+".kind", didYouMean(string(f.Kind), fieldKinds()), "%q is unknown", clip(string(f.Kind)))
	}
	c.fieldWrites(path, f)
	c.fieldMoves(path, f)
}

func (c *checker) fieldWrites(path string, f *SessionField) {
	switch {
	case f.HasFloor && f.Kind != KindCounter:
		c.problem(path+".floor", "write kind: counter, or leave it out", "a %s has no floor", f.Kind)
	case f.HasFloor && f.Floor > 0:
		c.problem(path+".floor", "write 0 or less", "a counter begins at 0, which is below its floor of %d", f.Floor)
	case f.HasFloor && f.Floor < -maxFloor:
		c.problem(path+".floor", "", "%d is not between -%d and 0", f.Floor, int64(maxFloor))
	case !f.HasFloor && f.Floor != 0:
		c.problem(path+".floor", "", "is not there, and is not 0")
	}
	if f.Compare && f.Kind != KindValue {
		c.problem(path+".compare", "leave it out, or write kind: value", "writes of a %s are not compared", f.Kind)
	}
}

func (c *checker) fieldMoves(path string, f *SessionField) {
	if f.Map != "" {
		if what := contractNameProblem(f.Map); what != "" {
			c.problem(path+".map", "write the name of a contract's import, like vault/cards", "%q is no name of an import", clip(f.Map))
		}
		switch {
		case f.Kind == KindTokens:
		case f.Class == PinnedHere:
			c.problem(path+".map", "leave it out, or write class: replicated", "a pinned field is brought nowhere")
		case f.Kind != KindValue:
			c.problem(path+".map", "leave it out, or write kind: value", "a %s is not brought to providers", f.Kind)
		}
	}
	if f.At != (Field{}) {
		switch what := f.At.problem(); {
		case what != "":
			c.problem(path+".at", "write one, like body.source", "%q %s", clip(f.At.String()), what)
		case f.At.In == "path":
			c.problem(path+".at", "write one in the body or a header", "%s: a path is not rewritten", f.At)
		case f.Kind == KindTokens:
			c.problem(path+".at", "leave it out", "the contract's put says where calls carry tokens")
		case f.Map == "":
			c.problem(path+".at", "name the import with map", "does nothing without map")
		}
	}
	if f.Kind == KindTokens && f.Map == "" {
		c.lacks(path+".map", "name the contract's tokens, like login")
	}
	if f.Warm && f.Map == "" {
		c.problem(path+".standby", "name the import with map", "does nothing without map")
	}
	if f.Report && f.Class != PinnedHere {
		c.problem(path+".lose", "leave it out", "only a pinned field can be lost")
	}
}

func writeSession(w writer, list []SessionField) {
	if len(list) == 0 {
		return
	}
	m := w.below("session", 0)
	for i := range list {
		f := &list[i]
		one := m.below(f.Name, yaml.FlowStyle)
		one.text("class", string(f.Class))
		one.text("kind", string(f.Kind))
		one.text("map", f.Map)
		if f.At != (Field{}) {
			one.text("at", f.At.String())
		}
		if f.HasFloor {
			one.add("floor", plain("!!int", strconv.FormatInt(f.Floor, 10)))
		}
		one.yes("compare", f.Compare)
		if f.Report {
			one.text("lose", "report")
		}
		if f.Warm {
			one.text("standby", "warm")
		}
	}
}

// Text is all that the policy says of a field, in words.
func (f *SessionField) Text() string {
	parts := []string{string(f.Class), f.Kind.String()}
	add := func(is bool, text string) {
		if is {
			parts = append(parts, text)
		}
	}
	add(f.Map != "" && f.Kind != KindTokens, "brought by "+f.Map)
	add(f.Map != "" && f.Kind == KindTokens, "issued and refreshed by "+f.Map)
	add(f.At != Field{}, "sent at "+f.At.String())
	add(f.HasFloor, fmt.Sprintf("never below %d", f.Floor))
	add(f.Compare, "each write compared")
	add(f.Report, "its loss is reported")
	add(f.Warm, "warm standby")
	return strings.Join(parts, ", ")
}

func sessionFacts(path string, s *ServiceSpec) []fact {
	var list []fact
	for i := range s.Session {
		f := &s.Session[i]
		list = append(list, fact{path: path + ".session." + f.Name, service: s.Name, label: "session field " + f.Name, value: f.Text()})
	}
	return list
}

func sessionSchema() *jsonschema.Schema {
	return byName(object([]string{"class"},
		property{"class", "what becomes of it when the session goes to another provider", oneWord(fieldClasses()...)},
		property{"kind", "how it is written and merged; left out: value", oneWord(fieldKinds()...)},
		property{"map", "the contract's import that brings it to a provider", text()},
		property{"at", "where a request carries it: each provider is sent its own name for it", &jsonschema.Schema{Type: "string", Pattern: fieldForm}},
		property{"floor", "a counter never falls below it", &jsonschema.Schema{Type: "integer"}},
		property{"compare", "each write names the version that it replaces", &jsonschema.Schema{Type: "boolean"}},
		property{"lose", "what a move does that would leave a pinned field behind; left out: refuse", oneWord("refuse", "report")},
		property{"standby", "changes are brought to the next provider as they happen", oneWord("warm")},
	), 1, maxSessionFields)
}
