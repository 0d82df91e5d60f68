package policy

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

func compiledProgram(t testing.TB, text string) *program {
	t.Helper()
	p, bad := compileProgram("", text, map[string]any{"words": map[string]any{"a": "b"}})
	if bad != nil {
		t.Fatalf("%s: %v", text, bad)
	}
	return p
}

func TestProgramsRun(t *testing.T) {
	for text, want := range map[string]string{
		`.a + 1`: `3`, `{b: .a, c: "x\(.a)"}`: `{"b":2,"c":"x2"}`, `[.l[] | . * 2]`: `[2,4]`, `$tables.words.a`: `"b"`,
		`.l | map(select(. > 1)) | length`: `1`, `def f($x): $x + .; .a | f(3)`: `5`, `reduce .l[] as $x (0; . + $x)`: `3`,
		`if .a then "y" else "n" end`: `"y"`, `.s | split("-") | join("+")`: `"p+q"`, `try error("x") catch .`: `"x"`,
		`.l[0:1]`: `[1]`, `with_entries(.value |= 1)?`: ``, `.l as [$x, $y] | {$x, $y}`: `{"x":1,"y":2}`, `"\(.s)" | @base64`: `"cC1x"`,
		`.n`: `1.50`, `.big`: `12345678901234567890`, `{} | .a`: `null`, `del(.a, .l, .n, .big)`: `{"s":"p-q"}`, `1433289600 | strftime("%a, %d %b %Y %H:%M:%S +0000")`: `"Wed, 03 Jun 2015 00:00:00 +0000"`,
		`.s // "z"`: `"p-q"`, `limit(1; repeat(1))`: `1`, `[range(3)]`: `[0,1,2]`, `label $out | 1, break $out`: `1`, `9223372036854775807 * 1`: `9223372036854775807`,
	} {
		p, bad := compileProgram("", text, map[string]any{"words": map[string]any{"a": "b"}})
		if want == "" {
			if bad == nil {
				t.Errorf("%s is taken", text)
			}
			continue
		}
		if bad != nil {
			t.Errorf("%s: %v", text, bad)
			continue
		}
		v, err := p.run(context.Background(), treeAt(t, []byte(`{"a":2,"l":[1,2],"s":"p-q","n":1.50,"big":12345678901234567890}`)))
		if err != nil {
			t.Errorf("%s: %v (%v)", text, err, err.(*ProgramError).Detail())
			continue
		}
		same(t, text, written(WriteTree(v)), want)
	}
}

func written(b []byte, err error) []byte {
	if err != nil {
		return fmt.Appendf(nil, "%q", err)
	}
	return b
}

// What would not give the same again, or cannot be bounded, is refused when the policy is read, with its place.
func TestOnlyASubsetIsTaken(t *testing.T) {
	for text, want := range map[string]string{
		"now": "now", "input": "input", "[inputs]": "inputs", "env": "env", "$ENV": "$ENV", "$ENV.PATH": "$ENV", "$__loc__": "$__loc__", "$__run": "$__run",
		`import "a" as b; .`: "modules", `include "a"; .`: "modules", "halt": "halt", `"x" | halt_error`: "halt_error", "debug": "debug", "stderr": "stderr",
		"input_filename": "input_filename", "localtime": "localtime", ".a = 1": "=", ".a |= 1": "|=", ".a += .a": "+=", ".a //= 1": "//=", "setpath([1e9]; 1)": "setpath",
		`test("a")`: "test", `gsub("a"; "b")`: "gsub", "@html": "@html", "@sh \"\\(.)\"": "@sh", "nope": "nope", "_segue_made($x)": "_segue_made", "def _f: 1; _f": "_f",
		"$nope": "$nope", "{a: now}": "now", "[.[] | now]": "now", `"\(now)"`: "now", "if now then 1 else 2 end": "now", "reduce now as $x (0; 1)": "now",
		"def f: now; 1": "now", ". as {a: $x, (now): $y} | 1": "now", ".[now]": "now", ".[1:now]": "now", "try now catch 1": "now", "-now": "now", "first(now)": "now",
		"foreach .[] as $x (0; now; .)": "now", "label $x | now": "now", ". as [$__run] | 1": "$__run", "getpath([\"a\"]) = 1": "=", "splits(\"a\")": "splits", "ltrimstr(now)": "now",
		"get_search_list": "get_search_list", "modulemeta": "modulemeta", "65 | ascii": "ascii",
		"": "", "{": "ends too early", "1 +": "ends too early", "} {": `"}"`, "\"a": "", "def f: 1": "",
	} {
		_, bad := compileProgram("", text, nil)
		if bad == nil || !strings.Contains(bad.message, want) {
			t.Errorf("%q: %v, want %q", text, bad, want)
		}
	}
}

