package repair

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"time"
)

// Kind is what a hint changes.
type Kind uint8

// The kinds.
const (
	OfSession     Kind = iota + 1 // events of a session
	OfTransaction                 // the definite outcome of a transaction's attempt
	OfObject                      // who owns an object that a provider made
)

// String is the kind's word.
func (k Kind) String() string {
	switch k {
	case OfSession:
		return "session"
	case OfTransaction:
		return "transaction"
	case OfObject:
		return "object"
	default:
		return fmt.Sprintf("kind %d", uint8(k))
	}
}

// Result is how a hint ended.
type Result uint8

// The results. Only Applied hints stay in the journal: the background sync looks whether the store really has them.
const (
	Applied    Result = iota + 1 // the store has it
	Superseded                   // the store knew already, or better
	Discarded                    // a person gave it up, with a reason
)

// String is the result's word.
func (r Result) String() string {
	switch r {
	case Applied:
		return "applied"
	case Superseded:
		return "superseded"
	case Discarded:
		return "discarded"
	default:
		return fmt.Sprintf("result %d", uint8(r))
	}
}

// ID names an event: two equal events are one.
type ID [16]byte

// String is the id as people see it.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// MarshalText writes the id in hexadecimal digits.
func (id ID) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, id[:]), nil }

// UnmarshalText reads it.
func (id *ID) UnmarshalText(text []byte) error {
	b, err := hex.DecodeString(string(text))
	if err != nil || len(b) != len(id) {
		return fmt.Errorf("repair: %.40q is no id of a hint: it has %d hexadecimal digits", text, 2*len(id))
	}
	copy(id[:], b)
	return nil
}

// Hint is one event. What it changes is in the sealed payload, which is read only when it is wanted; Key is a hash, so that no
// application's names are in the log.
type Hint struct {
	ID      ID
	Kind    Kind
	Key     [32]byte
	Attempt string // of a transaction
	Seq     uint64 // rises with each hint of a log: the order in a key
	At      time.Time
	Hash    [32]byte // of the payload before it was sealed
}

// MaxHint bounds a sealed payload: the largest row of a transaction fits in.
const MaxHint = 2 << 20

const maxAttempt = 256

// errRecord says that bytes are no records. Checksums are around them: it means a newer or a foreign program.
var errRecord = errors.New("a record cannot be read")

// Tags of records.
const (
	tagHint  = 1
	tagEnded = 2
)

// identify makes the id of an event from what it says.
func identify(k Kind, payload []byte) (id ID, hash [32]byte) {
	hash = sha256.Sum256(payload)
	both := sha256.Sum256(append([]byte{byte(k)}, hash[:]...))
	copy(id[:], both[:])
	return id, hash
}

// bound are the bytes that a sealed payload is tied to: in another hint it does not open.
func (h *Hint) bound() []byte {
	b := append(make([]byte, 0, 64), byte(h.Kind))
	return append(append(b, h.ID[:]...), h.Key[:]...)
}

// appendHint writes a record and returns where in b its payload begins.
func appendHint(b []byte, h *Hint, sealed []byte) (out []byte, payload int) {
	b = append(b, tagHint, byte(h.Kind))
	b = append(b, h.ID[:]...)
	b = binary.AppendUvarint(b, h.Seq)
	b = binary.AppendVarint(b, h.At.UnixNano())
	b = append(b, h.Key[:]...)
	b = binary.AppendUvarint(b, uint64(len(h.Attempt)))
	b = append(b, h.Attempt...)
	b = append(b, h.Hash[:]...)
	b = binary.AppendUvarint(b, uint64(len(sealed)))
	return append(b, sealed...), len(b)
}

func appendEnded(b []byte, id ID, r Result) []byte {
	b = append(b, tagEnded)
	return append(append(b, id[:]...), byte(r))
}

// record is what a frame's body is made of: a hint, or the end of one.
type record struct {
	hint    *Hint
	payload int // where in the body its payload begins
	size    int
	ended   ID
	result  Result
}

// decode takes a body apart. It never panics, and never makes memory because of a length that it read.
func decode(body []byte, visit func(record) error) error {
	c := cursor{b: body}
	for c.at < len(c.b) {
		var r record
		switch tag := c.byte(); tag {
		case tagHint:
			r = c.hint()
		case tagEnded:
			copy(r.ended[:], c.take(len(r.ended)))
			if r.result = Result(c.byte()); r.result < Applied || r.result > Discarded {
				c.bad = true
			}
		default:
			return fmt.Errorf("%w: tag %d at byte %d", errRecord, tag, c.at-1)
		}
		if c.bad {
			return fmt.Errorf("%w at byte %d of %d", errRecord, c.at, len(body))
		}
		if err := visit(r); err != nil {
			return err
		}
	}
	return nil
}

// cursor reads. After the first mistake it returns zero values only.
type cursor struct {
	b   []byte
	at  int
	bad bool
}

func (c *cursor) take(n int) []byte {
	if c.bad || n < 0 || n > len(c.b)-c.at {
		c.bad = true
		return nil
	}
	c.at += n
	return c.b[c.at-n : c.at]
}

func (c *cursor) byte() byte {
	if b := c.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (c *cursor) count(most int) int {
	if c.bad {
		return 0
	}
	v, n := binary.Uvarint(c.b[c.at:])
	if n <= 0 || v > uint64(most) {
		c.bad = true
		return 0
	}
	c.at += n
	return int(v)
}

func (c *cursor) hint() record {
	h := &Hint{Kind: Kind(c.byte())}
	copy(h.ID[:], c.take(len(h.ID)))
	var n, m int
	if !c.bad {
		h.Seq, n = binary.Uvarint(c.b[c.at:])
		c.take(n)
	}
	if !c.bad {
		var at int64
		at, m = binary.Varint(c.b[c.at:])
		h.At = time.Unix(0, at).UTC()
		c.take(m)
	}
	if n <= 0 || m <= 0 || h.Kind < OfSession || h.Kind > OfObject {
		c.bad = true
	}
	copy(h.Key[:], c.take(len(h.Key)))
	h.Attempt = string(c.take(c.count(maxAttempt)))
	copy(h.Hash[:], c.take(len(h.Hash)))
	size := c.count(MaxHint)
	payload := c.at
	c.take(size)
	return record{hint: h, payload: payload, size: size}
}
