package e2e

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"segue/controlplane/policy"
	"segue/dataplane/proxy"
)

// page is a document: its lines outside of fences, and what stands in code.
type page struct {
	name   string // from the module's root
	text   string
	prose  []line
	fenced []line
	spans  []line // `code` within the prose
}

type line struct {
	at   int
	text string
}

var codeSpan = regexp.MustCompile("`[^`]+`")

// pages reads the README and every document and design note of the module.
func pages(t *testing.T) []page {
	t.Helper()
	root, found := moduleRoot(t), []page{}
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && p != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "node_modules"):
			return filepath.SkipDir
		case d.IsDir() || filepath.Ext(p) != ".md":
			return nil
		}
		text, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, p)
		if err == nil {
			found = append(found, readPage(filepath.ToSlash(name), string(text)))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func readPage(name, text string) page {
	p, fence := page{name: name, text: text}, false
	for i, l := range strings.Split(text, "\n") {
		switch {
		case strings.HasPrefix(l, "```"):
			fence = !fence
		case fence:
			p.fenced = append(p.fenced, line{i + 1, l})
		default:
			p.prose = append(p.prose, line{i + 1, codeSpan.ReplaceAllString(l, "`")})
			for _, span := range codeSpan.FindAllString(l, -1) {
				p.spans = append(p.spans, line{i + 1, strings.Trim(span, "`")})
			}
		}
	}
	return p
}

// code is everything that a reader would type or look up.
func (p page) code() []line { return append(slices.Clone(p.spans), p.fenced...) }

// TestDocsNameTests holds every document to what is there: each test, target of make, command, flag and figure that it names exists.
func TestDocsNameTests(t *testing.T) {
	root := moduleRoot(t)
	tests, metrics := sourceNames(t, root)
	for _, kind := range problemTypes(t) { // their codes in the dialects
		metrics["segue_"+strings.ReplaceAll(kind, "-", "_")] = true
	}
	targets, commands := makeTargets(t, root), commandTree(t, root)
	for _, p := range pages(t) {
		for _, c := range p.code() {
			where := p.name + ":" + strconv.Itoa(c.at) + ": "
			for _, n := range namedTests(c.text) {
				if !tests.has(n) {
					t.Errorf("%sthere is no test %s", where, n.name)
				}
			}
			for _, target := range namedTargets(c.text) {
				if !slices.Contains(targets, target) {
					t.Errorf("%sthe Makefile has no target %s", where, target)
				}
			}
			for _, complaint := range commands.check(c.text) {
				t.Errorf("%s%s", where, complaint)
			}
			if m := metricName.FindString(c.text); m != "" && !metrics[m] {
				t.Errorf("%sno figure and no code is called %s", where, m)
			}
		}
	}
}

// quotedName finds the name of a figure as a text of its own, and a code inside a document.
var quotedName = regexp.MustCompile(`"((?:segue|provider)_[a-z_]+)"`)

var metricName = regexp.MustCompile(`^(segue|provider)_[a-z]+(_[a-z]+)*$`)

// testNames are those of the sources' tests, fuzzers and benchmarks.
type testNames []string

// mention is a test's name as a document has it; after -run or -bench it is the beginning of names.
type mention struct {
	name   string
	prefix bool
}

var testName = regexp.MustCompile(`(-(?:run|bench|fuzz) '?)?\b((?:Test|Fuzz|Benchmark)[A-Z]\w*)`)

func namedTests(text string) []mention {
	var found []mention
	for _, m := range testName.FindAllStringSubmatch(text, -1) {
		found = append(found, mention{m[2], m[1] != ""})
	}
	return found
}

func (names testNames) has(n mention) bool {
	return slices.ContainsFunc(names, func(have string) bool { return have == n.name || n.prefix && strings.HasPrefix(have, n.name) })
}

// sourceNames parses every Go source once: the names of tests, and every text that could be the name of a figure.
func sourceNames(t *testing.T, root string) (tests testNames, metrics map[string]bool) {
	t.Helper()
	metrics = map[string]bool{}
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && p != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "node_modules" || d.Name() == "testdata"):
			return filepath.SkipDir
		case d.IsDir() || filepath.Ext(p) != ".go":
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), p, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				if n.Recv == nil && strings.HasSuffix(p, "_test.go") && testName.MatchString(n.Name.Name) {
					tests = append(tests, n.Name.Name)
				}
			case *ast.BasicLit:
				if !strings.HasSuffix(p, "_test.go") {
					for _, quoted := range quotedName.FindAllStringSubmatch(n.Value, -1) {
						metrics[quoted[1]] = true
					}
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return tests, metrics
}

