package embedded

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"math"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

const (
	marksName = "LOGMARK"
	markSize  = 32 // divides a disk's sector: a power cut leaves the old mark or the new one
	// maxMarks is how many logs are known at a time. Pebble keeps ten at most: four that are written or wait for a flush, one that is
	// about to go, five to be written over. Beyond the limit the oldest is forgotten.
	maxMarks = 16
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// mark says that so many bytes of a log were on the disk. The zero mark is a free place.
type mark struct {
	log    uint64
	length int64
}

func (m mark) put(b []byte) {
	clear(b[:markSize])
	if m == (mark{}) {
		return
	}
	binary.LittleEndian.PutUint64(b, m.log)
	binary.LittleEndian.PutUint64(b[8:], uint64(m.length))
	binary.LittleEndian.PutUint32(b[16:], crc32.Checksum(b[:16], castagnoli))
}

// markOf reads a mark. Not ok: it is damaged, and says nothing.
func markOf(b []byte) (m mark, ok bool) {
	m.log = binary.LittleEndian.Uint64(b)
	length := binary.LittleEndian.Uint64(b[8:])
	sum := binary.LittleEndian.Uint32(b[16:])
	if m.log == 0 && length == 0 && sum == 0 {
		return mark{}, true
	}
	if m.log == 0 || length > math.MaxInt64 || sum != crc32.Checksum(b[:16], castagnoli) {
		return mark{}, false
	}
	m.length = int64(length)
	return m, true
}

// marks remembers of each log how much of it is on the disk, because a log that somebody cut looks to Pebble like one that was never
// written further. It is the file system that Pebble works on.
//
// Two things must hold, or a directory is refused after an honest power cut. A mark is written after the sync that it tells of, so
// that it may be behind its log and never ahead; it needs no sync itself. And before Pebble removes a log or writes over it, no mark
// names it any more, on the disk too.
type marks struct {
	vfs.FS
	dir string
	log *slog.Logger

	mu    sync.Mutex     // guards what follows, and orders the writes of one place
	file  vfs.File       // nil: closed
	known [maxMarks]mark // as written
	buf   [markSize]byte
	lost  error // a sync failed: what the disk has is unknown for good
	told  bool
}

// openMarks holds the logs of a directory against what is known of them.
func openMarks(fs vfs.FS, dir string, log *slog.Logger) (*marks, error) {
	m := &marks{FS: fs, dir: dir, log: log}
	if err := errors.Join(m.read(), m.verify()); err != nil {
		return nil, err
	}
	f, err := fs.OpenReadWrite(m.path(), "pebble-wal")
	if err != nil {
		return nil, fmt.Errorf("embedded: %w", err)
	}
	all := make([]byte, maxMarks*markSize) // whole from the start: a mark never needs space on a full disk
	for i, k := range m.known {
		k.put(all[i*markSize:])
	}
	if _, err := f.WriteAt(all, 0); err != nil {
		return nil, errors.Join(fmt.Errorf("embedded: %w", err), f.Close())
	}
	m.file = f
	return m, nil
}

func (m *marks) path() string { return m.PathJoin(m.dir, marksName) }

// read takes what is whole. The rest is no knowledge: the store opens as it would without.
func (m *marks) read() error {
	b, err := m.content()
	if err != nil {
		return err
	}
	bad := len(b) != maxMarks*markSize
	for i := 0; i < maxMarks && (i+1)*markSize <= len(b); i++ {
		k, ok := markOf(b[i*markSize:])
		m.known[i] = k
		bad = bad || !ok
	}
	if bad && m.anyLog() {
		m.log.Warn("the store's marks are missing or damaged: should a log have been cut, it cannot tell", "file", m.path())
	}
	return nil
}

func (m *marks) content() ([]byte, error) {
	f, err := m.FS.Open(m.path())
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("embedded: %w", err)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxMarks*markSize+1))
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("embedded: %s: %w", m.path(), err)
	}
	return b, nil
}

// anyLog tells a new directory from one whose marks are gone.
func (m *marks) anyLog() bool {
	names, err := m.List(m.dir)
	for _, name := range names {
		if m.number(name) != 0 {
			return true
		}
	}
	return err != nil
}

// verify refuses a log that is shorter than it was, or gone.
func (m *marks) verify() error {
	for _, k := range m.known {
		if k == (mark{}) {
			continue
		}
		name := m.PathJoin(m.dir, fmt.Sprintf("%06d.log", k.log))
		found := "is missing"
		switch info, err := m.Stat(name); {
		case err == nil && info.Size() >= k.length:
			continue
		case err == nil:
			found = fmt.Sprintf("has %d bytes", info.Size())
		case !errors.Is(err, os.ErrNotExist):
			return fmt.Errorf("embedded: %w", err)
		}
		return fmt.Errorf("%w: %s %s, and %d bytes of it were on the disk: somebody cut or removed it, and acknowledged writes may be gone with it. "+
			"Put back the file, or the whole directory from one backup. Removing %s starts without those writes: a key sent again may then charge again",
			ErrCorrupt, name, found, k.length, m.path())
	}
	return nil
}

