package dataplane

import (
	"context"
	"errors"
	"net/http"

	"segue/controlplane/policy"
	"segue/dataplane/ledger"
	"segue/dataplane/message"
	"segue/dataplane/provider"
	"segue/dataplane/settle"
)

// hookPath is where providers tell of outcomes by themselves; the provider's name follows.
const hookPath = "/.segue/v1/hooks/"

// hook takes a provider's webhook as evidence. One that is not signed as its contract says is refused; one about something else, or about a
// transaction of another agent's store, is thanked for: the provider need not repeat it.
func (a *Agent) hook(ctx context.Context, service, name string, r *message.Request) *message.Answer {
	c := a.hooked(service, name)
	if c == nil {
		return plain(http.StatusNotFound, map[string]string{"error": "no webhooks of this provider are taken here"})
	}
	h, err := a.parts.client.ReadHook(c, r)
	switch {
	case errors.Is(err, provider.ErrNoHooks):
		return plain(http.StatusNotFound, map[string]string{"error": "no webhooks of this provider are taken here"})
	case err != nil:
		a.cfg.Log.Warn("a webhook was refused", "provider", name, "error", err)
		return plain(http.StatusForbidden, map[string]string{"error": "the webhook is not signed as the contract says, or cannot be read"})
	}
	id, ours := ledger.TransactionOf(h.Reference)
	if !ours || !h.Says {
		return plain(http.StatusOK, map[string]string{"taken": "nothing to learn from it"})
	}
	h.Evidence.Attempt = settle.At(name, h.Reference)
	switch err := a.parts.driver.Learn(ctx, id, h.Evidence, nil); {
	case errors.Is(err, ledger.ErrNotFound), errors.Is(err, settle.ErrNoAttempt):
		return plain(http.StatusOK, map[string]string{"taken": "no such attempt is known here"})
	case err != nil:
		a.cfg.Log.Error("a webhook could not be recorded", "provider", name, "transaction", id, "error", err)
		return plain(http.StatusServiceUnavailable, map[string]string{"error": "it could not be recorded: send it again"})
	}
	return plain(http.StatusOK, map[string]string{"taken": "as evidence"})
}

// hooked is a service's provider by its name, or nil.
func (a *Agent) hooked(service, name string) *policy.Candidate {
	snap := a.force.snapshot.Load()
	if snap == nil {
		return nil
	}
	svc, ok := snap.Service(service)
	if !ok {
		return nil
	}
	for _, c := range svc.Candidates {
		if c.Provider == name {
			return c
		}
	}
	return nil
}
