package proxy

import (
	"context"
	"errors"
	"fmt"
	"time"

	"segue/dataplane/ledger"
)

// first tells whether the call makes its key's first attempt, as far as this agent knows, and there is one place for that.
func (x *Exchange) first() bool {
	return x.op.PinAt > 0 && (x.work.tx == nil || len(x.work.tx.Attempts) == 0)
}

// fits refuses a key that the pin would not take as it is: it could only be sent another one, and each region would make up its own.
func (x *Exchange) fits() error {
	if x.op.PinAt == 0 {
		return nil
	}
	pin := x.svc.Candidates[x.op.PinAt-1]
	if c := pin.Contract; c != nil && c.Keys.Max > 0 && len(x.work.keys[0].Key) > c.Keys.Max {
		return keyMalformed(fmt.Errorf("it has %d bytes, and %s, where %s is sent first, takes %d", len(x.work.keys[0].Key), pin.Provider, x.op.Name, c.Keys.Max))
	}
	return nil
}

// newID is the id of a new transaction. At an offline pin every region makes the same.
func (x *Exchange) newID(now time.Time) string {
	if x.op.PinAt > 0 {
		return ledger.PinnedID(x.work.keys[0])
	}
	return x.proxy.cfg.Driver.NewID(now)
}

// find finds the key's row: in the ledger, or, where that is out of reach and the policy lets the operation go on, on this agent's disk. What
// the ledger would say does not matter there: it is the same request, to the same place, under the same key.
func (x *Exchange) find(ctx context.Context) (*ledger.Transaction, error) {
	if !x.mayGoOffline() || !x.proxy.cfg.Driver.Offline().Away() {
		t, err := x.load(ctx)
		if err == nil || errors.Is(err, ledger.ErrNotFound) || !x.goOffline(err) {
			return t, err
		}
	}
	x.work.offline = true
	return x.proxy.cfg.Driver.Offline().Recorded(x.work.keys[0])
}

// mayGoOffline tells whether the policy lets the call go on without a quorum, and there is a disk for it.
func (x *Exchange) mayGoOffline() bool {
	return x.op.PinAt > 0 && x.svc.Offline && x.proxy.cfg.Driver.Offline() != nil
}

// goOffline lets the call go on without the ledger, if it may: err is why that cannot be used. A claim of which nobody knows may stand there by
// now, or later: it is the same transaction.
func (x *Exchange) goOffline(err error) bool {
	if x.mayGoOffline() && !errors.Is(err, ledger.ErrNoRoom) {
		x.work.offline = true
	}
	return x.work.offline
}

// mayClaim tells why nothing may be claimed now: the clock is off, or nobody can be told that this agent lives. At a pin the provider's keys stand in
// for that.
func (x *Exchange) mayClaim() error {
	if err := x.proxy.cfg.Driver.Clock(); err != nil { // at a pin too: the age of its keys counts
		return unwritable(err)
	}
	err := x.proxy.cfg.Driver.Lease()
	if err == nil || x.work.offline || !x.work.old && x.goOffline(err) {
		return nil
	}
	return unwritable(err)
}

// record makes the INTENT durable on this agent's disk. That of a retry stands there already.
func (x *Exchange) record(ctx context.Context) error {
	x.work.tx.Kept, x.work.tx.ExecuteBy = false, time.Time{} // what is kept of a request is in the store
	if x.work.old {
		return nil
	}
	if err := x.proxy.cfg.Driver.Offline().Record(ctx, x.work.tx); err != nil {
		x.work.tx = nil
		return unwritable(err)
	}
	return nil
}
