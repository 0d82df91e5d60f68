package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/itchyny/gojq"
)

// subset holds a program to what always gives the same for the same input and can be bounded, and guards what makes values.
type subset struct {
	bad  *programError
	word string // where it is wrong
}

func (s *subset) refuse(word, fix, format string, args ...any) {
	if s.bad == nil {
		s.word, s.bad = word, &programError{offset: -1, message: fmt.Sprintf(format, args...), fix: fix}
	}
}

// plainFunctions make nothing that is larger than what they are given. Those with a number are for that many arguments.
var plainFunctions = []string{
	"empty/0", "error/0", "error/1", "not/0", "length/0", "utf8bytelength/0", "values/0", "nulls/0", "strings/0", "numbers/0", "booleans/0",
	"arrays/0", "objects/0", "iterables/0", "scalars/0", "type/0", "tonumber/0", "floor/0", "ceil/0", "round/0", "fabs/0", "abs/0",
	"min/0", "max/0", "any/0", "all/0", "first/0", "last/0", "isvalid/1", "select/1", "has/1", "in/1", "contains/1", "inside/1",
	"startswith/1", "endswith/1", "index/1", "rindex/1", "any/1", "all/1", "any/2", "all/2", "first/1", "last/1", "limit/2",
	"range/1", "range/2", "range/3", "until/2", "while/2", "repeat/1", "min_by/1", "max_by/1", "IN/1", "IN/2", "nth/1", "mktime/0",
}

// makingFunctions give values that are charged to the run.
var makingFunctions = []string{
	"keys/0", "tostring/0", "tojson/0", "fromjson/0", "ascii_downcase/0", "ascii_upcase/0", "explode/0", "implode/0", "unique/0", "sort/0",
	"reverse/0", "add/0", "flatten/0", "flatten/1", "to_entries/0", "from_entries/0", "with_entries/1", "map/1", "map_values/1",
	"ltrimstr/1", "rtrimstr/1", "ltrim/0", "rtrim/0", "trim/0", "split/1", "join/1", "indices/1", "sort_by/1", "group_by/1", "unique_by/1",
	"del/1", "getpath/1", "gmtime/0", "strftime/1", "strptime/1", "todate/0", "fromdate/0",
}

// refusedFunctions are told apart because people will look for them.
var refusedFunctions = map[string]string{
	"input": "a program sees one call", "inputs": "a program sees one call", "env": "it would give something else on another machine",
	"now": "it would give something else the next time", "debug": "nobody reads it", "stderr": "nobody reads it",
	"halt": "say error instead", "halt_error": "say error instead", "localtime": "it would give something else on another machine",
	"strflocaltime": "it would give something else on another machine", "input_filename": "there is no file", "setpath": "build the value anew",
	"test": "expressions are not bounded: use startswith, split or index", "match": "expressions are not bounded: use startswith, split or index",
	"sub": "expressions are not bounded: use split and join", "gsub": "expressions are not bounded: use split and join",
	"capture": "expressions are not bounded: use split", "scan": "expressions are not bounded: use split",
	"get_search_list": "there are no modules", "modulemeta": "there are no modules",
}

// names are the functions that are defined where a query stands.
type names []string

// query holds one query to the subset. It changes it in place: what makes a value is charged.
func (s *subset) query(q *gojq.Query, scope names) {
	if q == nil || s.bad != nil {
		return
	}
	if q.Meta != nil || len(q.Imports) > 0 {
		s.refuse("import", "write definitions under define", "modules are not in the subset")
		return
	}
	for _, f := range q.FuncDefs {
		scope = s.define(f, scope)
	}
	if q.Term != nil {
		s.term(q.Term, scope)
		if made(q.Term) && s.bad == nil {
			inner := &gojq.Query{Term: q.Term}
			q.Term, q.Left, q.Op, q.Right = nil, inner, gojq.OpPipe, guard()
		}
		return
	}
	s.query(q.Left, scope)
	s.patterns(q.Patterns, scope)
	s.query(q.Right, scope)
	s.operator(q)
}

// define holds a definition to the subset, and adds it to those in sight.
func (s *subset) define(f *gojq.FuncDef, scope names) names {
	if strings.HasPrefix(f.Name, "_") {
		s.refuse(f.Name, "choose another name", "%s: names that begin with _ are taken", clip(f.Name))
	}
	scope = append(slices.Clip(scope), fmt.Sprintf("%s/%d", f.Name, len(f.Args)))
	inside := scope
	for _, a := range f.Args {
		s.variable(a)
		inside = append(slices.Clip(inside), strings.TrimPrefix(a, "$")+"/0")
	}
	s.query(f.Body, inside)
	return scope
}

// operator guards the operators that make values, and refuses those that cannot be bounded.
func (s *subset) operator(q *gojq.Query) {
	switch q.Op {
	case gojq.OpAdd, gojq.OpSub, gojq.OpDiv, gojq.OpMod:
		inner := *q
		inner.FuncDefs = nil
		*q = gojq.Query{FuncDefs: q.FuncDefs, Left: &inner, Op: gojq.OpPipe, Right: guard()}
	case gojq.OpMul:
		*q = gojq.Query{FuncDefs: q.FuncDefs, Term: &gojq.Term{Type: gojq.TermTypeFunc, Func: &gojq.Func{Name: multiplyName, Args: []*gojq.Query{q.Left, q.Right}}}}
	case gojq.OpAssign, gojq.OpModify, gojq.OpUpdateAdd, gojq.OpUpdateSub, gojq.OpUpdateMul, gojq.OpUpdateDiv, gojq.OpUpdateMod, gojq.OpUpdateAlt:
		s.refuse(q.Op.String(), "build the value anew, with {…} or +", "the assignment %s is not in the subset", q.Op)
	}
}

