package ledger

import (
	"errors"
	"fmt"
)

// ErrNoRoom refuses a claim where the outcome of what would be sent could not be kept until a quorum takes it. Nothing was written.
var ErrNoRoom = errors.New("ledger: there is no room for the outcomes of new work")

// NoQuorum says that too few copies of the ledger could be reached. A store may wrap what it was told in it, so that callers hear the figures.
type NoQuorum struct {
	Alive, Needed int
	Err           error
}

func (e *NoQuorum) Error() string {
	return fmt.Sprintf("ledger: %d of the %d copies that are needed answer: %v", e.Alive, e.Needed, e.Err)
}

// Unwrap returns what the store was told.
func (e *NoQuorum) Unwrap() error { return e.Err }
