package dev

import (
	"fmt"
	"strings"

	"segue/controlplane/policy"
)

// The default policy's providers. The last one ignores idempotency keys: what is unknown there stays unknown.
const (
	main   = "main"
	backup = "backup"
	legacy = "legacy"
)

// shopped is the service that the shopper calls.
const shopped = "payments"

// demo is the policy of `segue dev`: one service, three regions, three providers. %[1]s is the service's port; the others are
// the providers' endpoints and the file that holds the credential that agents put in.
const demo = `segue: v1

regions: # standby: where callers go when it is lost
  us-east: {standby: [eu-west, ap-south]}
  eu-west: {standby: [us-east, ap-south]}
  ap-south: {standby: [eu-west, us-east]}

services:
  payments:
    speaks: stripe/v1
    listen: %[1]d
    strategy: weighted
    weights: # percent of new sessions; 0 = fallback only
      us-east: {main: 70, backup: 30, legacy: 0}
      eu-west: {main: 40, backup: 50, legacy: 10}
      ap-south: {main: 60, backup: 0, legacy: 40}
    attempts: {max: 3, per_try: 4s, deadline: 10s}
    breaker: {failures: 3, successes: 5, reset: 10s}

providers:
  main:
    contract: stripe/v1
    endpoint: %[2]s
    credential: file:%[5]s
    limits: {in_flight: 200}
    checks: {active: GET /v1/balance every 5s}
  backup:
    contract: stripe/v1
    endpoint: %[3]s
    credential: file:%[5]s
    checks: {active: GET /v1/balance every 5s}
  legacy: # takes no idempotency key
    contract: keyless/v1
    endpoint: %[4]s
    credential: file:%[5]s
    checks: {active: GET /v1/balance every 5s}

contracts:
  keyless/v1:
    like: stripe/v1
    keys: {enforced: false}
`

// demoPolicy fills the demo in. endpoint answers with a provider's base URL.
func demoPolicy(port int, secret string, endpoint func(provider string) string) []byte {
	return fmt.Appendf(nil, demo, port, endpoint(main), endpoint(backup), endpoint(legacy), secret)
}

// parse reads the policy that the agents will run, so that dev knows its regions and services.
func parse(file string, src []byte) (*policy.Policy, error) {
	p, problems := policy.Parse(file, src)
	if len(problems) > 0 {
		return nil, fmt.Errorf("the policy is not valid:\n%s", strings.TrimSpace(problems.Error()))
	}
	return p, nil
}
