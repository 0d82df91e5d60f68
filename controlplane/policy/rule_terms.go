package policy

import (
	"math"
	"slices"
	"strings"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
)

// term is one side of a comparison that is read of the request: a number, or a text by its number.
type term struct {
	name   string
	at     int // of an operand; -1
	number func(*Facts) (n float64, there bool)
	text   func(*Facts) (n uint16, there bool)
	yes    func(*Facts) (yes, there bool)
	fixed  string                              // the text that it always is here: region
	id     func(text string) (uint16, *wanted) // numbers a text to compare with
	most   float64                             // what a number of the clock comes to; 0: it is none
}

// unreal refuses a number that no clock shows: such a rule would never hold, or always.
func (t *term) unreal(n float64) *wanted {
	if t.most == 0 || n >= 0 && n <= t.most && n == math.Trunc(n) {
		return nil
	}
	return &wanted{"is no " + t.name, "write a whole number from 0 to " + percent(t.most)}
}

// wanted says why a text can never be what it is compared with.
type wanted struct{ what, fix string }

// term reads what stands beside a literal of a kind.
func (l *lowering) term(e ast.Expr, as OperandKind) (term, *mistake) {
	switch e.Kind() {
	case ast.IdentKind:
		if t, ok := l.variable(e.AsIdent()); ok {
			return t, nil
		}
		return term{}, l.refuse(e, "name a field of it, like "+e.AsIdent()+".x", "%s is no single value", e.AsIdent())
	case ast.SelectKind, ast.CallKind:
		return l.operand(e, as)
	default:
		return term{}, l.refuse(e, "compare something of the call with a value that is written out", "is nothing of the call")
	}
}

func (l *lowering) variable(name string) (term, bool) {
	t := term{name: name, at: -1}
	switch name {
	case "value":
		t.number = func(f *Facts) (float64, bool) { return float64(f.Value) / float64(Unit), f.Value != 0 }
	case "hour":
		t.number = func(f *Facts) (float64, bool) { return float64(f.Minute / 60 % 24), true }
		t.most = 23
	case "weekday":
		t.number = func(f *Facts) (float64, bool) { return float64(f.Minute / minutesOfDay), true }
		t.most = 6
	case "minute":
		t.number = func(f *Facts) (float64, bool) { return float64(f.Minute % 60), true }
		t.most = 59
	case "read":
		t.yes = func(f *Facts) (bool, bool) { return f.Read, true }
	case "currency":
		t.text = func(f *Facts) (uint16, bool) { return uint16(f.Currency), f.Currency != 0 }
		t.id = func(text string) (uint16, *wanted) {
			if !isoCode(text) {
				return 0, &wanted{"is no currency of ISO 4217", "write three capitals, like EUR"}
			}
			return uint16(CurrencyOf(text)), nil
		}
	case "operation":
		t.text = func(f *Facts) (uint16, bool) { return uint16(f.Op), true }
		t.id = oneOf("operation", l.operations)
	case "region":
		t.fixed, t.id = l.region, oneOf("region", l.regions)
		t.text = func(*Facts) (uint16, bool) { return 0, true } // asked only where no region is meant: for a sentence
	case "client_region":
		t.name = "the user's region"
		t.text = func(f *Facts) (uint16, bool) { return uint16(f.Client), f.Client >= 0 }
		t.id = oneOf("region", l.regions)
	default:
		return term{}, false
	}
	return t, true
}

func oneOf(what string, names []string) func(string) (uint16, *wanted) {
	return func(text string) (uint16, *wanted) {
		if i := slices.Index(names, text); i >= 0 {
			return uint16(i), nil
		}
		return 0, &wanted{"is no " + what, didYouMean(text, names)}
	}
}

