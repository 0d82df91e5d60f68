package view

import "time"

// Transactions is the list.
type Transactions struct {
	Frame
	Filter  Filter
	Rows    []TxRow
	Partial string // which agents did not answer
	Notice  string // what the list leaves out, or why it is empty
	Held    int    // of the rows, those whose outcome is unknown
	AtRisk  string // what these are worth, and how old the oldest is
	Unknown bool   // only those are shown, with what can be done
	Request string // of the forms
	Again   Action // to look for all of the unknown ones now
}

// Action is a link to what can be done.
type Action struct{ Label, Href string }

// Filter is what was asked for.
type Filter struct {
	Search                      string
	Service, Provider, State    string
	Services, Providers, States []Option
}

// Option is one choice of a filter.
type Option struct {
	Value, Label string
	Chosen       bool
}

// TxRow is one transaction in the list.
type TxRow struct {
	ID, Href   string
	Chain      []Chip
	Level      Level
	Icon, Word string
	What       string // service · operation
	Key        string
	Object     string
	Region     string
	At         time.Time
	Age        string
	Held       bool
	Open       Open
}

// Open is what matters of a transaction whose outcome is not known.
type Open struct {
	Value string // what it is worth, if anybody said
	Next  string // when it is looked for next
}

// Chip is one attempt.
type Chip struct {
	Provider string
	Level    Level
	Icon     string
	Word     string
	Detail   string
}

// Transaction is one of them, with its attempts and why.
type Transaction struct {
	Frame
	ID        string
	Level     Level
	Icon      string
	Sentence  string
	Facts     []string
	Key       string
	Chips     []Chip
	Holds     string // what holds while the outcome is unknown
	Timeline  []Moment
	Decisions []Decision
	Keys      []Pair
	Stored    []Pair
	Partial   string
	Decide    *Decide // the outcome is open: what a person can do
}

// Decide are the forms with which a person has an open outcome looked for, or says what it was.
type Decide struct {
	Open
	Action   string // without its last part
	Request  string
	Outcomes []Option
	Command  string
}

// Moment is one line of the timeline.
type Moment struct {
	After      string
	Level      Level
	Icon       string
	Word, Text string
}

// Decision is one choice among candidates.
type Decision struct {
	Winner, Why string
	Sub         string
	Candidates  []Candidate
}

// Candidate is one provider in a choice.
type Candidate struct {
	Provider      string
	Level         Level
	Icon, Gate    string
	Weight, Score string
	Why           string
	Chosen        bool
}

// Problem is the page for what went wrong: what failed, what still holds, what to do.
type Problem struct {
	Frame
	Status  int
	Heading string
	Detail  string
	Holds   string
	Lines   []string
	Request string
	Back    string
}
