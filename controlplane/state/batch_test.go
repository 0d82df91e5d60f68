package state

import (
	"bytes"
	"slices"
	"testing"
)

func TestJoinedCommandsComeApart(t *testing.T) {
	one, two := []byte{compact, 7}, bytes.Repeat([]byte{compact}, 300)
	for _, commands := range [][][]byte{{one}, {one, two}, {two, {}, one}} {
		got, many, err := Split(Join(commands))
		if err != nil || many != (len(commands) > 1) || !slices.EqualFunc(got, commands, bytes.Equal) {
			t.Errorf("%v became %v, %t, %v", commands, got, many, err)
		}
	}
}

func FuzzSplit(f *testing.F) {
	f.Add(Join([][]byte{{compact, 1}, {compact, 2, 3}}))
	f.Add([]byte{batch, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0})
	f.Fuzz(func(t *testing.T, entry []byte) {
		commands, many, err := Split(entry)
		if err == nil && many && len(commands) > 1 && len(Join(commands)) > len(entry) {
			t.Errorf("%x became %d commands, which are longer", entry, len(commands))
		}
	})
}
