package embedded

import (
	"errors"
	"log/slog"
	"os"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Defaults and bounds.
const (
	// DefaultKeep is how long rows are kept: longer than any provider keeps a key, and than any hold should take.
	DefaultKeep = 35 * 24 * time.Hour
	// DefaultReserve is the free space below which nothing new is claimed, so that what is under way can still be recorded. It is
	// looked at every spaceEvery; no disk writes that much in that time.
	DefaultReserve = 256 << 20

	spaceEvery = time.Second
	sweepEvery = time.Hour
	sweepBatch = 512      // rows per look at the context
	memTable   = 8 << 20  // what a restart replays at most is memTables of them
	memTables  = 4        // writers wait for a flush only when so many are full: a disk that stands still for a moment stops nobody
	cacheSize  = 64 << 20 // Pebble takes the memory of its tables, and of one that goes, out of it: what is left must hold the filters
	l0Compact  = 8        // four flushes are put in order at a time: at Pebble's two, each row is written down again twice as often
	l0Stop     = 24       // far above l0Compact, where writers wait
	openFiles  = 256      // well below the usual limit of 1,024 descriptors, which connections need
	openPage   = 256      // rows that Open reads at a time
	maxScan    = 50_000   // rows that Recent looks at when its filters have no index
	maxRecent  = 500      // rows that Recent returns at most
	recent     = 50       // rows that Recent returns when nobody says
	maxStripes = 1 << 10  // rows that share a lock share its wait for the disk; 64 writers hardly ever meet
)

var (
	// ErrFull refuses a claim because the disk is nearly full. Nothing was written.
	ErrFull = errors.New("embedded: the disk is nearly full: nothing new is claimed")
	// ErrClosed says that the store was closed.
	ErrClosed = errors.New("embedded: the store is closed")
	// ErrInUse says that another process has the directory.
	ErrInUse = errors.New("embedded: the directory is in use by another process")
	// ErrCorrupt says that the directory's files are damaged or are no store of Segue.
	ErrCorrupt = errors.New("embedded: the directory cannot be read as a store")
	// ErrNewer says that a newer program wrote the directory.
	ErrNewer = errors.New("embedded: the directory was written by a newer version of Segue")
)

// Options are what a store may be told. The zero value works.
type Options struct {
	Log *slog.Logger
	// Fatal is called, once, when the disk failed a write: what was acknowledged is safe, what was not is unknown, and after a failed
	// fsync no later one proves anything. It must end the process; nil does.
	Fatal   func(error)
	Keep    time.Duration // DefaultKeep
	Reserve uint64        // DefaultReserve
	Now     func() time.Time

	fs    vfs.FS               // tests bring disks that fail
	write *pebble.WriteOptions // tests show what is lost without a sync
}

func (o Options) filled() Options {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Fatal == nil {
		o.Fatal = func(error) { os.Exit(1) }
	}
	if o.Keep <= 0 {
		o.Keep = DefaultKeep
	}
	if o.Reserve == 0 {
		o.Reserve = DefaultReserve
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.fs == nil {
		o.fs = vfs.Default
	}
	if o.write == nil {
		o.write = pebble.Sync
	}
	return o
}
