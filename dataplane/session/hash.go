package session

import (
	"crypto/sha256"
	"encoding/binary"
)

// Hash is what a store files the session under. The length before each text keeps ("ab","c") apart from ("a","bc").
func (k Key) Hash() [32]byte {
	var room [256]byte // enough for nearly every key: then nothing is allocated
	b := binary.BigEndian.AppendUint64(room[:0], uint64(len(k.App)))
	b = append(b, k.App...)
	b = binary.BigEndian.AppendUint64(b, uint64(len(k.ID)))
	return sha256.Sum256(append(b, k.ID...))
}
