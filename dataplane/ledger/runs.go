package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ErrFenced tells a run that others took it for dead and may drive its transactions by now: it sends and writes nothing more.
var ErrFenced = errors.New("ledger: the run was fenced: others may drive its transactions by now")

// Run is one life of an agent, as the others see it.
type Run struct {
	ID, Region string
	Beat       uint64    // rises while the run lives
	Fenced     time.Time // since when it drives nothing; zero: it does
}

// Runs keeps a row for each run. Each write is a compare-and-set: of Beat and Fence at the same time one wins. Whoever takes over what a
// run left fences it first, so that a run which only slept finds out before it sends.
type Runs interface {
	// Beat writes that a run lives. Its first beat is 1 and makes the row; any other needs the row, not fenced, with no higher beat. Else it is
	// ErrFenced. The same beat once more is no harm.
	Beat(ctx context.Context, r Run) error
	// Runs yields the runs that are remembered, in any order, until yield returns false.
	Runs(ctx context.Context, yield func(Run) bool) error
	// Fence marks a run as fenced at seen.Fenced if its beat is still seen.Beat; beat 0 is a run without a row. true: it is fenced, whoever did
	// it; false: it beat meanwhile.
	Fence(ctx context.Context, seen Run) (fenced bool, err error)
	// Left yields the pending transactions whose Run is a fenced run, until yield returns false. Where its claim may have left an open entry
	// without a row, the store plants the row first (Plant), so that the claim cannot come late.
	Left(ctx context.Context, run string, yield func(*Transaction) bool) error
	// Mend looks through all rows, in no hurry, and gives each pending one to which no open entry leads its entry again. It returns how many.
	Mend(ctx context.Context) (int, error)
}

// Watched is an attempt that was closed without its provider's own proof: it may come to light until then.
type Watched struct {
	Key     Key
	Attempt string
	Until   time.Time
}

// Watches keeps which attempts are watched. A watch is on stable storage when Watch returns; the same one once more is no harm.
type Watches interface {
	Watch(ctx context.Context, w Watched) error
	// Unwatch forgets it. That it was not there is no error.
	Unwatch(ctx context.Context, w Watched) error
	// Watched yields what is watched, with its transaction, in any order, until yield returns false. A watch without a row is left out.
	Watched(ctx context.Context, yield func(*Transaction, Watched) bool) error
}

// Payloads keeps what is too large or too private for a row, sealed by whoever kept it. A payload is on stable storage when Keep returns.
type Payloads interface {
	Keep(ctx context.Context, k Key, part string, sealed []byte) error
	// Fetch returns ErrNotFound where nothing is kept.
	Fetch(ctx context.Context, k Key, part string) ([]byte, error)
	// Drop forgets every part of a key. That nothing was there is no error.
	Drop(ctx context.Context, k Key) error
}

// Bounds of a payload.
const (
	MaxPayload = 1 << 20
	MaxPart    = 64
)

// ErrPayload refuses a payload that is out of bounds.
var ErrPayload = fmt.Errorf("ledger: a payload has 1 to %d bytes, and the name of its part 1 to %d", MaxPayload, MaxPart)

// CheckPayload tells whether a store may keep it.
func CheckPayload(part string, sealed []byte) error {
	if part == "" || len(part) > MaxPart || len(sealed) == 0 || len(sealed) > MaxPayload {
		return fmt.Errorf("%w: %q has %d", ErrPayload, part, len(sealed))
	}
	return nil
}

// Planted tells whether t only keeps a claim from coming late: a request that comes under its key finds it free.
func (t *Transaction) Planted() bool { return t.State == Refused && len(t.Attempts) == 0 }

// Claimable tells whether a store's Claim may insert t: version 1 with an id, either in Intent with its attempt or planted.
func (t *Transaction) Claimable() bool {
	return t.Version == 1 && t.ID != "" && (t.State == Intent && len(t.Attempts) > 0 || t.Planted())
}

// maxRun bounds what is read of a run's row.
const maxRun = 4 << 10

// EncodeRun writes a run as a row.
func EncodeRun(r Run) ([]byte, error) {
	w := writer{b: make([]byte, 0, 96)}
	w.byte(rowVersion)
	w.texts(r.ID, r.Region)
	w.number(r.Beat)
	w.maybe(r.Fenced)
	if len(w.b) > maxRun {
		return nil, fmt.Errorf("%w: the run %.40q", ErrTooLarge, r.ID)
	}
	return w.b, nil
}

// DecodeRun reads a run's row. It never panics.
func DecodeRun(b []byte) (Run, error) {
	r, err := open(b)
	if err != nil {
		return Run{}, err
	}
	var run Run
	r.texts(&run.ID, &run.Region)
	run.Beat = r.number()
	run.Fenced = r.maybe()
	return run, r.end()
}

// MayBeat tells whether a beat may replace the row of its run; old is nil where there is none.
func MayBeat(old *Run, r Run) bool {
	if old == nil {
		return r.Beat == 1
	}
	return old.Fenced.IsZero() && old.Beat <= r.Beat
}

// MayFence tells what a fence by someone who saw the run so comes to: whether the row must be written, and whether the run is fenced then.
func MayFence(old *Run, seen Run) (write, fenced bool) {
	switch {
	case old == nil:
		return seen.Beat == 0, seen.Beat == 0
	case !old.Fenced.IsZero():
		return false, true
	default:
		return old.Beat == seen.Beat, old.Beat == seen.Beat
	}
}
