package settle

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"segue/dataplane/ledger"
)

// resolutionPart is the name of an operator's word among a transaction's payloads.
const resolutionPart = "resolution"

// Resolution is an operator's word on a transaction: what happened, who says so, why, and what shows it.
type Resolution struct {
	Order       string
	Transaction string
	Outcome     string // succeeded | declined | not_sent
	Actor       string
	Reason      string
	Evidence    string
	Hash        string // SHA-256 of Evidence
	At          time.Time
}

// ErrNotOpen refuses a resolution of what has its outcome.
var ErrNotOpen = errors.New("settle: the transaction is not open: there is nothing to resolve")

// Resolve takes an operator's word as evidence. It is kept with the transaction before the row is touched.
func (d *Driver) Resolve(ctx context.Context, r Resolution) error {
	var outcome ledger.Outcome
	for _, o := range []ledger.Outcome{ledger.Succeeded, ledger.Declined, ledger.NotSent} {
		if o.String() == r.Outcome {
			outcome = o
		}
	}
	switch {
	case outcome == ledger.Open:
		return fmt.Errorf("settle: %q is no outcome: succeeded, declined or not_sent", r.Outcome)
	case strings.TrimSpace(r.Evidence) == "", strings.TrimSpace(r.Reason) == "":
		return errors.New("settle: a resolution needs evidence and a reason")
	}
	t, err := d.cfg.Store.ByID(ctx, r.Transaction)
	if err != nil {
		return fmt.Errorf("settle: %s: %w", r.Transaction, err)
	}
	if !t.Pending() || len(t.Attempts) == 0 {
		return fmt.Errorf("%w: %s is %s", ErrNotOpen, t.ID, t.State)
	}
	sum := sha256.Sum256([]byte(r.Evidence))
	r.Hash = hex.EncodeToString(sum[:])
	if err := d.keepResolution(ctx, t, &r); err != nil {
		return err
	}
	if err := d.Learn(ctx, t.ID, ledger.Evidence{Attempt: t.Current().ID, Kind: ledger.FromOperator, Outcome: outcome}, nil); err != nil {
		return err
	}
	d.cfg.Log.Warn("an operator resolved a transaction", "transaction", t.ID, "outcome", r.Outcome, "actor", r.Actor, "order", r.Order, "evidence_sha256", r.Hash)
	return nil
}

func (d *Driver) keepResolution(ctx context.Context, t *ledger.Transaction, r *Resolution) error {
	if d.cfg.Payloads == nil {
		return errors.New("settle: this store keeps no evidence: nothing can be resolved by it")
	}
	plain, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("settle: resolution: %w", err)
	}
	sealed, _, err := d.cfg.Vault.SealFor(partOf(t, resolutionPart), plain)
	if err != nil {
		return err
	}
	if err := d.cfg.Payloads.Keep(ctx, t.Key, resolutionPart, sealed); err != nil {
		return fmt.Errorf("settle: resolution: %w", err)
	}
	return nil
}

// Resolved is the operator's word on t, if there is one.
func (d *Driver) Resolved(ctx context.Context, t *ledger.Transaction) (Resolution, bool) {
	var r Resolution
	if d.cfg.Payloads == nil {
		return r, false
	}
	sealed, err := d.cfg.Payloads.Fetch(ctx, t.Key, resolutionPart)
	if err != nil {
		return r, false
	}
	plain, err := d.cfg.Vault.OpenFor(partOf(t, resolutionPart), sealed)
	if err == nil {
		err = json.Unmarshal(plain, &r)
	}
	return r, err == nil
}

// Verify looks for a transaction's outcome now. false: this agent does not drive it.
func (d *Driver) Verify(ctx context.Context, id string) (bool, error) {
	t, err := d.cfg.Store.ByID(ctx, id)
	if err != nil {
		return false, fmt.Errorf("settle: %s: %w", id, err)
	}
	if !t.Pending() || !d.mine(t) {
		return false, nil
	}
	d.unknowns.add(t, d.cfg.Now())
	d.nudge()
	return true, nil
}
