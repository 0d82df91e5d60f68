package settle

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

const (
	maxSkew = time.Second            // more than this between two clocks, and ages of keys and rows would lie
	maxBlur = 500 * time.Millisecond // a look at the store's clock that took twice as long says too little
)

// ErrClock says that this machine's clock is too far from the store's for guarded work.
var ErrClock = errors.New("settle: this machine's clock and the ledger's are too far apart: nothing is sent")

// sight is the store's clock as it was last seen, held against the one that no setting moves: so that a clock which is set between two looks
// is found out at once.
type sight struct{ last atomic.Pointer[seen] }

// seen is the store's time minus Boot, and how well that is known.
type seen struct {
	ahead time.Duration // the store's Unix time at Boot 0
	blur  time.Duration
}

// see looks at the store's clock.
func (d *Driver) see(ctx context.Context) error {
	if d.cfg.Time == nil {
		return nil
	}
	begun := d.cfg.Boot()
	at, err := d.cfg.Time(ctx)
	if err != nil {
		return fmt.Errorf("settle: the ledger's clock: %w", err)
	}
	blur := (d.cfg.Boot() - begun) / 2
	if blur > maxBlur && d.sight.last.Load() != nil {
		return nil
	}
	was := d.Clock()
	d.sight.last.Store(&seen{ahead: time.Duration(at.UnixNano()) - (begun + blur), blur: blur})
	switch now := d.Clock(); {
	case was == nil && now != nil:
		d.cfg.Log.Error("guarded work stops", "error", now)
	case was != nil && now == nil:
		d.cfg.Log.Warn("this machine's clock and the ledger's agree again: guarded work goes on")
	}
	return nil
}

// Clock is nil while this machine's clock is near enough to the store's. One that was never seen is not doubted: who cannot reach the store has
// no lease.
func (d *Driver) Clock() error {
	s := d.sight.last.Load()
	if s == nil {
		return nil
	}
	var off time.Duration
	for range 2 { // a machine that did something else between the two clocks is asked again
		off = time.Duration(d.cfg.Now().UnixNano()) - (s.ahead + d.cfg.Boot())
		if off.Abs()-s.blur <= maxSkew {
			return nil
		}
	}
	return fmt.Errorf("%w: it is %s off, and may be %s: set the clock", ErrClock, off.Round(time.Millisecond), maxSkew)
}
