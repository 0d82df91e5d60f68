package policy

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"cel.dev/cel-go/cel"
	"pgregory.net/rapid"
)

// ruleCall is a call as the differential test draws it: what is not there is missing.
type ruleCall struct {
	facts Facts
	body  map[string]any
	heads map[string]string
}

func ruleCalls(t *rapid.T) *ruleCall {
	c := &ruleCall{body: map[string]any{}, heads: map[string]string{}}
	c.facts = Facts{Client: int8(rapid.IntRange(-1, 2).Draw(t, "client")), Op: int16(rapid.IntRange(0, 2).Draw(t, "op")), Read: rapid.Bool().Draw(t, "read"),
		Minute: int16(rapid.IntRange(0, 7*minutesOfDay-1).Draw(t, "minute")), Value: Money(rapid.SampledFrom([]int64{0, 1, 5_000_000, 5_500_000, 100 * million}).Draw(t, "value")),
		Currency: CurrencyOf(rapid.SampledFrom([]string{"", "EUR", "USD"}).Draw(t, "currency"))}
	put := func(name string, values ...any) {
		if v := rapid.SampledFrom(append(values, nil)).Draw(t, name); v != nil {
			c.body[name] = v
		}
	}
	for _, name := range []string{"t0", "t1"} {
		put(name, "EU", "US", "é\"\\", "other", "5")
	}
	for _, name := range []string{"n0", "n1"} {
		put(name, 5.0, 5.5, -1.0, 0.0, 1e15)
	}
	put("b0", true, false)
	for _, name := range []string{"X-Tag", "Segue-Card-Region"} {
		if v := rapid.SampledFrom([]string{"", "EU", "US", "none of them"}).Draw(t, name); v != "" {
			c.heads[name] = v
		}
	}
	return c
}

// look puts the call's fields into its facts as live calls do.
func (c *ruleCall) look(t *rapid.T, s *Service) *Facts {
	body, err := json.Marshal(c.body)
	if err != nil {
		t.Fatal(err)
	}
	f := c.facts
	s.Look(&f, &Operation{Index: int(f.Op)}, "/", "application/json", body, func(name string) string { return c.heads[name] })
	return &f
}

// activation is the call as cel-go sees it. That something is missing stands beside it.
func (c *ruleCall) activation(region string) map[string]any {
	header, card := map[string]any{}, map[string]any{}
	if v, ok := c.heads["X-Tag"]; ok {
		header["X-Tag"], header["x_tag"] = v, v
	}
	if v, ok := c.heads["Segue-Card-Region"]; ok {
		card["region"] = v
	}
	f, client := &c.facts, ""
	if f.Client >= 0 {
		client = ruleRegions[f.Client]
	}
	return map[string]any{"value": float64(f.Value) / 1e6, "currency": f.Currency.String(), "operation": ruleOperations[f.Op], "region": region, "client_region": client,
		"hour": int64(f.Minute) / 60 % 24, "weekday": int64(f.Minute) / minutesOfDay, "minute": int64(f.Minute) % 60, "read": f.Read,
		"body": c.body, "header": header, "path": map[string]any{}, "card": card,
		"has_value": f.Value != 0, "has_currency": f.Currency != 0, "has_client_region": f.Client >= 0}
}

var (
	ruleRegions    = []string{"eu", "us", "ap"}
	ruleOperations = []string{"charge", "refund", "read"}
)

// ruleText draws a condition: as a rule has it, and as cel-go wants it, with a guard before everything that may be missing.
func ruleText(t *rapid.T, depth int) (rule, guarded string) {
	kind := rapid.IntRange(0, 9).Draw(t, "kind")
	if depth == 0 {
		kind = rapid.IntRange(4, 9).Draw(t, "leaf")
	}
	switch kind {
	case 0, 1:
		a, ga := ruleText(t, depth-1)
		b, gb := ruleText(t, depth-1)
		op := rapid.SampledFrom([]string{" && ", " || "}).Draw(t, "joint")
		return "(" + a + op + b + ")", "(" + ga + op + gb + ")"
	case 2:
		a, ga := ruleText(t, depth-1)
		return "!(" + a + ")", "!(" + ga + ")"
	case 3:
		a, ga := ruleText(t, depth-1)
		b, gb := ruleText(t, depth-1)
		c, gc := ruleText(t, depth-1)
		return "(" + a + " ? " + b + " : " + c + ")", "(" + ga + " ? " + gb + " : " + gc + ")"
	case 4:
		text := rapid.SampledFrom([]string{"read", "true", "false", "read == false", "true != read"}).Draw(t, "plain")
		return text, text
	case 5:
		text := rapid.SampledFrom([]string{"has(body.t0)", "has(body.t1)", "has(card.region)"}).Draw(t, "has")
		return text, text
	case 6:
		text := rapid.SampledFrom([]string{"body.b0", "body.b0 == false", "body.b0 != true"}).Draw(t, "yes")
		return text, "(has(body.b0) && " + text + ")"
	case 7, 8:
		return numberText(t)
	default:
		return textText(t)
	}
}

