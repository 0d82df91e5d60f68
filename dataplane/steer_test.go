package dataplane

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"segue/dataplane/sandbox"
)

// steered is payments with main at 30 cents a call and backup at 20, and the lines of its service.
func steered(lines string) option {
	return steeredAt(lines, map[string]string{"main": "fixed: 0.30 EUR", "backup": "fixed: 0.20 EUR"})
}

// steeredAt is the same with other costs.
func steeredAt(lines string, costs map[string]string) option {
	return edited(func(doc string) string {
		at := strings.Index(doc, "    strategy: priority")
		end := strings.Index(doc, "    attempts:")
		doc = doc[:at] + lines + doc[end:]
		doc = strings.Replace(doc, "failures: 1000", "failures: 100", 1)
		for name, cost := range costs {
			doc = strings.Replace(doc, "  "+name+": {", "  "+name+": {cost: {"+cost+"}, features: ["+name+"-only], ", 1)
		}
		return doc
	})
}

func (w *world) steeredTo(t *testing.T, want string, a *answer) {
	t.Helper()
	if got := a.header.Get("Segue-Decision"); a.status != 200 || !strings.HasPrefix(got, want+";") {
		t.Errorf("%d at %s, want %s: %s", a.status, got, want, a.body)
	}
}

func TestCallsGoToWhoIsWorthMost(t *testing.T) {
	w := newWorld(t, steered("    strategy: adaptive\n    providers: [main, backup]\n    balance: cost\n"))
	a := w.charge("k1", "o1")
	w.steeredTo(t, "backup", a)
	if why := a.header.Get("Segue-Decision"); !strings.Contains(why, "worth most: +0.0995 (fee -83.3 bps) against main") {
		t.Error(why)
	}
	tx := w.why(a.header.Get("Segue-Transaction"))
	if len(tx.Decisions) == 0 || len(tx.Decisions[0].Candidates) != 2 || !strings.Contains(tx.Decisions[0].Candidates[0].Why, "worth -0.0995 (fee +83.3 bps)") {
		t.Errorf("%+v", tx.Decisions[0].Candidates)
	}
	id, _ := a.json(t)["id"].(string)
	if a := w.do("GET", "/v1/charges/"+id, ""); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
	if got := w.figure("segue_provider_cost_minor_total", "EUR backup "); got != 20 { // looking costs nothing
		t.Errorf("it cost %v cents", got)
	}
}

func TestRulesReadTheRequest(t *testing.T) {
	w := newWorld(t, steered(`    strategy: priority
    priority: [main, backup]
    rules:
      - {name: EU cards stay, when: 'card.region == "EU"', only: [backup]}
      - {name: large sums, when: 'value > 500 && currency == "EUR"', needs: [backup-only]}
`))
	w.steeredTo(t, "main", w.charge("k1", "o1"))
	w.steeredTo(t, "main", w.charge("k2", "o2", "Segue-Card-Region", "US"))
	a := w.charge("k3", "o3", "Segue-Card-Region", "EU")
	w.steeredTo(t, "backup", a)
	if why := a.header.Get("Segue-Decision"); !strings.Contains(why, "main: kept away by the rule EU cards stay") {
		t.Error(why)
	}
	a = w.do("POST", "/v1/charges", "amount=50100&currency=eur&source=tok_visa", "Idempotency-Key", "k4")
	w.steeredTo(t, "backup", a)
	a = w.do("POST", "/v1/charges", "source=tok_visa&amount=49900&currency=eur", "Idempotency-Key", "k5")
	w.steeredTo(t, "main", a)
}

func TestNearestIsTheUsers(t *testing.T) {
	w := newWorld(t, steered("    strategy: nearest\n    providers: {default: [main, backup], there: [backup]}\n"))
	a := w.charge("k1", "o1", "Segue-Client-Region", "nowhere", "Segue-Dry-Run", "?1")
	if a.status != 200 {
		t.Errorf("a region that the policy does not have: %d %s", a.status, a.body)
	}
}

func TestASpentBudgetIsTold(t *testing.T) {
	w := newWorld(t, steered("    strategy: priority\n    priority: [main, backup]\n    budget: {spend: 1 EUR/day, then: refuse}\n"))
	for i := range 4 { // the fourth takes it over the limit
		w.steeredTo(t, "main", w.charge(fmt.Sprint("k", i), fmt.Sprint("o", i)))
	}
	a := w.charge("k9", "o9")
	p := a.problem(t, 429, "budget-exhausted")
	if p["budget"] != "spend" || p["executed"] != "no" || a.header.Get("Retry-After") == "" {
		t.Errorf("%s", a.body)
	}
	resets, err := time.Parse(time.RFC3339, fmt.Sprint(p["resets_at"]))
	if err != nil || !resets.Equal(time.Now().UTC().Truncate(24*time.Hour).Add(24*time.Hour)) {
		t.Errorf("resets at %v", p["resets_at"])
	}
}

func TestRetriesAreBounded(t *testing.T) {
	w := newWorld(t, steered("    strategy: priority\n    priority: [main, backup]\n"), func(c *worldConfig) {
		change := c.document
		c.document = func(doc string) string {
			return strings.Replace(change(doc), "attempts: {max: 2,", "attempts: {max: 2, budget: {ratio: 0.01, floor: 0.2/s},", 1)
		}
	})
	w.fault("main", sandbox.Fault{Kind: sandbox.Refuse})
	told := map[string]int{}
	for i := range 3 { // two in ten seconds; a fourth would not go to main any more
		a := w.charge(fmt.Sprint("k", i), fmt.Sprint("o", i))
		if a.status == 429 {
			p := a.problem(t, 429, "budget-exhausted")
			if p["budget"] != "retry" || p["executed"] != "no" {
				t.Errorf("%s", a.body)
			}
		}
		told[fmt.Sprint(a.status)]++
	}
	if told["200"] != 2 || told["429"] != 1 {
		t.Errorf("%v", told)
	}
}
