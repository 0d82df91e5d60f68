package policy

import (
	"fmt"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/env"
	"cel.dev/cel-go/common/operators"
)

// The bounds of one rule's condition. Nothing in it loops, so they bound what it takes to answer it.
const (
	maxRuleNodes = 200
	maxRuleDepth = 24
	maxRuleList  = 64
	maxRuleWords = 1000 // texts that the rules of a service name
	maxRuleExact = 1 << 53
)

// ruleVariables are what a condition may name, in the order of docs/policy.md.
var ruleVariables = []string{"value", "currency", "operation", "region", "client_region", "hour", "weekday", "minute", "read",
	"body", "header", "path", "card"}

// ruleWords is the fix for all that is no part of a condition.
const ruleWords = "conditions have && || ! == != < <= > >=, in with a list, ?:, has() and parentheses"

// ruleOperators are the functions that conditions may call.
func ruleOperators() []string {
	return []string{operators.LogicalAnd, operators.LogicalOr, operators.LogicalNot, operators.Conditional, operators.Equals, operators.NotEquals,
		operators.Less, operators.LessEquals, operators.Greater, operators.GreaterEquals, operators.In, operators.Index}
}

// newRuleEnv is what cel-go parses and types conditions by: its own operators, and no function that makes or searches anything.
func newRuleEnv() (*cel.Env, error) {
	subset := env.NewLibrarySubset().AddIncludedMacros("has")
	for _, name := range ruleOperators() {
		subset.AddIncludedFunctions(env.NewFunction(name))
	}
	fields := cel.MapType(cel.StringType, cel.DynType)
	e, err := cel.NewCustomEnv(cel.StdLib(cel.StdLibSubset(subset)), cel.CrossTypeNumericComparisons(true),
		cel.ParserExpressionSizeLimit(maxRule), cel.ParserRecursionLimit(4*maxRuleDepth), cel.ExpressionNodeLimit(maxRuleNodes),
		cel.Variable("value", cel.DynType), cel.Variable("currency", cel.StringType), cel.Variable("operation", cel.StringType),
		cel.Variable("region", cel.StringType), cel.Variable("client_region", cel.StringType),
		cel.Variable("hour", cel.IntType), cel.Variable("weekday", cel.IntType), cel.Variable("minute", cel.IntType),
		cel.Variable("read", cel.BoolType), cel.Variable("body", fields), cel.Variable("header", fields), cel.Variable("path", fields),
		cel.Variable("card", fields))
	if err != nil {
		return nil, fmt.Errorf("policy: the language of rules: %w", err)
	}
	return e, nil
}

// ruleTrees keeps what conditions were parsed to: parsing takes half a millisecond, and one is lowered for each region.
type ruleTrees struct {
	env  *cel.Env
	read map[string]readRule
}

type readRule struct {
	tree  *ast.AST
	wrong *mistake
}

func (r *ruleTrees) tree(text string) (*ast.AST, *mistake) {
	if one, ok := r.read[text]; ok {
		return one.tree, one.wrong
	}
	if r.env == nil {
		env, err := newRuleEnv()
		if err != nil {
			return nil, &mistake{place{1, 1}, err.Error(), ""}
		}
		r.env, r.read = env, map[string]readRule{}
	}
	one := readRule{}
	if parsed, wrong := parseRule(r.env, text); wrong != nil {
		one.wrong = wrong
	} else {
		one.tree = parsed.NativeRep()
	}
	r.read[text] = one
	return one.tree, one.wrong
}

// mistake is what is wrong with a condition, and where in it.
type mistake struct {
	place
	what, fix string
}

func (m *mistake) Error() string { return m.what }

// parseRule gives the typed tree of a condition. A panic of the library is a mistake like any other.
func parseRule(e *cel.Env, text string) (tree *cel.Ast, wrong *mistake) {
	defer func() {
		if cause := recover(); cause != nil {
			tree, wrong = nil, &mistake{place{1, 1}, fmt.Sprintf("cannot be read: %v", cause), ""}
		}
	}()
	tree, issues := e.Compile(text)
	if issues == nil || issues.Err() == nil {
		return tree, nil
	}
	first := issues.Errors()[0]
	at := place{max(first.Location.Line(), 1), max(first.Location.Column(), 0) + 1}
	what, fix := strings.TrimSpace(first.Message), ruleWords
	what = strings.ToLower(what[:1]) + what[1:]
	what, _, _ = strings.Cut(what, " expecting ") // the words of a parser's table help nobody
	what = strings.ReplaceAll(what, "mismatched input '<EOF>'", "it ends too early")
	if rest, ok := strings.CutPrefix(what, "undeclared reference to '"); ok {
		name, _, _ := strings.Cut(rest, "'")
		switch guess := didYouMean(name, ruleVariables); name {
		case "session", "app":
			what, fix = name+" "+notBuilt+" in rules", "leave it out"
		case operators.Add, operators.Subtract, operators.Multiply, operators.Divide, operators.Modulo, operators.Negate:
			what = "computes something"
		default:
			what = clip(name) + " is unknown"
			if !strings.Contains(text, name+"(") {
				fix = guess
			}
		}
	}
	return nil, &mistake{at, strings.ReplaceAll(what, "\n", " "), fix}
}
