package dev

import (
	"fmt"
	"strings"

	"segue/controlplane/policy"
	"segue/dataplane/sandbox"
)

// The default policy's providers of payments.
const (
	main   = "main"
	backup = "backup"
	legacy = "legacy"
)

// The services that the shopper calls.
const (
	payments = "payments"
	messages = "sms"
	chat     = "chat"
)

// demo is the policy of `segue dev`: three services, three regions, three providers of each. What the simulated providers are is
// written behind it.
const demo = `segue: v1

regions: # standby: where callers go when it is lost
  us-east: {standby: [eu-west, ap-south]}
  eu-west: {standby: [us-east, ap-south]}
  ap-south: {standby: [eu-west, us-east]}

services:
  payments:
    speaks: stripe/v1
    listen: 7101
    strategy: weighted
    weights: # percent of new sessions; 0 = fallback only
      us-east: {main: 70, backup: 30, legacy: 0}
      eu-west: {main: 40, backup: 50, legacy: 10}
      ap-south: {main: 60, backup: 0, legacy: 40}
    attempts: {max: 3, per_try: 4s, deadline: 10s}
    breaker: {failures: 3, successes: 5, reset: 10s}
    session: # what an application may keep in a session, and what becomes of it when the session goes to another provider
      note: {class: rebuilt}
      cart: {class: rebuilt, kind: set}
      points: {class: rebuilt, kind: counter}
      stock: {class: rebuilt, kind: counter, floor: 0}
      challenge: {class: pinned, lose: report}
  sms:
    speaks: twilio/2010
    listen: 7102
    operations: # the same text to the same number within five minutes is one message
      send: {match: "POST /2010-04-01/Accounts/{account}/Messages.json", key: {derive: [body.To, body.Body], within: 5m}}
      message: {match: "GET /2010-04-01/Accounts/{account}/Messages/{id}.json", follows: path.id}
      messages: {match: "GET /2010-04-01/Accounts/{account}/Messages.json"}
    strategy: priority
    priority: {default: [twilio-a, twilio-b, twilio-c], ap-south: [twilio-b, twilio-c, twilio-a]}
    attempts: {max: 3, per_try: 4s, deadline: 10s}
    breaker: {failures: 3, successes: 5, reset: 10s}
  chat:
    speaks: openai/v1
    listen: 7103
    operations:
      complete: {match: POST /v1/chat/completions, semantics: read} # repeatable
      models: {match: GET /v1/models/**}
    strategy: adaptive # whoever is worth most for the call: its fees, how often it succeeds, how long it takes
    providers: [openai-a, openai-b, openai-c]
    balance: {cost: 50, reliability: 30, latency: 20}
    attempts: {max: 3, per_try: 8s, deadline: 30s}
    breaker: {failures: 3, successes: 5, reset: 10s}

contracts:
  keyless/v1:
    like: stripe/v1
    keys: {enforced: false}

providers:
`

// costs are what the simulated providers' contracts with us would say: the cheap one is not the best one.
var costs = map[string]string{
	main: "fixed: 0.25 EUR, percent: 1.5", backup: "fixed: 0.11 EUR, percent: 1.9", legacy: "fixed: 0.30 EUR, percent: 2.4",
	"twilio-a": "segment: 0.0071 EUR", "twilio-b": "segment: 0.0064 EUR", "twilio-c": "segment: 0.0093 EUR",
	"openai-a": "tokens: {in: 2.30 EUR, out: 9.20 EUR}", "openai-b": "tokens: {in: 2.10 EUR, out: 9.60 EUR}", "openai-c": "tokens: {in: 4.50 EUR, out: 18 EUR}",
}

// checks are what Segue asks the simulated providers itself. An agent puts the account of its own credential into the path.
func checks(p *sandbox.ProviderConfig) string {
	switch {
	case p.API == sandbox.Messages: // YAML wants quotes around the question mark
		return `active: ["GET /2010-04-01/Accounts/own/Messages.json?PageSize=1 every 5s", tcp every 10s], synthetic: list-messages every 1m`
	case p.API == sandbox.Chat:
		return "active: [GET /v1/models every 5s, tcp every 10s], synthetic: one-token every 1m"
	case p.Keys == sandbox.Ignored: // without keys nothing keeps an effect from executing twice: no synthetic makes one
		return "active: [GET /v1/balance every 5s, tcp every 10s]"
	default:
		return "active: [GET /v1/balance every 5s, tcp every 10s], synthetic: charge-and-void every 1m"
	}
}

// demoPolicy writes the simulated providers behind the demo.
func demoPolicy(d *Dev) []byte {
	doc := []byte(demo)
	for _, p := range simulated() {
		contract, note := "stripe/v1", ""
		switch {
		case p.API == sandbox.Messages:
			contract = "twilio/2010"
		case p.API == sandbox.Chat:
			contract = "openai/v1"
		case p.Keys == sandbox.Ignored:
			contract, note = "keyless/v1", " # takes no idempotency key"
		}
		doc = fmt.Appendf(doc, "  %s:%s\n    contract: %s\n    endpoint: %s\n    credential: file:%s\n", p.Name, note, contract, d.endpoint(p.Name), d.secret(p))
		if p.Name == main {
			doc = append(doc, "    limits: {in_flight: 200}\n"...)
		}
		doc = fmt.Appendf(doc, "    cost: {%s}\n    checks: {%s}\n", costs[p.Name], checks(&p))
	}
	return doc
}

// parse reads the policy that the agents will run, so that dev knows its regions and services.
func parse(file string, src []byte) (*policy.Policy, error) {
	p, problems := policy.Parse(file, src)
	if len(problems) > 0 {
		return nil, fmt.Errorf("the policy is not valid:\n%s", strings.TrimSpace(problems.Error()))
	}
	return p, nil
}
