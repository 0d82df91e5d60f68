package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// go test ./controlplane/policy -update writes the expected files anew: read the diff before you commit it.
var update = flag.Bool("update", false, "write the golden files")

// golden compares with a file, or writes it.
func golden(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs\n--- got\n%s--- want\n%s", file, got, want)
	}
}

func documents(t testing.TB, dir string) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/" + dir + "/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no documents in %s: %v", dir, err)
	}
	return files
}

func read(t testing.TB, file string) []byte {
	t.Helper()
	src, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return src
}

// must parses a document that is right.
func must(t testing.TB, src []byte) *Policy {
	t.Helper()
	p, problems := Parse("test.yaml", src)
	if problems != nil {
		t.Fatalf("a good document was refused:\n%s", problems.Error())
	}
	return p
}

func good(t testing.TB, name string) *Policy {
	t.Helper()
	return must(t, read(t, "testdata/good/"+name+".yaml"))
}

func TestParseSaysEverythingThatIsWrongAndWhere(t *testing.T) {
	for _, file := range documents(t, "bad") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			p, problems := Parse(filepath.Base(file), read(t, file))
			if p != nil || len(problems) == 0 {
				t.Fatal("accepted")
			}
			golden(t, strings.TrimSuffix(file, ".yaml")+".problems", []byte(problems.Error()+"\n"))
			for _, problem := range problems {
				if problem.Line < 1 || problem.Col < 1 || problem.File == "" || problem.Message == "" {
					t.Errorf("has no place or no message: %+v", problem)
				}
			}
		})
	}
}

func TestParseReadsWhatMarshalWrites(t *testing.T) {
	for _, file := range documents(t, "good") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			p := must(t, read(t, file))
			canonical := Marshal(p)
			golden(t, strings.TrimSuffix(file, ".yaml")+".canonical", canonical)
			if again := must(t, canonical); !reflect.DeepEqual(p, again) {
				t.Errorf("read back as another policy:\n%+v\n%+v", p, again)
			}
			if !bytes.Equal(Marshal(must(t, canonical)), canonical) {
				t.Error("the canonical form is not its own")
			}
		})
	}
}

func TestParseKeepsTheMeaning(t *testing.T) {
	p := good(t, "three-regions")
	s := p.Service("payments")
	for _, c := range []struct {
		what      string
		got, want any
	}{
		{"regions", p.Regions.Names(), []string{"us-east", "eu-west", "ap-south"}},
		{"standby", p.Regions[0].Standby, []string{"eu-west", "ap-south"}},
		{"weights named", s.WeightsIn("eu-west"), []Weight{{"stripe", 40}, {"other", 50}, {"spare", 10}}},
		{"weights by default", s.WeightsIn("ap-south"), []Weight{{"stripe", 33.34}, {"other", 33.33}, {"spare", 33.33}}},
		{"priority named", p.Service("sms").PriorityIn("ap-south"), []string{"123", "acme"}},
		{"priority by default", p.Service("sms").PriorityIn("us-east"), []string{"acme", "123"}},
		{"endpoint named", p.Provider("other").EndpointIn("eu-west"), "https://eu.example.com/api"},
		{"endpoint by default", p.Provider("other").EndpointIn("ap-south"), "https://us.example.com/"},
		{"endpoint of the contract", p.Provider("stripe").EndpointIn("eu-west"), ""},
		{"credential named", p.Provider("other").CredentialIn("eu-west"), "file:/etc/segue/other eu"},
		{"account", p.Provider("spare").AccountName(), "other"},
		{"account by default", p.Provider("stripe").AccountName(), "stripe"},
		{"POST is an effect", s.Operations[0].Read, false},
		{"POST said to be a read", s.Operations[3].Read, true},
		{"GET said to be an effect", s.Operations[4].Read, false},
		{"GET is a read", s.Operations[5].Read, true},
		{"derived key", s.Operations[2].Key.Derive, []Field{{"body", "text"}, {"header", "X-Order"}}},
		{"keys ignored", p.Contracts[0].Keys, Keys{Ignored: true}},
		{"no such service", p.Service("nope") == nil, true},
		{"no such provider", p.Provider("nope") == nil, true},
	} {
		if !reflect.DeepEqual(c.got, c.want) {
			t.Errorf("%s: got %v, want %v", c.what, c.got, c.want)
		}
	}
}

func TestParseBoundsTheDocument(t *testing.T) {
	wide := func(section string, n int, entry string) string {
		var b strings.Builder
		b.WriteString("segue: v1\n" + section + ":\n")
		for i := range n {
			fmt.Fprintf(&b, "  x%d: %s\n", i, entry)
		}
		return b.String()
	}
	for _, c := range []struct{ name, src, want string }{
		{"10 MB", strings.Repeat("#", 10<<20), "has 10485760 bytes, more than 1048576"},
		{"regions", wide("regions", maxRegions+1, "{}"), "regions: more than 32 entries"},
		{"services", wide("services", maxServices+1, "{}"), "services: more than 64 entries"},
		{"providers", wide("providers", maxProviders+1, "{}"), "providers: more than 256 entries"},
		{"contracts", wide("contracts", maxContracts+1, "{}"), "contracts: more than 64 entries"},
		{"name", "segue: v1\nservices: {" + strings.Repeat("a", 64) + ": {}}\n", "the name is longer than 63 bytes"},
		{"text", "segue: v1\nservices: {a: {speaks: " + strings.Repeat("a", 600) + "}}\n", "is longer than 512 bytes"},
		{"fields", "segue: v1\nservices: {a: {operations: {o: {match: GET /, follows: [" + strings.Repeat("body.a,", 9) + "]}}}}\n", "has 9 entries, more than 8"},
		{"laughs", "a: &a [x,x]\nb: &b [*a,*a]\nc: [*b,*b]\n", "anchors and aliases are refused"},
		{"open flow", strings.Repeat("[", 9000), "is not YAML"},
		{"deep flow", strings.Repeat("{a: ", 9000), "is not YAML"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, problems := Parse("p.yaml", []byte(c.src))
			if !strings.Contains(problems.Error(), c.want) {
				t.Errorf("got %.300s, want %q", problems.Error(), c.want)
			}
			if len(problems.Error()) > 200_000 {
				t.Errorf("the answer has %d bytes", len(problems.Error()))
			}
		})
	}
}

