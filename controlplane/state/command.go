package state

import (
	"time"

	"segue/controlplane/policy"
)

// Command is one change as it stands in the log. Exactly one of the pointers is set. At comes from the proposer: nothing here reads a clock.
type Command struct {
	Version   int    // format, 1
	Request   string // request id: repeats are dropped
	Actor     string
	Reason    string
	At        time.Time
	Ignorable bool // a node that does not know the command may skip it; otherwise it halts
	// Match is the revision that must be in force, 0 for any: what its author looked at still holds.
	Match uint64 `json:",omitempty"`

	Init        *Init        `json:",omitempty"`
	ApplyPolicy *ApplyPolicy `json:",omitempty"`
	SetWeights  *SetWeights  `json:",omitempty"`
	GiveOrder   *GiveOrder   `json:",omitempty"`
	EndOrder    *EndOrder    `json:",omitempty"`
	Announce    *Announce    `json:",omitempty"`
	Membership  *Membership  `json:",omitempty"`
	Beside
}

// Beside are the changes that are unlike the others: verdicts are never in the audit, a restore is never in the log, and shifts are moved
// by the leader too.
type Beside struct {
	SetVerdicts *SetVerdicts `json:",omitempty"`
	Restore     *Restore     `json:",omitempty"`
	BeginShift  *BeginShift  `json:",omitempty"`
	MoveShift   *MoveShift   `json:",omitempty"`
}

// Init names the cluster's incarnation. The first leader proposes it as the log's first command, so that every node has the same one;
// where an incarnation exists it changes nothing.
type Init struct{ Incarnation string }

// ApplyPolicy makes Source the next revision. Base is the revision that its author started from. With an Origin, what others changed since
// is merged into it; without one a stale base is refused. With Replace it follows whatever is in force, and Base does not count. Back
// names the revision whose document is to be in force again, in the place of Source.
type ApplyPolicy struct {
	Base    uint64
	Replace bool `json:",omitempty"`
	Source  []byte
	Origin  Origin `json:",omitempty"`
	Back    uint64 `json:",omitempty"`
}

// SetWeights changes one service's weights in one region. Base 0: whatever is in force.
type SetWeights struct {
	Base    uint64
	Service string
	Region  string
	Weights []policy.Weight
	Origin  Origin `json:",omitempty"`
}

// GiveOrder puts an order in force (drain, drill).
type GiveOrder struct{ Order policy.Order }

// EndOrder ends an order early, or with DrainsOf every drain of a provider at once, or with Throttles every throttle of hints.
type EndOrder struct {
	ID        string
	DrainsOf  string `json:",omitempty"`
	Throttles bool   `json:",omitempty"`
}

// Announce says where a control node's feed and API listen, so that the others can reach it.
type Announce struct{ Node Node }

// Restore puts a backup in the place of the State. It is never in the log: Raft installs a snapshot that holds what it led to, and Apply
// refuses it.
type Restore struct {
	Incarnation string // the new one
	Sum         string // of the file: a repeat with another file is another change
}

// Result is what a command led to.
type Result struct {
	Index    uint64
	Revision uint64 // in force after the command
	Order    string // id, for orders and shifts; several with spaces between
	Err      *Error // refused: nothing changed
}

// Error is the one error type at the control plane's border: a stable code and a sentence safe to show.
type Error struct {
	Code     Code
	Message  string
	Problems policy.Problems `json:",omitempty"` // code invalid
	Base     *Conflict       `json:",omitempty"` // code stale
}

// Conflict shows both sides of a stale base: what happened since, and what was asked for.
type Conflict struct {
	Base, Current uint64
	Theirs        []string // changes since base
	Yours         []string // changes asked for
	Fields        []Clash  `json:",omitempty"` // what both changed, to different values
}

func (e *Error) Error() string { return e.Message }

// Code is a stable word for what went wrong.
type Code string

// The codes. web maps them to statuses, the CLI to exit codes.
const (
	Invalid     Code = "invalid"
	Stale       Code = "stale"
	NotFound    Code = "not-found"
	NoLeader    Code = "no-leader"
	Unknown     Code = "outcome-unknown" // leadership lost while the change was under way: repeat with the same request id
	Unsupported Code = "unsupported"
)
