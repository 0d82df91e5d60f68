package dataplane

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"segue/dataplane/sandbox"
)

// TestFeesOfAnswers: what the policy says and what answers state stand beside each other; where a provider becomes dearer than it says,
// calls go to who is worth more by what answers state, and the decision says so.
func TestFeesOfAnswers(t *testing.T) {
	w := newWorld(t, steeredAt("    strategy: adaptive\n    providers: [main, backup]\n    balance: cost\n", map[string]string{
		"main": "fixed: 0.32 EUR, percent: 2.9", "backup": "fixed: 0.30 EUR, percent: 2.9",
	}))
	n := 0
	pay := func() *answer {
		n++
		return w.do("POST", "/v1/charges", fmt.Sprintf("amount=1300&currency=eur&source=tok_visa&metadata[order]=s%d&expand[]=balance_transaction", n), "Idempotency-Key", fmt.Sprint("s", n))
	}
	for range 25 {
		w.steeredTo(t, "backup", pay())
	}
	spend := w.agent.Report().Rows[1].Spend
	if spend.Told != 25 || math.Abs(float64(spend.Stated)/float64(spend.Meant)-67./67.7) > .001 {
		t.Errorf("%d told: %v stated, %v by the policy", spend.Told, spend.Stated, spend.Meant)
	}
	w.fault("backup", sandbox.Fault{Kind: sandbox.Fees, Factor: 1.5})
	var a *answer
	for range 100 {
		if a = pay(); strings.HasPrefix(a.header.Get("Segue-Decision"), "main;") {
			break
		}
	}
	w.steeredTo(t, "main", a)
	tx := w.why(a.header.Get("Segue-Transaction"))
	text := fmt.Sprint(tx.Decisions[0].Candidates)
	if !strings.Contains(text, "fees of backup are 1.") || !strings.Contains(text, "x what the policy says, by ") {
		t.Errorf("the decision does not say why: %s", text)
	}
	w.agent.Report() // each tells what came since the last
	if a = w.charge("plain", "o-plain"); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
	at := 0 // of two that are as good a draw decides
	if strings.HasPrefix(a.header.Get("Segue-Decision"), "backup;") {
		at = 1
	}
	if spend := w.agent.Report().Rows[at].Spend; spend.Priced != 1 || spend.Told != 0 {
		t.Errorf("an answer that states nothing was taken for one that does: %+v", spend)
	}
}
