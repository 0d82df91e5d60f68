package state

import (
	"fmt"
	"slices"
)

// Membership is what was done to the set of control nodes. Raft carries it out and keeps the set; the State records who asked for it and
// why, and forgets where a removed node listened. It is always Ignorable: a node that does not know it differs in the audit alone.
type Membership struct {
	Kind  MembershipKind
	Node  string // id; empty: whichever node is best (Transfer only)
	Raft  string `json:",omitempty"` // Add: host:port of its replica
	Force bool   `json:",omitempty"` // Remove: although the voters that are left may be no quorum
}

// MembershipKind is what was done.
type MembershipKind string

// The kinds.
const (
	AddNode    MembershipKind = "add"     // as a learner: it gets everything and has no vote
	Promote    MembershipKind = "promote" // a learner that has caught up gets its vote
	RemoveNode MembershipKind = "remove"
	Transfer   MembershipKind = "transfer" // the leadership
)

// Check finds what is missing, before anything is done.
func (m *Membership) Check() *Error {
	switch m.Kind {
	case AddNode:
		if err := checkText("raft", m.Raft, maxWord); err != nil {
			return err
		}
	case Promote, RemoveNode:
	case Transfer:
		if m.Node == "" {
			return nil
		}
	default:
		return refuse(Invalid, "membership: %q is not known", m.Kind)
	}
	return checkText("node", m.Node, maxWord)
}

func (s *State) membership(m *Membership) (done, *Error) {
	if err := m.Check(); err != nil {
		return done{}, err
	}
	switch m.Kind {
	case AddNode:
		return done{text: fmt.Sprintf("control node %s at %s was added, without a vote until it has caught up", m.Node, m.Raft)}, nil
	case Promote:
		return done{text: "control node " + m.Node + " has caught up and votes"}, nil
	case RemoveNode:
		s.Nodes = slices.DeleteFunc(slices.Clone(s.Nodes), func(n Node) bool { return n.ID == m.Node })
		return done{text: "control node " + m.Node + " was removed"}, nil
	default:
		if m.Node == "" {
			return done{text: "the leadership was handed on"}, nil
		}
		return done{text: "the leadership was handed to " + m.Node}, nil
	}
}

// Repeated tells whether the request of c was answered before, and how. The same id for another change is refused.
func (s *State) Repeated(c Command) (Result, bool) {
	seen, ok := s.seen.find(c.Request, c.At)
	switch {
	case !ok:
		return Result{}, false
	case seen.Digest != c.digest():
		return s.outcome(refuse(Invalid, "request id %q was used for another change", c.Request)), true
	default:
		return seen.Result, true
	}
}

// Restored returns the State that takes the place of now when s was loaded from a backup. It begins a new incarnation, so that every agent
// takes what it says although its index may be lower than what they know; index is above everything that the cluster has seen. The
// control nodes are those of now. The chain of the audit is the backup's, and says that it was restored, by whom and why.
func (s *State) Restored(now *State, c Command, index uint64) (*State, Result) {
	if err := c.check(); err != nil {
		return nil, now.outcome(err)
	}
	c.At = c.At.Round(0).UTC()
	draft := *s
	draft.Index, draft.Incarnation, draft.Nodes = index, c.Restore.Incarnation, now.Nodes
	draft.Orders, draft.Verdicts = s.InForce(c.At), nil // what failed when the backup was made says nothing of now
	draft.stopShifts(c.At, "a backup was restored")
	draft.record(c, c.Kind(), fmt.Sprintf("restored a backup of incarnation %s, revision %d, in place of incarnation %s, revision %d",
		s.Incarnation, s.Current().Number, now.Incarnation, now.Current().Number))
	result := draft.outcome(nil)
	draft.seen = s.seen.add(Seen{Request: c.Request, Digest: c.digest(), At: c.At, Result: result})
	return &draft, result
}
