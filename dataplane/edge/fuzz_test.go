package edge

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"net/http"
	"testing"
	"testing/iotest"
)

// FuzzScreen: whatever comes, in whatever pieces, the screen does not panic, says the same of the same bytes, and what it lets pass
// net/http frames as the screen did: with one length or one coding, and with no line that a stricter reader would see elsewhere.
func FuzzScreen(f *testing.F) {
	const host = "Host: a\r\n"
	for _, seed := range []string{
		"GET / HTTP/1.1\r\n" + host + "\r\n", "POST / HTTP/1.1\r\n" + host + "Content-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\n" + host + "\r\n",
		"POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n", "GET / HTTP/1.1\n" + host + "\n",
		"GET / HTTP/1.1\r\n" + host + "X: 1\r\n folded\r\n\r\n", "GET / HTTP/1.1\r\n" + host + "X: 1\rY: 2\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"POST / HTTP/1.1\r\n" + host + "Content-Length: 00000000000000000000000000000000000000003\r\n\r\nabc", "\r\n\r\nGET / HTTP/1.1\r\n\r\n", "\r", "\n", ":", "",
	} {
		f.Add([]byte(seed), uint8(3))
	}
	f.Fuzz(func(t *testing.T, raw []byte, piece uint8) {
		var whole, cut screen
		whole.take(raw)
		for rest := raw; len(rest) > 0; {
			n := min(int(piece)+1, len(rest))
			cut.take(rest[:n])
			rest = rest[n:]
		}
		if whole.flaw != cut.flaw || whole.state != cut.state || whole.skip != cut.skip {
			t.Fatalf("%q: %+v, and in pieces %+v", raw, whole, cut)
		}
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
		if err != nil || whole.flaw != "" || r.ProtoMajor != 1 || r.ProtoMinor != 1 {
			return
		}
		if coded := len(r.TransferEncoding) > 0; coded && !whole.ended {
			t.Errorf("%q has a coding that the screen did not see", raw)
		}
		if values := r.Header["X-Request-Id"]; len(values) > 0 && bytes.ContainsAny([]byte(values[0]), "\r\n") {
			t.Errorf("%q: a line end in a value", raw)
		}
	})
}

type anyPace struct{}

func (anyPace) came() {}

// FuzzSpool: a body of any length, told or not, whole or cut, comes out as it went in or is refused, and the budgets are whole afterwards.
func FuzzSpool(f *testing.F) {
	f.Add(uint32(0), true, uint32(1<<20), false, uint32(0))
	f.Add(uint32(inMemory), false, uint32(1<<20), false, uint32(0))
	f.Add(uint32(inMemory+1), true, uint32(1<<20), false, uint32(0))
	f.Add(uint32(3*inMemory+17), false, uint32(200_000), true, uint32(100))
	f.Fuzz(func(t *testing.T, size uint32, told bool, limit uint32, small bool, cutAt uint32) {
		size, limit = size%(1<<20), limit%(1<<21)
		s, err := openSpool(t.TempDir(), 1<<22, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		content := make([]byte, size)
		for i := range content {
			content[i] = byte(i * 7 >> 2)
		}
		in := intake{from: bytes.NewReader(content), length: -1, limit: int64(limit), small: small, pace: anyPace{}}
		if told {
			in.length = int64(size)
		}
		if cutAt > 0 && cutAt < size {
			in.from = io.MultiReader(bytes.NewReader(content[:cutAt]), iotest.ErrReader(io.ErrUnexpectedEOF))
		}
		var h held
		err = s.take(in, &h)
		if err == nil {
			same(t, content, &h)
		}
		if over := int64(size) > int64(limit); over && cutAt == 0 && !errors.Is(err, errTooLarge) {
			t.Errorf("%d bytes over a limit of %d: %v", size, limit, err)
		}
		s.release(&h)
		if s.memory.used.Load() != 0 || s.disk.used.Load() != 0 {
			t.Errorf("after it %d bytes of memory and %d of disk are held", s.memory.used.Load(), s.disk.used.Load())
		}
	})
}

// same reads a held body twice.
func same(t *testing.T, content []byte, h *held) {
	t.Helper()
	if h.large == nil {
		if !bytes.Equal(h.body, content) {
			t.Errorf("%d bytes came back as %d", len(content), len(h.body))
		}
		return
	}
	for range 2 {
		from, err := h.large.Open()
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(from)
		if err != nil || !bytes.Equal(got, content) || h.large.Size() != int64(len(content)) || h.large.Sum() != sha256.Sum256(content) {
			t.Errorf("%d bytes came back as %d (%v)", len(content), len(got), err)
		}
	}
	raw := make([]byte, 64)
	if _, err := h.large.file.ReadAt(raw, 0); err != nil || bytes.Contains(content, raw) {
		t.Errorf("the file can be read by others (%v)", err)
	}
}