// operand is a field of the request that the service reads for its rules.
func (l *lowering) operand(e ast.Expr, as OperandKind) (term, *mistake) {
	root, names, ok := selected(e)
	if !ok {
		return term{}, l.refuse(e, ruleWords, "is no field of the call")
	}
	var from []Field
	switch name := strings.Join(names, "."); {
	case root == "header" && len(names) == 1:
		from = []Field{{In: "header", Name: headerName(e, name)}}
	case root == "card" && len(names) == 1:
		from = []Field{{In: "header", Name: canonicalHeader("Segue-Card-" + strings.ReplaceAll(name, "_", "-"))}, {In: "body", Name: "card." + name}}
	case root == "body", root == "path" && len(names) == 1:
		from = []Field{{In: root, Name: name}}
	default:
		return term{}, l.refuse(e, "write body.x, header.x, path.x or card.x", "is no field of the call")
	}
	for _, f := range from {
		if what := f.problem(); what != "" || len(f.Name) > maxText/4 {
			return term{}, l.refuse(e, "write body.x, header.x, path.x or card.x", "%s %s", clip(f.String()), strings.TrimSpace(what))
		}
	}
	if root == "path" && l.places != nil && !slices.Contains(l.places, names[0]) {
		return term{}, l.refuse(e, didYouMean(names[0], l.places), "no operation has {%s} in its path", clip(names[0]))
	}
	at, ok := l.read(OperandAt{From: from, As: as})
	if !ok {
		return term{}, l.refuse(e, "let rules read fewer fields", "the rules of a service read more than %d fields", MaxOperands)
	}
	t := term{name: root + "." + strings.Join(names, "."), at: at}
	switch as {
	case IsNumber:
		t.number = func(f *Facts) (float64, bool) { o := &f.Operands[at]; return o.Number, o.Kind == IsNumber }
	case IsYes:
		t.yes = func(f *Facts) (bool, bool) { o := &f.Operands[at]; return o.Kind == IsYes, o.Kind != Missing }
	default:
		t.text = func(f *Facts) (uint16, bool) { o := &f.Operands[at]; return o.Text, o.Kind == IsText }
		t.id = func(text string) (uint16, *wanted) {
			n, ok := l.word(text)
			if !ok {
				return 0, &wanted{"is one text too many", "let the rules of a service name fewer"}
			}
			return n, nil
		}
	}
	return t, nil
}

// headerName is the header that is meant: in header.x_order a _ stands for -, for names have no - in CEL.
func headerName(e ast.Expr, name string) string {
	if e.Kind() == ast.SelectKind {
		name = strings.ReplaceAll(name, "_", "-")
	}
	return canonicalHeader(name)
}

// canonicalHeader is X-Order for x-order: one header is one operand, however rules write it.
func canonicalHeader(name string) string {
	text, first := []byte(name), true
	for i, c := range text {
		switch {
		case first && c >= 'a' && c <= 'z':
			text[i] = c - 'a' + 'A'
		case !first && c >= 'A' && c <= 'Z':
			text[i] = c - 'A' + 'a'
		}
		first = c == '-'
	}
	return string(text)
}

// selected splits body.a.b and header["X-A"] into the root and the names.
func selected(e ast.Expr) (root string, names []string, ok bool) {
	for range maxRuleDepth {
		switch e.Kind() {
		case ast.IdentKind:
			slices.Reverse(names)
			return e.AsIdent(), names, len(names) > 0
		case ast.SelectKind:
			s := e.AsSelect()
			names, e = append(names, s.FieldName()), s.Operand()
		case ast.CallKind:
			c := e.AsCall()
			if c.FunctionName() != operators.Index {
				return "", nil, false
			}
			text, is := constant(c.Args()[1]).(string)
			if !is {
				return "", nil, false
			}
			names, e = append(names, text), c.Args()[0]
		default:
			return "", nil, false
		}
	}
	return "", nil, false
}

// constant is the value of a literal: string, float64 or bool; nil for any other.
func constant(e ast.Expr) any {
	if e.Kind() != ast.LiteralKind {
		return nil
	}
	switch v := e.AsLiteral().(type) {
	case types.String:
		return string(v)
	case types.Int:
		if v >= -maxRuleExact && v <= maxRuleExact {
			return float64(v)
		}
	case types.Uint:
		if v <= maxRuleExact {
			return float64(v)
		}
	case types.Double:
		if f := float64(v); !math.IsNaN(f) && !math.IsInf(f, 0) {
			return f
		}
	case types.Bool:
		return bool(v)
	}
	return nil
}
