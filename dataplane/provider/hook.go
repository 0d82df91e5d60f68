package provider

import (
	"errors"
	"fmt"

	"segue/controlplane/policy"
	"segue/dataplane/ledger"
	"segue/dataplane/message"
)

// ErrNoHooks is why a provider's webhooks are not read.
var ErrNoHooks = errors.New("no webhooks of this provider are taken")

// Hook is what a webhook says. Evidence names no attempt: Reference leads to it.
type Hook struct {
	Reference string
	ObjectID  string
	Evidence  ledger.Evidence
	Says      bool // it shows something; most notices are about other things
}

// ReadHook checks the signature of a webhook and says what it shows, by the contract. Nothing of it is believed before that. The errors are
// ErrNoHooks and those of policy.Webhooks.Read; none holds a piece of the request or of the secret.
func (c *Client) ReadHook(p *policy.Candidate, r *message.Request) (Hook, error) {
	h := &p.Contract.Webhooks
	if !p.Hooked || h.Signature.Scheme == "" {
		return Hook{}, fmt.Errorf("provider %s: %w: it has no webhook_secret, or its contract says nothing of webhooks", p.Provider, ErrNoHooks)
	}
	if r.Large != nil || len(r.Body) > maxAnswer {
		return Hook{}, fmt.Errorf("provider %s: %w: it is larger than any", p.Provider, policy.ErrNoNotice)
	}
	now := c.now()
	secret, err := c.secrets.value(p.Hooks, now)
	if err != nil {
		return Hook{}, fmt.Errorf("provider %s: webhooks: %w", p.Provider, err)
	}
	n, err := h.Read(r.Body, r.Header.Get, secret, now)
	if err != nil {
		return Hook{}, fmt.Errorf("provider %s: webhooks: %w", p.Provider, err)
	}
	out := Hook{Reference: n.Reference, ObjectID: n.ID, Evidence: ledger.Evidence{Kind: ledger.FromWebhook, Outcome: ledger.Unknown, Begun: now}, Says: n.Shows != policy.ShowsNothing}
	e := &out.Evidence
	switch n.Shows {
	case policy.ShowsSucceeded:
		e.Outcome = ledger.Succeeded
	case policy.ShowsDeclined:
		e.Outcome = ledger.Declined
	case policy.ShowsVoided:
		e.Finding = ledger.Voided
	case policy.ShowsInProgress:
		e.Finding = ledger.InProgress
	default:
		out.Says = false
	}
	return out, nil
}
