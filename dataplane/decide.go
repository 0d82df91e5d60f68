package dataplane

import (
	"context"
	"errors"
	"sync"
	"time"

	"segue/controlplane/policy"
	"segue/dataplane/ledger"
	"segue/dataplane/settle"
)

const (
	decideLimit = 10 * time.Second
	maxDecided  = 1000 // orders that are remembered as done
)

// decisions are the orders about single transactions that this agent has acted on: an order comes with every Update while it is in force.
type decisions struct {
	mu   sync.Mutex
	done map[string]bool
}

// first tells whether an order is new here.
func (d *decisions) first(id string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.done[id] {
		return false
	}
	if d.done == nil || len(d.done) >= maxDecided {
		d.done = map[string]bool{}
	}
	d.done[id] = true
	return true
}

// decide acts on an order about one transaction. Where it is not this agent's store that has it, nothing is to be done.
func (a *Agent) decide(o policy.Order) {
	if !a.decided.first(o.ID) {
		return
	}
	a.idle.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), decideLimit)
		defer cancel()
		var err error
		if o.Kind == policy.Verify {
			_, err = a.parts.driver.Verify(ctx, o.About.Transaction)
		} else {
			err = a.parts.driver.Resolve(ctx, settle.Resolution{
				Order: o.ID, Transaction: o.About.Transaction, Outcome: o.About.Outcome, Evidence: o.About.Evidence, Actor: o.Actor, Reason: o.Reason, At: o.At,
			})
		}
		if err != nil && !errors.Is(err, ledger.ErrNotFound) && !errors.Is(err, settle.ErrNotOpen) { // another agent, or an earlier Update, was first
			a.cfg.Log.Error("an order about a transaction could not be carried out", "order", o.ID, "transaction", o.About.Transaction, "error", err)
		}
	})
}
