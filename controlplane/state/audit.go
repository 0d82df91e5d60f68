package state

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"time"
)

// Entry is one change in the audit chain: Hash covers the entry and the hash before it.
type Entry struct {
	Index   uint64
	At      time.Time
	Actor   string
	Reason  string
	Request string // request id
	Kind    string // name of the command
	Text    string // what it did, a sentence
	Hash    string
}

// sum hashes the entry onto prev.
func (e Entry) sum(prev string) string {
	buf := appendTexts(make([]byte, 0, 512), prev, e.At.UTC().Format(time.RFC3339Nano), e.Actor, e.Reason, e.Request, e.Kind, e.Text)
	h := sha256.Sum256(binary.BigEndian.AppendUint64(buf, e.Index))
	return hex.EncodeToString(h[:])
}

// record appends an entry to the draft's chain and drops the oldest beyond MaxAudit.
func (s *State) record(c Command, kind, text string) {
	e := Entry{Index: s.Index, At: c.At, Actor: c.Actor, Reason: c.Reason, Request: c.Request, Kind: kind, Text: text}
	e.Hash = e.sum(s.Head)
	s.Audit, s.room.audit = grow(s.Audit, s.room.audit, e)
	s.Head = e.Hash
	if drop := len(s.Audit) - MaxAudit; drop > 0 {
		s.root = s.Audit[drop-1].Hash
		s.Audit = s.Audit[drop:]
	}
}

// VerifyAudit recomputes the chain over the entries that are kept and names the first that does not fit.
func (s *State) VerifyAudit() error {
	prev := s.root
	for i, e := range s.Audit {
		if got := e.sum(prev); got != e.Hash {
			return fmt.Errorf("audit entry %d (index %d, %s by %s) does not match its hash", i, e.Index, e.Kind, e.Actor)
		}
		prev = e.Hash
	}
	if prev != s.Head {
		return fmt.Errorf("audit chain ends in %.8s, its head is %.8s", prev, s.Head)
	}
	return nil
}
