package web

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"segue/controlplane/policy"
	"segue/controlplane/query"
	"segue/controlplane/state"
	"segue/web/view"
)

// testRequest is a request to be decided, and not to be sent.
type testRequest struct {
	Service string            `json:"service"`
	Region  string            `json:"region"`
	Method  string            `json:"method"`
	Path    string            `json:"path"`    // with its query
	Headers map[string]string `json:"headers"` // as the application sets them; a key is made up
	Body    string            `json:"body"`
	Value   string            `json:"value"`         // as Segue-Value: 12900;cur=EUR
	Session string            `json:"session"`       // as Session-Id
	Client  string            `json:"client_region"` // as Segue-Client-Region: the user's
}

// testDecision is what an agent would decide of it.
type testDecision struct {
	Region     string          `json:"region"`
	Agent      string          `json:"agent"`
	Service    string          `json:"service"`
	Operation  string          `json:"operation"`
	Read       bool            `json:"read"`
	Policy     uint64          `json:"policy"`   // by which revision
	Provider   string          `json:"provider"` // "": nobody is eligible
	Why        string          `json:"why"`
	Sentences  []string        `json:"sentences"`
	Candidates []testCandidate `json:"candidates"`
}

// testCandidate is one provider in it.
type testCandidate struct {
	Provider string  `json:"provider"`
	Gate     string  `json:"gate"` // passed, or what kept it out
	Why      string  `json:"why"`
	Weight   float64 `json:"weight"` // configured, percent
	Score    float64 `json:"score"`  // the highest of those that passed wins
	Unit     string  `json:"unit"`   // what the score is counted in, where it is money: EUR; else ""
	Chosen   bool    `json:"chosen"`
}

// decideTest has an agent of the region decide a request that is not sent.
func (w *Web) decideTest(c echo.Context) error {
	var r testRequest
	if err := readJSON(c, &r); err != nil {
		return err
	}
	t, err := w.try(c.Request().Context(), r)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, decidedOf(t))
}

func decidedOf(t query.Tried) testDecision {
	d := testDecision{
		Region: t.Region, Agent: t.Agent, Service: t.Service, Operation: t.Operation, Read: t.Read, Policy: t.Revision,
		Provider: t.Winner, Why: t.Why, Sentences: orEmpty(t.Sentences), Candidates: []testCandidate{},
	}
	for _, c := range t.Candidates {
		d.Candidates = append(d.Candidates, testCandidate{Provider: c.Provider, Gate: c.Gate, Why: c.Why, Weight: c.Weight, Score: c.Rank, Unit: c.Unit, Chosen: c.Chosen})
	}
	return d
}

// try asks the region's agents; the first that decides counts.
func (w *Web) try(ctx context.Context, r testRequest) (query.Tried, error) {
	var t query.Tried
	doc := w.fresh(ctx).State.Current().Policy
	q, err := r.question(doc)
	if err != nil {
		return t, err
	}
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	answers, err := w.cfg.Control.Ask(ctx, q)
	if err != nil {
		return t, fmt.Errorf("web: asking agents: %w", err)
	}
	var silent []string
	for _, a := range answers {
		if a.Region != r.Region {
			continue
		}
		t = query.Tried{}
		switch why := a.read(&t); {
		case why != "":
			silent = append(silent, a.Agent+": "+why)
		case t.Refused != "":
			return t, refusal(state.Invalid, "the request would be refused: "+t.Refused)
		default:
			return t, nil
		}
	}
	if len(silent) == 0 {
		silent = []string{"no agent is attached"}
	}
	return t, refusal(state.NotFound, "nobody decided in "+r.Region+": "+strings.Join(silent, "; "))
}

// question checks what can be checked here.
func (r *testRequest) question(doc *policy.Policy) (query.Question, error) {
	bad := func(text string, of ...any) (query.Question, error) {
		return query.Question{}, refusal(state.Invalid, fmt.Sprintf(text, of...))
	}
	switch names := doc.Regions.Names(); {
	case doc.Service(r.Service) == nil:
		return bad("service: there is no service %.60q", r.Service)
	case r.Region == "" && len(names) > 0:
		r.Region = names[0]
	case !slices.Contains(names, r.Region):
		return bad("region: there is no region %.60q; there are %s", r.Region, strings.Join(names, ", "))
	}
	if r.Method == "" || len(r.Method) > 20 || !strings.HasPrefix(r.Path, "/") || len(r.Path) > 8<<10 {
		return bad("method, path: name what the application would ask, like POST and /v1/charges")
	}
	if len(r.Body) > query.MaxTried {
		return bad("body: %d bytes; at most %d are tried", len(r.Body), query.MaxTried)
	}
	headers := map[string]string{}
	for name, value := range r.Headers {
		headers[name] = value
	}
	for name, value := range map[string]string{"Segue-Value": r.Value, "Session-Id": r.Session, "Segue-Client-Region": r.Client} {
		if value != "" {
			headers[name] = value
		}
	}
	if len(headers) > 100 {
		return bad("headers: %d; at most 100 are tried", len(headers))
	}
	if _, said := headers["Content-Type"]; !said && r.Body != "" {
		headers["Content-Type"] = kindOf(r.Body)
	}
	return query.Question{
		Kind: query.TryOne, Region: r.Region, Service: r.Service,
		Try: &query.Try{Method: strings.ToUpper(r.Method), Path: r.Path, Headers: headers, Body: []byte(r.Body)},
	}, nil
}

