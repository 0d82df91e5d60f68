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
	maxImports       = 16 // of one contract
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

func fieldKinds() []string { return []string{kindValue, string(KindSet), string(KindCounter)} }

// Guarded tells whether a field's writes need a quorum: they are compared, or held above a floor.
func (f *SessionField) Guarded() bool { return f.Compare || f.HasFloor }

// Import is a call that brings a session's field to a provider, and what it is called there.
type Import struct {
	Map   string // the name that fields ask for it by
	Match string // POST /v1/vault/cards
	Put   Field  // where the value goes in its body
	Form  string // form: as a web form; "": JSON
	ID    string // where the answer says what it is called there
}

const importForm = "form"

// Import returns the candidate's call for a map.
func (c *Candidate) Import(name string) (Import, bool) { return importOf(c.Contract.Session, name) }

func importOf(list []Import, name string) (Import, bool) {
	for _, i := range list {
		if i.Map == name {
			return i, true
		}
	}
	return Import{}, false
}

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

func (r *reader) imports(v value) []Import {
	var found []Import
	for _, p := range r.pairs(v, maxImports) {
		i := Import{Map: p.name}
		r.object(p.value, fields{known: map[string]func(value){"import": func(v value) { r.importCall(v, &i) }}, later: []string{"export"}})
		found = append(found, i)
	}
	return found
}

func (r *reader) importCall(v value, i *Import) {
	r.object(v, fields{known: map[string]func(value){
		"match": func(v value) { i.Match = r.text(v) },
		"put":   func(v value) { i.Put = r.oneField(v) },
		"form": func(v value) {
			if r.word(v, []string{"json", importForm}, nil) == importForm {
				i.Form = importForm
			}
		},
		"id": func(v value) { i.ID = r.text(v) },
	}})
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
		if f.Map == "" {
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
		case f.Map == "":
			c.problem(path+".at", "name the import with map", "does nothing without map")
		}
	}
	if f.Warm && f.Map == "" {
		c.problem(path+".standby", "name the import with map", "does nothing without map")
	}
	if f.Report && f.Class != PinnedHere {
		c.problem(path+".lose", "leave it out", "only a pinned field can be lost")
	}
}

func (c *checker) imports(path string, list []Import) {
	seen := map[string]bool{}
	if len(list) > maxImports {
		c.problem(path, "take some out", "has %d imports, more than %d", len(list), maxImports)
	}
	for _, i := range list {
		at := join(path, clip(i.Map))
		if what := contractNameProblem(i.Map); what != "" {
			c.problem(at, "names are like vault/cards", "%s", what)
		}
		if seen[i.Map] {
			c.problem(at, "keep one of them", "is there twice")
		}
		seen[i.Map] = true
		c.importCall(at+".import", i)
	}
}

func (c *checker) importCall(path string, i Import) {
	if i.Match == "" {
		c.lacks(path, "write {match: POST /v1/vault/cards, put: body.card, id: id}")
		return
	}
	p, err := parsePattern(i.Match)
	switch {
	case err != nil:
		c.problem(path+".match", "write one, like POST /v1/vault/cards", "%v", err)
	case p.method == "GET" || p.method == "HEAD" || p.fixed() < len(p.segments):
		c.problem(path+".match", "write one, like POST /v1/vault/cards", "%q is not one plain path to write to", clip(i.Match))
	}
	if i.Put.In != "body" || i.Put.problem() != "" {
		c.problem(path+".put", "write where the value goes, like body.card", "%q is no place in a body", clip(i.Put.String()))
	}
	if (Field{In: "body", Name: i.ID}).problem() != "" {
		c.problem(path+".id", "write where the answer says what it is called there, like id", "%q is no field of a body", clip(i.ID))
	}
	if i.Form != "" && i.Form != importForm {
		c.problem(path+".form", "write json or form", "%q is unknown", clip(i.Form))
	}
}

// Call is the method and path of an import.
func (i *Import) Call() (method, path string) {
	method, path, _ = strings.Cut(i.Match, " ")
	return method, path
}

func (i *Import) text() string {
	form := ""
	if i.Form != "" {
		form = " as a " + i.Form
	}
	return fmt.Sprintf("%s takes it in %s%s and names it in %s", i.Match, i.Put, form, i.ID)
}

func importsText(list []Import) string {
	texts := make([]string, len(list))
	for i := range list {
		texts[i] = list[i].Map + ": " + list[i].text()
	}
	return strings.Join(texts, "; ")
}

// importsOver lays imports over those of the contract underneath, name by name.
func importsOver(under, over []Import) []Import {
	kept := slices.DeleteFunc(slices.Clone(under), func(u Import) bool { _, said := importOf(over, u.Map); return said })
	if kept = append(kept, over...); len(kept) == 0 {
		return nil
	}
	return kept
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

func writeImports(w writer, list []Import) {
	if len(list) == 0 {
		return
	}
	m := w.below("session", 0)
	for _, i := range list {
		one := m.below(i.Map, yaml.FlowStyle).below("import", yaml.FlowStyle)
		one.text("match", i.Match)
		one.text("put", i.Put.String())
		one.text("form", i.Form)
		one.text("id", i.ID)
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
	add(f.Map != "", "brought by "+f.Map)
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

func importsSchema() *jsonschema.Schema {
	return byName(object([]string{"import"}, property{"import", "the call that brings a field there", object([]string{"match", "put", "id"},
		property{"match", "method and path", text()},
		property{"put", "where the value goes", &jsonschema.Schema{Type: "string", Pattern: fieldForm}},
		property{"form", "left out: json", oneWord("json", importForm)},
		property{"id", "where the answer says what it is called there", text()})}), 0, maxImports)
}
