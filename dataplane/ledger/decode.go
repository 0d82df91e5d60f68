package ledger

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"
)

// reader takes a row apart. After the first mistake it returns zero values only; end tells.
type reader struct {
	b       []byte
	at      int
	version byte
	failed  bool
}

// open checks the version, which stands first in every row.
func open(b []byte) (*reader, error) {
	switch {
	case len(b) == 0 || len(b) > MaxRow || b[0] == 0:
		return nil, fmt.Errorf("%w: %d bytes without a version", ErrCorrupt, len(b))
	case b[0] > rowVersion:
		return nil, fmt.Errorf("%w: version %d; this one reads up to %d", ErrNewer, b[0], rowVersion)
	}
	return &reader{b: b, at: 1, version: b[0]}, nil
}

func (r *reader) fail() { r.failed = true }

func (r *reader) end() error {
	if r.failed {
		return fmt.Errorf("%w at byte %d of %d", ErrCorrupt, r.at, len(r.b))
	}
	if r.at != len(r.b) {
		return fmt.Errorf("%w: %d bytes follow its end", ErrCorrupt, len(r.b)-r.at)
	}
	return nil
}

// take returns the next n bytes, or nil. It never makes memory because of a length that it read.
func (r *reader) take(n int) []byte {
	if r.failed || n < 0 || n > len(r.b)-r.at {
		r.fail()
		return nil
	}
	r.at += n
	return r.b[r.at-n : r.at]
}

func (r *reader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) within(low, high byte) byte {
	v := r.byte()
	if v < low || v > high {
		r.fail()
	}
	return v
}

func (r *reader) flag() bool { return r.within(0, 1) == 1 }

func (r *reader) number() uint64 {
	if r.failed {
		return 0
	}
	v, n := binary.Uvarint(r.b[r.at:])
	if n <= 0 {
		r.fail()
		return 0
	}
	r.at += n
	return v
}

func (r *reader) signed() int64 {
	if r.failed {
		return 0
	}
	v, n := binary.Varint(r.b[r.at:])
	if n <= 0 {
		r.fail()
		return 0
	}
	r.at += n
	return v
}

func (r *reader) count() int {
	v := r.number()
	if v > math.MaxInt32 {
		r.fail()
		return 0
	}
	return int(v)
}

func (r *reader) texts(texts ...*string) {
	for _, s := range texts {
		*s = string(r.take(r.count()))
	}
}

func (r *reader) time() time.Time {
	seconds, nanos := r.signed(), r.count()
	if nanos >= int(time.Second) {
		r.fail()
		return time.Time{}
	}
	return time.Unix(seconds, int64(nanos)).UTC()
}

func (r *reader) duration() time.Duration { return time.Duration(r.signed()) }
