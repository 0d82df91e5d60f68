package settle

import (
	"context"

	"segue/controlplane/policy"
	"segue/dataplane/ledger"
	"segue/dataplane/message"
)

// mapping is how the drive's calls are made at a provider of another API; nil: as they came. What takes something back is formed from the
// provider's own contract.
func (w *drive) mapping() *policy.Mapped {
	if w.tx.Compensates != "" {
		return nil
	}
	return w.who.Mapped(w.job.Operation)
}

// theirs is the provider's own id of the object that a kept request is about, "" where nobody knows: then a mapped call is not sent again.
func (d *Driver) theirs(ctx context.Context, t *ledger.Transaction, op *policy.Operation, r *message.Request) string {
	if r == nil || !op.Maps || t.Compensates != "" {
		return ""
	}
	for _, f := range op.Follows {
		if id, ok := op.Value(f, r.Path, r.Header.Get("Content-Type"), r.Body, r.Header.Get); ok {
			if o, err := d.cfg.Store.Owner(ctx, t.Key.App, t.Key.Service, id); err == nil {
				return o.Theirs
			}
		}
	}
	return ""
}
