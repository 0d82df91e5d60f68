package simulator

import (
	"fmt"
	"strings"

	"segue/controlplane/policy"
)

// contracts are those of the simulator's providers: one API, with keys or with a cancel that blocks late creates.
const contracts = `
contracts:
  sim/keys:
    dialect: plain
    endpoint: https://sim.example
    credential: {header: Authorization, value: "Bearer {credential}"}
    keys: {header: Idempotency-Key, enforced: true, scope: account, life: 24h, max: 255, in_use: 409, replay: all}
    object_id: id
    statuses:
      - {status: 200-299, class: ok, outcome: succeeded}
      - {status: 429, class: limited, outcome: not_sent}
      - {status: 400-499, class: ok, outcome: declined}
      - {status: 500-599, class: failure, outcome: unknown}
    lookup:
      match: GET /v1/payments?reference={reference}
      by: body.reference
      strong: true
      items: data
      id: id
      states: {in: status, succeeded: [paid], declined: [refused], voided: [cancelled], in_progress: [pending]}
      absent: [404]
    settle: 30s
    operations:
      pay: {match: POST /v1/payments, key: required}
      look: {match: GET /v1/payments/**}
  sim/cancel:
    like: sim/keys
    keys: {enforced: false}
    cancel: {match: "POST /v1/payments/cancel?reference={reference}", state: final, blocks_late_create: true, answers: [{status: 409, means: too_late}]}
`

// operations: what two lookups do not find behind the settle window counts as not executed.
const operations = `    operations:
      pay: {match: POST /v1/payments, key: required, unknown: trace-value, value: money(body)}
      look: {match: GET /v1/payments/**}
`

// document is the policy that Segue plays by: an ordinary document, for this rate and these regions. A provider's limit is what a region would need
// for half as many calls again: regions seldom come to it together, and a third of what all may send would turn calls away on any day.
func document(strategy string, rate float64, story *Scenario) string {
	regions := story.Regions
	var b strings.Builder
	b.WriteString("segue: v1\nregions:\n")
	for r := range regions {
		fmt.Fprintf(&b, "  %s: {standby: [%s]}\n", regionName(r), strings.Join(others(r, regions), ", "))
	}
	fmt.Fprintf(&b, "services:\n  pay:\n    speaks: sim/keys\n    listen: 7101\n%s    attempts: {max: %d, per_try: %s, deadline: %s}\n", operations, maxTries, perTry, deadline)
	b.WriteString(strategy + story.Shift)
	b.WriteString("providers:\n")
	for i, p := range providers() {
		contract := "sim/cancel"
		if p.Keys {
			contract = "sim/keys"
		}
		fmt.Fprintf(&b, "  %s:\n    contract: %s\n    credential: env:SIM\n    cost: {fixed: %.2f EUR, percent: %v}\n    limits: {in_flight: %d}\n",
			p.Name, contract, p.Fixed, p.Percent, story.room(i, &p, rate))
	}
	b.WriteString(contracts)
	return b.String()
}

func regionName(r int) string { return fmt.Sprintf("r%d", r+1) }

func others(r, regions int) []string {
	var names []string
	for o := range regions {
		if o != r {
			names = append(names, regionName(o))
		}
	}
	return names
}

// The strategies that Segue plays, in the words of the document.
const (
	byBalance  = "    strategy: adaptive\n    providers: [alpha, beta, gamma, delta]\n    balance: {cost: 70, reliability: 30, latency: 10}\n"
	byPriority = "    strategy: priority\n    priority: [alpha, beta, gamma, delta]\n"
	byWeights  = "    strategy: weighted\n    weights: {alpha: 70, beta: 20, gamma: 10, delta: 0}\n"
)

// services compiles the document for each region.
func services(strategy string, rate float64, story *Scenario) ([]*policy.Service, error) {
	p, err := policy.Parse("simulator", []byte(document(strategy, rate, story)))
	if err != nil {
		return nil, fmt.Errorf("simulator: its own policy: %w", err)
	}
	out := make([]*policy.Service, story.Regions)
	for r := range story.Regions {
		snap, err := policy.Compile(p, regionName(r), 1)
		if err != nil {
			return nil, fmt.Errorf("simulator: its own policy: %w", err)
		}
		out[r] = snap.Services[0]
	}
	return out, nil
}
