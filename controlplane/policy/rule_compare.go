package policy

import (
	"slices"
	"strconv"
	"strings"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
)

// mirrored is the operator with its sides changed.
var mirrored = map[string]string{
	operators.Equals: operators.Equals, operators.NotEquals: operators.NotEquals,
	operators.Less: operators.Greater, operators.Greater: operators.Less,
	operators.LessEquals: operators.GreaterEquals, operators.GreaterEquals: operators.LessEquals,
}

// spoken is an operator in a sentence.
var spoken = map[string]string{
	operators.Equals: " is ", operators.NotEquals: " is not ", operators.Less: " is below ", operators.Greater: " is above ",
	operators.LessEquals: " is at most ", operators.GreaterEquals: " is at least ",
}

// comparison lowers something of the call beside a literal. What is missing makes it false, whatever the operator.
func (l *lowering) comparison(e ast.Expr, op string, left, right ast.Expr) (cond, *mistake) {
	if constant(left) != nil {
		left, right, op = right, left, mirrored[op]
	}
	v := constant(right)
	if v == nil {
		return cond{}, l.refuse(right, "compare something of the call with a text, a number, true or false", "is no value that is written out, or one beyond its bounds")
	}
	t, wrong := l.term(left, kindFor(v))
	if wrong != nil {
		return cond{}, wrong
	}
	says := t.name + spoken[op]
	switch v := v.(type) {
	case string:
		c, wrong := l.textIs(right, t, op, v)
		c.says = says + v
		return c, wrong
	case bool:
		if t.yes == nil || op != operators.Equals && op != operators.NotEquals {
			return cond{}, l.refuse(e, "write == or !=", "%s cannot be compared so", t.name)
		}
		is, want := t.yes, v == (op == operators.Equals)
		return cond{holds: func(f *Facts) bool { yes, there := is(f); return there && yes == want }, says: says + strconv.FormatBool(v)}, nil
	default:
		if t.number == nil {
			return cond{}, l.refuse(e, "", "%s is no number", t.name)
		}
		n, _ := v.(float64)
		if no := t.unreal(n); no != nil {
			return cond{}, l.refuse(right, no.fix, "%s %s", percent(n), no.what)
		}
		return cond{holds: numbers(t.number, op, n), says: says + percent(n) + l.unit(t)}, nil
	}
}

// unit is what a sentence has behind a number.
func (l *lowering) unit(t term) string {
	if t.at < 0 && t.name == "value" && l.base != "" {
		return " " + l.base
	}
	return ""
}

func kindFor(v any) OperandKind {
	switch v.(type) {
	case string:
		return IsText
	case bool:
		return IsYes
	default:
		return IsNumber
	}
}

// textIs lowers == and != with a text.
func (l *lowering) textIs(e ast.Expr, t term, op, text string) (cond, *mistake) {
	if t.id == nil || op != operators.Equals && op != operators.NotEquals {
		return cond{}, l.refuse(e, "write == or != with a text, and numbers without quotes", "%s cannot be compared so", t.name)
	}
	n, no := t.id(text)
	if no != nil {
		return cond{}, l.refuse(e, no.fix, "%q %s", clip(text), no.what)
	}
	same := op == operators.Equals
	if t.fixed != "" {
		return cond{known: truth((t.fixed == text) == same)}, nil
	}
	is, at := t.text, t.at
	if same && at >= 0 {
		want := Operand{Kind: IsText, Text: n}
		return cond{holds: func(f *Facts) bool { return f.Operands[at] == want }}, nil
	}
	if same {
		return cond{holds: func(f *Facts) bool { id, there := is(f); return there && id == n }}, nil
	}
	return cond{holds: func(f *Facts) bool { id, there := is(f); return there && id != n }}, nil
}

func numbers(is func(*Facts) (float64, bool), op string, n float64) func(*Facts) bool {
	switch op {
	case operators.Equals:
		return func(f *Facts) bool { x, there := is(f); return there && x == n }
	case operators.NotEquals:
		return func(f *Facts) bool { x, there := is(f); return there && x != n }
	case operators.Less:
		return func(f *Facts) bool { x, there := is(f); return there && x < n }
	case operators.LessEquals:
		return func(f *Facts) bool { x, there := is(f); return there && x <= n }
	case operators.Greater:
		return func(f *Facts) bool { x, there := is(f); return there && x > n }
	default:
		return func(f *Facts) bool { x, there := is(f); return there && x >= n }
	}
}

// among lowers x in [a, b].
func (l *lowering) among(e, left, right ast.Expr) (cond, *mistake) {
	if right.Kind() != ast.ListKind || right.AsList().Size() == 0 {
		return cond{}, l.refuse(right, `write a list behind in, like ["EUR", "USD"]`, "is no list that is written out, or an empty one")
	}
	list := right.AsList().Elements()
	if len(list) > maxRuleList {
		return cond{}, l.refuse(right, "write several rules", "the list has %d entries, more than %d", len(list), maxRuleList)
	}
	kind := kindFor(constant(list[0]))
	t, wrong := l.term(left, kind)
	if wrong != nil {
		return cond{}, wrong
	}
	switch {
	case kind == IsText && t.id != nil:
		return l.textAmong(t, list)
	case kind == IsNumber && t.number != nil:
		return l.numberAmong(t, list)
	default:
		return cond{}, l.refuse(e, "write texts or numbers, as what stands before in is one", "%s cannot be in such a list", t.name)
	}
}

func (l *lowering) textAmong(t term, list []ast.Expr) (cond, *mistake) {
	ids, texts := make([]uint16, len(list)), make([]string, len(list))
	for i, one := range list {
		text, ok := constant(one).(string)
		if !ok {
			return cond{}, l.refuse(one, "write texts alone, or numbers alone", "is no text")
		}
		id, no := t.id(text)
		if no != nil {
			return cond{}, l.refuse(one, no.fix, "%q %s", clip(text), no.what)
		}
		ids[i], texts[i] = id, text
	}
	if t.fixed != "" {
		return cond{known: truth(slices.Contains(texts, t.fixed)), says: t.name + oneOfText(texts)}, nil
	}
	is := t.text
	return cond{holds: func(f *Facts) bool { id, there := is(f); return there && slices.Contains(ids, id) }, says: t.name + oneOfText(texts)}, nil
}

func (l *lowering) numberAmong(t term, list []ast.Expr) (cond, *mistake) {
	ns, texts := make([]float64, len(list)), make([]string, len(list))
	for i, one := range list {
		n, ok := constant(one).(float64)
		if !ok {
			return cond{}, l.refuse(one, "write texts alone, or numbers alone", "is no number, or one beyond its bounds")
		}
		if no := t.unreal(n); no != nil {
			return cond{}, l.refuse(one, no.fix, "%s %s", percent(n), no.what)
		}
		ns[i], texts[i] = n, percent(n)
	}
	is := t.number
	return cond{holds: func(f *Facts) bool { n, there := is(f); return there && slices.Contains(ns, n) }, says: t.name + oneOfText(texts)}, nil
}

func oneOfText(texts []string) string {
	if len(texts) == 1 {
		return " is " + texts[0]
	}
	return " is one of " + strings.Join(texts, ", ")
}
