package web

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	"segue/controlplane/health"
	"segue/controlplane/policy"
	"segue/web/view"
)

// costs is what calls cost, by service, provider and region, in the time that the leader remembers.
type costs struct {
	Currency string       `json:"currency"` // everything is counted in it; "": the policy names no amount
	Minutes  float64      `json:"minutes"`  // that the figures cover, 15 at the most
	Rows     []costRow    `json:"rows"`
	Budgets  []costBudget `json:"budgets"`
}

// costRow is one provider of a service in a region. Attempts that were, or may have been, carried out cost what the policy's fees say.
type costRow struct {
	Service  string   `json:"service"`
	Provider string   `json:"provider"`
	Region   string   `json:"region"`
	Calls    uint64   `json:"calls"`                  // attempts
	Priced   uint64   `json:"priced"`                 // of them, carried out, with a fee that is known
	Cost     float64  `json:"cost"`                   // theirs
	Thousand *float64 `json:"per_thousand,omitempty"` // for a thousand of them
}

// costBudget is a service's spend budget in a region, at the agent that spent most of it: each agent has its own.
type costBudget struct {
	Service string    `json:"service"`
	Region  string    `json:"region"`
	Limit   float64   `json:"limit"` // in the currency of the answer, where that is known to be the budget's
	Text    string    `json:"text"`  // as the policy says it
	Then    string    `json:"then"`  // refuse, or cheapest
	Spent   float64   `json:"spent"`
	Left    *float64  `json:"left,omitempty"`
	Resets  time.Time `json:"resets,omitzero"`
}

// costsAPI tells what calls cost.
func (w *Web) costsAPI(c echo.Context) error {
	return c.JSON(http.StatusOK, costsOf(w.fresh(c.Request().Context())))
}

// costsPage is the same as a page.
func (w *Web) costsPage(c echo.Context) error {
	s := w.fresh(c.Request().Context())
	all := costsOf(s)
	f := w.frame(c, "Cost", "cost", "/live/cost")
	f.Command = "segue provider show PROVIDER"
	return w.answer(c, http.StatusOK, all, view.CostPage(costView(f, s, all)))
}

func costsOf(s scene) costs {
	doc := s.State.Current().Policy
	all := costs{Currency: doc.Base(), Rows: []costRow{}, Budgets: []costBudget{}}
	for _, c := range s.View.World.Cells {
		n := c.Spending
		row := costRow{Service: c.Service, Provider: c.Provider, Region: c.Region, Calls: n.Calls, Priced: n.Priced, Cost: money(n.Cost)}
		if n.Priced > 0 {
			each := row.Cost / float64(n.Priced) * 1000
			row.Thousand = &each
		}
		all.Rows = append(all.Rows, row)
	}
	all.Minutes = float64(len(s.View.World.Total.History)) * health.Step.Minutes()
	slices.SortStableFunc(all.Rows, func(a, b costRow) int {
		return cmp.Or(cmp.Compare(a.Service, b.Service), cmp.Compare(a.Provider, b.Provider), cmp.Compare(a.Region, b.Region))
	})
	for i := range doc.Services {
		all.Budgets = append(all.Budgets, budgetsOf(s, doc, &doc.Services[i])...)
	}
	return all
}

func money(m policy.Money) float64 { return float64(m) / float64(policy.Unit) }

// budgetsOf is one service's, region by region.
func budgetsOf(s scene, doc *policy.Policy, svc *policy.ServiceSpec) []costBudget {
	if svc.Budget.Limit == (policy.Price{}) {
		return nil
	}
	limit := money(doc.Worth(svc.Budget.Limit))
	var list []costBudget
	for _, b := range s.View.World.Budgets {
		if b.Service != svc.Name {
			continue
		}
		left := max(limit-money(b.Spent), 0)
		list = append(list, costBudget{
			Service: svc.Name, Region: b.Region, Limit: limit, Text: svc.Budget.Text(), Then: string(cmp.Or(svc.Budget.Then, policy.SpendRefuse)),
			Spent: money(b.Spent), Left: &left, Resets: b.Resets,
		})
	}
	return list
}

func costView(f view.Frame, s scene, all costs) view.Cost {
	v := view.Cost{Frame: f, Currency: all.Currency, Lead: costLead(all), Known: all.Currency != ""}
	for rows := all.Rows; len(rows) > 0; {
		n := 1
		for n < len(rows) && rows[n].Service == rows[0].Service {
			n++
		}
		v.Services = append(v.Services, serviceCosts(s, rows[:n], all.Currency))
		rows = rows[n:]
	}
	for i := range all.Budgets {
		v.Budgets = append(v.Budgets, budgetRow(&all.Budgets[i], f.Prefs))
	}
	return v
}

// serviceCosts are the rows of one service.
func serviceCosts(s scene, rows []costRow, currency string) view.CostService {
	out := view.CostService{Name: rows[0].Service}
	var cost float64
	var priced uint64
	for i := range rows {
		r := &rows[i]
		cost, priced = cost+r.Cost, priced+r.Priced
		row := view.CostRow{Provider: r.Provider, Region: r.Region, Calls: view.Count(r.Calls)}
		switch p := s.State.Current().Policy.Provider(r.Provider); {
		case r.Priced > 0:
			row.Cost, row.Thousand = view.Number(r.Cost, 2), view.Number(*r.Thousand, 2)
		case p == nil || len(p.Cost) == 0:
			row.Note = "no fee in the policy"
		case r.Calls == 0:
			row.Note = "no call"
		default:
			row.Note = "nothing was carried out that costs"
		}
		out.Rows = append(out.Rows, row)
	}
	if out.Sum = "no call that costs"; priced > 0 {
		out.Sum = fmt.Sprintf("%s %s, %s %s for 1,000 calls", view.Number(cost, 2), currency, view.Number(1000*cost/float64(priced), 2), currency)
	}
	return out
}

func budgetRow(b *costBudget, p view.Prefs) view.BudgetRow {
	row := view.BudgetRow{
		Service: b.Service, Region: b.Region, Limit: b.Text, Then: "calls are refused", Spent: view.Number(b.Spent, 2), Left: view.Number(*b.Left, 2), Level: view.OK,
		Resets: "–",
	}
	if b.Then == string(policy.SpendCheapest) {
		row.Then = "only the cheapest is used"
	}
	switch {
	case *b.Left <= 0:
		row.Level = view.Bad
	case b.Spent > 0.8*b.Limit:
		row.Level = view.Warn
	}
	if !b.Resets.IsZero() {
		row.Resets = p.Full(b.Resets)
	}
	return row
}

// costLead is the page in one sentence.
func costLead(all costs) string {
	var cost float64
	var priced, calls uint64
	for i := range all.Rows {
		cost, priced, calls = cost+all.Rows[i].Cost, priced+all.Rows[i].Priced, calls+all.Rows[i].Calls
	}
	span := "the last minute"
	if n := int(all.Minutes + 0.5); n > 1 {
		span = "the last " + plural(n, "minute")
	}
	switch {
	case all.Currency == "":
		return "The policy names no fee: write a cost at a provider, and what calls cost is shown here."
	case priced == 0:
		return "No call with a fee that is known in " + span + "."
	default:
		return fmt.Sprintf("%s %s in %s, %s for a thousand calls; %s of %s attempts were carried out and have a fee.", view.Number(cost, 2), all.Currency, span,
			view.Number(1000*cost/float64(priced), 2), view.Count(priced), view.Count(calls))
	}
}
