package session

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// The forms in which sessions are written. A session without fields is written in the first, which older programs read too. A reader
// refuses newer ones: it would drop what it does not know.
const (
	plainVersion = 1 // key, times, pins
	rowVersion   = 2 // and the last swap, and fields
)

// MaxRow bounds an encoded session, and an encoded event.
const MaxRow = 512 << 10

var (
	// ErrCorrupt says that bytes are no session.
	ErrCorrupt = errors.New("session: the row is corrupt")
	// ErrNewer says that a newer program wrote the session.
	ErrNewer = errors.New("session: the row was written by a newer version of Segue")
	// ErrTooLarge refuses to write a session that is over MaxRow.
	ErrTooLarge = fmt.Errorf("session: a row has at most %d bytes", MaxRow)
)

// Encode writes a session as a row: version, application, id, times, the pins, then the last swap and the fields.
func Encode(s *Session) ([]byte, error) {
	version := byte(plainVersion)
	if len(s.Fields) > 0 || s.Guard > 0 {
		version = rowVersion
	}
	b := append(make([]byte, 0, 128), version)
	b = appendText(appendText(b, s.Key.App), s.Key.ID)
	b = appendTime(appendTime(b, s.Created), s.Updated)
	b = binary.AppendUvarint(b, uint64(len(s.Pins)))
	for _, p := range s.Pins {
		b = appendTime(appendText(appendText(b, p.Service), p.Provider), p.At)
	}
	if version == rowVersion {
		b = binary.AppendUvarint(binary.AppendUvarint(b, s.Guard), uint64(len(s.Fields)))
		for i := range s.Fields {
			b = appendField(b, &s.Fields[i])
		}
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
	case b[0] > rowVersion:
		return nil, fmt.Errorf("%w: version %d; this one reads up to %d", ErrNewer, b[0], rowVersion)
	}
	r := reader{left: b[1:]}
	s := &Session{Key: Key{App: r.text(), ID: r.text()}}
	s.Created, s.Updated = r.time(), r.time()
	n := r.number()
	for i := uint64(0); i < n && !r.failed; i++ {
		s.Pins = append(s.Pins, Pin{Service: r.text(), Provider: r.text(), At: r.time()})
	}
	if b[0] == rowVersion {
		s.Guard = r.number()
		r.list(func() { s.Fields = append(s.Fields, r.field()) })
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
