package main

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"segue/controlplane/policy"
	"segue/dataplane/contract"
	"segue/dataplane/sandbox"
)

// TestContracts shows contracts by the control plane and by a file, and the classes at a provider.
func TestContracts(t *testing.T) {
	api := control(t)
	segue(t, api, "", "policy", "apply", file(t, talking)).want(t, exitFine)
	segue(t, api, "", "contract", "list").want(t, exitFine, "CONTRACT", "stripe/v1", "segue", "G 11, read 1", "mine/v1", "like stripe/v1", "twilio/2010", "N 1, read 2")
	segue(t, api, "", "contract", "show", "stripe/v1").want(t, exitFine, "comes with Segue", "remembered for 24h", "https://docs.stripe.com/api/idempotent_requests",
		"every answer is stored", "charge-capture", "G: It executes a key once", "read: It changes nothing")
	segue(t, api, "", "contract", "show", "stripe/v2").want(t, exitError, "did you mean stripe/v1?")
	var shown policy.Sheet
	if err := json.Unmarshal([]byte(segue(t, api, "", "contract", "show", "twilio/2010", "-o", "json").want(t, exitFine).out), &shown); err != nil {
		t.Fatal(err)
	}
	if shown.Name != "twilio/2010" || len(shown.Operations) != 3 || shown.Operations[0].Class != policy.Nothing {
		t.Errorf("%+v", shown)
	}
	segue(t, api, "", "provider", "show", "texts").want(t, exitFine, "OPERATION", "send", "N: It heeds no key")
	segue(t, api, "", "provider", "show", "main").want(t, exitFine, "charge", "G: It executes a key once")

	own := file(t, talking+"  slow/v1: {like: twilio/2010, lookup: {match: 'GET /found/{reference}', by: body.ref, strong: true, absent: [404], states: {in: status, succeeded: [done]}}, settle: 60s}\n")
	nowhere := "http://127.0.0.1:1" // a file needs no control plane
	segue(t, nowhere, "", "contract", "list", "--file", own).want(t, exitFine, "slow/v1", "like twilio/2010")
	segue(t, nowhere, "", "contract", "show", "slow/v1", "--file", own).want(t, exitFine, "GET /found/{reference} by body.ref, at once", "1m", "T: What is unknown is looked up there")
	segue(t, nowhere, "", "contract", "show", "slw/v1", "--file", own).want(t, exitError, "did you mean slow/v1?")
	segue(t, nowhere, "", "contract", "list", "--file", file(t, "segue: v1\nservices: {}\ncontracts: {a/v1: {settl: 1s}}\n")).want(t, exitError, "did you mean settle?")
}

// TestContractTest drives contracts against simulators, of a file and of the policy in force, and against a URL.
func TestContractTest(t *testing.T) {
	nowhere := "http://127.0.0.1:1"
	segue(t, nowhere, "", "contract", "test", "stripe/v1").want(t, exitFine, "keys.life", "it is forgotten then", "0 wrong, 0 not driven")
	own := file(t, talking+"  keyless/v1: {like: stripe/v1, keys: {enforced: false}}\n  alone/v1: {statuses: [{status: 200-299, class: ok, outcome: succeeded}], operations: {read: {match: GET /x}}}\n")
	segue(t, nowhere, "", "contract", "test", "mine/v1", "--file", own).want(t, exitFine, "0 wrong")
	segue(t, nowhere, "", "contract", "test", "keyless/v1", "--file", own).want(t, exitError, "wrong", "the same key executes twice", "executed once", "checks are wrong")
	mapped := file(t, talking+"  paid/v1: {like: checkout/v3}\n  dear/v1:\n    like: checkout/v3\n    speaks:\n      stripe/v1:\n        tables:\n          currencies: {eur: 2 3}\n")
	segue(t, nowhere, "", "contract", "test", "paid/v1", "--file", mapped).want(t, exitFine, "stripe/v1: a part of one", "0 wrong")
	segue(t, nowhere, "", "contract", "test", "dear/v1", "--file", mapped).want(t, exitError, "checkout.payments 12900 EUR was executed, and checkout.payments 1290 EUR was asked for", "checks are wrong")
	segue(t, nowhere, "", "contract", "test", "alone/v1", "--file", own).want(t, exitError, "nobody here knows how")
	segue(t, nowhere, "", "contract", "test", "keyles/v1", "--file", own).want(t, exitError, "did you mean keyless/v1?")

	api := control(t)
	segue(t, api, "", "policy", "apply", file(t, talking)).want(t, exitFine)
	segue(t, api, "", "contract", "test", "mine/v1").want(t, exitFine, "0 wrong")

	t.Setenv("CONTRACT_KEY", "sk_test_here")
	box, err := sandbox.New(sandbox.Config{Providers: []sandbox.ProviderConfig{{Name: "keyless", Keys: sandbox.Ignored, Credential: "sk_test_here"}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := box.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = box.Stop(context.Background()) }()
	at := []string{"contract", "test", "keyless/v1", "--file", own, "--url", box.Provider("keyless").URL()}
	segue(t, nowhere, "", at...).want(t, exitUsage, "--url needs --credential")
	segue(t, nowhere, "no\n", append(at, "--credential", "env:CONTRACT_KEY")...).want(t, exitError, "nothing was sent")
	segue(t, nowhere, "yes\n", append(at, "--credential", "env:NOT_SET_ANYWHERE")...).want(t, exitError, "holds no credential")
	if n := len(box.Provider("keyless").Books().Totals().Received); n != 0 {
		t.Errorf("%d kinds of requests were sent without a yes", n)
	}
	var checks []contract.Check
	out := segue(t, nowhere, "", append(at, "--credential", "env:CONTRACT_KEY", "--yes", "-o", "json")...).want(t, exitFine).out
	if err := json.Unmarshal([]byte(out), &checks); err != nil {
		t.Fatal(err)
	}
	if contract.Failed(checks) != 0 || strings.Contains(out, "sk_test_here") {
		t.Error(out)
	}
	left := 0
	for _, c := range checks {
		if c.State == contract.Left {
			left++
		}
	}
	if left < 5 || left == len(checks) {
		t.Errorf("%d of %d checks were not driven: an API cannot be made to fail", left, len(checks))
	}
}