// number is the number of a log's name, or 0.
func (m *marks) number(name string) uint64 {
	digits, ok := strings.CutSuffix(m.PathBase(name), ".log")
	n, err := strconv.ParseUint(digits, 10, 64)
	if !ok || err != nil {
		return 0
	}
	return n
}

// durable notes that the first bytes of a log are on the disk. A mark that cannot be written stays behind: it refuses nothing wrongly.
func (m *marks) durable(log uint64, length int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	i := m.place(log)
	if m.file == nil || m.known[i].log == log && m.known[i].length >= length {
		return
	}
	if err := m.write(i, mark{log, length}); err != nil {
		m.tell(err)
	}
}

// tell says once that the marks fail. The store does without them.
func (m *marks) tell(err error) {
	if !m.told {
		m.log.Warn("the store's marks cannot be written: should its log be cut, it may not tell", "file", m.path(), "error", err)
	}
	m.told = true
}

// place is where a log's mark is or goes.
func (m *marks) place(log uint64) int {
	to := 0
	for i, k := range m.known {
		if k.log == log {
			return i
		}
		if k.log < m.known[to].log { // a free place is below any log
			to = i
		}
	}
	return to
}

func (m *marks) write(i int, k mark) error {
	k.put(m.buf[:])
	if _, err := m.file.WriteAt(m.buf[:], int64(i)*markSize); err != nil {
		return fmt.Errorf("embedded: %w", err)
	}
	m.known[i] = k
	return nil
}

// forget returns when no mark on the disk names the log. Without the sync, a power cut could keep the mark of a log that Pebble
// removed. Where it fails, the log stays.
func (m *marks) forget(log uint64) error {
	f, err := m.erase(log)
	if err != nil {
		return err
	}
	if err := f.SyncData(); err != nil { // outside the lock: the log's writer need not wait for it
		m.mu.Lock()
		defer m.mu.Unlock()
		m.lost = fmt.Errorf("embedded: %s: %w", m.path(), err)
		m.tell(m.lost)
		return m.lost
	}
	return nil
}

func (m *marks) erase(log uint64) (vfs.File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.lost != nil {
		return nil, m.lost
	}
	if m.file == nil {
		return nil, ErrClosed
	}
	i := m.place(log)
	if m.known[i].log != log {
		return m.file, nil
	}
	err := m.write(i, mark{})
	if err != nil {
		m.tell(err)
	}
	return m.file, err
}

// close ends it. What Pebble still does in the background when a disk failed is not noted.
func (m *marks) close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := m.file
	m.file = nil
	if err := f.Close(); err != nil {
		return fmt.Errorf("embedded: %w", err)
	}
	return nil
}

// Create begins a log, or another file.
func (m *marks) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := m.FS.Create(name, c)
	return m.wrap(name, f, err)
}

// ReuseForWrite begins a log in the file of one that is needed no more. Where that one's mark cannot be taken back, its file stays
// until the next start, and the log gets its own: an error here ends the process.
func (m *marks) ReuseForWrite(oldname, newname string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if n := m.number(oldname); n != 0 && m.forget(n) != nil {
		return m.Create(newname, c)
	}
	f, err := m.FS.ReuseForWrite(oldname, newname, c)
	return m.wrap(newname, f, err)
}

// Remove removes a log that is needed no more, or another file.
func (m *marks) Remove(name string) error {
	if n := m.number(name); n != 0 {
		if err := m.forget(n); err != nil {
			return err
		}
	}
	return m.FS.Remove(name)
}

// Unwrap is the file system below.
func (m *marks) Unwrap() vfs.FS { return m.FS }

func (m *marks) wrap(name string, f vfs.File, err error) (vfs.File, error) {
	n := m.number(name)
	if err != nil || n == 0 {
		return f, err
	}
	return &markedLog{File: f, marks: m, number: n}, nil
}

// markedLog is a log that Pebble writes, from its beginning and in order.
type markedLog struct {
	vfs.File
	marks   *marks
	number  uint64
	written atomic.Int64
}

// Write counts what went into the file.
func (l *markedLog) Write(p []byte) (int, error) {
	n, err := l.File.Write(p)
	l.written.Add(int64(n))
	return n, err
}

// Sync marks what was written before it began: it promises nothing of what is written meanwhile.
func (l *markedLog) Sync() error {
	before := l.written.Load()
	err := l.File.Sync()
	l.mark(before, err == nil)
	return err
}

// SyncData is as Sync.
func (l *markedLog) SyncData() error {
	before := l.written.Load()
	err := l.File.SyncData()
	l.mark(before, err == nil)
	return err
}

// SyncTo is durable only where it says so.
func (l *markedLog) SyncTo(length int64) (bool, error) {
	before := l.written.Load()
	full, err := l.File.SyncTo(length)
	l.mark(before, full && err == nil)
	return full, err
}

func (l *markedLog) mark(length int64, durable bool) {
	if durable {
		l.marks.durable(l.number, length)
	}
}
