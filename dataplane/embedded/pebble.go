package embedded

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// openPebble opens the files. What is damaged is an error, whatever Pebble makes of it.
func openPebble(dir string, o Options, l *logger) (db *pebble.DB, err error) {
	defer func() {
		if r := recover(); r != nil {
			db, err = nil, damaged(dir, fmt.Errorf("%v", r))
		}
	}()
	if err := o.fs.MkdirAll(dir, 0o700); err != nil {
		return nil, unopened(dir, err)
	}
	lock, err := pebble.LockDirectory(dir, o.fs)
	if missed := (*fs.PathError)(nil); errors.As(err, &missed) { // there is no lock to have: nobody else is in the way
		return nil, unopened(dir, err)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w; stop it, or give this one a directory of its own", ErrInUse, dir, oneLine(err))
	}
	m, err := openMarks(o.fs, dir, o.Log)
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	h := &holding{lock, m}
	db, err = pebble.Open(dir, settings(h, l))
	if err != nil {
		return nil, errors.Join(unopened(dir, err), h.Close())
	}
	if err := checkFormat(db, o.write); err != nil {
		return nil, errors.Join(unfit(dir, err), db.Close(), h.Close())
	}
	l.lock = h
	return db, nil
}

// holding is what a store has of its directory beside Pebble's own files.
type holding struct {
	lock  *pebble.Lock
	marks *marks
}

// Close lets the directory go.
func (h *holding) Close() error { return errors.Join(h.marks.close(), h.lock.Close()) }

func settings(h *holding, l *logger) *pebble.Options {
	p := &pebble.Options{
		FS: h.marks, Lock: h.lock, Logger: l, CacheSize: cacheSize, MemTableSize: memTable, MaxOpenFiles: openFiles,
		MemTableStopWritesThreshold: memTables, L0CompactionThreshold: l0Compact, L0StopWritesThreshold: l0Stop,
		FormatMajorVersion: pebble.FormatNewest, // its log tells a torn end from damage in the middle
		EventListener: &pebble.EventListener{
			BackgroundError: func(err error) {
				l.log.Error("the store's background work failed and is repeated", "error", oneLine(err))
				l.stuck(err)
			},
			// Damage in one file is an error to whoever reads it: the rest still serves.
			DataCorruption: func(i pebble.DataCorruptionInfo) {
				l.log.Error("a file of the store is damaged", "file", i.Path, "error", oneLine(i.Details))
			},
			DiskSlow: func(i pebble.DiskSlowInfo) { l.log.Warn("the store's disk is slow", "what", i.String()) },
		},
	}
	// Every claim asks for a row that is not there: without a filter each file of the store is opened and searched for it.
	p.Levels[0].FilterPolicy = bloom.FilterPolicy(10) // the levels below take it over
	return p
}

// checkFormat writes the format of a new directory and refuses one that this program would misread.
func checkFormat(db *pebble.DB, w *pebble.WriteOptions) error {
	v, closer, err := db.Get([]byte{formatPrefix})
	switch {
	case errors.Is(err, pebble.ErrNotFound):
		return newFormat(db, w)
	case err != nil:
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	known := append([]byte(nil), v...)
	if err := closer.Close(); err != nil {
		return fmt.Errorf("embedded: %w", err)
	}
	switch {
	case len(known) != 1 || known[0] == 0:
		return fmt.Errorf("%w: its format is %x", ErrCorrupt, known)
	case known[0] > format:
		return fmt.Errorf("%w: format %d; this one reads up to %d", ErrNewer, known[0], format)
	}
	return nil
}

// newFormat marks an empty directory as ours.
func newFormat(db *pebble.DB, w *pebble.WriteOptions) error {
	it, err := db.NewIter(nil)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	foreign := it.First()
	if err := it.Close(); err != nil {
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	if foreign {
		return fmt.Errorf("%w: it has rows but no format", ErrCorrupt)
	}
	if err := db.Set([]byte{formatPrefix}, []byte{format}, w); err != nil {
		return fmt.Errorf("embedded: %w", err)
	}
	// Pebble raises its own format after it began its first log: that log cannot tell damage from a torn end. A flush begins another.
	if err := db.Flush(); err != nil {
		return fmt.Errorf("embedded: %w", err)
	}
	return nil
}

// logger takes what Pebble says. Pebble tells a failed write of its log to Fatalf, and then returns as if all were well.
type logger struct {
	log   *slog.Logger
	fatal func(error)
	stuck func(error) // of background work
	lock  *holding
}

// Infof drops what Pebble tells of its housekeeping.
func (l *logger) Infof(string, ...any) {}

// Errorf passes an error on.
func (l *logger) Errorf(format string, args ...any) {
	l.log.Error("store", "error", fmt.Sprintf(format, args...))
}

// Fatalf ends the store, and by Options.Fatal the process.
func (l *logger) Fatalf(format string, args ...any) {
	l.fatal(fmt.Errorf("embedded: "+format, args...))
}

// free is the space that is left for the directory.
func free(fs vfs.FS, dir string) (uint64, error) {
	u, err := fs.GetDiskUsage(dir)
	if err != nil {
		return 0, fmt.Errorf("embedded: free space: %w", err)
	}
	return u.AvailBytes, nil
}