func TestParseTellsAtMostAHundredProblems(t *testing.T) {
	var b strings.Builder
	b.WriteString("segue: v1\nservices:\n  a:\n")
	for i := range 150 {
		fmt.Fprintf(&b, "    wrong%d: 1\n", i)
	}
	_, problems := Parse("p.yaml", []byte(b.String()))
	if len(problems) != maxProblems+1 || !strings.Contains(problems[maxProblems].Message, "more problems") {
		t.Fatalf("%d problems, the last %q", len(problems), problems[len(problems)-1].String())
	}
}

func TestParseNeverTellsASecret(t *testing.T) {
	_, problems := Parse("p.yaml", read(t, "testdata/bad/providers.yaml"))
	if strings.Contains(problems.Error(), "hunter2") {
		t.Fatal("a problem repeats a secret that stood in the wrong place")
	}
}

func TestProblemsAreAnErrorOnlyWhenThereAreSome(t *testing.T) {
	if err := (Problems)(nil).Err(); err != nil {
		t.Fatalf("no problems are an error: %v", err)
	}
	_, problems := Parse("p.yaml", []byte("segue: v1\nservices:\n  payments: {wieghts: 1}\n"))
	var as Problems
	if !errors.As(fmt.Errorf("apply: %w", problems.Err()), &as) {
		t.Fatal("the problems are lost behind a wrapping error")
	}
	if want := "p.yaml:3:14 services.payments.wieghts: unknown field; did you mean weights?"; as[0].String() != want {
		t.Errorf("got %q, want %q", as[0].String(), want)
	}
}

func TestProblemString(t *testing.T) {
	for want, p := range map[string]Problem{
		"is wrong":                          {Message: "is wrong"},
		"is wrong; mend it":                 {Message: "is wrong", Fix: "mend it"},
		"a.b: is wrong":                     {Path: "a.b", Message: "is wrong"},
		"3:5 a.b: is wrong":                 {Line: 3, Col: 5, Path: "a.b", Message: "is wrong"},
		"p.yaml is wrong":                   {File: "p.yaml", Message: "is wrong"},
		"p.yaml:3:5 a.b: is wrong; mend it": {"p.yaml", 3, 5, "a.b", "is wrong", "mend it"},
	} {
		if got := p.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestProblemsAsJSON(t *testing.T) {
	ps := Problems{{File: "p.yaml", Line: 3, Col: 5, Path: "a.b", Message: "is wrong", Fix: "mend it"}}
	text, err := json.Marshal(ps)
	if err != nil {
		t.Fatal(err)
	}
	if want := `[{"file":"p.yaml","line":3,"col":5,"path":"a.b","message":"is wrong","fix":"mend it"}]`; string(text) != want {
		t.Errorf("got %s", text)
	}
	var back Problems
	if err := json.Unmarshal(text, &back); err != nil || !reflect.DeepEqual(back, ps) {
		t.Errorf("read back as %v, %v", back, err)
	}
}

func TestNearestGuessesOnlyWhatIsClose(t *testing.T) {
	known := []string{"weights", "priority", "strategy", "speaks", "listen"}
	for word, want := range map[string]string{
		"wieghts": "weights", "weight": "weights", "prioritty": "priority", "stratgey": "strategy",
		"zzz": "", "": "", "banana": "", "listen": "listen",
	} {
		if got := nearest(word, known); got != want {
			t.Errorf("%q: got %q, want %q", word, got, want)
		}
	}
}

func TestEditDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"abc", "abc", 0}, {"abc", "acb", 1},
		{"kitten", "sitting", 3}, {"ab", "ba", 1}, {strings.Repeat("a", 500), strings.Repeat("a", 400), 0},
	} {
		if got := editDistance(c.a, c.b); got != c.want {
			t.Errorf("%.10q %.10q: got %d, want %d", c.a, c.b, got, c.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, dir := range []string{"good", "bad"} {
		for _, file := range documents(f, dir) {
			f.Add(read(f, file))
		}
	}
	f.Add([]byte("segue: v1\nservices: {a: {weights: {a: {b: 1}, c: 2}}}"))
	f.Fuzz(func(t *testing.T, src []byte) {
		p, problems := Parse("f.yaml", src)
		_ = problems.Error()
		if (p == nil) == (problems == nil) {
			t.Fatal("neither a policy nor a problem, or both")
		}
		if p == nil {
			return
		}
		again, problems := Parse("g.yaml", Marshal(p))
		if problems != nil || !reflect.DeepEqual(p, again) {
			t.Fatalf("what was written cannot be read back:\n%v\n%s", problems, Marshal(p))
		}
		for _, r := range p.Regions.Names() {
			if _, err := Compile(p, r, 1); err != nil {
				t.Fatalf("valid, but does not compile for %s: %v", r, err)
			}
			if _, problems := Parse("cut.yaml", Marshal(Cut(p, r))); problems != nil {
				t.Fatalf("the cut for %s is refused: %v", r, problems)
			}
		}
	})
}
