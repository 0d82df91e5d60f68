package state

import (
	"time"

	"segue/controlplane/health"
	"segue/controlplane/policy"
)

// State is one immutable value; Apply builds the next. Readers share it without locks.
type State struct {
	Incarnation string     // made when the cluster is bootstrapped or restored
	Index       uint64     // of the last change: its entry's in the log, or the next that is free
	Revisions   []Revision // oldest first; at most MaxRevisions kept; the last is in force
	Orders      []policy.Order
	Verdicts    []health.Verdict // of the leader, some of which may have ended
	Nodes       []Node           // the control nodes that announced themselves, by id
	Audit       []Entry          // newest last; at most MaxAudit kept
	Head        string           // hash of the last audit entry
	Filed       *Filed           // the document that a file said last; nil until one was applied
	Shifts      []Shift          // oldest first; at most MaxShifts kept

	root string                     // hash before Audit[0]: what the chain hangs on once old entries are dropped
	room rooms                      // behind the lists
	seen memory                     // request ids of the last 24 h
	text policy.Document            // the revision in force, with what is known of its text
	cuts map[string]policy.Document // region → its cut of the revision in force, made once per revision
}

// Bounds of what State keeps.
const (
	MaxRevisions     = 200
	MaxRevisionBytes = 32 << 20 // of sources: 200 of 1 MiB would not fit beside three nodes in one process
	MaxAudit         = 10_000
	MaxOrders        = 64     // each is sent with every Update
	MaxNodes         = 16     // a cluster has three or five voters
	MaxSeen          = 50_000 // request ids: a day of one change every two seconds
	MaxSeenBytes     = 32 << 20
	seenFor          = 24 * time.Hour
	maxLines         = 100 // of a summary or one side of a conflict: people read no further
)

// New returns the State of a cluster that nobody changed yet. With an empty incarnation it refuses everything until Init.
func New(incarnation string) *State { return &State{Incarnation: incarnation} }

// Revision is an immutable version of the policy.
type Revision struct {
	Number  uint64
	Source  []byte         // the document, as its author wrote it
	Policy  *policy.Policy `json:"-"` // Source, parsed
	At      time.Time
	Actor   string
	Reason  string
	Summary []string // what changed, one line each
	Origin  Origin   `json:",omitempty"` // where it came from; empty where nobody said
	Back    uint64   `json:",omitempty"` // of a rollback: the revision whose document this is
}

// Current returns the revision in force; Number 0 and an empty Policy before the first.
func (s *State) Current() Revision {
	if len(s.Revisions) == 0 {
		return Revision{Policy: &policy.Policy{}}
	}
	return s.Revisions[len(s.Revisions)-1]
}

// Revision returns the revision with that number, while it is kept.
func (s *State) Revision(number uint64) (Revision, bool) {
	for _, r := range s.Revisions {
		if r.Number == number {
			return r, true
		}
	}
	return Revision{}, false
}
