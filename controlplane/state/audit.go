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

// sum hashes the entry onto prev. Each field is preceded by its length, so that no text can pass for the end of one field and the
// begin of the next.
func (e Entry) sum(prev string) string {
	var index [8]byte
	binary.BigEndian.PutUint64(index[:], e.Index)
	buf := make([]byte, 0, 512)
	for _, f := range []string{
		prev, string(index[:]), e.At.UTC().Format(time.RFC3339Nano), e.Actor, e.Reason, e.Request, e.Kind, e.Text,
	} {
		buf = binary.BigEndian.AppendUint64(buf, uint64(len(f)))
		buf = append(buf, f...)
	}
	h := sha256.Sum256(buf)
	return hex.EncodeToString(h[:])
}

// record appends an entry to the draft's chain and drops the oldest beyond MaxAudit.
func (s *State) record(c Command, kind, text string) {
	e := Entry{Index: s.Index, At: c.At, Actor: c.Actor, Reason: c.Reason, Request: c.Request, Kind: kind, Text: text}
	e.Hash = e.sum(s.Head)
	s.Audit, s.room = grow(s.Audit, s.room, e)
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
