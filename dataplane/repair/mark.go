package repair

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"

	"github.com/cockroachdb/pebble/v2/vfs"
)

const (
	markName  = "HINTMARK"
	markMagic = 0x4d484753
	markSize  = 32 // less than a disk's sector: a power cut leaves the old mark or the new one
)

// mark says which segments there are, and how many bytes of the last were on the disk. It is written after the sync that it tells of
// and has none of its own: a power cut leaves it behind the log and never ahead. Without it a log that somebody cut between two frames
// would look like one that was never written further.
type mark struct {
	first, last uint64
	length      uint64
}

func (m mark) bytes() []byte {
	b := make([]byte, markSize)
	binary.LittleEndian.PutUint32(b, markMagic)
	binary.LittleEndian.PutUint64(b[4:], m.first)
	binary.LittleEndian.PutUint64(b[12:], m.last)
	binary.LittleEndian.PutUint64(b[20:], m.length)
	binary.LittleEndian.PutUint32(b[28:], crc32.Checksum(b[:28], castagnoli))
	return b
}

// markOf reads a mark. Not ok: it is damaged, and says nothing.
func markOf(b []byte) (m mark, ok bool) {
	if len(b) != markSize || binary.LittleEndian.Uint32(b) != markMagic || binary.LittleEndian.Uint32(b[28:]) != crc32.Checksum(b[:28], castagnoli) {
		return mark{}, false
	}
	m = mark{binary.LittleEndian.Uint64(b[4:]), binary.LittleEndian.Uint64(b[12:]), binary.LittleEndian.Uint64(b[20:])}
	return m, m.first <= m.last && m.first > 0
}

// readMark returns the directory's mark. Known is false where there is none, or a damaged one: warning says so.
func readMark(fs vfs.FS, dir string) (m mark, known bool, warning string, err error) {
	b, err := readFile(fs, fs.PathJoin(dir, markName))
	switch {
	case errors.Is(err, os.ErrNotExist):
		return mark{}, false, "", nil
	case err != nil:
		return mark{}, false, "", err
	}
	if m, known = markOf(b); !known {
		warning = fmt.Sprintf("%s is damaged: should the log have been cut, that cannot be seen", fs.PathJoin(dir, markName))
	}
	return m, known, warning, nil
}

func readFile(fs vfs.FS, name string) ([]byte, error) {
	f, err := fs.Open(name)
	if err != nil {
		return nil, fmt.Errorf("repair: %w", err)
	}
	b, err := io.ReadAll(f)
	if e := f.Close(); err != nil || e != nil {
		return nil, fmt.Errorf("repair: %s: %w", name, errors.Join(err, e))
	}
	return b, nil
}
