package settle

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"segue/controlplane/policy"
	"segue/dataplane/ledger"
	"segue/dataplane/message"
)

// requestPart is the name of a kept request among a transaction's payloads.
const requestPart = "request"

// partOf names a payload of a transaction for its seal.
func partOf(t *ledger.Transaction, part string) string { return t.ID + "/" + part }

// request is what a kept request is written as. Its credential is not among it.
type request struct {
	Method, Path, Query string
	Header              message.Header
	Body                []byte
}

// Keeps tells whether a request of an operation is kept, and until when it may be sent: where the policy says so, its body is in memory,
// and the credential is the agent's own.
func (d *Driver) Keeps(op *policy.Operation, who *policy.Candidate, r *message.Request) bool {
	return op.Leave.Keep && d.cfg.Payloads != nil && r.Large == nil && len(r.Trailer) == 0 && len(r.Body) <= ledger.MaxPayload/2 &&
		who.Credential.Kind != policy.CredentialCaller && who.Contract.Keys.Enforced
}

// Keep keeps a request, sealed for its row.
func (d *Driver) Keep(ctx context.Context, t *ledger.Transaction, r *message.Request) error {
	header := make(message.Header, 0, len(r.Header))
	for _, f := range r.Header {
		if !secret(f.Name) {
			header = append(header, f)
		}
	}
	plain, err := json.Marshal(request{r.Method, r.Path, r.RawQuery, header, r.Body})
	if err != nil {
		return fmt.Errorf("settle: request: %w", err)
	}
	sealed, _, err := d.cfg.Vault.SealFor(partOf(t, requestPart), plain)
	if err != nil {
		return err
	}
	if err := d.cfg.Payloads.Keep(ctx, t.Key, requestPart, sealed); err != nil {
		return fmt.Errorf("settle: request: %w", err)
	}
	return nil
}

// secret tells the headers in which applications show who they are: the agent puts in its own credential.
func secret(name string) bool {
	switch name {
	case "Authorization", "Cookie", "Proxy-Authorization", "X-Api-Key":
		return true
	default:
		return false
	}
}

// forgotten stands in the place of a request that is not kept any more: what else is kept of the transaction stays.
var forgotten = []byte{0}

func (d *Driver) forget(ctx context.Context, t *ledger.Transaction) error {
	return d.cfg.Payloads.Keep(ctx, t.Key, requestPart, forgotten)
}

// kept is the request that was kept of t; nil: there is none.
func (d *Driver) kept(ctx context.Context, t *ledger.Transaction) *message.Request {
	if !t.Kept || d.cfg.Payloads == nil || !d.cfg.Now().Before(t.ExecuteBy) {
		return nil
	}
	sealed, err := d.cfg.Payloads.Fetch(ctx, t.Key, requestPart)
	if err == nil && bytes.Equal(sealed, forgotten) {
		return nil
	}
	var plain []byte
	if err == nil {
		plain, err = d.cfg.Vault.OpenFor(partOf(t, requestPart), sealed)
	}
	var r request
	if err == nil {
		err = json.Unmarshal(plain, &r)
	}
	if err != nil {
		if !errors.Is(err, ledger.ErrNotFound) {
			d.cfg.Log.Warn("a kept request cannot be read: nothing is sent again", "transaction", t.ID, "error", err)
		}
		return nil
	}
	return &message.Request{Method: r.Method, Path: r.Path, RawQuery: r.Query, Header: r.Header, Body: r.Body}
}
