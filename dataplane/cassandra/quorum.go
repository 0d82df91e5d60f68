package cassandra

import (
	"context"
	"errors"

	"github.com/gocql/gocql"

	"segue/dataplane/ledger"
)

// counted adds to an error how many copies answered and how many had to, where the server says so.
func counted(err error) error {
	var down *gocql.RequestErrUnavailable
	var write *gocql.RequestErrWriteTimeout
	var read *gocql.RequestErrReadTimeout
	var unsure *gocql.RequestErrCASWriteUnknown
	switch {
	case errors.As(err, &down):
		return &ledger.NoQuorum{Alive: down.Alive, Needed: down.Required, Err: err}
	case errors.As(err, &write):
		return &ledger.NoQuorum{Alive: write.Received, Needed: write.BlockFor, Err: err}
	case errors.As(err, &read):
		return &ledger.NoQuorum{Alive: read.Received, Needed: read.BlockFor, Err: err}
	case errors.As(err, &unsure):
		return &ledger.NoQuorum{Alive: unsure.Received, Needed: unsure.BlockFor, Err: err}
	default:
		return err
	}
}

// away tells a cluster that cannot be used now, and may be later, from one that somebody must mend.
func away(err error) bool {
	var few *ledger.NoQuorum
	for _, passing := range []error{ErrUnreached, context.DeadlineExceeded, gocql.ErrTimeoutNoResponse, gocql.ErrConnectionClosed, gocql.ErrNoConnections, gocql.ErrUnavailable} {
		if errors.Is(err, passing) {
			return true
		}
	}
	return errors.As(counted(err), &few)
}