func makeTargets(t *testing.T, root string) []string {
	t.Helper()
	src, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	var targets []string
	for _, m := range regexp.MustCompile(`(?m)^([a-z0-9-]+):`).FindAllStringSubmatch(string(src), -1) {
		targets = append(targets, m[1])
	}
	return targets
}

var makeCall = regexp.MustCompile(`^make((?: [a-z][a-z0-9-]*)+)`)

func namedTargets(text string) []string {
	if m := makeCall.FindStringSubmatch(strings.TrimSpace(text)); m != nil {
		return strings.Fields(m[1])
	}
	return nil
}

// tree is the commands with their flags, as docs/commands.md has them (which a test of cmd/segue makes from the commands themselves).
type tree map[string][]string

var (
	aFlag     = regexp.MustCompile(`--[a-z][a-z-]*`)
	aShort    = regexp.MustCompile(`(?m)^ +(-[a-z]), --`)
	segueCall = regexp.MustCompile(`(?:^|[;&|(] *|\$ |=\S* )(?:\./bin/|bin/)?segue ((?:[^|;&>#)]|\b\|\b)*)`)
)

func commandTree(t *testing.T, root string) tree {
	t.Helper()
	src, err := os.ReadFile(filepath.Join(root, "docs", "commands.md"))
	if err != nil {
		t.Fatal(err)
	}
	found, at := tree{}, ""
	for l := range strings.Lines(string(src)) {
		if head, ok := strings.CutPrefix(strings.TrimLeft(l, "#"), " segue"); ok && strings.HasPrefix(l, "#") {
			at = strings.TrimSpace(head)
			found[at] = nil
		}
		if strings.HasPrefix(strings.TrimSpace(l), "-") {
			found[at] = append(found[at], aFlag.FindString(l))
			if m := aShort.FindStringSubmatch(l); m != nil {
				found[at] = append(found[at], m[1])
			}
		}
	}
	if len(found) < 30 {
		t.Fatalf("docs/commands.md names %d commands", len(found))
	}
	return found
}

// check says what is wrong with the calls of segue in a text, and with a flag that stands alone.
func (c tree) check(text string) []string {
	var wrong []string
	for _, m := range segueCall.FindAllStringSubmatch(text, -1) {
		wrong = append(wrong, c.call(strings.Fields(m[1]))...)
	}
	return wrong
}

func (c tree) call(words []string) []string {
	at := ""
	for len(words) > 0 && plainWord(words[0]) {
		for _, word := range strings.Split(words[0], "|") { // policy plan|apply
			next := strings.TrimSpace(at + " " + word)
			if _, known := c[next]; !known && (at == "" || c.group(at)) {
				return []string{"there is no command segue " + next}
			}
		}
		next := strings.TrimSpace(at + " " + words[0])
		if _, known := c[next]; !known {
			break
		}
		at, words = next, words[1:]
	}
	var wrong []string
	for _, word := range words {
		flag, _, _ := strings.Cut(word, "=")
		if strings.HasPrefix(flag, "-") && len(flag) > 1 && flag != "--help" && !slices.Contains(c[at], flag) && !slices.Contains(c[""], flag) {
			wrong = append(wrong, "segue "+at+" has no flag "+flag)
		}
	}
	return wrong
}

// group tells whether a command is there for those below it.
func (c tree) group(at string) bool {
	for name := range c {
		if strings.HasPrefix(name, at+" ") {
			return true
		}
	}
	return false
}

// plainWord tells a command's word from a value and from a place for one.
func plainWord(word string) bool {
	return strings.IndexFunc(word, func(r rune) bool { return !unicode.IsLower(r) && r != '|' }) < 0
}

// TestDocsLinks follows every link of the documents, and what the alerts point to: the file or picture is there, and so is the heading.
func TestDocsLinks(t *testing.T) {
	root, all := moduleRoot(t), pages(t)
	anchors := map[string][]string{}
	for _, p := range all {
		anchors[p.name] = p.anchors()
	}
	check := func(where, from, target string) {
		file, anchor, _ := strings.Cut(target, "#")
		file = filepath.ToSlash(filepath.Join(filepath.Dir(from), file))
		if strings.HasPrefix(target, "#") {
			file = from
		}
		if _, err := os.Stat(filepath.Join(root, file)); err != nil {
			t.Errorf("%s: %s is not there", where, target)
		} else if anchor != "" && !slices.Contains(anchors[file], anchor) {
			t.Errorf("%s: %s has no heading #%s", where, file, anchor)
		}
	}
	for _, p := range all {
		for _, l := range p.prose {
			for _, m := range aLink.FindAllStringSubmatch(l.text, -1) {
				if !strings.Contains(m[1], "://") && !strings.HasPrefix(m[1], "mailto:") {
					check(p.name+":"+strconv.Itoa(l.at), p.name, m[1])
				}
			}
		}
	}
	for file, targets := range runbooks(t, root) {
		for _, target := range targets {
			check(file, "README.md", target)
		}
	}
}