// kindOf is what a body without a Content-Type is taken for.
func kindOf(body string) string {
	if strings.HasPrefix(strings.TrimSpace(body), "{") {
		return "application/json"
	}
	return "application/x-www-form-urlencoded"
}

// tryForm is the page with what would be decided. Nothing is changed: the answer is the page itself.
func (w *Web) tryForm(c echo.Context) error {
	s := w.fresh(c.Request().Context())
	svc := s.State.Current().Policy.Service(c.Param("service"))
	if svc == nil {
		return refusal(state.NotFound, fmt.Sprintf("there is no service %q", c.Param("service")))
	}
	page := w.routingPage(c, s, svc)
	r := testRequest{
		Service: svc.Name, Region: c.FormValue("region"), Body: c.FormValue("body"), Headers: map[string]string{},
		Value: strings.TrimSpace(c.FormValue("value")), Session: strings.TrimSpace(c.FormValue("session")), Client: c.FormValue("client"),
	}
	var found bool
	if r.Method, r.Path, found = strings.Cut(strings.TrimSpace(c.FormValue("request")), " "); found {
		r.Path = strings.TrimSpace(r.Path)
	}
	for line := range strings.Lines(c.FormValue("headers")) {
		if name, value, ok := strings.Cut(line, ":"); ok {
			r.Headers[strings.TrimSpace(name)] = strings.TrimSpace(value)
		}
	}
	page.Try = tryCard(s, svc, r)
	page.Try.Open, page.Try.Headers = true, c.FormValue("headers")
	t, err := w.try(c.Request().Context(), r)
	code := http.StatusOK
	if err != nil {
		p := w.describe(err)
		code, page.Try.Error = p.Status, sentenceOf(p.Detail)
	} else {
		d := decision(t.Decision, 0, 1)
		page.Try.Result, page.Try.Sub = &d, strings.Join([]string{t.Operation, t.Region, "decided by " + t.Agent, "nothing was sent"}, " · ")
	}
	return w.answer(c, code, decidedOf(t), view.RoutingPage(page))
}

// tryCard is the form, filled with what was typed or with the service's first operation.
func tryCard(s scene, svc *policy.ServiceSpec, r testRequest) *view.Try {
	regions := s.State.Current().Policy.Regions.Names()
	t := &view.Try{
		Action: "/routing/" + url.PathEscape(svc.Name) + "/try", Request: strings.TrimSpace(r.Method + " " + r.Path),
		Body: r.Body, Value: r.Value, Session: r.Session,
		Clients: []view.Option{{Label: "not told", Chosen: r.Client == ""}},
	}
	for _, name := range regions {
		t.Regions = append(t.Regions, view.Option{Value: name, Label: name, Chosen: name == r.Region})
		t.Clients = append(t.Clients, view.Option{Value: name, Label: name, Chosen: name == r.Client})
	}
	if t.Request == "" {
		t.Request = firstCall(svc, s.State.Current().Policy)
	}
	t.Command = tryCommand(svc.Name, t.Request, r)
	return t
}

// firstCall is an example of what the service's applications ask.
func firstCall(svc *policy.ServiceSpec, doc *policy.Policy) string {
	ops := svc.Operations
	if len(ops) == 0 {
		if spoken, err := doc.Contract(svc.Speaks); err == nil {
			ops = spoken.Operations
		}
	}
	for _, o := range ops {
		if !strings.ContainsAny(o.Match, "*{") && o.Match != "" {
			return o.Match
		}
	}
	for _, o := range ops { // a name stands for what would be there
		if !strings.Contains(o.Match, "*") && o.Match != "" {
			return strings.NewReplacer("{", "", "}", "").Replace(o.Match)
		}
	}
	return "GET /"
}

func tryCommand(service, request string, r testRequest) string {
	parts := []string{"segue tx try", service, request}
	for _, f := range [...]struct{ name, value string }{
		{"region", r.Region}, {"session", r.Session}, {"client-region", r.Client}, {"value", r.Value}, {"body", r.Body},
	} {
		if f.value != "" && len(f.value) < 200 {
			parts = append(parts, fmt.Sprintf("--%s '%s'", f.name, strings.ReplaceAll(f.value, "'", `'\''`)))
		}
	}
	return strings.Join(parts, " ")
}
