package policy

import (
	"strings"
	"testing"
)

// TestImpossibleMappings: what no call could be carried out by is told when the policy is read, with its place and the fix.
func TestImpossibleMappings(t *testing.T) {
	const head = `segue: v1
services:
  payments: {speaks: stripe/v1, listen: 7101, strategy: priority, priority: [main, acme]}
providers:
  main: {contract: stripe/v1, credential: caller}
  acme: {contract: acme/v1, endpoint: "https://acme.example", credential: "env:ACME"}
contracts:
  acme/v1:
    statuses: [{status: 200-299, class: ok, outcome: succeeded}]
    operations:
      pay: {match: POST /pay, key: required}
      look: {match: "GET /pay/{id}"}
    speaks:
`
	const whole = "            request: '{}'\n            answer: '{}'\n            error: '{}'\n"
	operation := func(name, to, programs string) string {
		return "      stripe/v1:\n        operations:\n          " + name + ":\n            to: " + to + "\n" + programs
	}
	if _, problems := Parse("p.yaml", []byte(head+operation("charge", "pay", whole))); problems != nil {
		t.Fatal(problems.Error())
	}
	for _, c := range []struct{ name, speaks, want string }{
		{"an operation that the other API does not have", operation("chargee", "pay", whole), `stripe/v1 has no operation "chargee"`},
		{"an operation that this API does not have", operation("charge", "paay", whole), `the contract has no operation called "paay"; did you mean pay?`},
		{"a read by an effect", operation("read", "pay", whole), "pay is an effect, and read is a read of stripe/v1, which is sent again"},
		{"no request", operation("charge", "pay", "            answer: '{}'\n            error: '{}'\n"), "charge.request: is missing; write the jq program"},
		{"no error", operation("charge", "pay", "            request: '{}'\n            answer: '{}'\n"), "charge.error: is missing; write the jq program"},
		{"an API that is not there", strings.Replace(operation("charge", "pay", whole), "stripe/v1", "stripe/v9", 1), "did you mean stripe/v1?"},
		{"its own API", strings.Replace(operation("pay", "pay", whole), "stripe/v1", "acme/v1", 1), "is its own API: there is nothing to map"},
		{"a header that holds a secret", strings.Replace(operation("charge", "pay", whole), "        operations:", "        headers: [Authorization]\n        operations:", 1), "holds a secret, which no program sees"},
		{"none of the service's operations", operation("refund", "pay", whole) + "", ""},
		{"jq that is not in the subset", operation("charge", "pay", strings.Replace(whole, "request: '{}'", "request: 'input'", 1)), "input is not in the subset"},
		{"jq that is none", operation("charge", "pay", strings.Replace(whole, "request: '{}'", "request: '{'", 1)), "is no jq"},
	} {
		_, problems := Parse("p.yaml", []byte(head+c.speaks))
		if c.want == "" {
			if problems != nil {
				t.Errorf("%s: %v", c.name, problems)
			}
			continue
		}
		if problems == nil || !strings.Contains(problems.Error(), c.want) || problems[0].Line == 0 {
			t.Errorf("%s: %v, want %q", c.name, problems, c.want)
		}
	}
	none := strings.Replace(head, "priority: [main, acme]}", "priority: [main, acme], operations: {mine: {match: POST /v1/charges, key: required}}}", 1) + operation("charge", "pay", whole)
	if _, problems := Parse("p.yaml", []byte(none)); problems == nil || !strings.Contains(problems.Error(), "provider acme maps none of the operations of payments; use the operations of stripe/v1 by their names") {
		t.Errorf("none of the service's operations: %v", problems)
	}
	passed := strings.Replace(head, `credential: "env:ACME"`, "credential: caller", 1) + operation("charge", "pay", whole)
	if _, problems := Parse("p.yaml", []byte(passed)); problems == nil || !strings.Contains(problems.Error(), "which the application's own stripe/v1 credential does not open") {
		t.Errorf("the application's credential at another API: %v", problems)
	}
	p, _ := Parse("p.yaml", []byte(strings.Replace(head, "priority: [main, acme]}", "priority: [main, acme], operations: {charge: {match: POST /v1/charges, key: required, duplicates: accept}, refund: {match: POST /v1/refunds, key: required}}}", 1)+operation("charge", "pay", whole)))
	acme, err := p.Contract("acme/v1")
	if err != nil {
		t.Fatal(err)
	}
	list := p.Promises(&p.Services[0], &acme)
	if len(list) != 2 || list[0].Class != Doubled || list[0].To != "pay" || list[1].Class != NotThere {
		t.Errorf("%+v", list)
	}
}