var (
	aLink    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	aRunbook = regexp.MustCompile(`docs/[a-z]+\.md#[a-z0-9-]+`)
)

// anchors are the headings as GitHub names them, and those that are set by hand.
func (p page) anchors() []string {
	var found []string
	for _, m := range regexp.MustCompile(`<a (?:id|name)="([^"]+)">`).FindAllStringSubmatch(p.text, -1) {
		found = append(found, m[1])
	}
	for l := range strings.Lines(p.text) {
		if head := strings.TrimLeft(l, "#"); head != l && strings.HasPrefix(head, " ") {
			found = append(found, slug(strings.TrimSpace(head)))
		}
	}
	return found
}

func slug(head string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case unicode.IsLetter(r) || unicode.IsDigit(r) || r == '-' || r == '_':
			return unicode.ToLower(r)
		}
		return -1
	}, head)
}

// runbooks are the places in the documents that files under deploy point to.
func runbooks(t *testing.T, root string) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	dir := filepath.Join(root, "deploy")
	if _, err := os.Stat(dir); err != nil {
		return found
	}
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(p)
		found[p] = aRunbook.FindAllString(string(text), -1)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestDocsTellEveryField wants each field of the policy in docs/policy.md, by the schema that the parser is held against.
func TestDocsTellEveryField(t *testing.T) {
	p := readDoc(t, "docs/policy.md")
	var code strings.Builder
	for _, c := range p.code() {
		code.WriteString(c.text + "\n")
	}
	for _, name := range regexp.MustCompile(`"([a-z_]+)": ?\{`).FindAllStringSubmatch(string(policy.Schema()), -1) {
		if schemaWords[name[1]] {
			continue
		}
		if !regexp.MustCompile(`\b` + name[1] + `\b`).MatchString(code.String()) {
			t.Errorf("docs/policy.md does not tell the field %s", name[1])
		}
	}
}

// schemaWords are JSON Schema's own, not fields of a policy.
var schemaWords = map[string]bool{"properties": true, "items": true, "not": true, "if": true, "then": true, "else": true}

// TestDocsTellEveryProblem holds the table of problems in docs/applications.md against the code: each type with its status and whether
// anything was executed.
func TestDocsTellEveryProblem(t *testing.T) {
	p, told := readDoc(t, "docs/applications.md"), map[string]string{}
	for l := range strings.Lines(p.text) {
		cells := strings.Split(l, "|")
		if len(cells) < 5 {
			continue
		}
		for _, name := range codeSpan.FindAllString(cells[1], -1) {
			told[strings.Trim(name, "`")] = l
		}
	}
	for _, kind := range problemTypes(t) {
		var says struct {
			Status   int
			Executed string
		}
		if err := json.Unmarshal((&proxy.Problem{Type: proxy.Type(kind)}).Answer(policy.Plain).Body, &says); err != nil {
			t.Fatal(err)
		}
		cells := strings.Split(told[kind], "|")
		switch {
		case len(cells) < 5:
			t.Errorf("docs/applications.md does not tell %s", kind)
		case strings.TrimSpace(cells[2]) != strconv.Itoa(says.Status):
			t.Errorf("docs/applications.md tells %s with status %s, not %d", kind, cells[2], says.Status)
		case !strings.HasPrefix(strings.Trim(cells[3], " *"), says.Executed):
			t.Errorf("docs/applications.md says of %s: executed %s, not %s", kind, cells[3], says.Executed)
		}
	}
}

// problemTypes are the types of problem that the proxy's source lists.
func problemTypes(t *testing.T) []string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(moduleRoot(t), "dataplane", "proxy", "problem.go"), nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	ast.Inspect(f, func(n ast.Node) bool {
		if v, ok := n.(*ast.ValueSpec); ok && len(v.Values) == 1 {
			name, typed := v.Type.(*ast.Ident)
			if lit, text := v.Values[0].(*ast.BasicLit); typed && text && name.Name == "Type" {
				found = append(found, strings.Trim(lit.Value, `"`))
			}
		}
		return true
	})
	if len(found) < 10 {
		t.Fatalf("the proxy lists %d types of problem", len(found))
	}
	return found
}

func readDoc(t *testing.T, name string) page {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(moduleRoot(t), filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return readPage(name, string(text))
}
