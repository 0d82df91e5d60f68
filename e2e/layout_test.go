package e2e

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// room is a row of the README's table of packages.
type room struct {
	path    string
	pure    bool
	imports []string // short names; "anything", "its own plane", "pure packages"
	alone   []string
}

// foreign are the libraries that only one room may name, by the word in the table's last column.
var foreign = map[string][]string{
	"templ": {"github.com/a-h/templ"}, "yaml": {"go.yaml.in/yaml"}, "raft": {"github.com/hashicorp/raft"}, "raft-boltdb": {"github.com/hashicorp/raft-boltdb"},
	"connect": {"connectrpc.com/connect"}, "pebble": {"github.com/cockroachdb/pebble"}, "gocql": {"github.com/gocql/gocql"}, "echo": {"github.com/labstack/echo"}, "cobra": {"github.com/spf13/cobra"}, "gojq": {"github.com/itchyny/gojq"},
}

// requestPath may not name an HTTP library: edge and provider alone do, so that either can be replaced.
var requestPath = []string{"dataplane/message", "dataplane/breaker", "dataplane/ledger", "dataplane/session", "dataplane/route", "dataplane/standing", "dataplane/settle", "dataplane/proxy", "dataplane/embedded", "dataplane/cassandra", "dataplane/repair", "dataplane/probe"}

// TestLayout holds every source file against the table of packages in the README.
func TestLayout(t *testing.T) {
	root := moduleRoot(t)
	rooms := readTable(t, filepath.Join(root, "README.md"))
	seen := map[string]bool{}
	eachFile(t, root, func(dir, name string, f *ast.File, _ *token.FileSet) {
		if !ruled(dir, name, f) {
			return
		}
		r, ok := rooms[dir]
		if !ok {
			t.Errorf("%s is not in the README's table of packages", dir)
			return
		}
		seen[dir] = true
		for _, spec := range f.Imports {
			if imported := strings.Trim(spec.Path.Value, `"`); imported != "net/http" || !constantsOnly(f, "http") {
				checkImport(t, rooms, r, name, imported)
			}
		}
		if r.pure {
			checkPure(t, dir, name, f)
		}
	})
	for dir := range rooms {
		if !seen[dir] && !isDocs(dir) {
			t.Errorf("the README's table names %s, which has no source", dir)
		}
	}
}

func isDocs(dir string) bool { return dir == "deploy" || dir == "e2e" }

// ruled leaves out tests, the suites for stores, and generated code.
func ruled(dir, name string, f *ast.File) bool {
	return !strings.HasSuffix(name, "_test.go") && !strings.HasSuffix(dir, "test") && !strings.HasPrefix(dir, "e2e") && !ast.IsGenerated(f)
}

func checkImport(t *testing.T, rooms map[string]room, r room, file, imported string) {
	if strings.HasPrefix(imported, "segue/") {
		target := strings.TrimPrefix(imported, "segue/")
		if target == r.path+"/feedv1" {
			return
		}
		if !mayImport(rooms, r, target) {
			t.Errorf("%s/%s imports %s: the table allows %v", r.path, file, target, r.imports)
		}
		return
	}
	for word, prefixes := range foreign {
		for _, p := range prefixes {
			if named(imported, p) && !slices.Contains(r.alone, word) && !strings.HasPrefix(r.path, "cmd/") {
				t.Errorf("%s/%s names %s, which another room names alone", r.path, file, imported)
			}
		}
	}
	if (imported == "net/http" || imported == "golang.org/x/net/http2") && slices.Contains(requestPath, r.path) {
		t.Errorf("%s/%s names %s: on the request path only edge and provider do", r.path, file, imported)
	}
}

// named matches a library and its major versions, not its neighbours (raft, raft/v2, but not raft-boltdb).
func named(imported, prefix string) bool {
	return imported == prefix || strings.HasPrefix(imported, prefix+"/")
}

func mayImport(rooms map[string]room, r room, target string) bool {
	for _, word := range r.imports {
		switch word {
		case "anything":
			return true
		case "its own plane":
			if plane(target) == plane(r.path) && target != "dataplane/sandbox" {
				return true
			}
		case "pure packages":
			if rooms[target].pure {
				return true
			}
		default:
			if path.Base(target) == word || target == word {
				return true
			}
		}
	}
	return false
}

func plane(dir string) string { return strings.SplitN(dir, "/", 2)[0] }

// impure are the packages by which I/O, locks and chance come in. (sync/atomic is none of them: a value may count its own sharers.)
var impure = []string{"net", "net/http", "os", "sync", "math/rand", "math/rand/v2", "crypto/rand", "log", "log/slog", "os/exec", "syscall"}

func checkPure(t *testing.T, dir, name string, f *ast.File) {
	for _, spec := range f.Imports {
		if p := strings.Trim(spec.Path.Value, `"`); slices.Contains(impure, p) && !constantsOnly(f, path.Base(p)) {
			t.Errorf("%s/%s is pure and imports %s", dir, name, p)
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			t.Errorf("%s/%s is pure and starts a goroutine", dir, name)
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && x.Name == "time" && slices.Contains([]string{"Now", "Since", "Until", "Sleep", "After", "NewTimer", "NewTicker", "Tick", "AfterFunc"}, n.Sel.Name) {
				t.Errorf("%s/%s is pure and asks time.%s", dir, name, n.Sel.Name)
			}
		}
		return true
	})
}

