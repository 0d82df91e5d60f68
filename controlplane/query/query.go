package query

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"segue/controlplane/policy"
)

// Question is asked of one agent, or of all agents (then the answers are put together).
type Question struct {
	Kind        Kind
	Transaction string       `json:",omitempty"` // an id, for Why and Transaction
	Service     string       `json:",omitempty"`
	Key         string       `json:",omitempty"` // idempotency key
	Provider    string       `json:",omitempty"`
	State       string       `json:",omitempty"` // intent | held | cancelling | succeeded | declined | not_sent
	Limit       int          `json:",omitempty"` // default 50, at most 500
	Order       string       `json:",omitempty"` // an id, for Probe, HintReplay and VerifyAll
	Which       *Which       `json:",omitempty"` // for Hints
	Session     string       `json:",omitempty"` // an id, for OneSession and SessionVerify
	Region      string       `json:",omitempty"` // only agents of this region are asked; "": all
	Replay      *Replay      `json:",omitempty"` // for ReplayAll
	Try         *Try         `json:",omitempty"` // for TryOne
	Open        *policy.Open `json:",omitempty"` // for VerifyAll: what an order would look for, instead of what one looks for
}

// Kind is what is asked.
type Kind string

// The questions.
const (
	Transactions  Kind = "transactions"   // → []Transaction, newest first
	One           Kind = "transaction"    // → Why of one transaction: row and decisions
	Probe         Kind = "probe"          // → Probed: what an order's active checks showed
	Hints         Kind = "hints"          // → HintLog: how an agent's log of hints stands, and its oldest hints
	HintReplay    Kind = "hint-replay"    // → HintReplayed: what an order's replay came to
	Sessions      Kind = "sessions"       // → []SessionsInUse: which sessions are in use, and could move
	OneSession    Kind = "session"        // → Session: pins, fields, history, and where it could go
	SessionVerify Kind = "session-verify" // → SessionCheck: a session held against its history
	VerifyAll     Kind = "verify-all"     // → Verified: what an order to verify many comes to, or would
	TryOne        Kind = "try"            // → Tried: what would be decided of a request that is not sent
	ReplayAll     Kind = "replay"         // → Replayed: recorded decisions, made again under another policy
)

// Probed is what the active checks of an order showed at one agent.
type Probed struct {
	Known   bool // the order has come to this agent
	Done    bool // all its checks have ended
	Results []Check
}

// Check is what one active check showed.
type Check struct {
	Service string
	Kind    string // active | synthetic
	Name    string // of the check
	Word    string // good | warn | bad | busy (a 429) | cut (not waited for)
	Why     string
	At      time.Time
	Elapsed time.Duration
}

// Transaction is a row of the ledger, for people. Keys of providers and credentials are never shown whole.
type Transaction struct {
	ID, App, Service, Operation, Key, Session, Region string
	State                                             string // intent | held | cancelling | succeeded | declined | not_sent
	Created, Updated                                  time.Time
	Attempts                                          []Attempt
	Status                                            int    // of the stored answer
	Object                                            string // the id that the provider gave
	Run                                               string
	Value                                             policy.Value // what it is worth; no currency: nobody said
}

// Attempt is one send, for people.
type Attempt struct {
	ID, Provider, Outcome, Error, Endpoint, ProviderKey string
	Sends, Status                                       int
	At                                                  time.Time
	Elapsed                                             time.Duration
	NextCheck                                           time.Time `json:",omitzero"` // when its outcome, where it is open, is looked for next; none: a person decides
}

// Why explains one transaction.
type Why struct {
	Transaction Transaction
	Sentence    string // "Charged once, at backup, after main refused the connection."
	Decisions   []Decision
	Timeline    []Moment
}

// Decision is one choice, explained.
type Decision struct {
	At         time.Time
	Revision   uint64
	Winner     string
	Why        string // one line
	Candidates []Candidate
	Record     []byte // the decision with all its inputs, versioned JSON: replays bit for bit
}

// Candidate is one provider in a choice.
type Candidate struct {
	Provider string
	Gate     string // passed, or the gate that kept it out
	Why      string // a sentence
	Weight   float64
	Rank     float64
	Unit     string `json:",omitempty"` // what Rank is counted in, where it is money: EUR
	Chosen   bool
}

// Score is the rank as people read it: what the call is worth there in money, or where the candidate stands in the draw or the order.
func (c *Candidate) Score() string {
	switch {
	case c.Unit != "":
		return strconv.FormatFloat(math.Round(c.Rank*10_000)/10_000, 'f', -1, 64) + " " + c.Unit
	case !(c.Rank > 0) || c.Rank > 1e12:
		return "–"
	}
	return fmt.Sprintf("%.3f", c.Rank)
}

// Moment is one line of a transaction's timeline.
type Moment struct {
	After time.Duration // since the call arrived
	Level string        // ok | warn | bad
	Word  string        // matched, decided, claimed, not sent …
	Text  string
}
