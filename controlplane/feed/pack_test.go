package feed

import (
	"bytes"
	"strings"
	"testing"

	"github.com/klauspost/compress/s2"
)

func TestPackedPolicyComesBack(t *testing.T) {
	for _, text := range []string{"", "segue: v1\n", strings.Repeat("  shop: {speaks: stripe/v1, strategy: weighted}\n", 100)} {
		block := pack([]byte(text))
		if len(text) > 1000 && len(block) > len(text)/4 {
			t.Errorf("%d bytes were packed into %d", len(text), len(block))
		}
		if got, err := unpack(block); err != nil || string(got) != text {
			t.Errorf("%q came back as %q, %v", text, got, err)
		}
	}
}

// What came last is not unpacked again, and never taken for another.
func TestTheLastPolicyIsKept(t *testing.T) {
	var l unpacked
	for _, text := range []string{"a: 1\n", "a: 1\n", "", "a: 2\n", "a: 1\n"} {
		if got, err := l.unpack(pack([]byte(text))); err != nil || string(got) != text {
			t.Fatalf("%q came as %q, %v", text, got, err)
		}
	}
	block := pack([]byte("a: 1\n"))
	if n := testing.AllocsPerRun(100, func() { _, _ = l.unpack(block) }); n != 0 {
		t.Errorf("%v allocations for what is known", n)
	}
	if _, err := l.unpack([]byte{0xff}); err == nil {
		t.Error("rubbish was unpacked")
	}
	if got, err := l.unpack(block); err != nil || string(got) != "a: 1\n" {
		t.Errorf("after rubbish %q, %v", got, err)
	}
}

// A small block that unpacks to more than a message may have is refused before it takes memory.
func TestUnpackIsBounded(t *testing.T) {
	if _, err := unpack(s2.Encode(nil, make([]byte, maxMessage+1))); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("a block over the bound: %v", err)
	}
}

func FuzzUnpack(f *testing.F) {
	f.Add(pack([]byte("segue: v1\nservices: {}\n")))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f})
	f.Fuzz(func(t *testing.T, block []byte) {
		text, err := unpack(block)
		if err != nil && text != nil || len(text) > maxMessage {
			t.Errorf("%d bytes, %v", len(text), err)
		}
		if again, err := unpack(pack(text)); err != nil || !bytes.Equal(again, text) {
			t.Errorf("%q became %q, %v", text, again, err)
		}
	})
}
