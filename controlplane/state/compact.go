package state

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	json2 "github.com/go-json-experiment/json"
	json1 "github.com/go-json-experiment/json/v1"
)

// A command in the log is an envelope and a change. The envelope, which every command has, is packed: each node reads every command, and
// JSON took longer for it than the change takes to apply. The change is JSON, so that a field is added in one place.
//
//	compact, version (uvarint), ignorable (0 or 1), match (uvarint), seconds (varint), nanoseconds (uvarint),
//	request, actor, reason, kind (each: length as uvarint, bytes), the change as JSON
const compact = 0x01 // no JSON text begins so: entries of the time before are told by their first byte

var errCut = errors.New("the command is cut")

// pack writes c, whose one change is named kind; without one there is no kind.
func pack(c *Command, kind string, change any) ([]byte, error) {
	var text []byte
	if change != nil {
		var err error
		if text, err = json.Marshal(change); err != nil {
			return nil, err
		}
	}
	b := make([]byte, 0, 64+len(c.Request)+len(c.Actor)+len(c.Reason)+len(text))
	b = binary.AppendUvarint(append(b, compact), uint64(c.Version))
	b = append(b, 0)
	if c.Ignorable {
		b[len(b)-1] = 1
	}
	b = binary.AppendUvarint(b, c.Match)
	b = binary.AppendVarint(b, c.At.Unix())
	b = binary.AppendUvarint(b, uint64(c.At.Nanosecond()))
	for _, word := range [...]string{c.Request, c.Actor, c.Reason, kind} {
		word = strings.ToValidUTF8(word, string(utf8.RuneError)) // as JSON does: a snapshot must not differ from the log
		b = append(binary.AppendUvarint(b, uint64(len(word))), word...)
	}
	return append(b, text...), nil
}

// unpack reads what pack wrote. ignorable is what the envelope says, also where the change is not known here.
func unpack(b []byte) (c Command, ignorable bool, err error) {
	r := reader{rest: b[1:]}
	c.Version = int(r.uvarint())
	flag := r.byte()
	c.Ignorable = flag == 1
	c.Match = r.uvarint()
	seconds, nanos := r.varint(), r.uvarint()
	c.Request, c.Actor, c.Reason = r.text(), r.text(), r.text()
	kind := r.text()
	switch {
	case r.bad || flag > 1 || nanos >= uint64(time.Second):
		return Command{}, false, errCut
	case c.Version != format:
		return Command{}, c.Ignorable, fmt.Errorf("%w: version %d", ErrUnknownCommand, c.Version)
	}
	c.At = time.Unix(seconds, int64(nanos)).UTC()
	into := c.allot(kind)
	if into == nil {
		return Command{}, c.Ignorable, fmt.Errorf("%w: its change is %.60q", ErrUnknownCommand, kind)
	}
	if err := strictly(r.rest, into); err != nil {
		if json.Valid(r.rest) {
			err = fmt.Errorf("%w: %w", ErrUnknownCommand, err)
		}
		return Command{}, c.Ignorable, err
	}
	return c, c.Ignorable, nil
}

// strict is JSON as the standard library reads it, and no field that is not known. Every node reads every change: this reader takes half of
// the standard library's time and a tenth of its memory.
var strict = json2.JoinOptions(json1.DefaultOptionsV1(), json2.RejectUnknownMembers(true))

// strictly reads one JSON value without a field that is not known.
func strictly(text []byte, into any) error { return json2.Unmarshal(text, into, strict) }

// reader takes an envelope apart. After the first value that is not there everything reads as zero.
type reader struct {
	rest []byte
	bad  bool
}

func (r *reader) take(n int) []byte {
	if n <= 0 || n > len(r.rest) {
		r.bad, r.rest = true, nil
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func (r *reader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.rest)
	r.take(n)
	return v
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.rest)
	r.take(n)
	return v
}

func (r *reader) text() string {
	n := r.uvarint()
	if n == 0 || r.bad {
		return ""
	}
	if n > uint64(len(r.rest)) {
		r.take(0)
		return ""
	}
	b := r.take(int(n))
	if !utf8.Valid(b) {
		r.bad = true
	}
	return string(b)
}
