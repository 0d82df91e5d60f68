package policy

import (
	"strconv"

	"github.com/invopop/jsonschema"
	"go.yaml.in/yaml/v3"
)

func writePassages(w writer, list []Passage) {
	if len(list) == 0 {
		return
	}
	m := w.below("session", 0)
	for i := range list {
		p := &list[i]
		style := yaml.FlowStyle
		if p.Export.say() || (p.Tokens != Tokens{}) {
			style = 0
		}
		one := m.below(p.Map, style)
		if (p.Import != Import{}) {
			writeImport(one.below("import", yaml.FlowStyle), &p.Import)
		}
		if p.Export.say() {
			writeExport(one.below("export", 0), &p.Export)
		}
		if (p.Tokens != Tokens{}) {
			writeTokens(one.below("tokens", 0), &p.Tokens)
		}
	}
}

func writeImport(w writer, i *Import) {
	w.text("match", i.Match)
	if i.Put != (Field{}) {
		w.text("put", i.Put.String())
	}
	w.text("form", i.Form)
	w.text("id", i.ID)
}

func writeExport(w writer, e *Export) {
	w.text("match", e.Match)
	w.shortProgram("answer", e.Answer)
	w.texts("after", e.After)
	w.text("id", e.ID)
	if len(e.Absent) > 0 {
		list := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Style: yaml.FlowStyle}
		for _, n := range e.Absent {
			list.Content = append(list.Content, plain("!!int", strconv.Itoa(n)))
		}
		w.add("absent", list)
	}
	w.span("life", e.Life)
	w.count("max", e.Max)
}

func writeTokens(w writer, t *Tokens) {
	if t.Put != (Field{}) {
		w.text("put", t.Put.String())
	}
	w.text("value", t.Value)
	w.shortProgram("answer", t.Answer)
	for _, c := range []struct {
		word string
		call *TokenCall
	}{{"issue", &t.Issue}, {"refresh", &t.Refresh}} {
		if *c.call != (TokenCall{}) {
			one := w.below(c.word, yaml.FlowStyle)
			one.text("match", c.call.Match)
			one.text("body", c.call.Body)
		}
	}
	w.span("early", t.Early)
}

// shortProgram writes a program as it is written by hand: on one line where it has one.
func (w writer) shortProgram(key, text string) {
	if programText1(text) == text {
		w.text(key, text)
		return
	}
	w.program(key, text)
}

func passagesSchema() *jsonschema.Schema {
	where := &jsonschema.Schema{Type: "string", Pattern: fieldForm}
	program := &jsonschema.Schema{Type: "string", MinLength: new(uint64(1)), MaxLength: new(uint64(maxProgram))}
	call := object([]string{"match"},
		property{"match", "method and path, with {session} and {account} in it", text()},
		property{"body", "JSON or a form, with {session}, {account} and, of a refresh, {refresh}", text()})
	return byName(object(nil,
		property{"import", "the call that brings a field there", object([]string{"match", "put", "id"},
			property{"match", "method and path", text()},
			property{"put", "where the value goes", where},
			property{"form", "left out: json", oneWord("json", importForm)},
			property{"id", "where the answer says what it is called there", text()})},
		property{"export", "the read that fetches a field from there", object(nil,
			property{"match", "method and address, with {id}, {session} or {account} in it", text()},
			property{"answer", "jq: the answer → what the field says", program},
			property{"after", "operations that change the field there: it is fetched after them", listOf(text(), maxOperations)},
			property{"id", "where an answer of those says what it is called there", text()},
			property{"absent", "statuses that say that there is nothing", listOf(whole(599), maxStatuses)},
			property{"life", "how long a fetched copy counts; left out: until an operation changes it", spanSchema()},
			property{"max", "bytes of the answer", whole(maxExport)})},
		property{"tokens", "what the provider lets a conversation in by", object(nil,
			property{"put", "where calls carry the token: a header, or a name in their body", where},
			property{"value", "with {access} in it; left out: the token alone", text()},
			property{"answer", "jq: the answer of issue and of refresh → {access, refresh, life}", program},
			property{"issue", "the call that gives a conversation its first tokens", call},
			property{"refresh", "the call that gives new ones", call},
			property{"early", "how long before its end a token is refreshed", spanSchema()})},
	), 0, maxPassages)
}
