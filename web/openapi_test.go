package web

import (
	"bytes"
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.yaml.in/yaml/v3"

	"segue/web/apitest"
)

var remake = flag.Bool("update", false, "make openapi.json anew")

// TestTheDocumentIsMadeOfItsSources holds openapi.json against openapi/*.yaml and the Go types behind the answers.
func TestTheDocumentIsMadeOfItsSources(t *testing.T) {
	dirs := []string{".", "view", "../controlplane/health", "../controlplane/policy", "../controlplane/query", "../controlplane/state"}
	doc := object{"components": object{"schemas": schemasOf(t, dirs, shown())}}
	files, err := filepath.Glob("openapi/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no sources of the document", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var piece object
		if err := yaml.Unmarshal(text, &piece); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for name := range piece {
			if strings.HasPrefix(name, "x-") { // anchors only
				delete(piece, name)
			}
		}
		doc = merged(doc, piece)
	}
	var want bytes.Buffer
	e := json.NewEncoder(&want)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	if err := e.Encode(doc); err != nil {
		t.Fatal(err)
	}
	if *remake {
		if err := os.WriteFile("openapi.json", want.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(want.Bytes(), openAPI) {
		t.Error("web/openapi.json is not what its sources make: go test ./web -run TestTheDocument -update")
	}
}

// TestEachRouteIsDocumented holds the routes of the API against the document, both ways.
func TestEachRouteIsDocumented(t *testing.T) {
	s := newSite(t, options{})
	documented, err := operations(openAPI)
	if err != nil {
		t.Fatal(err)
	}
	routed := map[string]bool{}
	for _, r := range s.web.served {
		method, path, _ := strings.Cut(r, " ")
		if name := method + " " + documentPath(path); strings.HasPrefix(path, "/api/") || path == "/openapi.json" {
			if routed[name] = true; documented[name].answers == nil {
				t.Errorf("%s is served and not documented", name)
			}
		}
	}
	elsewhere := []string{"/livez", "/readyz", "/metrics", "/version", "/.segue/region", "/.segue/v1/transactions/{id}", "/.segue/v1/sessions/{id}/fields/{field}"} // the processes' own; e2e asks them
	for name := range documented {
		if _, path, _ := strings.Cut(name, " "); !routed[name] && !slices.Contains(elsewhere, path) {
			t.Errorf("%s is documented and not served", name)
		}
	}
	for _, path := range elsewhere {
		if _, there := documented["GET "+path]; !there {
			t.Errorf("GET %s is not documented", path)
		}
	}
}

// TestEachProblemIsDocumented holds the codes of refusals against the document and the page about the API.
func TestEachProblemIsDocumented(t *testing.T) {
	var doc struct {
		Components struct {
			Schemas struct {
				Problem struct {
					Properties struct {
						Type, Code struct {
							Enum        []string
							Description string
						}
					}
				}
			}
		}
	}
	if err := json.Unmarshal(openAPI, &doc); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	p := doc.Components.Schemas.Problem.Properties
	for _, code := range codes() {
		if !slices.Contains(p.Code.Enum, string(code)) || !slices.Contains(p.Type.Enum, "/problems/"+string(code)) {
			t.Errorf("the document does not name %s", code)
		}
		for where, text := range map[string]string{"the document": p.Code.Description, "docs/api.md": string(page)} {
			if !strings.Contains(text, "`"+string(code)+"`") {
				t.Errorf("%s does not say what %s is", where, code)
			}
		}
		if n, _ := status(code); code != internal && n == http.StatusInternalServerError {
			t.Errorf("%s has no status", code)
		}
	}
	if len(p.Code.Enum) != len(codes()) || len(p.Type.Enum) != len(codes()) {
		t.Errorf("the document has codes that nothing tells: %v", p.Code.Enum)
	}
}

// TestEachChangeTakesAKeyAndAMatch: what changes something says who, why, under which key and for which revision. A report is no change: it
// has its own number.
func TestEachChangeTakesAKeyAndAMatch(t *testing.T) {
	var doc struct {
		Paths map[string]map[string]json.RawMessage
	}
	if err := json.Unmarshal(openAPI, &doc); err != nil {
		t.Fatal(err)
	}
	changes := 0
	for path, methods := range doc.Paths {
		for method, raw := range methods {
			text := string(raw)
			if method == "get" || path == "/api/v1/reports" || path == "/api/v1/policy/plan" || path == "/api/v1/decisions" || method == "parameters" || strings.HasPrefix(path, "/.segue/") {
				continue
			}
			changes++
			for _, want := range []string{"parameters/Actor", "parameters/Reason", "parameters/Key"} {
				if !strings.Contains(text, want) {
					t.Errorf("%s %s does not name %s", method, path, want)
				}
			}
			if !strings.Contains(text, "parameters/Match") && !strings.Contains(text, `"If-Match"`) {
				t.Errorf("%s %s takes no If-Match", method, path)
			}
		}
	}
	if changes < 10 {
		t.Errorf("%d changes found", changes)
	}
}

// witness checks what the tests of this package ask and are answered.
var witness = sync.OnceValues(func() (*apitest.Witness, error) { return apitest.New(openAPI) })
