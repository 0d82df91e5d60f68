package embedded

import (
	"crypto/sha256"
	"encoding/binary"
	"time"

	"segue/dataplane/ledger"
	"segue/dataplane/session"
)

// The first byte of a key says what it is. Ledger and sessions share no prefix.
const (
	formatPrefix  = 'f' // the directory's format
	rowPrefix     = 't' // hash → transaction
	idPrefix      = 'i' // id → hash
	openPrefix    = 'o' // created, hash → state; for pending rows
	createdPrefix = 'c' // created, hash
	namePrefix    = 'k' // digest of the caller's key, created, hash: people look for keys without knowing the application
	objectPrefix  = 'w' // digest of (application, service, id) → who owns it
	sessionPrefix = 's' // hash → session
	updatedPrefix = 'u' // hour of the last change, hash
	runPrefix     = 'r' // id → run
	payloadPrefix = 'p' // hash, part → when it was kept, and what
	historyPrefix = 'h' // hash, clock, digest → event of a session
	watchPrefix   = 'a' // hash, attempt → until when it is watched
)

// format is the form of the directory: the prefixes above and what stands under them.
const format = 1

const (
	hashSize = 32
	timeSize = 8
)

type hash = [hashSize]byte

func rowKey(h hash) []byte                   { return append([]byte{rowPrefix}, h[:]...) }
func runKey(id string) []byte                { return append([]byte{runPrefix}, id...) }
func idKey(id string) []byte                 { return append([]byte{idPrefix}, id...) }
func sessionKey(h hash) []byte               { return append([]byte{sessionPrefix}, h[:]...) }
func openKey(at time.Time, h hash) []byte    { return timeKey(openPrefix, at, h) }
func createdKey(at time.Time, h hash) []byte { return timeKey(createdPrefix, at, h) }

func payloadKey(h hash, part string) []byte {
	return append(append([]byte{payloadPrefix}, h[:]...), part...)
}

func watchKey(h hash, attempt string) []byte {
	return append(append([]byte{watchPrefix}, h[:]...), attempt...)
}

func historyBounds(h hash) []byte { return append([]byte{historyPrefix}, h[:]...) }

func historyKey(h hash, e *session.Event) []byte {
	return append(binary.BigEndian.AppendUint64(historyBounds(h), uint64(e.Clock())), e.Digest()...)
}

// updatedKey counts in hours: a session that changes often keeps its entry.
func updatedKey(at time.Time, h hash) []byte {
	return timeKey(updatedPrefix, at.Truncate(time.Hour), h)
}

func timeKey(prefix byte, at time.Time, h hash) []byte {
	k := make([]byte, 0, 1+timeSize+hashSize)
	k = appendTime(append(k, prefix), at)
	return append(k, h[:]...)
}

// appendTime writes a time so that bytes sort as times do, before 1970 too.
func appendTime(k []byte, at time.Time) []byte {
	return binary.BigEndian.AppendUint64(k, uint64(at.UnixNano())^1<<63)
}

func nameKey(name string, at time.Time, h hash) []byte {
	return append(appendTime(nameBounds(name), at), h[:]...)
}

func nameBounds(name string) []byte {
	digest := sha256.Sum256([]byte(name))
	return append([]byte{namePrefix}, digest[:16]...)
}

func objectKey(app, service, id string) []byte {
	h := ledger.Key{App: app, Service: service, Key: id}.Hash()
	return append([]byte{objectPrefix}, h[:]...)
}

// hashOf takes the row's hash from the end of an index key.
func hashOf(key []byte) (hash, bool) {
	if len(key) < hashSize {
		return hash{}, false
	}
	return hash(key[len(key)-hashSize:]), true
}

// after is the first key behind every key that begins with prefix.
func after(prefix []byte) []byte {
	end := append([]byte(nil), prefix...)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i]++; end[i] != 0 {
			return end[:i+1]
		}
	}
	return nil
}
