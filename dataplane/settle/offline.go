package settle

import (
	"context"
	"errors"

	"segue/controlplane/policy"
	"segue/dataplane/ledger"
)

// errNoRow says that a proof cannot be written without a quorum: only what is told to a caller as an outcome is kept here.
var errNoRow = errors.New("settle: there is no quorum, and what is proven allows another send: it must stand in the ledger first")

// atPin tells whether t has made no attempt but the one at its operation's offline pin.
func atPin(t *ledger.Transaction, svc *policy.Service, pin int8) bool {
	return pin > 0 && len(t.Attempts) == 1 && svc.Candidates[pin-1].Provider == t.Attempts[0].Provider
}

// Offline is this agent's disk, for what is done without a quorum; nil: nothing is.
func (d *Driver) Offline() ledger.Offline { return d.cfg.Offline }

// Claimed is told a row that was made from what this agent's disk kept: what was sent without a quorum stands in the ledger now. What has no
// outcome is looked for at once.
func (d *Driver) Claimed(t *ledger.Transaction) {
	if !t.Pending() {
		return
	}
	d.unknowns.add(t, d.cfg.Now())
	d.nudge()
}

// recorded tells whether this agent's disk keeps something of a key that the store has not got yet.
func (d *Driver) recorded(k ledger.Key) bool {
	if d.cfg.Offline == nil {
		return false
	}
	_, err := d.cfg.Offline.Recorded(k)
	return err == nil
}

// record keeps an outcome on this machine's disk: without a quorum no row is written. That something may have been sent stands there already.
func (w *drive) record(ctx context.Context, t *ledger.Transaction) error {
	switch {
	case t.Final():
		if err := w.cfg.Offline.Record(ctx, t); err != nil {
			return err
		}
		return ErrHinted
	case t.State == ledger.Refused:
		return errNoRow
	default:
		return nil
	}
}
