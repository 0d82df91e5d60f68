package main

import (
	"encoding/json"
	"testing"

	"segue/controlplane/policy"
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

	own := file(t, talking+"  slow/v1: {like: twilio/2010, lookup: {match: GET /found, by: body.ref, strong: true}, settle: 60s}\n")
	nowhere := "http://127.0.0.1:1" // a file needs no control plane
	segue(t, nowhere, "", "contract", "list", "--file", own).want(t, exitFine, "slow/v1", "like twilio/2010")
	segue(t, nowhere, "", "contract", "show", "slow/v1", "--file", own).want(t, exitFine, "GET /found by body.ref, at once", "1m", "N: It heeds no key", "class T, and nothing makes use of it yet")
	segue(t, nowhere, "", "contract", "show", "slw/v1", "--file", own).want(t, exitError, "did you mean slow/v1?")
	segue(t, nowhere, "", "contract", "list", "--file", file(t, "segue: v1\nservices: {}\ncontracts: {a/v1: {settl: 1s}}\n")).want(t, exitError, "did you mean settle?")
}
