package query

import "time"

// Session is one session, for people: what its fields hold is never told, but how much it is and who wrote it.
type Session struct {
	ID, App          string
	Created, Updated time.Time
	Services         []SessionService // those that it is pinned for, or has fields of
	Events           int              // of its history
	History          []SessionEvent   // the newest of them, the newest first
	Problem          string           // why the history is not whole; empty: it is
}

// SessionService is what a session is for one service.
type SessionService struct {
	Service  string
	Provider string         // that it is pinned to; empty: it is not pinned yet
	Since    time.Time      // of the pin
	Fields   []SessionField // those that the policy declares, and those that it does not declare any more
	Ways     []SessionWay   // a provider each, in the policy's order
	Next     string         // what happens when the pinned provider fails now: a sentence
	Goes     string         // the provider that it would go on at then; empty: nowhere
}

// SessionField is one field, without what it holds.
type SessionField struct {
	Name, Class, Kind string // class replicated | rebuilt | pinned, empty: not declared any more; kind value | set | counter
	Rule              string // all that the policy says of it, in words
	Set               bool   // it says something now
	Version           string // of what it says, as the application's ETag
	Bytes             int    // of a value or of the items, sealed
	Items             int    // of a set
	Sum               int64  // of a counter
	Floor             *int64 `json:",omitempty"` // of a counter that has one
	Written           time.Time
	By                string         // the run that wrote last
	At                []string       // providers where it is, under a name of theirs
	Fetched           *SessionFetch  `json:",omitempty"` // where the value is from; nil: an application wrote it, or none is here
	Tokens            []SessionToken `json:",omitempty"` // of kind tokens: a provider each
}

// SessionFetch is where a field's value was fetched.
type SessionFetch struct {
	From string    // the provider; empty: an application wrote it, and an operation changed it at its provider since
	At   time.Time `json:",omitzero"` // when last
	Old  bool      // an operation changed it at its provider, and it was not fetched since
}

// SessionToken is what a provider lets a session in by, without what it is.
type SessionToken struct {
	Provider string
	Given    time.Time
	Until    time.Time `json:",omitzero"` // zero: for ever
}

// SessionWay tells whether a session could go on at a provider now.
type SessionWay struct {
	Provider string
	Here     bool     // it is pinned there
	Can      bool     // its state is there, or can be brought
	Open     bool     // and the provider takes new calls now
	Why      string   // why not; empty: it could go on there
	Carries  []string // fields that would be brought there first
	Loses    []string // pinned fields that would stay behind, which is reported
}

// SessionEvent is one line of a session's history.
type SessionEvent struct {
	At      time.Time
	By      string // the run that wrote it; empty: it is not noted
	Service string
	Text    string // "pinned to main", "card was written, 62 bytes sealed"
}

// SessionCheck is whether what a store has of a session is what its history comes to.
type SessionCheck struct {
	ID      string
	Events  int
	Fields  int
	Differs []SessionDiffers
	Sealed  []string // fields that cannot be opened with this agent's keys
	Moving  bool     // it was written to while it was checked: ask again
	Version string   // of all that it says: two agents' copies that say the same have the same
}

// SessionDiffers is one thing that is stored otherwise than its history says. What fields hold is told by a digest.
type SessionDiffers struct {
	What, Stored, History string
}

// SessionsInUse are the sessions of a service that an agent served in the last 15 minutes: a sample of at most 1,024.
type SessionsInUse struct {
	Service   string
	InUse     int // of the sample
	Could     int // of them, those that could go on at another provider now
	Providers []SessionsAt
	Moved     SessionsMoved
}

// SessionsAt are those of them that are at one provider.
type SessionsAt struct {
	Provider     string
	InUse, Could int
}

// SessionsMoved counts sessions that went on at another provider, or could not, since the agent's start.
type SessionsMoved struct {
	Plain   uint64 // they had no fields
	Carried uint64 // what the provider must have was brought there
	Rebuilt uint64 // the requests bring what it must know
	Lost    uint64 // a pinned field stayed behind
	Refused uint64 // they stayed: a pinned field would have been lost
}
