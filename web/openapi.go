package web

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"
)

// openAPI is the document of the API, made from openapi/*.yaml by its test with -update. It needs nothing from elsewhere.
//
//go:embed openapi.json
var openAPI []byte

// operation is what the document says of one: which forms its answer and its request have.
type operation struct{ answers, reads []string }

// operations reads the document: "GET /api/v1/policy" → what it says.
func operations(doc []byte) (map[string]operation, error) {
	type content struct {
		Content map[string]json.RawMessage `json:"content"`
	}
	var d struct {
		Paths map[string]map[string]json.RawMessage `json:"paths"`
	}
	if err := json.Unmarshal(doc, &d); err != nil {
		return nil, fmt.Errorf("web: the API's document: %w", err)
	}
	all := map[string]operation{}
	for path, methods := range d.Paths {
		for method, raw := range methods {
			if method == "parameters" || method == "servers" {
				continue
			}
			var o struct {
				RequestBody content            `json:"requestBody"`
				Responses   map[string]content `json:"responses"`
			}
			if err := json.Unmarshal(raw, &o); err != nil {
				return nil, fmt.Errorf("web: the API's document: %s %s: %w", method, path, err)
			}
			one := operation{reads: slices.Sorted(keys(o.RequestBody.Content))}
			for status, r := range o.Responses {
				if strings.HasPrefix(status, "2") {
					one.answers = append(one.answers, slices.Sorted(keys(r.Content))...)
				}
			}
			all[strings.ToUpper(method)+" "+path] = one
		}
	}
	return all, nil
}

// documentPath writes echo's /providers/:provider as the document does: /providers/{provider}.
func documentPath(path string) string {
	parts := strings.Split(path, "/")
	for i, p := range parts {
		if name, ok := strings.CutPrefix(p, ":"); ok {
			parts[i] = "{" + name + "}"
		}
	}
	return strings.Join(parts, "/")
}

// document serves the API's own description.
func (w *Web) document(c echo.Context) error {
	c.Response().Header().Set("Cache-Control", "no-cache")
	return c.Blob(http.StatusOK, "application/json", openAPI)
}

// negotiate refuses what the document does not have: answers in another form than it names, and bodies that nothing here reads. What has
// no route is not its business: that is answered with 404 or 405.
func (w *Web) negotiate(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		op, ok := w.documented[c.Request().Method+" "+documentPath(c.Path())]
		if !ok || !isAPI(c) {
			return next(c)
		}
		if accept := c.Request().Header.Values("Accept"); !accepts(strings.Join(accept, ","), op.answers) {
			return refusal(notAcceptable, fmt.Sprintf("Accept: %.100s takes none of what there is here: %s", strings.Join(accept, ", "), strings.Join(op.answers, ", ")))
		}
		if err := readable(c.Request().Header, op.reads); err != nil {
			return err
		}
		return next(c)
	}
}

// accepts tells whether one of the forms fits an Accept header. None is everything.
func accepts(header string, forms []string) bool {
	if strings.TrimSpace(header) == "" || len(forms) == 0 {
		return true
	}
	for part := range strings.SplitSeq(header, ",") {
		kind, params, err := mime.ParseMediaType(part)
		if err != nil || params["q"] == "0" || params["q"] == "0.0" {
			continue
		}
		group, any := strings.CutSuffix(kind, "/*")
		for _, form := range forms {
			if kind == "*/*" || kind == form || any && strings.HasPrefix(form, group+"/") {
				return true
			}
		}
	}
	return false
}

// readable refuses a body that says it is something else than what is read. What curl -d and plain editors call a body says nothing: it is
// read for what it is.
func readable(h http.Header, forms []string) error {
	if coding := h.Get("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") {
		return refusal(wrongMedia, fmt.Sprintf("Content-Encoding: %.40q is not read; send the body as it is", coding))
	}
	text := h.Get("Content-Type")
	if text == "" || len(forms) == 0 {
		return nil
	}
	kind, _, err := mime.ParseMediaType(text)
	silent := []string{"application/x-www-form-urlencoded", "text/plain", "application/json"}
	if err != nil || !slices.Contains(forms, kind) && !slices.Contains(silent, kind) {
		return refusal(wrongMedia, fmt.Sprintf("Content-Type: %.100q is not read here; there are %s", text, strings.Join(forms, ", ")))
	}
	return nil
}
