package web

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"segue/controlplane/health"
	"segue/controlplane/policy"
	"segue/controlplane/state"
)

// policyText shows the document in the browser.
func (w *Web) policyText(c echo.Context) error {
	r := w.fresh(c.Request().Context()).State.Current()
	if r.Number == 0 {
		return refusal(state.NotFound, "no policy is in force yet")
	}
	setTag(c, r.Number)
	return c.Blob(http.StatusOK, "text/plain; charset=utf-8", r.Source)
}

// provider is one of them as the API shows it: what the policy says, and how it stands in each region. Credentials are names in the
// policy, never values, and even the names stay away.
type provider struct {
	Name     string           `json:"name"`
	Contract string           `json:"contract"`
	Account  string           `json:"account"`
	Limits   policy.Limits    `json:"limits"`
	Cells    []health.Cell    `json:"cells"`
	Orders   []policy.Order   `json:"orders"`
	Promises []policy.Promise `json:"promises"` // for the operations of its service, derived from its contract
}

func (w *Web) providers(c echo.Context) error {
	s := w.fresh(c.Request().Context())
	list := []provider{}
	doc := s.State.Current().Policy
	for i := range doc.Providers {
		p := &doc.Providers[i]
		if only := c.Param("provider"); only != "" && only != p.Name {
			continue
		}
		one := provider{Name: p.Name, Contract: p.Contract, Account: p.AccountName(), Limits: p.Limits, Cells: []health.Cell{}, Orders: []policy.Order{}, Promises: promises(doc, p)}
		for _, cell := range s.View.World.Cells {
			if cell.Provider == p.Name {
				one.Cells = append(one.Cells, cell)
			}
		}
		for _, o := range s.State.InForce(s.Now) {
			if o.Provider == p.Name {
				one.Orders = append(one.Orders, o)
			}
		}
		list = append(list, one)
	}
	return oneOrAll(c, c.Param("provider"), list)
}

// promises are what holds at a provider for the operations of the services that have it.
func promises(doc *policy.Policy, p *policy.ProviderSpec) []policy.Promise {
	list := []policy.Promise{}
	c, err := doc.Contract(p.Contract)
	if err != nil {
		return list
	}
	for _, name := range servicesOf(doc, p.Name) {
		if i := slices.IndexFunc(doc.Services, func(s policy.ServiceSpec) bool { return s.Name == name }); i >= 0 {
			list = append(list, doc.Promises(&doc.Services[i], &c)...)
		}
	}
	return list
}

// contracts are those that the policy can name: what each says, the vendor's page for it, and what is promised for each operation.
func (w *Web) contracts(c echo.Context) error {
	list, name := []policy.Sheet{}, c.Param("contract")
	if plain, err := url.PathUnescape(name); err == nil { // a name has a slash, which a path writes as %2F
		name = plain
	}
	for _, sheet := range w.fresh(c.Request().Context()).State.Current().Policy.Sheets() {
		if name == "" || name == sheet.Name {
			list = append(list, sheet)
		}
	}
	return oneOrAll(c, name, list)
}

func oneOrAll[T any](c echo.Context, name string, list []T) error {
	switch {
	case name == "":
		return c.JSON(http.StatusOK, list)
	case len(list) == 0:
		return refusal(state.NotFound, fmt.Sprintf("the policy has no %q", name))
	default:
		return c.JSON(http.StatusOK, list[0])
	}
}

// drain keeps new calls away from a provider, for a while.
func (w *Web) drain(c echo.Context) error {
	a, err := authorOf(c)
	if err != nil {
		return err
	}
	var body struct {
		For     string   `json:"for"`
		Regions []string `json:"regions"`
	}
	if err := readJSON(c, &body); err != nil {
		return err
	}
	length, err := span("for", body.For, 30*time.Minute)
	if err != nil {
		return err
	}
	done, err := w.order(c.Request().Context(), a, policy.Order{Kind: policy.Drain, Provider: c.Param("provider"), Regions: body.Regions, For: length})
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, done)
}

// resume ends every drain of a provider, in one change.
func (w *Web) resume(c echo.Context) error {
	a, err := authorOf(c)
	if err != nil {
		return err
	}
	result, err := w.propose(c.Request().Context(), a, state.Command{EndOrder: &state.EndOrder{DrainsOf: c.Param("provider")}})
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, map[string]any{"ended": orEmpty(strings.Fields(result.Order))})
}

