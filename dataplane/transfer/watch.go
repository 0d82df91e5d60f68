package transfer

import (
	"sync"
	"time"

	"segue/controlplane/policy"
)

const (
	watched   = 4096 // tokens; beyond them one is refreshed by the call that finds it old
	lookEvery = time.Second
)

// watch knows when the tokens of sessions in use end, so that they are refreshed although no call comes just then. Those that are the
// caller's to ask for are refreshed by his calls alone.
type watch struct {
	mu   sync.Mutex
	seen map[pacedName]watching
}

type watching struct {
	name Name // with its provider
	due  time.Time
	used time.Time
}

// see notes a token; used zero: it was renewed, and nobody used it.
func (w *watch) see(n Name, to *policy.Candidate, h *held, ahead time.Duration, used time.Time) {
	if to.Credential.Kind == policy.CredentialCaller {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	k := paceOf(n, to.Provider)
	if h.Ends == 0 || h.Refresh == "" {
		delete(w.seen, k)
		return
	}
	old, known := w.seen[k]
	if used.IsZero() {
		used = old.used
	}
	if !known && len(w.seen) >= watched {
		return
	}
	if w.seen == nil {
		w.seen = map[pacedName]watching{}
	}
	n.Provider = to.Provider
	w.seen[k] = watching{n, h.ends().Add(-ahead), used}
}

// due takes out what is to be refreshed now, and forgets whom nobody uses.
func (w *watch) due(now time.Time) (list []Name) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for k, one := range w.seen {
		switch {
		case now.Sub(one.used) > inUse:
			delete(w.seen, k)
		case !now.Before(one.due):
			delete(w.seen, k)
			list = append(list, one.name)
		}
	}
	return list
}

// look refreshes what is due, until the carrier stops.
func (c *Carrier) look() {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-c.ctx.Done():
			return
		case <-tick.C:
		}
		now := c.cfg.Now()
		for _, n := range c.watch.due(now) {
			if to := n.at(n.Provider); to != nil {
				c.refreshBeside(n, to, nil, now)
			}
		}
	}
}
