package repair

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// A segment is a head and frames. A frame is what one sync made durable. Frames are numbered through all segments, and each carries the
// sum of the one before: a frame that is missing, moved or from an older file does not fit.
const (
	segmentMagic = "SEGHINT" // the format stands behind it
	format       = 1
	segmentHead  = 32
	frameMagic   = 0x46484753
	frameHead    = 24
	frameTail    = 4
	maxBatch     = 1 << 20                   // a frame takes hints until it has so many bytes
	maxBody      = maxBatch + MaxHint + 4096 // and the last of them may be a large one
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// chain is where a frame hangs: its number, and the sum of the frame before.
type chain struct {
	number uint64
	sum    uint32
}

func putSegmentHead(b []byte, segment uint64, next chain) {
	copy(b, segmentMagic)
	b[7] = format
	binary.LittleEndian.PutUint64(b[8:], segment)
	binary.LittleEndian.PutUint64(b[16:], next.number)
	binary.LittleEndian.PutUint32(b[24:], next.sum)
	binary.LittleEndian.PutUint32(b[28:], crc32.Checksum(b[:28], castagnoli))
}

// errTorn says that bytes are not what was written. Whether that is the honest end of a power cut or damage, the log decides.
var errTorn = errors.New("the bytes are not what was written")

// readSegmentHead returns the chain of the segment's first frame.
func readSegmentHead(b []byte, segment uint64) (chain, error) {
	if len(b) < segmentHead || binary.LittleEndian.Uint32(b[28:]) != crc32.Checksum(b[:28], castagnoli) || string(b[:7]) != segmentMagic {
		return chain{}, fmt.Errorf("%w: its head", errTorn)
	}
	if b[7] != format {
		return chain{}, fmt.Errorf("%w: format %d; this one reads %d", ErrNewer, b[7], format)
	}
	if n := binary.LittleEndian.Uint64(b[8:]); n != segment {
		return chain{}, fmt.Errorf("%w: it is segment %d under the name of %d", ErrCorrupt, n, segment)
	}
	return chain{binary.LittleEndian.Uint64(b[16:]), binary.LittleEndian.Uint32(b[24:])}, nil
}

// beginFrame leaves room for the head; endFrame fills it in and returns the chain of the frame that follows.
func beginFrame(b []byte) []byte { return append(b[:0], make([]byte, frameHead)...) }

func endFrame(b []byte, l chain) ([]byte, chain) {
	binary.LittleEndian.PutUint32(b, frameMagic)
	binary.LittleEndian.PutUint32(b[4:], uint32(len(b)-frameHead))
	binary.LittleEndian.PutUint64(b[8:], l.number)
	binary.LittleEndian.PutUint32(b[16:], l.sum)
	binary.LittleEndian.PutUint32(b[20:], crc32.Checksum(b[:20], castagnoli))
	sum := crc32.Checksum(b, castagnoli)
	return binary.LittleEndian.AppendUint32(b, sum), chain{l.number + 1, sum}
}

// readFrame returns the body of the frame that b begins with, its whole size, and the chain of the next.
func readFrame(b []byte, l chain) (body []byte, size int, next chain, err error) {
	n, number, ok := readFrameHead(b)
	if !ok || number != l.number || binary.LittleEndian.Uint32(b[16:]) != l.sum {
		return nil, 0, l, fmt.Errorf("%w: a frame's head", errTorn)
	}
	size = frameHead + n + frameTail
	if size > len(b) {
		return nil, 0, l, fmt.Errorf("%w: a frame of %d bytes, of which %d are there", errTorn, size, len(b))
	}
	sum := crc32.Checksum(b[:frameHead+n], castagnoli)
	if sum != binary.LittleEndian.Uint32(b[frameHead+n:]) {
		return nil, 0, l, fmt.Errorf("%w: a frame's body", errTorn)
	}
	return b[frameHead : frameHead+n], size, chain{l.number + 1, sum}, nil
}

func readFrameHead(b []byte) (body int, number uint64, ok bool) {
	if len(b) < frameHead || binary.LittleEndian.Uint32(b) != frameMagic || binary.LittleEndian.Uint32(b[20:]) != crc32.Checksum(b[:20], castagnoli) {
		return 0, 0, false
	}
	n := binary.LittleEndian.Uint32(b[4:])
	return int(n), binary.LittleEndian.Uint64(b[8:]), n <= maxBody
}

// follows tells whether a later frame stands somewhere in b. One is written only after the one before was synced: then what is damaged
// before it was on the disk.
func follows(b []byte, l chain) bool {
	magic := binary.LittleEndian.AppendUint32(nil, frameMagic)
	for {
		i := bytes.Index(b, magic)
		if i < 0 {
			return false
		}
		if _, number, ok := readFrameHead(b[i:]); ok && number > l.number {
			return true
		}
		b = b[i+1:]
	}
}

// scan walks a segment's frames. It returns how many bytes are whole, and the chain of what would follow; the error says why it ended
// before the end.
func scan(b []byte, segment uint64, visit func(body []byte, at int64) error) (whole int64, next chain, err error) {
	if next, err = readSegmentHead(b, segment); err != nil {
		return 0, next, err
	}
	whole = segmentHead
	for whole < int64(len(b)) {
		body, size, after, err := readFrame(b[whole:], next)
		if err != nil {
			return whole, next, err
		}
		if err := visit(body, whole+frameHead); err != nil {
			return whole, next, err
		}
		whole, next = whole+int64(size), after
	}
	return whole, next, nil
}