// gone tells that an order had ended already: that is what was asked for.
func gone(err error) bool {
	var refused *state.Error
	return errors.As(err, &refused) && refused.Code == state.NotFound
}

// region is one of them as the API shows it.
type region struct {
	Name     string             `json:"name"`
	Standby  []string           `json:"standby"`
	Revision uint64             `json:"revision"`
	InForce  bool               `json:"in_force"`
	Why      string             `json:"why,omitempty"` // it is not in force
	Agents   []health.AgentSeen `json:"agents"`
}

func (w *Web) regions(c echo.Context) error {
	s := w.fresh(c.Request().Context())
	current := s.State.Current()
	list := []region{}
	for _, r := range current.Policy.Regions {
		if only := c.Param("region"); only != "" && only != r.Name {
			continue
		}
		one := region{Name: r.Name, Standby: r.Standby, Revision: current.Number, Why: regionLags(s, r.Name, current.Number), Agents: []health.AgentSeen{}}
		one.InForce = one.Why == ""
		for _, a := range s.View.World.Agents {
			if a.Region == r.Name {
				one.Agents = append(one.Agents, a)
			}
		}
		list = append(list, one)
	}
	return oneOrAll(c, c.Param("region"), list)
}

// drills are those in force; they are not those of the sandbox.
func (w *Web) drills(c echo.Context) error {
	list := []policy.Order{}
	for _, o := range w.fresh(c.Request().Context()).State.InForce(w.cfg.Now()) {
		if o.Kind == policy.Drill {
			list = append(list, o)
		}
	}
	return c.JSON(http.StatusOK, list)
}

func (w *Web) drill(c echo.Context) error {
	orders := w.fresh(c.Request().Context()).State.InForce(w.cfg.Now())
	i := slices.IndexFunc(orders, func(o policy.Order) bool { return o.ID == c.Param("id") && o.Kind == policy.Drill })
	if i < 0 {
		return refusal(state.NotFound, fmt.Sprintf("no drill %q is in force", c.Param("id")))
	}
	return c.JSON(http.StatusOK, orders[i])
}

func (w *Web) giveDrill(c echo.Context) error {
	a, err := authorOf(c)
	if err != nil {
		return err
	}
	var body drillRequest
	if err := readJSON(c, &body); err != nil {
		return err
	}
	done, err := w.giveDrillOrder(c.Request().Context(), a, body)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusCreated, done)
}

func (w *Web) endDrill(c echo.Context) error {
	a, err := authorOf(c)
	if err != nil {
		return err
	}
	result, err := w.propose(c.Request().Context(), a, state.Command{EndOrder: &state.EndOrder{ID: c.Param("id")}})
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, changed{Order: result.Order, Revision: result.Revision})
}

// health is the leader's view; before it has come, it says so.
func (w *Web) health(c echo.Context) error {
	s := w.scene()
	if !s.Seen {
		return refusal(state.NoLeader, "no reports have been put together yet")
	}
	return c.JSON(http.StatusOK, s.View.World)
}

// faults are the sandbox's that run.
func (w *Web) faults(c echo.Context) error {
	list := w.cfg.Sandbox.Faults()
	if list == nil {
		list = []Fault{}
	}
	return c.JSON(http.StatusOK, list)
}

func (w *Web) runFault(c echo.Context) error {
	a, err := authorOf(c)
	if err != nil {
		return err
	}
	var body drillRequest
	if err := readJSON(c, &body); err != nil {
		return err
	}
	f, err := w.runReal(c.Request().Context(), a, body)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusCreated, struct {
		Fault
		Order string `json:"order"` // as drills name theirs
	}{f, f.ID})
}

func (w *Web) stopFault(c echo.Context) error {
	a, err := authorOf(c)
	if err != nil {
		return err
	}
	id, ctx := c.Param("id"), c.Request().Context()
	if _, err := w.repeat.once(a.request, "stop "+id, func() (Fault, error) {
		if err := w.matches(ctx, a); err != nil {
			return Fault{}, err
		}
		if err := w.cfg.Sandbox.Stop(id); err != nil {
			return Fault{}, refusal(state.NotFound, err.Error())
		}
		return Fault{ID: id}, nil
	}); err != nil {
		return err
	}
	return c.JSON(http.StatusOK, changed{Order: id})
}

// books is what the providers' own books say.
func (w *Web) books(c echo.Context) error {
	v, err := w.cfg.Sandbox.Books()
	if err != nil {
		return fmt.Errorf("web: books: %w", err)
	}
	return c.JSON(http.StatusOK, v)
}
