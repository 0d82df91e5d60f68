package dataplane

import (
	"context"
	"fmt"
	"time"

	"segue/dataplane/embedded"
	"segue/dataplane/ledger"
	"segue/dataplane/session"
)

// Store is where an agent keeps transactions and sessions: a directory of its own (embedded), or a cluster that agents share (cassandra).
type Store interface {
	Ledger() ledger.Store
	Sessions() session.Store
	Runs() ledger.Runs
	Payloads() ledger.Payloads
	Watches() ledger.Watches
	// Time is the clock by which the store's rows age.
	Time(ctx context.Context) (time.Time, error)
	// Refused tells why nothing new is claimed, as long as that holds and however often one asks; nil: claims are taken. Outcomes of what
	// was sent are recorded in any case.
	Refused() error
	// Level is how a write of a transaction is acknowledged, for metrics.
	Level() string
	// Close is called once, when nothing uses the store any more.
	Close() error
}

// openStore opens the agent's own store, where it was not given one.
func (a *Agent) openStore() error {
	if a.store != nil {
		return nil
	}
	own, err := embedded.Open(a.cfg.StoreDir, embedded.Options{Log: a.cfg.Log, Fatal: a.cfg.Fatal, Now: a.cfg.Now})
	if err != nil {
		return fmt.Errorf("dataplane: %w", err)
	}
	a.store, a.owned = own, true
	return nil
}

// guarded tells why effects are refused here, or nil.
func (a *Agent) guarded() error {
	if err := a.store.Refused(); err != nil {
		return err
	}
	return a.parts.driver.Clock()
}

// adoptEvery is how often a store that could not be read at the start is asked again for what earlier runs left open.
const adoptEvery = time.Second

// adopt records what earlier runs left open. A store of its own must tell at once; a cluster that is out of reach is asked until it does.
func (a *Agent) adopt(ctx context.Context) error {
	open, err := a.parts.driver.Adopt(ctx)
	switch {
	case err != nil && (a.owned || ctx.Err() != nil):
		return fmt.Errorf("dataplane: %w", err)
	case err != nil:
		a.cfg.Log.Warn("what earlier runs left open is looked at when the store can be read", "error", err)
		a.idle.Go(a.adoptLater)
	case open > 0:
		a.cfg.Log.Warn("transactions of earlier runs have no known outcome; none is sent again", "open", open)
	}
	return nil
}

func (a *Agent) adoptLater() {
	tick := time.NewTicker(adoptEvery)
	defer tick.Stop()
	for !a.stopping.Load() {
		<-tick.C
		if open, err := a.parts.driver.Adopt(context.Background()); err == nil {
			a.cfg.Log.Warn("transactions of earlier runs have no known outcome; none is sent again", "open", open)
			return
		}
	}
}
