package state

import (
	"time"

	"segue/controlplane/policy"
)

// State is one immutable value; Apply builds the next. Readers share it without locks.
type State struct {
	Incarnation string     // made when the cluster is bootstrapped or restored
	Index       uint64     // Raft index of the last change
	Revisions   []Revision // oldest first; at most MaxRevisions kept; the last is in force
	Orders      []policy.Order
	Audit       []Entry // newest last; at most MaxAudit kept
	Head        string  // hash of the last audit entry
	seen        map[string]Seen
}

// Bounds of the lists in State.
const (
	MaxRevisions = 200
	MaxAudit     = 10_000
	MaxOrders    = 64
)

// Revision is an immutable version of the policy.
type Revision struct {
	Number  uint64
	Source  []byte         // the document, as its author wrote it
	Policy  *policy.Policy `json:"-"` // Source, parsed
	At      time.Time
	Actor   string
	Reason  string
	Summary []string // what changed, one line each
}

// Current returns the revision in force; Number 0 and an empty Policy before the first.
func (s *State) Current() Revision {
	if len(s.Revisions) == 0 {
		return Revision{Policy: &policy.Policy{}}
	}
	return s.Revisions[len(s.Revisions)-1]
}

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

// Seen is what a request id led to, so that a repeat within 24 h gets the same answer and changes nothing.
type Seen struct {
	At     time.Time
	Result Result
}