func numberText(t *rapid.T) (rule, guarded string) {
	name := rapid.SampledFrom([]string{"value", "hour", "weekday", "minute", "body.n0", "body.n1"}).Draw(t, "number")
	guard := map[string]string{"value": "has_value", "body.n0": "has(body.n0)", "body.n1": "has(body.n1)"}[name]
	if guard == "" {
		guard = "true"
	}
	whole := []string{"5", "-1", "0", "23", "1000000000000000"}
	list := rapid.SampledFrom([]string{"[5, 0, 23]", "[1, 2, 3, 4, 6]", "[-1]"})
	if guard == "true" { // of a clock: other numbers are refused
		whole, list = []string{"5", "0", "3", "6"}, rapid.SampledFrom([]string{"[5, 0]", "[1, 2, 3, 4, 6]", "[6]"})
	}
	n := rapid.SampledFrom(whole).Draw(t, "n")
	if name == "value" || strings.HasPrefix(name, "body") { // of a whole number of CEL's == takes only such
		n = rapid.SampledFrom(append(whole, "5.5", "5.0", "1e15", "5u")).Draw(t, "n")
	}
	op := rapid.SampledFrom([]string{"==", "!=", "<", "<=", ">", ">="}).Draw(t, "op")
	text := name + " " + op + " " + n
	switch rapid.IntRange(0, 2).Draw(t, "form") {
	case 1:
		text = n + " " + op + " " + name
	case 2:
		text = name + " in " + list.Draw(t, "list")
	}
	return text, "(" + guard + " && " + text + ")"
}

func textText(t *rapid.T) (rule, guarded string) {
	one := rapid.SampledFrom([]struct {
		name, guard string
		values      []string
	}{
		{"body.t0", "has(body.t0)", []string{"EU", "US", "é\"\\", "5"}}, {"body.t1", "has(body.t1)", []string{"EU", "other"}},
		{`header["X-Tag"]`, "has(header.x_tag)", []string{"EU", "US"}}, {"header.x_tag", "has(header.x_tag)", []string{"EU"}},
		{"card.region", "has(card.region)", []string{"EU", "US"}}, {"currency", "has_currency", []string{"EUR", "USD", "CHF"}},
		{"operation", "true", ruleOperations}, {"region", "true", ruleRegions}, {"client_region", "has_client_region", ruleRegions},
	}).Draw(t, "text")
	quote := func() string { return fmt.Sprintf("%q", rapid.SampledFrom(one.values).Draw(t, "value")) }
	text := one.name + rapid.SampledFrom([]string{" == ", " != "}).Draw(t, "op") + quote()
	switch rapid.IntRange(0, 2).Draw(t, "form") {
	case 1:
		text = quote() + " == " + one.name
	case 2:
		text = one.name + " in [" + quote() + ", " + quote() + "]"
	}
	return text, "(" + one.guard + " && " + text + ")"
}

// TestRulesAgreeWithCEL: closures answer what cel-go answers, for conditions and calls of any kind.
func TestRulesAgreeWithCEL(t *testing.T) {
	trees := &ruleTrees{}
	env, err := newRuleEnv()
	if err == nil {
		env, err = env.Extend(cel.Variable("has_value", cel.BoolType), cel.Variable("has_currency", cel.BoolType), cel.Variable("has_client_region", cel.BoolType),
			cel.ExpressionNodeLimit(10*maxRuleNodes), cel.ParserExpressionSizeLimit(10*maxRule))
	}
	if err != nil {
		t.Fatal(err)
	}
	answers := [2]int{}
	rapid.Check(t, func(t *rapid.T) {
		text, guarded := ruleText(t, rapid.IntRange(0, 3).Draw(t, "depth"))
		region := rapid.SampledFrom(ruleRegions).Draw(t, "region")
		l := &lowering{trees: trees, region: region, regions: ruleRegions, operations: ruleOperations, words: map[string]uint16{}}
		got, wrong := l.condition(text)
		if wrong != nil {
			if strings.Contains(wrong.what, "too large") || strings.Contains(wrong.what, "longer") || len(text) > maxRule || strings.Contains(wrong.what, "limit") {
				return
			}
			t.Fatalf("%s: refused: %v at %v", text, wrong, wrong.place)
		}
		tree, issues := env.Compile(guarded)
		if issues.Err() != nil {
			t.Fatalf("%s: %v", guarded, issues.Err())
		}
		program, err := env.Program(tree)
		if err != nil {
			t.Fatal(err)
		}
		svc := &Service{Ruling: Ruling{Reads: l.reads, words: l.words}}
		for range 8 {
			call := ruleCalls(t)
			want, _, err := program.Eval(call.activation(region))
			if err != nil {
				t.Fatalf("%s: %v", guarded, err)
			}
			is := got.run()(call.look(t, svc))
			if is != (want.Value() == true) {
				t.Fatalf("%s\n%s\n%+v: %v, cel-go says %v", text, guarded, call, is, want)
			}
			answers[map[bool]int{true: 1}[is]]++
		}
	})
	if answers[0] < 50 || answers[1] < 50 {
		t.Errorf("too few of one answer: %v", answers)
	}
}

