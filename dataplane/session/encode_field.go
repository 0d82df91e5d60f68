package session

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// eventVersion is the form in which events are written.
const eventVersion = 1

// EncodeEvent writes an event as a row: version, time, pin, swap, field.
func EncodeEvent(e *Event) ([]byte, error) {
	b := appendEvent(make([]byte, 0, 128), e)
	if len(b) > MaxRow {
		return nil, ErrTooLarge
	}
	return b, nil
}

func appendEvent(b []byte, e *Event) []byte {
	b = appendTime(append(b, eventVersion), e.At)
	b = appendText(appendText(b, e.Pin.Service), e.Pin.Provider)
	return appendField(binary.AppendUvarint(b, e.Guard), &e.Field)
}

// Digest names an event: two equal events are one.
func (e *Event) Digest() []byte {
	sum := sha256.Sum256(appendEvent(make([]byte, 0, 128), e))
	return sum[:16]
}

// DecodeEvent reads an event. It never panics, and shares no memory with b.
func DecodeEvent(b []byte) (Event, error) {
	switch {
	case len(b) == 0 || len(b) > MaxRow || b[0] == 0:
		return Event{}, fmt.Errorf("%w: an event of %d bytes without a version", ErrCorrupt, len(b))
	case b[0] > eventVersion:
		return Event{}, fmt.Errorf("%w: an event of version %d; this one reads up to %d", ErrNewer, b[0], eventVersion)
	}
	r := reader{left: b[1:]}
	e := Event{At: r.time(), Pin: Pin{Service: r.text(), Provider: r.text()}, Guard: r.number(), Field: r.field()}
	if r.failed || len(r.left) > 0 {
		return Event{}, fmt.Errorf("%w: an event, at byte %d of %d", ErrCorrupt, len(b)-len(r.left), len(b))
	}
	return e, nil
}

// appendBytes keeps nil apart from nothing: a value that was removed is not an empty one.
func appendBytes(b, v []byte) []byte {
	if v == nil {
		return append(b, 0)
	}
	return append(binary.AppendUvarint(b, uint64(len(v))+1), v...)
}

func appendStamp(b []byte, s Stamp) []byte {
	return appendText(binary.AppendUvarint(b, uint64(s.Clock)), s.By)
}

func appendStamps(b []byte, list []Stamp) []byte {
	b = binary.AppendUvarint(b, uint64(len(list)))
	for _, s := range list {
		b = appendStamp(b, s)
	}
	return b
}

func appendField(b []byte, f *Field) []byte {
	b = appendText(appendText(b, f.Service), f.Name)
	b = appendBytes(appendStamp(b, f.Stamp), f.Value)
	b = binary.AppendUvarint(b, uint64(len(f.Items)))
	for i := range f.Items {
		it := &f.Items[i]
		b = appendStamps(appendStamps(appendBytes(appendText(b, it.Digest), it.Value), it.Adds), it.Removes)
	}
	b = binary.AppendUvarint(b, uint64(len(f.Totals)))
	for _, t := range f.Totals {
		b = binary.AppendVarint(appendStamp(b, t.Stamp), t.Sum)
	}
	b = binary.AppendUvarint(b, uint64(len(f.Tokens)))
	for _, t := range f.Tokens {
		b = appendStamp(appendStamp(appendBytes(appendText(b, t.Provider), t.Value), t.Stamp), t.Of)
	}
	return b
}

func (r *reader) field() Field {
	f := Field{Service: r.text(), Name: r.text(), Stamp: r.stamp(), Value: r.bytes()}
	r.list(func() {
		f.Items = append(f.Items, Item{Digest: r.text(), Value: r.bytes(), Adds: r.stamps(), Removes: r.stamps()})
	})
	r.list(func() { f.Totals = append(f.Totals, Total{Stamp: r.stamp(), Sum: r.signed()}) })
	r.list(func() {
		f.Tokens = append(f.Tokens, Token{Provider: r.text(), Value: r.bytes(), Stamp: r.stamp(), Of: r.stamp()})
	})
	return f
}

// list reads as many things as a number says. Each takes a byte at least, so that a lying number ends soon.
func (r *reader) list(one func()) {
	for n := r.number(); n > 0 && !r.failed; n-- {
		one()
	}
}

func (r *reader) stamp() Stamp { return Stamp{Clock: Clock(r.number()), By: r.text()} }

func (r *reader) stamps() (list []Stamp) {
	r.list(func() { list = append(list, r.stamp()) })
	return list
}

func (r *reader) signed() int64 {
	v, n := binary.Varint(r.left)
	r.skip(n)
	if r.failed {
		return 0
	}
	return v
}

func (r *reader) bytes() []byte {
	n := r.number()
	if r.failed || n == 0 {
		return nil
	}
	if n--; n > uint64(len(r.left)) {
		r.failed = true
		return nil
	}
	v := append([]byte{}, r.left[:n]...)
	r.left = r.left[n:]
	return v
}
