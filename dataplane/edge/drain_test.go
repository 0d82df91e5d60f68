package edge

import (
	"bytes"
	"io"
	"net"
	"runtime"
	"testing"
)

// TestAResetLosesNoLastWords: what was written before a connection is reset arrives, be it many small pieces at once.
func TestAResetLosesNoLastWords(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells what waits to be sent")
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	const pieces, size = 60, 200
	for range 50 {
		go func() {
			raw, err := ln.Accept()
			if err != nil {
				return
			}
			c := &conn{Conn: raw, raw: raw, listener: &listener{slots: make(chan struct{}, 1)}}
			c.listener.slots <- struct{}{}
			for range pieces {
				if _, err := raw.Write(bytes.Repeat([]byte("x"), size)); err != nil {
					t.Error(err)
				}
			}
			if err := c.reset(); err != nil {
				t.Error(err)
			}
		}()
		c, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(c)
		_ = c.Close()
		if len(got) != pieces*size || err == nil {
			t.Fatalf("%d bytes of %d arrived, and the end was %v", len(got), pieces*size, err)
		}
	}
}