// benchRule is a rule as people write it.
const benchRule = `card.region == "EU" && value > 500 && operation in ["charge", "refund"] && (hour >= 22 || hour < 6)`

func BenchmarkRules(b *testing.B) {
	l := &lowering{trees: &ruleTrees{}, region: "eu", regions: ruleRegions, operations: ruleOperations, words: map[string]uint16{}}
	c, wrong := l.condition(benchRule)
	if wrong != nil {
		b.Fatal(wrong)
	}
	f := &Facts{Value: 600 * Unit, Minute: 23 * 60, Client: -1}
	f.Operands[0] = Operand{Kind: IsText, Text: 1}
	if !c.holds(f) {
		b.Fatal("it does not hold")
	}
	b.ReportAllocs()
	for b.Loop() {
		c.holds(f)
	}
}

// BenchmarkRulesByCEL is the same by cel-go itself, for comparison.
func BenchmarkRulesByCEL(b *testing.B) {
	env, err := newRuleEnv()
	if err != nil {
		b.Fatal(err)
	}
	tree, issues := env.Compile(benchRule)
	if issues.Err() != nil {
		b.Fatal(issues.Err())
	}
	program, err := env.Program(tree, cel.EvalOptions(cel.OptOptimize))
	if err != nil {
		b.Fatal(err)
	}
	vars := map[string]any{"card": map[string]any{"region": "EU"}, "value": 600.0, "operation": "charge", "hour": int64(23)}
	if v, _, err := program.Eval(vars); err != nil || v.Value() != true {
		b.Fatal(v, err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := program.Eval(vars); err != nil {
			b.Fatal(err)
		}
	}
}

func TestRulesAllocateNothing(t *testing.T) {
	l := &lowering{trees: &ruleTrees{}, region: "eu", regions: ruleRegions, operations: ruleOperations, words: map[string]uint16{}}
	c, wrong := l.condition(benchRule + ` || client_region in ["us", "ap"] ? body.x > 5.5 : !has(header.y)`)
	if wrong != nil {
		t.Fatal(wrong)
	}
	f := &Facts{Value: 600 * Unit}
	if n := testing.AllocsPerRun(100, func() { c.holds(f) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzRule: any text is refused with a place inside it, or compiled to something that answers.
func FuzzRule(f *testing.F) {
	for _, text := range []string{benchRule, "true", "!(read)", `body["a"]["b"] == 1u`, "value in [1, 2.5]", "a.b.c", "[", "body.x == b'x'", "x.map(y, y)", "1 < 2", `header["` + "\x00" + `"] == "x"`, "-value > 1", "null == body.x", "has(body.x.y)"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > maxRule || text == "" {
			return
		}
		l := &lowering{trees: &ruleTrees{}, region: "eu", regions: ruleRegions, operations: ruleOperations, words: map[string]uint16{}}
		c, wrong := l.condition(text)
		if wrong != nil {
			if wrong.what == "" || wrong.line < 1 || wrong.col < 1 {
				t.Fatalf("%q: no place or no word: %+v", text, wrong)
			}
			return
		}
		if len(l.reads) > MaxOperands || len(l.words) > maxRuleWords {
			t.Fatalf("%q: beyond its bounds", text)
		}
		for _, f := range []Facts{{Client: -1}, {Client: 2, Op: 2, Value: MaxMoney, Minute: 7*minutesOfDay - 1}} {
			c.run()(&f)
		}
	})
}
