package web

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"segue/controlplane/health"
	"segue/controlplane/policy"
	"segue/controlplane/query"
	"segue/controlplane/state"
	"segue/web/view"
)

// object is a piece of the document.
type object = map[string]any

// shown are the types behind the API's answers and requests; what they hold follows.
func shown() []any {
	return []any{
		changed{}, provider{}, region{}, Fault{}, Verdict{}, Naive{}, found{}, query.Why{}, occurrence{}, update{}, health.Report{}, health.World{}, problem{},
		policy.Sheet{}, sessionsInUse{}, sessionShown{}, sessionChecks{}, hintLogs{}, hintReplay{}, verifiedAll{}, planned{}, testDecision{}, costs{}, revisionLine{}, revisionShown{}, probed{}, decided{}, nodeView{}, agentShown{}, view.Status{}, state.Ack{}, shifts{},
	}
}

// schemaNames are the types whose own name would not do in the document.
func schemaNames() map[string]string {
	return map[string]string{
		"web.change": "Difference", "web.Fault": "SandboxFault", "web.found": "Transactions", "web.hintLogs": "HintLogs", "web.hintLog": "HintLog", "query.HintLog": "AgentHints", "web.hintReplay": "HintReplay", "web.hintReplayed": "HintReplayed", "query.HintReplayed": "AgentReplay", "policy.Hints": "HintOrder", "web.planned": "Plan", "web.whatIf": "WhatIf", "web.whatIfService": "WhatIfService", "web.whatIfProvider": "WhatIfProvider", "web.whatIfLeft": "WhatIfLeft", "web.occurrence": "Event",
		"web.sessionsInUse": "SessionsInUseByAgent",
		"health.Event":      "AgentEvent", "web.Verdict": "Books", "health.World": "Health", "web.revisionLine": "RevisionRow",
		"web.revisionShown": "Revision", "policy.Problem": "Finding", "policy.Sheet": "Contract", "policy.Stated": "ContractFact", "web.nodeView": "Node", "web.agentShown": "Agent",
	}
}

// schemas makes JSON Schemas of Go types, as encoding/json writes them, with the comments of their fields.
type schemas struct {
	made     object
	names    map[string]string
	comments map[string]string
}

func schemasOf(t *testing.T, dirs []string, values []any) object {
	t.Helper()
	s := &schemas{made: object{}, names: schemaNames(), comments: map[string]string{}}
	for _, dir := range dirs {
		s.readComments(t, dir)
	}
	for _, v := range values {
		s.of(reflect.TypeOf(v))
	}
	return s.made
}

func (s *schemas) readComments(t *testing.T, dir string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no sources in %s: %v", dir, err)
	}
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range parsed.Decls {
			if g, ok := d.(*ast.GenDecl); ok {
				s.readTypes(parsed.Name.Name, g)
			}
		}
	}
}

func (s *schemas) readTypes(pkg string, g *ast.GenDecl) {
	for _, spec := range g.Specs {
		t, ok := spec.(*ast.TypeSpec)
		if !ok {
			continue
		}
		text := g.Doc.Text()
		if t.Doc != nil {
			text = t.Doc.Text()
		}
		s.comments[pkg+"."+t.Name.Name] = inWords(strings.TrimPrefix(text, t.Name.Name+" "))
		fields, ok := t.Type.(*ast.StructType)
		if !ok {
			continue
		}
		for _, f := range fields.Fields.List {
			for _, name := range f.Names {
				s.comments[pkg+"."+t.Name.Name+"."+name.Name] = inWords(f.Comment.Text())
			}
		}
	}
}

// inWords writes for who knows no names of constants.
func inWords(comment string) string {
	text := strings.Join(strings.Fields(comment), " ")
	return strings.NewReplacer(
		"None64", "-1", "over RateSpan", "over the last 10 s", "over Recent", "over the last 60 s", "within Silent", "in the last 10 s", "within Forget", "in the last 60 s",
		"HistoryPoints", "180", "MaxWorldEvents", "500", "MaxEvents", "64", "one per Step", "one per 5 s", "one Step", "5 seconds", "last whole Step", "last whole one",
	).Replace(text)
}

func (s *schemas) key(t reflect.Type) string {
	return t.PkgPath()[strings.LastIndexByte(t.PkgPath(), '/')+1:] + "." + t.Name()
}

func (s *schemas) name(t reflect.Type) string {
	if name, ok := s.names[s.key(t)]; ok {
		return name
	}
	return strings.ToUpper(t.Name()[:1]) + t.Name()[1:]
}

// of returns the schema of a value; a struct's stands among the components.
func (s *schemas) of(t reflect.Type) object {
	switch t {
	case reflect.TypeFor[time.Time]():
		return object{"type": "string", "format": "date-time"}
	case reflect.TypeFor[time.Duration]():
		return object{"type": "integer", "format": "int64", "description": "nanoseconds"}
	case reflect.TypeFor[[]byte]():
		return object{"type": []any{"string", "null"}, "contentEncoding": "base64"}
	case reflect.TypeFor[policy.Policy]():
		return object{"type": []any{"object", "null"}, "description": "the document as it was understood; for its source see the other member"}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return s.of(t.Elem())
	case reflect.String:
		return object{"type": "string"}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Float64:
		return object{"type": "number"}
	case reflect.Int, reflect.Int8, reflect.Int32, reflect.Int64:
		return object{"type": "integer"}
	case reflect.Uint, reflect.Uint8, reflect.Uint32, reflect.Uint64:
		return object{"type": "integer", "minimum": 0}
	case reflect.Slice:
		return object{"type": []any{"array", "null"}, "items": s.of(t.Elem())}
	case reflect.Array:
		return object{"type": "array", "minItems": t.Len(), "maxItems": t.Len(), "items": s.of(t.Elem())}
	case reflect.Map:
		return object{"type": []any{"object", "null"}, "additionalProperties": s.of(t.Elem())}
	case reflect.Struct:
		s.component(t)
		return object{"$ref": "#/components/schemas/" + s.name(t)}
	default:
		return object{}
	}
}

func (s *schemas) component(t reflect.Type) {
	name := s.name(t)
	if _, there := s.made[name]; there {
		return
	}
	properties, required := object{}, []any{}
	one := object{"type": "object", "additionalProperties": false, "properties": properties}
	s.made[name] = one
	if text := s.comments[s.key(t)]; text != "" {
		one["description"] = text
	}
	s.fields(t, properties, &required)
	if len(required) > 0 {
		one["required"] = required
	}
}

func (s *schemas) fields(t reflect.Type, properties object, required *[]any) {
	for f := range t.Fields() {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "":
			s.fields(f.Type, properties, required)
			continue
		case name == "-" || !f.IsExported():
			continue
		case name == "":
			name = f.Name
		}
		one := s.of(f.Type)
		if text := s.comments[s.key(t)+"."+f.Name]; text != "" {
			if was, ok := one["description"].(string); ok {
				text += "; " + was
			}
			one["description"] = text
		}
		if properties[name] = one; strings.Contains(options, "omit") {
			if list, ok := one["type"].([]any); ok { // what is empty is left out, and so never null
				one["type"] = list[0]
			}
			continue
		}
		*required = append(*required, name)
	}
}

// merged lays piece over base, member by member; lists are replaced.
func merged(base, piece object) object {
	for name, v := range piece {
		inner, ok := v.(object)
		old, both := base[name].(object)
		if ok && both {
			v = merged(old, inner)
		}
		base[name] = v
	}
	return base
}
