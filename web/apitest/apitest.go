// Package apitest holds live traffic against the API's document: a Witness sees each request and its answer, keeps what does not fit, and
// counts which operations were called.
//
// It owns those counts and complaints. The tests of web and e2e call it; nothing of the product does.
package apitest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
)

// Witness is safe for use by several goroutines.
type Witness struct {
	doc    *openapi3.T
	router routers.Router

	mu     sync.Mutex
	called map[string]int // by operation
	faults []string
	seen   map[string]bool // complaints
}

// New reads a document. One that is not valid OpenAPI 3.1 is an error.
func New(document []byte) (*Witness, error) {
	doc, err := openapi3.NewLoader().LoadFromData(document)
	if err != nil {
		return nil, fmt.Errorf("apitest: %w", err)
	}
	if !doc.IsOpenAPI31OrLater() {
		return nil, fmt.Errorf("apitest: the document is OpenAPI %s", doc.OpenAPI)
	}
	if err := doc.Validate(context.Background(), openapi3.IsOpenAPI31OrLater()); err != nil {
		return nil, fmt.Errorf("apitest: %w", err)
	}
	doc.Servers = nil // whoever answers: paths tell
	for _, item := range doc.Paths.Map() {
		for _, o := range item.Operations() {
			o.Servers = nil
		}
	}
	router, err := gorillamux.NewRouter(doc)
	if err != nil {
		return nil, fmt.Errorf("apitest: %w", err)
	}
	return &Witness{doc: doc, router: router, called: map[string]int{}, seen: map[string]bool{}}, nil
}

// maxFaults bounds the complaints that are kept.
const maxFaults = 50

// Check holds one exchange against the document. What the document does not have is only right where the answer says so. body is what was
// sent; answer is nil where it was not read (a stream).
func (w *Witness) Check(r *http.Request, body []byte, status int, header http.Header, answer []byte) error {
	err := w.check(r, body, status, header, answer)
	if err == nil {
		return nil
	}
	err = fmt.Errorf("%s %s → %d: %w", r.Method, r.URL.RequestURI(), status, err)
	w.mu.Lock()
	defer w.mu.Unlock()
	if text := err.Error(); !w.seen[text] && len(w.faults) < maxFaults {
		w.seen[text] = true
		w.faults = append(w.faults, text)
	}
	return err
}

func (w *Witness) check(r *http.Request, body []byte, status int, header http.Header, answer []byte) error {
	asked := r.Clone(context.Background())
	asked.URL = &url.URL{Scheme: "http", Host: "127.0.0.1", Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: r.URL.RawQuery}
	asked.Body = io.NopCloser(bytes.NewReader(body))
	route, params, err := w.router.FindRoute(asked)
	if err != nil || status == http.StatusNotFound && !strings.HasPrefix(r.URL.Path, "/api/") && route.Operation.Responses.Status(status) == nil {
		// no operation, or one of another listener than the one that was asked
		return undocumented(r, status, header, answer)
	}
	in := &openapi3filter.RequestValidationInput{Request: asked, PathParams: params, Route: route, Options: w.options()}
	if status/100 == 2 {
		w.count(route.Operation.OperationID)
		if err := wrongRequest(in, body); err != nil {
			return fmt.Errorf("it was accepted, and the document does not allow it: %w", err)
		}
	}
	out := &openapi3filter.ResponseValidationInput{RequestValidationInput: in, Status: status, Header: header, Options: w.options()}
	if answer == nil {
		out.Options.ExcludeResponseBody = true
		return validType(route, status, header)
	}
	out.SetBodyBytes(answer)
	return short(openapi3filter.ValidateResponse(context.Background(), out))
}

func (w *Witness) options() *openapi3filter.Options {
	return &openapi3filter.Options{IncludeResponseStatus: true, AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, SkipSettingDefaults: true}
}

// wrongRequest holds the request against the document. A body is read for what it is, whatever curl -d calls it.
func wrongRequest(in *openapi3filter.RequestValidationInput, body []byte) error {
	kind, _, _ := mime.ParseMediaType(in.Request.Header.Get("Content-Type"))
	switch kind {
	case "", "application/x-www-form-urlencoded", "text/plain":
		in.Options.ExcludeRequestBody = true
	}
	if len(body) == 0 {
		in.Options.ExcludeRequestBody = true
	}
	if strings.Contains(kind, "yaml") || kind == "application/octet-stream" || bytes.HasPrefix(body, []byte("segue:")) {
		in.Options.ExcludeRequestBody = true // their schema is a text
	}
	return short(openapi3filter.ValidateRequest(context.Background(), in))
}

// undocumented is what the document has no operation for: it must be refused, with a problem, where it is the API's.
func undocumented(r *http.Request, status int, header http.Header, answer []byte) error {
	if !strings.HasPrefix(r.URL.Path, "/api/") {
		return nil
	}
	if status/100 == 2 && r.Method != http.MethodOptions {
		return errors.New("it is served, and not documented")
	}
	var p struct{ Type, Title, Code, Request string }
	if kind := header.Get("Content-Type"); status >= 400 && (kind != "application/problem+json" || json.Unmarshal(answer, &p) != nil || p.Type == "" || p.Code == "" || p.Request == "") {
		return fmt.Errorf("the refusal is no problem document: %s %.200s", kind, answer)
	}
	return nil
}

// validType checks what is known of an answer whose body was not read.
func validType(route *routers.Route, status int, header http.Header) error {
	answer := route.Operation.Responses.Status(status)
	if answer == nil || answer.Value == nil || answer.Value.Content.Get(header.Get("Content-Type")) == nil {
		return fmt.Errorf("%s is not documented for it", header.Get("Content-Type"))
	}
	return nil
}

// Schema holds a value that came by itself (an event of a stream) against one of the document's schemas.
func (w *Witness) Schema(name string, text []byte) error {
	s := w.doc.Components.Schemas[name]
	if s == nil {
		return fmt.Errorf("the document has no schema %s", name)
	}
	var value any
	if err := json.Unmarshal(text, &value); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	err := short(s.Value.VisitJSON(value, openapi3.EnableJSONSchema2020()))
	if err != nil {
		w.mu.Lock()
		w.faults = append(w.faults, fmt.Sprintf("a %s does not fit: %v", name, err))
		w.mu.Unlock()
	}
	return err
}

func (w *Witness) count(operation string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.called[operation]++
}

// Faults are the exchanges that did not fit.
func (w *Witness) Faults() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.faults)
}

// Uncalled are the operations that never answered well.
func (w *Witness) Uncalled() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var names []string
	for path, item := range w.doc.Paths.Map() {
		for method, o := range item.Operations() {
			if w.called[o.OperationID] == 0 {
				names = append(names, method+" "+path)
			}
		}
	}
	slices.Sort(names)
	return names
}

// Called is how many operations answered well, and how often they did together.
func (w *Witness) Called() (operations, calls int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, n := range w.called {
		calls += n
	}
	return len(w.called), calls
}

// short leaves the schema and the value out of a complaint.
func short(err error) error {
	if err == nil {
		return nil
	}
	text, _, _ := strings.Cut(err.Error(), "\n\nSchema:")
	text, _, _ = strings.Cut(text, "\nSchema:")
	return errors.New(strings.TrimSpace(text[:min(len(text), 600)]))
}
