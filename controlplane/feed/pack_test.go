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
