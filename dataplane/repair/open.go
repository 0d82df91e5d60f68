package repair

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// diskCategory is what the disk's statistics call the log's writes.
const diskCategory = vfs.WriteCategoryUnspecified

// OpenLog opens the directory, and makes it if it is not there. The end of a log that a power cut tore is cut off and reported: nobody
// was told that it was written. Any other damage is ErrCorrupt.
func OpenLog(dir string, o LogOptions) (*Log, error) {
	o, err := o.filled()
	if err != nil {
		return nil, err
	}
	if err := makeDir(o.fs, dir); err != nil {
		return nil, err
	}
	lock, err := o.fs.Lock(o.fs.PathJoin(dir, "LOCK"))
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrInUse, dir, err)
	}
	l := &Log{dir: dir, opts: o, lock: lock, index: newIndex(), door: door{queue: make(chan *request, waiting)}}
	if err := l.load(); err != nil {
		return nil, errors.Join(err, l.closeFiles(), lock.Close())
	}
	l.look()
	l.idle.Go(l.run)
	return l, nil
}

// makeDir makes a directory and those above it, and sees to it that their names are on the disk: files that are synced in a directory
// whose name is not are gone after a power cut.
func makeDir(fs vfs.FS, dir string) error {
	var fresh []string
	for d := dir; d != fs.PathDir(d); d = fs.PathDir(d) {
		if _, err := fs.Stat(d); err == nil {
			break
		}
		fresh = append(fresh, fs.PathDir(d))
	}
	if err := fs.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("repair: %w", err)
	}
	for _, above := range fresh {
		if err := syncDir(fs, above); err != nil {
			return err
		}
	}
	return nil
}

// load reads what is there and begins a new segment behind it.
func (l *Log) load() error {
	m, known, warning, err := readMark(l.opts.fs, l.dir)
	if err != nil {
		return err
	}
	if warning != "" {
		l.report.Warning = warning
		l.opts.Log.Warn("hint log: " + warning)
	}
	numbers, err := l.segments(m, known)
	if err != nil {
		return err
	}
	l.next = chain{number: 1}
	for i, n := range numbers {
		if err := l.read(n, i == len(numbers)-1, m, known); err != nil {
			return err
		}
	}
	l.index.settle()
	f, err := l.opts.fs.OpenReadWrite(l.path(markName), diskCategory)
	if err != nil {
		return fmt.Errorf("repair: %w", err)
	}
	l.mark = f
	last := uint64(0)
	if len(l.segs) > 0 {
		last = l.segs[len(l.segs)-1].number
	}
	return l.begin(last + 1)
}

