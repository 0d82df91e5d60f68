package repair

import (
	"bytes"
	"testing"
)

// FuzzDecode: whatever a body says, reading it does not panic, and what is read is written as it was.
func FuzzDecode(f *testing.F) {
	h := &Hint{ID: ID{1}, Kind: OfTransaction, Key: [32]byte{2}, Attempt: "at_1", Seq: 300, At: base, Hash: [32]byte{3}}
	b, _ := appendHint(nil, h, []byte("sealed"))
	f.Add(appendEnded(b, ID{1}, Applied))
	f.Add([]byte{tagHint})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, body []byte) {
		var again []byte
		err := decode(body, func(r record) error {
			if r.hint == nil {
				again = appendEnded(again, r.ended, r.result)
				return nil
			}
			again, _ = appendHint(again, r.hint, body[r.payload:r.payload+r.size])
			return nil
		})
		if err != nil {
			return
		}
		n := 0 // numbers can be written longer than need be: what is read a second time is the same
		if err := decode(again, func(record) error { n++; return nil }); err != nil || len(again) > len(body) || n == 0 && len(body) > 0 {
			t.Errorf("%x was read as %x, %v", body, again, err)
		}
	})
}

// FuzzScan: whatever a file is, reading it does not panic, and what is whole is whole when it is read alone.
func FuzzScan(f *testing.F) {
	head := make([]byte, segmentHead)
	putSegmentHead(head, 1, chain{number: 1})
	frame, next := endFrame(append(beginFrame(nil), "body"...), chain{number: 1})
	b := append(head, frame...)
	more, _ := endFrame(append(beginFrame(nil), "more"...), next)
	f.Add(append(b, more...))
	f.Add(b[:len(b)-1])
	f.Add([]byte(segmentMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		bodies := 0
		whole, next, err := scan(b, 1, func([]byte, int64) error { bodies++; return nil })
		if whole > int64(len(b)) || err == nil && whole != int64(len(b)) {
			t.Fatalf("%d of %d bytes are whole, %v", whole, len(b), err)
		}
		_ = follows(b[whole:], next)
		if whole == 0 {
			return
		}
		n := 0
		if _, again, err := scan(bytes.Clone(b[:whole]), 1, func([]byte, int64) error { n++; return nil }); err != nil || n != bodies || again != next {
			t.Errorf("read alone: %d of %d frames, %v", n, bodies, err)
		}
	})
}

// FuzzTalk: a payload that is no session's events is refused.
func FuzzTalk(f *testing.F) {
	f.Add([]byte(`{"app":"a","id":"b","events":[{"At":"2026-11-21T10:00:00Z","Pin":{"Service":"s","Provider":"p"}}]}`))
	f.Fuzz(func(_ *testing.T, b []byte) { _, _ = decodeTalk(b) })
}
