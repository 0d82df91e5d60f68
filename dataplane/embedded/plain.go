package embedded

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
)

// unopened says why a directory cannot be opened, and what to do about it, in one line.
func unopened(dir string, err error) error {
	said := oneLine(err)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("embedded: %s cannot be opened: %w; give the directory and what is in it to the user that runs the agent (chown -R)", dir, said)
	case errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("embedded: %s cannot be opened: %w; make room on its disk and start again: nothing was lost", dir, said)
	case errors.Is(err, syscall.EROFS):
		return fmt.Errorf("embedded: %s cannot be opened: %w; mount its disk for writing", dir, said)
	case errors.Is(err, syscall.ENOTDIR):
		return fmt.Errorf("embedded: %s cannot be opened: %w; a file stands where the directory is to be: move it away, or name another directory", dir, said)
	}
	return damaged(dir, err)
}

// damaged says that the directory's files cannot be read.
func damaged(dir string, err error) error {
	if !errors.Is(err, ErrCorrupt) {
		err = fmt.Errorf("%w: %w", ErrCorrupt, oneLine(err))
	}
	return fmt.Errorf("%w; the directory is %s: restore it from a copy that was made while the agent was stopped, or move it away and lose its keys (docs/failures.md, a damaged store)",
		oneLine(err), dir)
}

// unfit says that the files are none that this program reads.
func unfit(dir string, err error) error {
	if errors.Is(err, ErrCorrupt) {
		return damaged(dir, err)
	}
	return fmt.Errorf("%w: %s", err, dir)
}

// line is an error that says no more than one line. Pebble's print the stack that they come from, where a log asks them for more than their text.
type line struct {
	text string
	err  error
}

// Error is the one line.
func (l *line) Error() string { return l.text }

// Unwrap is the whole error.
func (l *line) Unwrap() error { return l.err }

func oneLine(err error) error {
	if err == nil {
		return nil
	}
	text := strings.ReplaceAll(err.Error(), "\n<corruption detail carrier>", "")
	return &line{strings.ReplaceAll(text, "\n", "; "), err}
}
