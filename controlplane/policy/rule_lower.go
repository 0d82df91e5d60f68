package policy

import (
	"fmt"
	"slices"
	"strings"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
)

// lowering turns the typed trees of a service's conditions into closures over Facts, for one region.
type lowering struct {
	trees      *ruleTrees
	region     string
	regions    []string
	operations []string
	places     []string // of the operations' paths; nil: not asked
	base       string   // currency of value, for sentences
	reads      []OperandAt
	words      map[string]uint16
	tree       *ast.AST // of the condition at hand
	nodes      int
}

// cond is a lowered condition. Known says what it always is here; then holds is nil.
type cond struct {
	holds func(*Facts) bool
	known known
	says  string
	joint string // "and" or "or", where says has several parts
}

type known uint8

const (
	depends known = iota
	never
	always
)

func truth(yes bool) known {
	if yes {
		return always
	}
	return never
}

// condition lowers a text. "" always holds.
func (l *lowering) condition(text string) (c cond, wrong *mistake) {
	if text == "" {
		return cond{known: always}, nil
	}
	tree, wrong := l.trees.tree(text)
	if wrong != nil {
		return cond{}, wrong
	}
	l.tree, l.nodes = tree, 0
	return l.cond(l.tree.Expr(), 0)
}

// refuse says what is wrong with a part of the condition.
func (l *lowering) refuse(e ast.Expr, fix, format string, args ...any) *mistake {
	at := l.tree.SourceInfo().GetStartLocation(e.ID())
	return &mistake{place{max(at.Line(), 1), max(at.Column(), 0) + 1}, fmt.Sprintf(format, args...), fix}
}

func (l *lowering) cond(e ast.Expr, depth int) (cond, *mistake) {
	if l.nodes++; depth > maxRuleDepth || l.nodes > maxRuleNodes {
		return cond{}, l.refuse(e, "write several rules", "the condition is too large or too deep")
	}
	switch e.Kind() {
	case ast.LiteralKind:
		if b, ok := e.AsLiteral().(types.Bool); ok {
			return cond{known: truth(bool(b)), says: fmt.Sprint(bool(b))}, nil
		}
	case ast.IdentKind:
		if e.AsIdent() == "read" {
			return cond{holds: func(f *Facts) bool { return f.Read }, says: "it is a read"}, nil
		}
	case ast.SelectKind:
		return l.field(e)
	case ast.CallKind:
		return l.call(e, depth)
	default:
	}
	return cond{}, l.refuse(e, ruleWords, "is neither true nor false")
}

// field lowers has(body.x), and a field that is a yes or a no.
func (l *lowering) field(e ast.Expr) (cond, *mistake) {
	as := IsYes
	if e.AsSelect().IsTestOnly() {
		as = IsText
	}
	t, wrong := l.operand(e, as)
	if wrong != nil {
		return cond{}, wrong
	}
	at := t.at
	if as == IsText {
		return cond{holds: func(f *Facts) bool { return f.Operands[at].Kind != Missing }, says: t.name + " is told"}, nil
	}
	return cond{holds: func(f *Facts) bool { return f.Operands[at].Kind == IsYes }, says: t.name + " is true"}, nil
}

func (l *lowering) call(e ast.Expr, depth int) (cond, *mistake) {
	call := e.AsCall()
	args := call.Args()
	switch name := call.FunctionName(); name {
	case operators.LogicalAnd, operators.LogicalOr:
		return l.several(name, args, depth)
	case operators.LogicalNot:
		c, wrong := l.cond(args[0], depth+1)
		return c.not(), wrong
	case operators.Conditional:
		return l.choice(args, depth)
	case operators.Equals, operators.NotEquals, operators.Less, operators.LessEquals, operators.Greater, operators.GreaterEquals:
		return l.comparison(e, name, args[0], args[1])
	case operators.In, operators.OldIn:
		return l.among(e, args[0], args[1])
	case operators.Index:
		return l.field(e)
	default:
		return cond{}, l.refuse(e, ruleWords, "%s is no part of a condition", clip(name))
	}
}

func (l *lowering) several(name string, args []ast.Expr, depth int) (cond, *mistake) {
	parts := make([]cond, len(args))
	for i, a := range args {
		var wrong *mistake
		if parts[i], wrong = l.cond(a, depth+1); wrong != nil {
			return cond{}, wrong
		}
	}
	all := parts[0]
	for _, p := range parts[1:] {
		if name == operators.LogicalAnd {
			all = all.and(p)
		} else {
			all = all.or(p)
		}
	}
	return all, nil
}

func (l *lowering) choice(args []ast.Expr, depth int) (cond, *mistake) {
	var parts [3]cond
	for i := range parts {
		var wrong *mistake
		if parts[i], wrong = l.cond(args[i], depth+1); wrong != nil {
			return cond{}, wrong
		}
	}
	when, then, otherwise := parts[0], parts[1], parts[2]
	c := when.and(then).or(when.not().and(otherwise))
	if c.known == depends && when.known == depends {
		c.says, c.joint = fmt.Sprintf("%s if %s, else %s", then.inside(""), when.inside(""), otherwise.inside("")), "if"
	}
	return c, nil
}

// run is the condition as a function.
func (c cond) run() func(*Facts) bool {
	switch c.known {
	case always:
		return func(*Facts) bool { return true }
	case never:
		return func(*Facts) bool { return false }
	default:
		return c.holds
	}
}

func (c cond) not() cond {
	switch {
	case c.known == always:
		return cond{known: never, says: "false"}
	case c.known == never:
		return cond{known: always, says: "true"}
	}
	holds := c.holds
	return cond{holds: func(f *Facts) bool { return !holds(f) }, says: "not " + c.inside("")}
}

func (c cond) and(o cond) cond {
	switch {
	case c.known == never || o.known == always:
		return c
	case o.known == never || c.known == always:
		return o
	}
	a, b := c.holds, o.holds
	return cond{holds: func(f *Facts) bool { return a(f) && b(f) }, says: c.inside("and") + " and " + o.inside("and"), joint: "and"}
}

func (c cond) or(o cond) cond {
	switch {
	case c.known == always || o.known == never:
		return c
	case o.known == always || c.known == never:
		return o
	}
	a, b := c.holds, o.holds
	return cond{holds: func(f *Facts) bool { return a(f) || b(f) }, says: c.inside("or") + " or " + o.inside("or"), joint: "or"}
}

// inside is the condition in a longer sentence.
func (c cond) inside(joint string) string {
	if c.joint == "" || c.joint == joint {
		return c.says
	}
	return "(" + c.says + ")"
}

// read finds or adds an operand.
func (l *lowering) read(at OperandAt) (int, bool) {
	i := slices.IndexFunc(l.reads, func(o OperandAt) bool { return o.As == at.As && slices.Equal(o.From, at.From) })
	if i < 0 {
		if len(l.reads) == MaxOperands {
			return 0, false
		}
		i = len(l.reads)
		l.reads = append(l.reads, at)
	}
	return i, true
}

// word numbers a text.
func (l *lowering) word(text string) (uint16, bool) {
	if n, ok := l.words[text]; ok {
		return n, true
	}
	if len(l.words) == maxRuleWords {
		return 0, false
	}
	n := uint16(len(l.words) + 1)
	l.words[strings.Clone(text)] = n
	return n, true
}
