package settle

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"segue/dataplane/ledger"
)

// Bounds of the looks for strays.
const (
	maxStrays    = 10_000 // remembered; what comes on top is found by those who scan the open rows
	straysAtOnce = 32
)

// strayLooks are the times between the looks for one: a write that was cut off may come to stand late.
var strayLooks = []time.Duration{5 * time.Second, 15 * time.Second, time.Minute, 5 * time.Minute}

// stray is a row that this run wrote, or not: the store did not say. Its caller was told that nothing was sent, and went away.
type stray struct {
	key     ledger.Key
	version uint64
	token   [16]byte
	unsent  bool // it makes an attempt of which no byte left
	looks   int
	next    time.Time
}

type strays struct {
	mu   sync.Mutex
	list []stray
}

func (s *strays) add(one stray) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.list) < maxStrays {
		s.list = append(s.list, one)
	}
}

// due takes out those that are to be looked for now.
func (s *strays) due(now time.Time) (due []stray) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = slices.DeleteFunc(s.list, func(one stray) bool {
		if len(due) == straysAtOnce || one.next.After(now) {
			return false
		}
		due = append(due, one)
		return true
	})
	return due
}

// Stray notes a write that ended in an error, and after which nothing is sent. This run lives, so that nobody would take the row over if it
// stands after all: it is looked for, and closed. unsent tells that the row makes an attempt of which no byte left.
func (d *Driver) Stray(t *ledger.Transaction, unsent bool) {
	d.strays.add(stray{key: t.Key, version: t.Version, token: t.Token, unsent: unsent, next: d.cfg.Now().Add(strayLooks[0])})
}

// gather looks for strays.
func (d *Driver) gather(ctx context.Context) {
	for _, s := range d.strays.due(d.cfg.Now()) {
		limited, cancel := context.WithTimeout(ctx, d.cfg.Fence)
		there, err := d.closeStray(limited, s)
		cancel()
		if err == nil && there {
			continue
		}
		if err == nil {
			s.looks++
		}
		if s.looks < len(strayLooks) {
			s.next = d.cfg.Now().Add(strayLooks[s.looks])
			d.strays.add(s)
		}
	}
}

// closeStray closes a row that stands as it was written: nothing was sent for it. false: it is not there, yet.
func (d *Driver) closeStray(ctx context.Context, s stray) (there bool, err error) {
	t, err := d.cfg.Store.Load(ctx, s.key)
	switch {
	case errors.Is(err, ledger.ErrNotFound):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("settle: a row that may stand: %w", err)
	case t.Token != s.token: // somebody else has it, or it is not written yet
		return t.Version >= s.version, nil
	case !s.unsent || t.State != ledger.Intent: // something was sent before: that is looked for as usual
		d.unknowns.add(t, d.cfg.Now())
		return true, nil
	}
	t.Note(ledger.Evidence{Attempt: t.Current().ID, Kind: ledger.FromStaleSend, Outcome: ledger.NotSent, Error: "stale_send"}, ledger.Circumstances{Run: t.Run})
	if err := errors.Join(t.Close(ledger.Refuse), t.Tell()); err != nil {
		d.unknowns.add(t, d.cfg.Now())
		return true, nil
	}
	d.Stamp(t, d.cfg.Now())
	if err := d.Put(ctx, t); err != nil && !errors.Is(err, ErrLost) {
		d.Stray(t, false) // what became of this write is looked for, too
	}
	return true, nil
}