// segments returns the numbers of the files that count, in order, and removes those that were given up.
func (l *Log) segments(m mark, known bool) ([]uint64, error) {
	names, err := l.opts.fs.List(l.dir)
	if err != nil {
		return nil, fmt.Errorf("repair: %w", err)
	}
	var numbers []uint64
	for _, name := range names {
		n, ok := numberOf(name)
		switch {
		case !ok && strings.HasSuffix(name, ".part"), ok && known && n < m.first:
			if err := l.opts.fs.Remove(l.path(name)); err != nil {
				return nil, fmt.Errorf("repair: %w", err)
			}
		case ok:
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	for i, n := range numbers {
		want := n
		if i > 0 {
			want = numbers[i-1] + 1
		} else if known {
			want = m.first
		}
		if n != want {
			return nil, l.damaged(want, "is missing")
		}
	}
	if known && (len(numbers) == 0 || numbers[len(numbers)-1] < m.last) {
		return nil, l.damaged(m.last, "is missing")
	}
	return numbers, nil
}

func (l *Log) damaged(segment uint64, what string) error {
	return fmt.Errorf("%w: %s %s. Put the file back from a copy; or, to go on without the hints that were not replayed, move %s away",
		ErrCorrupt, l.path(nameOf(segment)), what, l.dir)
}

// read takes one segment in. Only the last may end torn, and only behind what is known to have been on the disk.
func (l *Log) read(n uint64, last bool, m mark, known bool) error {
	name := l.path(nameOf(n))
	b, err := readFile(l.opts.fs, name)
	if err != nil {
		return err
	}
	s := &segment{number: n, size: int64(len(b))}
	if head, err := readSegmentHead(b, n); err == nil && len(l.segs) > 0 && head != l.next {
		return l.damaged(n, "does not follow the one before it")
	}
	whole, next, err := scan(b, n, func(body []byte, at int64) error { return l.index.load(s, body, at) })
	synced := known && (n < m.last || n == m.last && uint64(whole) < m.length)
	switch {
	case err == nil && !synced:
	case errors.Is(err, ErrNewer), errors.Is(err, ErrCorrupt):
		return err
	case err == nil:
		if n == m.last {
			return l.damaged(n, fmt.Sprintf("has %d bytes, and %d were on the disk", len(b), m.length))
		}
	case !errors.Is(err, errTorn):
		return l.damaged(n, "cannot be read: "+err.Error())
	case !last || synced || follows(b[whole:], next) || len(b)-int(whole) > frameHead+maxBody+frameTail:
		return l.damaged(n, fmt.Sprintf("is damaged at byte %d of %d: %v", whole, len(b), err))
	default:
		return l.untear(s, b, whole, next)
	}
	return l.take(s, next)
}

// take adds a segment that is whole.
func (l *Log) take(s *segment, next chain) error {
	f, err := l.opts.fs.Open(l.path(nameOf(s.number)))
	if err != nil {
		return fmt.Errorf("repair: %w", err)
	}
	s.file = f
	l.segs, l.next = append(l.segs, s), next
	l.bytes += s.size
	return nil
}

// untear cuts off what a power cut left of a frame that nobody was told of.
func (l *Log) untear(s *segment, b []byte, whole int64, next chain) error {
	torn := int64(len(b)) - whole
	l.report.Torn = torn
	l.opts.Log.Warn("hint log: the end was torn by a power cut and is cut off; nobody was told that it was written", "file", l.path(nameOf(s.number)), "bytes", torn)
	name := l.path(nameOf(s.number))
	if whole == 0 { // not even its head: nothing was ever in it
		if err := l.opts.fs.Remove(name); err != nil {
			return fmt.Errorf("repair: %w", err)
		}
		return l.syncDir()
	}
	f, err := l.opts.fs.Create(name+".part", diskCategory)
	if err != nil {
		return fmt.Errorf("repair: %w", err)
	}
	_, err = f.Write(append([]byte(nil), b[:whole]...))
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = l.opts.fs.Rename(name+".part", name)
	}
	if err != nil {
		return fmt.Errorf("repair: %s: %w", name, err)
	}
	s.size = whole
	return errors.Join(l.syncDir(), l.take(s, next))
}

func (l *Log) path(name string) string { return l.opts.fs.PathJoin(l.dir, name) }

func nameOf(segment uint64) string { return fmt.Sprintf("%06d.hints", segment) }

func numberOf(name string) (uint64, bool) {
	var n uint64
	digits, ok := strings.CutSuffix(name, ".hints")
	if _, err := fmt.Sscanf(digits, "%d", &n); !ok || err != nil || nameOf(n) != name {
		return 0, false
	}
	return n, true
}

func (l *Log) syncDir() error {
	if l.opts.unsynced {
		return nil
	}
	return syncDir(l.opts.fs, l.dir)
}

func syncDir(fs vfs.FS, dir string) error {
	d, err := fs.OpenDir(dir)
	if err != nil {
		return fmt.Errorf("repair: %w", err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("repair: %s: %w", dir, err)
	}
	return nil
}

// closeFiles lets the files go.
func (l *Log) closeFiles() error {
	var err error
	for _, s := range l.segs {
		err = errors.Join(err, s.file.Close())
	}
	if l.mark != nil {
		err = errors.Join(err, l.mark.Close())
	}
	return err
}

var _ io.Closer = (*Log)(nil)