// constantsOnly tells whether a file uses nothing of a package but HTTP's names for statuses and methods, or slog's values (by which
// a secret says how it is printed): those bring in no I/O.
func constantsOnly(f *ast.File, pkg string) bool {
	only := true
	ast.Inspect(f, func(n ast.Node) bool {
		s, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if x, ok := s.X.(*ast.Ident); ok && x.Name == pkg {
			constant := pkg == "http" && (strings.HasPrefix(s.Sel.Name, "Status") || strings.HasPrefix(s.Sel.Name, "Method"))
			constant = constant || pkg == "slog" && strings.HasSuffix(s.Sel.Name, "Value")
			only = only && constant
		}
		return true
	})
	return only
}

// TestDocumentation wants a doc.go in every package that opens with its noun.
func TestDocumentation(t *testing.T) {
	root := moduleRoot(t)
	documented := map[string]bool{}
	eachFile(t, root, func(dir, name string, f *ast.File, _ *token.FileSet) {
		if ruled(dir, name, f) {
			documented[dir] = documented[dir] || (name == "doc.go" || f.Name.Name == "main") && f.Doc != nil
		}
	})
	for dir, ok := range documented {
		if !ok {
			t.Errorf("%s has no doc.go with a package comment", dir)
		}
	}
}

// Bounds of style: what the models of good Go measure.
const (
	longestFunction = 70
	longestFile     = 500
	widestStruct    = 15
)

// TestStyle wants short functions, short files and narrow structs.
func TestStyle(t *testing.T) {
	eachFile(t, moduleRoot(t), func(dir, name string, f *ast.File, fset *token.FileSet) {
		if !ruled(dir, name, f) {
			return
		}
		if n := fset.Position(f.End()).Line; n > longestFile {
			t.Errorf("%s/%s has %d lines, over %d", dir, name, n, longestFile)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				if l := fset.Position(n.End()).Line - fset.Position(n.Pos()).Line + 1; l > longestFunction {
					t.Errorf("%s/%s: %s has %d lines, over %d", dir, name, n.Name.Name, l, longestFunction)
				}
			case *ast.TypeSpec:
				if s, ok := n.Type.(*ast.StructType); ok && s.Fields.NumFields() > widestStruct {
					t.Errorf("%s/%s: %s has %d fields, over %d", dir, name, n.Name.Name, s.Fields.NumFields(), widestStruct)
				}
			}
			return true
		})
	})
}

func eachFile(t *testing.T, root string, visit func(dir, name string, f *ast.File, fset *token.FileSet)) {
	t.Helper()
	fset := token.NewFileSet()
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && p != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "node_modules" || ownModule(p)):
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(p, ".go"):
			return nil
		}
		f, err := parser.ParseFile(fset, p, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		dir, err := filepath.Rel(root, filepath.Dir(p))
		if err != nil {
			return err
		}
		visit(filepath.ToSlash(dir), d.Name(), f, fset)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// ownModule tells whether a directory is a Go module of its own, which the product does not build.
func ownModule(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "go.mod"))
	return err == nil
}

// readTable reads rows such as "| `dataplane/route` P | what | regions, policy | – |".
func readTable(t *testing.T, file string) map[string]room {
	t.Helper()
	src, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	rooms := map[string]room{}
	for line := range strings.Lines(string(src)) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		if len(cells) != 6 || !strings.HasPrefix(strings.TrimSpace(cells[1]), "`") {
			continue
		}
		head := strings.Fields(cells[1])
		if len(head) != 2 || head[1] != "P" && head[1] != "S" {
			continue
		}
		r := room{path: strings.Trim(head[0], "`"), pure: head[1] == "P", imports: words(cells[3]), alone: words(cells[4])}
		rooms[r.path] = r
	}
	if len(rooms) == 0 {
		t.Fatal("the README has no table of packages")
	}
	return rooms
}

func words(cell string) []string {
	var out []string
	for w := range strings.SplitSeq(cell, ",") {
		if w = strings.Trim(strings.TrimSpace(w), "`"); w != "" && w != "–" {
			out = append(out, w)
		}
	}
	return out
}

func moduleRoot(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; dir != "/"; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
	}
	t.Fatal("no go.mod above the test")
	return ""
}

// TestRoomsAreAllRun holds what `make test` runs (.ci/rooms) against the sources: every package with tests is run, and beside the race
// detector every one of a shell's.
func TestRoomsAreAllRun(t *testing.T) {
	root := moduleRoot(t)
	lists := map[string][]string{}
	for _, list := range []string{"plain", "race"} {
		cmd := exec.Command(filepath.Join(root, ".ci", "rooms"), list)
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		lists[list] = strings.Fields(string(out))
	}
	rooms := readTable(t, filepath.Join(root, "README.md"))
	tested := map[string]bool{}
	eachFile(t, root, func(dir, name string, _ *ast.File, _ *token.FileSet) {
		tested[dir] = tested[dir] || strings.HasSuffix(name, "_test.go") && !strings.HasPrefix(dir, "e2e")
	})
	for dir, has := range tested {
		beside := slices.Contains(lists["race"], "segue/"+dir)
		switch r, known := rooms[dir]; {
		case !has:
		case !beside && !slices.Contains(lists["plain"], "segue/"+dir):
			t.Errorf("nothing runs the tests of %s", dir)
		case known && r.pure == beside:
			t.Errorf("%s: pure is %v, beside the race detector is %v", dir, r.pure, beside)
		}
	}
}
