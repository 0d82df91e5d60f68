package query

import "time"

// Which names hints, and asks with DryRun what their replay would do.
type Which struct {
	Held   bool   `json:",omitempty"` // those too that a person must look at
	Old    bool   `json:",omitempty"` // those too that are past their age
	From   uint64 `json:",omitempty"` // from this number on
	To     uint64 `json:",omitempty"` // up to this number; 0: to the last
	DryRun bool   `json:",omitempty"`
}

// HintLog is how the log of hints of one agent stands.
type HintLog struct {
	Kept     bool      // false: this agent's store is its own, and it keeps no hints
	Away     bool      // the store is out of reach
	Refused  string    // why nothing new is taken; empty: it is
	Waiting  int       // for the store
	Held     int       // for a person
	Journal  int       // replayed, and not yet seen in the store
	Mirrored int       // hints of other agents that are kept here
	Mirror   string    // where this agent's hints are kept too; empty: nowhere
	Oldest   time.Time // zero: there is none
	Room
	Rate float64       // hints replayed a second, in the last ten seconds
	Left time.Duration // until the backlog is gone at that rate; 0: nothing waits, or nothing moves
	HeldBack
	Hints   []Hint // the oldest, as many as were asked for
	Problem string // why the dry run did not get further; empty: it did
}

// Room is what a log of hints takes, and may take, on its disk.
type Room struct{ Bytes, Limit int64 }

// HeldBack is how a person holds the replay back.
type HeldBack struct {
	Paused   bool
	Throttle float64   // hints a second at most; 0: no bound
	Until    time.Time // zero: nobody holds it back
}

// Hint is one event that waits.
type Hint struct {
	Number  uint64
	ID      string
	Kind    string // session | transaction | object
	About   string // for people: the transaction and its outcome, the session, or the object
	At      time.Time
	Why     string // why a person must look; empty: it waits for the store
	Replays string // of a dry run: apply | superseded (the store has it) | held
}

// HintReplayed is what the replay that an order asked for came to at one agent.
type HintReplayed struct {
	Known   bool // the order has come to this agent
	Done    bool
	Kept    bool   // false: it keeps no hints
	Ended   int    // hints that the store has
	Held    int    // hints that a person must look at
	Left    int    // hints that still wait
	Problem string // why it ended early
}
