package ledger

import (
	"context"
	"errors"
)

// Written is how a store took an Advance.
type Written uint8

// How a write ended. Lost: the row moved on; current says where to. Hinted: the outcome is on this agent's disk and goes to the store
// when a quorum is back, by the same compare-and-swap; until then the row is what it was, for everybody.
const (
	Stored Written = iota + 1
	Lost
	Hinted
)

// ErrNotFound is returned by Load, ByID and Owner when there is no row.
var ErrNotFound = errors.New("ledger: not found")

// Store keeps transactions, linearizable per key. When Claim or Advance returns nil the row is on stable storage. An
// error means that the outcome of the write is unknown to the caller: load and compare Token.
type Store interface {
	// Claim inserts t (version 1, its INTENT and its open entry in one write; or a planted row, which has neither) unless the key has a row;
	// then it returns that row and false.
	Claim(ctx context.Context, t *Transaction) (current *Transaction, won bool, err error)
	// Advance replaces the row if its version is t.Version-1, and moves the open entry: pending rows have one under their Run.
	Advance(ctx context.Context, t *Transaction) (current *Transaction, how Written, err error)
	Load(ctx context.Context, k Key) (*Transaction, error)
	ByID(ctx context.Context, id string) (*Transaction, error)
	// Open yields every pending transaction, of any run, oldest first, until yield returns false.
	Open(ctx context.Context, yield func(*Transaction) bool) error
	// Recent returns the newest transactions that pass q, newest first.
	Recent(ctx context.Context, q Query) ([]*Transaction, error)
	// Own records who owns an object; Owner tells.
	Own(ctx context.Context, o Object) error
	Owner(ctx context.Context, app, service, id string) (Object, error)
}

// Offline keeps, on this agent's disk, what is done at an offline pin without a quorum.
type Offline interface {
	// Record makes t durable here: the INTENT of a claim, or an outcome. It goes to the store when a quorum is back.
	Record(ctx context.Context, t *Transaction) error
	// Recorded returns the newest of what was recorded here of a key, or ErrNotFound.
	Recorded(k Key) (*Transaction, error)
	// Away tells whether the store is known to be out of reach.
	Away() bool
}

// Query narrows Recent. Empty fields match all. Limit is capped at 500; 0 is 50.
type Query struct {
	Service  string
	Key      string
	Provider string
	State    State // 0: any
	Limit    int
}

// Object is something a provider made for an application: later calls about it go to that provider.
type Object struct {
	App, Service, ID  string
	Provider, Account string
	Transaction       string
	Theirs            string // its id at the provider, where that is not ID
}
