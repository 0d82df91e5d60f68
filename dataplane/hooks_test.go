package dataplane

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"

	"segue/dataplane/ledger"
	"segue/dataplane/sandbox"
)

// A provider that tells by itself ends what nobody knew: signed as its contract says, and never otherwise.
func TestWebhookIsEvidence(t *testing.T) {
	t.Setenv("LEGACY_HOOKS", "whsec")
	w := newWorld(t, priority("legacy, backup"), edited(func(doc string) string {
		doc = strings.Replace(doc, "contract: keyless/v1,", "contract: keyless/v1, webhook_secret: env:LEGACY_HOOKS,", 1)
		return doc + "    webhooks: {by: body.metadata.ours, signature: {scheme: body, header: X-Sign, encoding: hex}, reference: reference, id: id, states: {in: type, succeeded: [paid]}}\n"
	}))
	w.fault("legacy", sandbox.Fault{Kind: sandbox.Reset, Executed: true})
	if a := w.charge("k1", "o1"); a.status != 504 {
		t.Fatalf("answered %d %s", a.status, a.body)
	}
	row := w.row("k1")
	if row.State != ledger.Held || row.Current().Reference == "" {
		t.Fatalf("row %+v", row)
	}
	body := `{"type":"paid","id":"ch_1","reference":"` + row.Current().Reference + `"}`
	mac := hmac.New(sha256.New, []byte("whsec"))
	mac.Write([]byte(body))
	sign := hex.EncodeToString(mac.Sum(nil))
	for _, c := range []struct {
		path, body, sign string
		status           int
		state            ledger.State
	}{
		{"nobody", body, sign, 404, ledger.Held},
		{"backup", body, sign, 404, ledger.Held},
		{"legacy", body, strings.Repeat("0", 64), 403, ledger.Held},
		{"legacy", strings.Replace(body, "ch_1", "ch_2", 1), sign, 403, ledger.Held},
		{"legacy", body, "", 403, ledger.Held},
		{"legacy", body, sign, 200, ledger.DoneSucceeded},
		{"legacy", body, sign, 200, ledger.DoneSucceeded},
	} {
		a := w.do("POST", hookPath+c.path, c.body, "X-Sign", c.sign)
		if a.status != c.status || w.row("k1").State != c.state {
			t.Errorf("%s signed %.8s: %d %s, the row is %v", c.path, c.sign, a.status, a.body, w.row("k1").State)
		}
	}
	if w.executed("o1") != 1 {
		t.Errorf("executed %d times", w.executed("o1"))
	}
}
