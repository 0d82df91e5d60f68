package repair

import (
	"errors"
	"log/slog"
	"os"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"segue/controlplane/seal"
)

// Defaults and bounds.
const (
	// DefaultLimit is how many bytes the log may have on the disk: ten minutes without a quorum at 800 events a second.
	DefaultLimit = 256 << 20
	// DefaultReserve is the free space of the disk below which nothing new is hinted.
	DefaultReserve = 64 << 20
	// DefaultAge is how old a hint may become. It is less than the ten days for which the store remembers what was deleted: an older
	// event could bring back what is gone.
	DefaultAge = 7 * 24 * time.Hour

	defaultSegment = 4 << 20
	lazyEvery      = 500 * time.Millisecond // ends of hints reach the disk so often at least; one that is lost is replayed again
	spaceEvery     = time.Second
	waiting        = 1024 // hints that wait for the appender
	forOutcomes    = 16   // of the limit, one part is kept for outcomes of what was sent
	sparse         = 4    // a segment of which less than a quarter is still wanted is written anew when space is short
)

var (
	// ErrFull refuses a hint because the log has reached its limit, or the disk its reserve. Nothing was written and nothing dropped.
	ErrFull = errors.New("repair: the hint log is full: nothing new is taken until hints are replayed")
	// ErrOld refuses a hint because the oldest one waits for longer than hints may.
	ErrOld = errors.New("repair: the oldest hint is past its age: nothing new is taken until it is replayed or discarded")
	// ErrClosed says that the log was closed.
	ErrClosed = errors.New("repair: the hint log is closed")
	// ErrInUse says that another process has the directory.
	ErrInUse = errors.New("repair: the directory of the hint log is in use by another process")
	// ErrCorrupt says that the log is damaged: bytes that were on the disk are changed or gone.
	ErrCorrupt = errors.New("repair: the hint log is damaged")
	// ErrNewer says that a newer program wrote the log.
	ErrNewer = errors.New("repair: the hint log was written by a newer version of Segue")
	// ErrTooLarge refuses a hint over MaxHint.
	ErrTooLarge = errors.New("repair: a hint has at most 2 MiB")
	// ErrAway says that the store was out of reach a moment ago and is being asked for; of this session nothing is known here.
	ErrAway = errors.New("repair: the store is out of reach")
	// ErrUnknown says that there is no such hint.
	ErrUnknown = errors.New("repair: there is no such hint")
	errNoKey   = errors.New("repair: LogOptions.Keys is empty: name the key that seals hints")
	errRunning = errors.New("repair: it was started already")
)

// LogOptions are what a log may be told. Keys must be set.
type LogOptions struct {
	Keys    []seal.Key // the first seals, all open
	Log     *slog.Logger
	Limit   int64         // DefaultLimit
	Reserve uint64        // DefaultReserve
	Age     time.Duration // DefaultAge
	Segment int64         // size of a file
	Now     func() time.Time
	// Fatal is called, once, when the disk failed a write or a sync: no later one proves anything. It must end the process; nil does.
	Fatal func(error)

	fs       vfs.FS       // tests bring disks that fail
	unsynced bool         // tests show what is lost without a sync
	at       func(string) // tests end the process at a named point
	lazy     time.Duration
}

func (o LogOptions) filled() (LogOptions, error) {
	if len(o.Keys) == 0 {
		return o, errNoKey
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Limit <= 0 {
		o.Limit = DefaultLimit
	}
	if o.Reserve == 0 {
		o.Reserve = DefaultReserve
	}
	if o.Age <= 0 {
		o.Age = DefaultAge
	}
	if o.Segment <= 0 {
		o.Segment = defaultSegment
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Fatal == nil {
		o.Fatal = func(error) { os.Exit(1) }
	}
	if o.fs == nil {
		o.fs = vfs.Default
	}
	if o.at == nil {
		o.at = func(string) {}
	}
	if o.lazy <= 0 {
		o.lazy = lazyEvery
	}
	return o, nil
}
