package provider

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"

	"segue/controlplane/policy"
	"segue/dataplane/ledger"
	"segue/dataplane/message"
)

const hookSecret = "whsec_never_told"

func hookedCandidate() *policy.Candidate {
	p := candidate("http://x")
	p.Hooked, p.Hooks = true, policy.Credential{Kind: policy.CredentialEnv, Ref: "HOOK"}
	p.Contract.Webhooks = policy.Webhooks{
		By: policy.Field{In: "body", Name: "reference"}, Reference: "data.reference", ID: "data.id",
		Signature: policy.Signature{Scheme: policy.SignedBody, Header: "X-Sig", Encoding: policy.InHex},
		States:    policy.States{In: []string{"type"}, Succeeded: []string{"paid"}, Declined: []string{"refused"}, Voided: []string{"void"}, InProgress: []string{"open"}},
	}
	return p
}

func hook(secret, body string) *message.Request {
	m := hmac.New(sha256.New, []byte(secret))
	m.Write([]byte(body))
	return &message.Request{Method: "POST", Body: []byte(body), Header: message.Header{{Name: "X-Sig", Value: hex.EncodeToString(m.Sum(nil))}}}
}

func TestAHookIsEvidenceByItsContract(t *testing.T) {
	now := time.Unix(1_790_000_000, 0)
	w := newWorld(t, func(c *Config) {
		c.Env = func(string) (string, bool) { return hookSecret, true }
		c.Clock = func() time.Time { return now }
	})
	for word, want := range map[string]ledger.Evidence{
		"paid": {Outcome: ledger.Succeeded}, "refused": {Outcome: ledger.Declined}, "void": {Outcome: ledger.Unknown, Finding: ledger.Voided},
		"open": {Outcome: ledger.Unknown, Finding: ledger.InProgress}, "other": {Outcome: ledger.Unknown},
	} {
		h, err := w.ReadHook(hookedCandidate(), hook(hookSecret, `{"type":"`+word+`","data":{"id":"ch_1","reference":"tx_1-0"}}`))
		want.Kind, want.Begun = ledger.FromWebhook, now
		if err != nil || h.Evidence != want || h.Reference != "tx_1-0" || h.ObjectID != "ch_1" || h.Says != (word != "other") {
			t.Errorf("%s: %+v %v", word, h, err)
		}
	}
	for name, c := range map[string]struct {
		p    *policy.Candidate
		r    *message.Request
		want error
	}{
		"another secret": {hookedCandidate(), hook("guess", `{"type":"paid"}`), policy.ErrUnsigned},
		"no notice":      {hookedCandidate(), hook(hookSecret, `paid`), policy.ErrNoNotice},
		"no secret":      {candidate("http://x"), hook(hookSecret, `{}`), ErrNoHooks},
		"a file":         {hookedCandidate(), &message.Request{Large: inFile("x")}, policy.ErrNoNotice},
	} {
		h, err := w.ReadHook(c.p, c.r)
		if !errors.Is(err, c.want) || h.Reference != "" || strings.Contains(err.Error(), hookSecret) {
			t.Errorf("%s: %+v %v", name, h, err)
		}
	}
	gone := newWorld(t, func(c *Config) { c.Env = func(string) (string, bool) { return "", false } })
	if _, err := gone.ReadHook(hookedCandidate(), hook("", `{"type":"paid"}`)); err == nil || !strings.Contains(err.Error(), "HOOK") {
		t.Error(err)
	}
}
