package web

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"segue/controlplane/health"
	"segue/controlplane/policy"
	"segue/controlplane/state"
)

// priced is the tests' policy with fees, a budget, a rule, and a service that chooses by money.
func priced() string {
	s := strings.Replace(document, "main: {contract: stripe/v1,", "main: {contract: stripe/v1, cost: {fixed: 0.25 EUR, percent: 1.5}, limits: {in_flight: 200, rate: 100/s}, features: [3ds],", 1)
	s = strings.Replace(s, "backup: {contract: stripe/v1,", "backup: {contract: stripe/v1, cost: {us-east: {fixed: 0.10 EUR}, default: {fixed: 0.20 EUR}},", 1)
	s = strings.Replace(s, "  payouts:\n    speaks: stripe/v1\n    listen: 7102\n    strategy: priority\n    priority: {default: [bank, spare], ap-south: [spare, bank]}\n",
		"  payouts:\n    speaks: stripe/v1\n    listen: 7102\n    strategy: adaptive\n    providers: [bank, spare]\n    balance: {cost: 70, reliability: 30}\n    high_value: {above: 500 EUR, prefer: reliability}\n"+
			"    budget: {spend: 200 EUR/day, then: refuse}\n    rules:\n      - {name: large ones, when: \"value > 1000\", only: [bank]}\n", 1)
	return s
}

func TestCostPage(t *testing.T) {
	s := newSite(t, options{})
	if page := s.get("/cost", 200); !strings.Contains(page, "The policy names no fee") || !strings.Contains(page, "no fee in the policy") {
		t.Error("without fees the page does not say so")
	}
	s.plane.apply(t, state.Command{ApplyPolicy: &state.ApplyPolicy{Source: []byte(priced()), Replace: true}})
	s.plane.set(func(p *plane) {
		for i := range p.view.World.Cells {
			c := &p.view.World.Cells[i]
			if c.Provider == "main" && c.Region == "us-east" {
				c.Spending = health.Spending{Calls: 5000, Priced: 4000, Cost: 1200 * policy.Unit}
			}
		}
		p.view.World.Budgets = []health.BudgetSeen{{Region: "us-east", Service: "payouts", Budget: health.Budget{Spent: 170 * policy.Unit, Resets: s.now.Add(9 * time.Hour)}}}
	})
	s.web.look()
	var all costs
	s.json(http.MethodGet, "/api/v1/costs", "", 200, &all)
	var main costRow
	for _, r := range all.Rows {
		if r.Provider == "main" && r.Region == "us-east" {
			main = r
		}
	}
	if all.Currency != "EUR" || main.Calls != 5000 || main.Cost != 1200 || main.Thousand == nil || *main.Thousand != 300 {
		t.Errorf("%s %+v", all.Currency, main)
	}
	if len(all.Budgets) != 1 || all.Budgets[0].Limit != 200 || *all.Budgets[0].Left != 30 || all.Budgets[0].Then != "refuse" {
		t.Errorf("%+v", all.Budgets)
	}
	page := s.get("/cost", 200)
	for _, text := range []string{"1,200.00 EUR in the last", "300.00 for a thousand calls", "170.00 EUR", "30.00 EUR", "200 EUR/day", "is-warn", "calls are refused", `data-label="per 1,000"`, "1,200.00 EUR, 300.00 EUR for 1,000 calls"} {
		if !strings.Contains(page, text) {
			t.Errorf("the page does not say %q", text)
		}
	}
}

func TestRoutingSaysHowItChooses(t *testing.T) {
	s := newSite(t, options{})
	s.plane.apply(t, state.Command{ApplyPolicy: &state.ApplyPolicy{Source: []byte(priced()), Replace: true}})
	s.web.look()
	page := s.get("/routing/payouts", 200)
	for _, text := range []string{"worth most for it", "large ones: only bank when ", "cost 70, reliability 30", "above 500 EUR prefer reliability", "200 EUR/day, then refuse", "Who serves, and by what, is changed", "adaptive"} {
		if !strings.Contains(page, text) {
			t.Errorf("the page of an adaptive service does not say %q", text)
		}
	}
	if strings.Contains(page, `<td class="place">`) {
		t.Error("an adaptive service has no order")
	}
	page = s.get("/routing/payments", 200)
	for _, text := range []string{"drawn by the shares", "200 in flight, 100/s", "0.25 EUR", "1.5", "us-east: ", "3ds", "not said"} {
		if !strings.Contains(page, text) {
			t.Errorf("the page of a weighted service does not say %q", text)
		}
	}
}
