package session

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// rowVersion is the form in which sessions are written. A reader refuses newer ones: it would drop what it does not know.
const rowVersion = 1

// MaxRow bounds an encoded session.
const MaxRow = 64 << 10

var (
	// ErrCorrupt says that bytes are no session.
	ErrCorrupt = errors.New("session: the row is corrupt")
	// ErrNewer says that a newer program wrote the session.
	ErrNewer = errors.New("session: the row was written by a newer version of Segue")
	// ErrTooLarge refuses to write a session that is over MaxRow.
	ErrTooLarge = fmt.Errorf("session: a row has at most %d bytes", MaxRow)
)

// Encode writes a session as a row: version, application, id, times, then the pins.
func Encode(s *Session) ([]byte, error) {
	b := append(make([]byte, 0, 128), rowVersion)
	b = appendText(appendText(b, s.Key.App), s.Key.ID)
	b = appendTime(appendTime(b, s.Created), s.Updated)
	b = binary.AppendUvarint(b, uint64(len(s.Pins)))
	for _, p := range s.Pins {
		b = appendTime(appendText(appendText(b, p.Service), p.Provider), p.At)
	}
	if len(s.Pins) > MaxPins {
		return nil, ErrTooManyPins
	}
	if len(b) > MaxRow {
		return nil, ErrTooLarge
	}
	return b, nil
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendTime(b []byte, t time.Time) []byte {
	return binary.AppendUvarint(binary.AppendVarint(b, t.Unix()), uint64(t.Nanosecond()))
}

// Decode reads a row. It never panics, and shares no memory with b.
func Decode(b []byte) (*Session, error) {
	switch {
	case len(b) == 0 || len(b) > MaxRow || b[0] == 0:
		return nil, fmt.Errorf("%w: %d bytes without a version", ErrCorrupt, len(b))
	case b[0] != rowVersion:
		return nil, fmt.Errorf("%w: version %d; this one reads up to %d", ErrNewer, b[0], rowVersion)
	}
	r := reader{left: b[1:]}
	s := &Session{Key: Key{App: r.text(), ID: r.text()}}
	s.Created, s.Updated = r.time(), r.time()
	n := r.number()
	for i := uint64(0); i < n && !r.failed; i++ {
		s.Pins = append(s.Pins, Pin{Service: r.text(), Provider: r.text(), At: r.time()})
	}
	if r.failed || n > MaxPins || len(r.left) > 0 {
		return nil, fmt.Errorf("%w at byte %d of %d", ErrCorrupt, len(b)-len(r.left), len(b))
	}
	return s, nil
}

// reader takes a row apart. After the first mistake it returns zero values only.
type reader struct {
	left   []byte
	failed bool
}

func (r *reader) number() uint64 {
	v, n := binary.Uvarint(r.left)
	r.skip(n)
	if r.failed {
		return 0
	}
	return v
}

func (r *reader) skip(n int) {
	if n <= 0 || r.failed {
		r.failed = true
		return
	}
	r.left = r.left[n:]
}

func (r *reader) text() string {
	n := r.number()
	if r.failed || n > uint64(len(r.left)) {
		r.failed = true
		return ""
	}
	s := string(r.left[:n])
	r.left = r.left[n:]
	return s
}

func (r *reader) time() time.Time {
	seconds, n := binary.Varint(r.left)
	r.skip(n)
	nanos := r.number()
	if nanos >= uint64(time.Second) {
		r.failed = true
	}
	if r.failed {
		return time.Time{}
	}
	return time.Unix(seconds, int64(nanos)).UTC()
}
