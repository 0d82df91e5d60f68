package repair

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
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

// FuzzTalk: what a hint says is read or refused, and never a panic.
func FuzzTalk(f *testing.F) {
	f.Add([]byte(`{"app":"a","id":"b","events":[{"At":"2026-11-21T10:00:00Z","Pin":{"Service":"s","Provider":"p"}}]}`))
	f.Add([]byte(`{"App":"a","Service":"s","ID":"ch_1","Provider":"p"}`))
	f.Fuzz(func(_ *testing.T, b []byte) {
		_, _ = decodeTalk(b)
		_, _ = decodeObject(b)
	})
}

// FuzzCopy: what an agent's mirror is sent. What is read is written as it came, but for numbers that were longer than need be.
func FuzzCopy(f *testing.F) {
	c := Copy{Hint{ID: ID{1}, Kind: OfSession, Key: [32]byte{2}, Seq: 300, At: base, Hash: [32]byte{3}}, []byte("sealed")}
	f.Add(EncodeCopy(c))
	f.Add(append(EncodeCopy(c), EncodeCopy(c)...))
	f.Add(appendEnded(nil, ID{1}, Applied))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := DecodeCopy(b)
		if err != nil {
			return
		}
		again, err := DecodeCopy(EncodeCopy(c))
		if err != nil || again.ID != c.ID || again.Seq != c.Seq || !again.At.Equal(c.At) || !bytes.Equal(again.Sealed, c.Sealed) {
			t.Errorf("%+v was read as %+v, %v", c, again, err)
		}
	})
}

// FuzzLog opens a directory with any bytes as its segment and its mark: it opens, or says what is damaged; and what opened once opens again.
func FuzzLog(f *testing.F) {
	segment, m := logBytes(f)
	f.Add(segment, m)
	f.Add(segment, []byte{})
	f.Add(segment[:len(segment)-1], m)
	f.Add(append(segment[:len(segment)-9:len(segment)-9], make([]byte, 9)...), mark{1, 1, segmentHead}.bytes())
	f.Add([]byte{}, mark{1, 2, 3}.bytes())
	f.Fuzz(func(t *testing.T, segment, mark []byte) {
		o := logOptions(t)
		o.fs = vfs.NewMem()
		must(t, o.fs.MkdirAll("log", 0o700))
		writeFile(t, o.fs, "log/"+nameOf(1), segment)
		if len(mark) > 0 {
			writeFile(t, o.fs, "log/"+markName, mark)
		}
		l, err := OpenLog("log", o)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrNewer) {
				t.Fatal(err)
			}
			return
		}
		hints := l.all(func(*entry) bool { return true })
		must(t, l.Close())
		l, err = OpenLog("log", o)
		must(t, err)
		if again := l.all(func(*entry) bool { return true }); len(again) != len(hints) {
			t.Errorf("%d hints, and then %d", len(hints), len(again))
		}
		must(t, l.Close())
	})
}

// logBytes are a segment with hints, one of which is over, and its mark.
func logBytes(f *testing.F) (segment, mark []byte) {
	f.Helper()
	o := logOptions(f)
	o.fs = vfs.NewMem()
	l, err := OpenLog("log", o)
	must(f, err)
	for i := range 3 {
		id, err := l.Append(OfSession, [32]byte{byte(i)}, "at_1", fmt.Append(nil, i))
		must(f, err)
		if i == 1 {
			l.End(id, Superseded)
		}
	}
	must(f, l.Close())
	segment, err = readFile(o.fs, "log/"+nameOf(1))
	must(f, err)
	mark, err = readFile(o.fs, "log/"+markName)
	must(f, err)
	return segment, mark
}

func writeFile(t testing.TB, fs vfs.FS, name string, b []byte) {
	t.Helper()
	w, err := fs.Create(name, diskCategory)
	must(t, err)
	_, err = w.Write(bytes.Clone(b))
	must(t, errors.Join(err, w.Close()))
}
