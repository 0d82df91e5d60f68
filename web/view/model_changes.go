package view

import "time"

// Changes is the history of revisions.
type Changes struct {
	Frame
	Headline Headline
	Rows     []RevisionRow
	More     string // address of what is older; empty: this is all that is kept
	Newer    string
}

// RevisionRow is one revision in the list.
type RevisionRow struct {
	Number  uint64
	Href    string
	At      time.Time
	Actor   string
	Origin  string
	Reason  string
	Summary []string
	Current bool
}

// Revision is one revision's page.
type Revision struct {
	Frame
	RevisionRow
	Headline Headline
	Before   *Difference // against the one before it
	Now      *Difference // against what is in force
	Text     TextDiff
	Rollout  *Rollout // of the one in force
	Rollback *RollbackForm
	Review   *RollbackReview
	Undo     *RollbackForm
	Conflict *Conflict
	Older    string
	Newer    string
}

// Difference is what differs by meaning from another revision.
type Difference struct {
	From  uint64
	Lines []string
	Note  string // why there is none
}

// TextDiff is what differs in the text.
type TextDiff struct {
	From, To uint64
	Lines    []DiffLine
	Note     string
	Href     string // of the whole text
}

// DiffLine is one line: added, gone, or as it was.
type DiffLine struct {
	Sign string // + | - | space | @
	Text string
}

// RollbackForm leads to the review, or is an undo in one step.
type RollbackForm struct{ Action, Text, Request, Base, Command string }

// RollbackReview is a rollback that was not applied yet.
type RollbackReview struct {
	To          uint64
	Lines       []string
	Effects     []Pair
	Problems    []string
	Action      string
	Base        string
	Request     string
	Reason      string
	ReasonError string
	Discard     string
	Command     string
}