// A program that loops or grows ends with an error before anything is sent, whatever it catches.
func TestProgramsAreBounded(t *testing.T) {
	big := strings.Repeat("x", MaxTree/2)
	for text, want := range map[string]error{
		"def f: f; f": errSteps, "def f: 1 + f; f": errSteps, "def f: [f]; f": errSteps, "[range(1e9)]": errSteps, "[repeat(1)]": errSteps, "last(repeat(1))": errSteps,
		"[limit(1e9; repeat(\"x\"))]": errSteps, "last(range(1e12))": errSteps, "until(false; .)": errSteps, "[while(true; .)]": errSteps,
		"try (def f: f; f) catch .": errSteps, "def f: try f catch f; f": errSteps, "label $x | def f: f; f": errSteps, "[range(1e9)] | length": errSteps,
		"reduce range(1e9) as $x (0; $x)": errSteps, "last(foreach range(1e9) as $x (0; $x))": errSteps, "def f: f, f; [f]": errSteps, "[.. | repeat(.)]": errSteps,
		`def f(n): if n == 0 then . else . + . | f(n - 1) end; "x" | f(64)`: errGrows,
		`reduce range(64) as $i ("x"; . + .)`:                               errGrows, `reduce range(64) as $i ("x"; "\(.)\(.)")`: errGrows, `reduce range(64) as $i ([1]; [., .])`: errGrows,
		`reduce range(64) as $i ({}; {a: ., b: .})`: errGrows, `reduce range(64) as $i ([1]; . + .)`: errGrows, `reduce range(64) as $i ("x"; [., .] | join(""))`: errGrows,
		`reduce range(64) as $i ("x"; [., .] | add)`: errGrows, `reduce range(64) as $i ("x"; tojson)`: errGrows, `reduce range(64) as $i ("x"; @base64)`: errGrows,
		`reduce range(64) as $i ("x"; [., .] | tojson)`: errGrows, `reduce range(64) as $i ("x"; [., .] | map(.))`: errGrows, `[range(100000) as $i | $big + "a"]`: errGrows,
		`[range(100000) as $i | $big[1:]]`: errGrows, `[range(100000) as $i | $big | ascii_upcase]`: errGrows, `[range(100000) as $i | $big | explode]`: errGrows,
		`try (reduce range(64) as $i ("x"; . + .)) catch "caught"`: errGrows, `[range(64)] | map(try (reduce range(64) as $i ("x"; . + .)) catch 1)`: errGrows,
		`(reduce range(64) as $i ("x"; . + .)) // 1`: errGrows, `reduce range(64) as $i ([1]; {a: (., .)} | [.])`: nil, `"x" * 1000000000`: errKind, `[1] * 3`: errKind,
		`1, 2`: errValues, `empty`: errNone, `.[]`: errValues, `1 | .a`: errKind, `error`: errKind, `error({a: 1})`: errKind,
	} {
		p := compiledProgram(t, `.big as $big | (`+text+`)`)
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		began := time.Now()
		_, err := p.run(ctx, map[string]any{"big": big, "c": "4242424242424242"})
		cancel()
		var failed *ProgramError
		if want == nil {
			if err != nil && !errors.As(err, &failed) {
				t.Errorf("%s: %v", text, err)
			}
			continue
		}
		if !errors.As(err, &failed) || failed.Why != want {
			t.Errorf("%s: %v, want %v", text, err, want)
		}
		if took := time.Since(began); took > 30*time.Second {
			t.Errorf("%s took %v", text, took)
		}
		if err != nil && strings.Contains(err.Error(), "4242") {
			t.Errorf("%s tells of the body: %v", text, err)
		}
	}
}

func TestARunEndsWithItsTime(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var failed *ProgramError
	if _, err := compiledProgram(t, "[range(100000)]").run(ctx, nil); !errors.As(err, &failed) || failed.Why != errTime {
		t.Errorf("%v", err)
	}
}

// One compiled program serves many calls at once; none sees or spends what is another's.
func TestProgramsAreShared(t *testing.T) {
	p := compiledProgram(t, `{a: ., b: ($tables.words | keys)}`)
	done := make(chan error)
	for i := range 8 {
		go func() {
			for range 200 {
				v, err := p.run(context.Background(), i)
				if err != nil || string(written(WriteTree(v))) != fmt.Sprintf(`{"a":%d,"b":["a"]}`, i) {
					done <- fmt.Errorf("%v %v", v, err)
					return
				}
			}
			done <- nil
		}()
	}
	for range 8 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// A mistake in a program is told at its line and column of the policy.
func TestAMistakeInAProgramHasItsPlace(t *testing.T) {
	good := string(read(t, "testdata/good/three-regions.yaml"))
	for _, c := range []struct{ old, wrong, line, what string }{
		{`              {body: {payment: .object, reference}}`, "              {body:\n                {payment: now, reference}}", "payment: now", "now is not in the subset"},
		{`              {body: {id: ("re_" + .body.data.id), object: "refund"}}`, `              {body: {id: ("re_" + .body.data.id)), object: "refund"}}`, `.id)), obj`, "is no jq"},
		{`          def minor: . as $n | $n | tonumber;`, `          def minor: . as $n | $m | tonumber;`, "$m", "$m"},
		{`              {send: [.data], end: true}`, `              {send: [.data], end: true`, "", "ends too early"},
	} {
		src := edited(t, good, c.old, c.wrong)
		_, problems := Parse("p.yaml", []byte(src))
		if len(problems) == 0 || !strings.Contains(problems[0].Message, c.what) {
			t.Errorf("%s: %v", c.wrong, problems)
			continue
		}
		if c.line == "" {
			continue
		}
		line := strings.Split(src, "\n")[problems[0].Line-1]
		word := strings.Fields(c.line)[len(strings.Fields(c.line))-1]
		if at := problems[0].Col - 1; at > len(line) || !strings.Contains(line[max(0, at-8):], word) {
			t.Errorf("%s: told at %d:%d, %q", c.wrong, problems[0].Line, problems[0].Col, line)
		}
	}
	inline := edited(t, good, "            error: |\n              {body: {error: {type: \"api_error\"}}}\n", "            error: '{a: b}'\n")
	if _, problems := Parse("p.yaml", []byte(inline)); len(problems) != 1 || !strings.Contains(problems[0].Message, "(line 1, column 5 of the program)") {
		t.Errorf("%v", problems)
	}
}