func (s *subset) patterns(list []*gojq.Pattern, scope names) {
	for _, p := range list {
		s.pattern(p, scope)
	}
}

func (s *subset) pattern(p *gojq.Pattern, scope names) {
	s.variable(p.Name)
	for _, e := range p.Array {
		s.pattern(e, scope)
	}
	for _, e := range p.Object {
		s.variable(e.Key)
		s.text(e.KeyString, scope)
		s.query(e.KeyQuery, scope)
		if e.Val != nil {
			s.pattern(e.Val, scope)
		}
	}
}

func (s *subset) variable(name string) {
	if strings.HasPrefix(name, "$__") || name == "$ENV" {
		s.refuse(name, "choose another name", "%s is not in the subset", clip(name))
	}
}

// term holds the parts of a term to the subset.
func (s *subset) term(t *gojq.Term, scope names) {
	switch {
	case t.Func != nil:
		s.function(t.Func, scope)
	case t.Format != "":
		if !slices.Contains([]string{"@text", "@json", "@uri", "@base64", "@base64d"}, t.Format) {
			s.refuse(t.Format, "use @text, @json, @uri, @base64 or @base64d", "%s is not in the subset", clip(t.Format))
		}
	}
	s.index(t.Index, scope)
	s.text(t.Str, scope)
	if t.Object != nil {
		for _, kv := range t.Object.KeyVals {
			s.variable(kv.Key)
			s.text(kv.KeyString, scope)
			s.query(kv.KeyQuery, scope)
			s.query(kv.Val, scope)
		}
	}
	if t.Array != nil {
		s.query(t.Array.Query, scope)
	}
	if t.Unary != nil {
		s.term(t.Unary.Term, scope)
	}
	s.query(t.Query, scope)
	s.control(t, scope)
	for _, x := range t.SuffixList {
		s.index(x.Index, scope)
	}
}

// control are the terms that decide what runs.
func (s *subset) control(t *gojq.Term, scope names) {
	if x := t.If; x != nil {
		s.query(x.Cond, scope)
		s.query(x.Then, scope)
		for _, e := range x.Elif {
			s.query(e.Cond, scope)
			s.query(e.Then, scope)
		}
		s.query(x.Else, scope)
	}
	if x := t.Try; x != nil {
		s.query(x.Body, scope)
		s.query(x.Catch, scope)
	}
	if x := t.Reduce; x != nil {
		s.query(x.Query, scope)
		s.patterns(x.Patterns, scope)
		s.query(x.Start, scope)
		s.query(x.Update, scope)
	}
	if x := t.Foreach; x != nil {
		s.query(x.Query, scope)
		s.patterns(x.Patterns, scope)
		s.query(x.Start, scope)
		s.query(x.Update, scope)
		s.query(x.Extract, scope)
	}
	if x := t.Label; x != nil {
		s.query(x.Body, scope)
	}
}

func (s *subset) index(x *gojq.Index, scope names) {
	if x == nil {
		return
	}
	s.text(x.Str, scope)
	s.query(x.Start, scope)
	s.query(x.End, scope)
}

func (s *subset) text(x *gojq.String, scope names) {
	if x == nil {
		return
	}
	for _, q := range x.Queries {
		if q.Term == nil || q.Term.Str == nil { // the text between has no query in it
			s.query(q, scope)
		}
	}
}

func (s *subset) function(f *gojq.Func, scope names) {
	if strings.HasPrefix(f.Name, "$") {
		s.variable(f.Name)
		return
	}
	for _, a := range f.Args {
		s.query(a, scope)
	}
	name := fmt.Sprintf("%s/%d", f.Name, len(f.Args))
	if slices.Contains(scope, name) || slices.Contains(plainFunctions, name) || slices.Contains(makingFunctions, name) {
		return
	}
	if why, known := refusedFunctions[f.Name]; known {
		s.refuse(f.Name, why, "%s is not in the subset", f.Name)
		return
	}
	s.refuse(f.Name, "", "the function %s with %d arguments is not in the subset", clip(f.Name), len(f.Args))
}

// made tells whether a term makes a value that has to be charged.
func made(t *gojq.Term) bool {
	switch {
	case t.Object != nil, t.Array != nil, t.Format != "", t.Str != nil && len(t.Str.Queries) > 0, t.Index != nil && t.Index.IsSlice:
		return true
	case slices.ContainsFunc(t.SuffixList, func(x *gojq.Suffix) bool { return x.Index != nil && x.Index.IsSlice }):
		return true
	case t.Func != nil:
		return slices.Contains(makingFunctions, fmt.Sprintf("%s/%d", t.Func.Name, len(t.Func.Args)))
	default:
		return false
	}
}

// guard is the query that charges the value before it.
func guard() *gojq.Query {
	run := &gojq.Query{Term: &gojq.Term{Type: gojq.TermTypeFunc, Func: &gojq.Func{Name: runVariable}}}
	return &gojq.Query{Term: &gojq.Term{Type: gojq.TermTypeFunc, Func: &gojq.Func{Name: guardName, Args: []*gojq.Query{run}}}}
}
