package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"segue/controlplane/state"
)

// Exit codes that scripts can rely on.
const (
	exitFine     = 0
	exitError    = 1
	exitChanges  = 2 // the plan has changes
	exitUsage    = 64
	exitNoLeader = 69
	exitAgain    = 75
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], streams{out: os.Stdout, err: os.Stderr, in: os.Stdin}))
}

// run is main without the process: tests call it.
func run(ctx context.Context, args []string, io streams) int {
	root := newRoot(io)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitFine
	}
	if errors.Is(err, errChanges) {
		return exitChanges
	}
	fmt.Fprintln(io.err, "segue:", err)
	return exitCode(err)
}

// errChanges is no failure: everything was printed, and the exit code says that the plan has changes.
var errChanges = errors.New("the plan has changes")

// usageError is a mistake in the command line.
type usageError struct{ error }

func (u usageError) Unwrap() error { return u.error }

func exitCode(err error) int {
	var usage usageError
	var refused *state.Error
	switch {
	case errors.As(err, &usage):
		return exitUsage
	case errors.As(err, &refused) && refused.Code == state.NoLeader:
		return exitNoLeader
	case errors.As(err, &refused) && refused.Code == state.Unknown:
		return exitAgain
	default:
		return exitError
	}
}
