package web

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"segue/web/view"
)

// described is the part of the API's document that people read.
type described struct {
	Info struct{ Title, Version, Description string }
	Tags []struct{ Name, Description string }
	// Paths hold operations by method, beside members that are none.
	Paths      map[string]map[string]json.RawMessage
	Components struct {
		Parameters map[string]parameter
		Schemas    map[string]schema
		Responses  map[string]response
	}
}

type parameter struct {
	Ref                   string `json:"$ref"`
	Name, In, Description string
	Required              bool
}

type response struct {
	Ref         string `json:"$ref"`
	Description string
}

type method struct {
	Tags                              []string
	OperationID, Summary, Description string
	Parameters                        []parameter
	RequestBody                       struct{ Content map[string]media }
	Responses                         map[string]response
}

type media struct {
	Schema  schema
	Example json.RawMessage
}

type schema struct {
	Ref        string `json:"$ref"`
	Type       any
	Properties map[string]schema
	Items      *schema
	Example    json.RawMessage
	Examples   []json.RawMessage
}

// methods in the order in which people look for them.
func methods() []string {
	return []string{"get", "post", "put", "patch", "delete"}
}

// apiPage renders the API's document: nothing is fetched from elsewhere.
func (w *Web) apiPage(c echo.Context) error {
	if wantsJSON(c) {
		return w.document(c)
	}
	page, err := apiView(openAPI, w.exampleOf(c))
	if err != nil {
		return err
	}
	page.Frame = w.frame(c, "API", "api", "")
	return w.html(c, http.StatusOK, view.APIPage(page))
}

// exampleOf fills an address with names of the policy in force, so that its line can be tried as it stands.
func (w *Web) exampleOf(c echo.Context) func(path string) string {
	s := w.scene()
	doc := s.State.Current().Policy
	service, provider, region := "payments", "main", "us-east"
	if len(doc.Services) > 0 {
		service = doc.Services[0].Name
	}
	if len(doc.Providers) > 0 {
		provider = doc.Providers[0].Name
	}
	if len(doc.Regions) > 0 {
		region = doc.Regions[0].Name
	}
	fill := strings.NewReplacer("{service}", service, "{provider}", provider, "{region}", region, "{revision}", fmt.Sprint(max(s.State.Current().Number, 1)), "{number}", "1", "{id}", "ID")
	base := "http://" + c.Request().Host
	return func(path string) string { return base + fill.Replace(path) }
}

func apiView(text []byte, address func(string) string) (view.API, error) {
	var d described
	if err := json.Unmarshal(text, &d); err != nil {
		return view.API{}, fmt.Errorf("web: the API's document: %w", err)
	}
	page := view.API{Title: cmp.Or(d.Info.Title, "Segue") + " API " + d.Info.Version, About: d.Info.Description}
	groups := map[string][]view.APIOperation{}
	for _, path := range slices.Sorted(keys(d.Paths)) {
		for _, name := range methods() {
			raw, ok := d.Paths[path][name]
			if !ok {
				continue
			}
			var m method
			if err := json.Unmarshal(raw, &m); err != nil {
				return page, fmt.Errorf("web: the API's document: %s %s: %w", name, path, err)
			}
			group := "other"
			if len(m.Tags) > 0 {
				group = m.Tags[0]
			}
			page.Count++
			groups[group] = append(groups[group], d.operation(strings.ToUpper(name), path, m, address))
		}
	}
	for _, tag := range d.Tags {
		if list := groups[tag.Name]; len(list) > 0 {
			page.Groups = append(page.Groups, view.APIGroup{Name: tag.Name, About: tag.Description, Operations: list})
		}
		delete(groups, tag.Name)
	}
	for _, name := range slices.Sorted(keys(groups)) {
		page.Groups = append(page.Groups, view.APIGroup{Name: name, Operations: groups[name]})
	}
	return page, nil
}

func (d *described) operation(verb, path string, m method, address func(string) string) view.APIOperation {
	o := view.APIOperation{ID: cmp.Or(m.OperationID, verb+strings.ReplaceAll(path, "/", "-")), Method: verb, Path: path, Summary: m.Summary, About: m.Description, Change: verb != http.MethodGet}
	for _, p := range m.Parameters {
		if ref, ok := strings.CutPrefix(p.Ref, "#/components/parameters/"); ok {
			p = d.Components.Parameters[ref]
		}
		o.Parameters = append(o.Parameters, view.APIParameter{Name: p.Name, In: p.In, About: p.Description, Required: p.Required})
	}
	for _, status := range slices.Sorted(keys(m.Responses)) {
		r := m.Responses[status]
		if ref, ok := strings.CutPrefix(r.Ref, "#/components/responses/"); ok {
			r = d.Components.Responses[ref]
		}
		o.Answers = append(o.Answers, view.Pair{Name: status, Value: r.Description})
	}
	kind := ""
	if body, ok := m.RequestBody.Content["application/json"]; ok {
		kind, o.Body = "application/json", d.example(body.Schema, 0)
	} else if len(m.RequestBody.Content) > 0 {
		kind = slices.Sorted(keys(m.RequestBody.Content))[0]
	}
	o.Curl = curl(verb, address(path), kind, o)
	return o
}

// curl is a line to try.
func curl(verb, address, kind string, o view.APIOperation) string {
	line := "curl -s"
	if verb != http.MethodGet {
		line += " -X " + verb
	}
	line += " " + address
	for _, p := range o.Parameters {
		if p.In == "header" && p.Required {
			line += " -H '" + p.Name + ": …'"
		}
	}
	if kind != "" {
		line += " -H 'Content-Type: " + kind + "'"
		if o.Body != "" {
			line += " -d '" + o.Body + "'"
		} else {
			line += " --data-binary @FILE"
		}
	}
	return line
}

// maxDepth bounds an example: a form may hold itself.
const maxDepth = 4

// example writes a body that a form describes, from its own examples where it has some.
func (d *described) example(s schema, depth int) string {
	if ref, ok := strings.CutPrefix(s.Ref, "#/components/schemas/"); ok {
		s = d.Components.Schemas[ref]
	}
	switch {
	case len(s.Example) > 0:
		return string(s.Example)
	case len(s.Examples) > 0:
		return string(s.Examples[0])
	case len(s.Properties) > 0 && depth < maxDepth:
		var members []string
		for _, name := range slices.Sorted(keys(s.Properties)) {
			members = append(members, fmt.Sprintf("%q: %s", name, d.example(s.Properties[name], depth+1)))
		}
		return "{" + strings.Join(members, ", ") + "}"
	case s.Items != nil && depth < maxDepth:
		return "[" + d.example(*s.Items, depth+1) + "]"
	}
	return plainExample(fmt.Sprint(s.Type))
}

func plainExample(kind string) string {
	switch {
	case strings.Contains(kind, "object"):
		return "{}"
	case strings.Contains(kind, "array"):
		return "[]"
	case strings.Contains(kind, "number"), strings.Contains(kind, "integer"):
		return "0"
	case strings.Contains(kind, "boolean"):
		return "false"
	default:
		return `"…"`
	}
}
