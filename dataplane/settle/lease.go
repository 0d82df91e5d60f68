package settle

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"segue/dataplane/ledger"
)

// Times of a run's life. Others take a run for dead whose beat stood still for Fence on their clock. A run that could not beat for Lease on
// its own clock sends nothing: it stops before anybody can conclude that it did.
const (
	DefaultBeat  = time.Second
	DefaultFence = 10 * time.Second
)

// ErrNoLease says that this agent may not drive now: it could not tell the store that it lives.
var ErrNoLease = errors.New("settle: this agent could not tell the ledger that it lives: nothing is sent")

// lease is this run's right to drive. It is asked before each send, on the clock that goes on in sleep.
type lease struct {
	run    atomic.Pointer[string]
	beaten atomic.Int64 // Boot when the last beat that was taken began; 0: none was
	beats  uint64       // of this run; the keeper's alone
	mu     sync.Mutex   // one beat at a time
}

// RunID names the present run of this agent. It changes when others fenced it.
func (d *Driver) RunID() string { return *d.lease.run.Load() }

// Lease is nil while this agent may drive.
func (d *Driver) Lease() error {
	if !d.leased(d.RunID(), d.leaseTime(), d.cfg.Boot()) {
		return ErrNoLease
	}
	return nil
}

// leaseTime is shorter than the time after which others fence, by what their clocks and the way to the store may take.
func (d *Driver) leaseTime() time.Duration { return d.cfg.Fence / 10 * 8 }

// leased tells whether a run is this agent's present one, and told the store so not longer ago than that.
func (d *Driver) leased(run string, within, now time.Duration) bool {
	if d.cfg.Runs == nil { // nobody else can take anything over
		return true
	}
	at := d.lease.beaten.Load()
	age := now - time.Duration(at)
	return at != 0 && age >= 0 && age < within && run == d.RunID()
}

// beat tells the store that this run lives. A run that was fenced is over: the next beat is another run's first. What the old one drives
// sends nothing more, because its lease is gone.
func (d *Driver) beat(ctx context.Context) error {
	d.lease.mu.Lock()
	defer d.lease.mu.Unlock()
	for range 2 {
		begun := d.cfg.Boot()
		// killpoint: beat.before
		err := d.cfg.Runs.Beat(ctx, ledger.Run{ID: d.RunID(), Region: d.cfg.Region, Beat: d.lease.beats + 1})
		switch {
		case err == nil:
			// killpoint: beat.written
			d.lease.beats++
			d.lease.beaten.Store(int64(begun))
			return nil
		case !errors.Is(err, ledger.ErrFenced):
			return fmt.Errorf("settle: beat: %w", err)
		}
		old := d.RunID()
		d.renew()
		d.cfg.Log.Warn("this run was taken for dead: it goes on as a new one, and sends nothing of the old one's", "run", old, "now", d.RunID())
	}
	return fmt.Errorf("settle: beat: %w", ledger.ErrFenced)
}

// renew begins another run.
func (d *Driver) renew() {
	var b [8]byte
	_, _ = rand.Read(b[:]) // it never fails
	run := d.cfg.Agent + "/" + hex.EncodeToString(b[:])
	d.lease.beaten.Store(0)
	d.lease.run.Store(&run)
	d.lease.beats = 0
}
