package state

import (
	"encoding/json"
	"errors"
	"fmt"

	"segue/controlplane/policy"
)

// format is the version of the commands that this node writes and reads.
const format = 1

// MaxCommand is the longest encoded command: the longest policy in base64 and the texts around it.
const MaxCommand = policy.MaxDocument/3*4 + 64<<10

// ErrUnknownCommand means that the command was written by a newer node. A node that does not know a change must halt: going on
// would make its State differ from the others'.
var ErrUnknownCommand = errors.New("state: command of a newer version")

// Encode returns the command as it stands in the log (see compact). It fails for what JSON cannot carry and for what is longer than
// MaxCommand.
func Encode(c Command) ([]byte, error) {
	c.Version = format
	c.At = c.At.Round(0).UTC()
	kind, change, n := c.kinds()
	if n > 1 {
		return nil, fmt.Errorf("state: encode: a command is one change, this one has %d", n)
	}
	text, err := pack(&c, kind, change)
	if err != nil {
		return nil, fmt.Errorf("state: encode: %w", err)
	}
	if len(text) > MaxCommand {
		return nil, fmt.Errorf("state: encode: %d bytes, at most %d fit", len(text), MaxCommand)
	}
	return text, nil
}

// Decode reads a command. A version, change or field that this node does not know is ErrUnknownCommand, unless the command is
// Ignorable: then the answer is an Ignorable command without a change, which Apply skips.
func Decode(text []byte) (Command, error) {
	if len(text) > MaxCommand {
		return Command{}, fmt.Errorf("state: decode: %d bytes, at most %d fit", len(text), MaxCommand)
	}
	if len(text) == 0 || text[0] != compact {
		return decodeText(text)
	}
	c, ignorable, err := unpack(text)
	switch {
	case err == nil:
		return c, nil
	case ignorable && errors.Is(err, ErrUnknownCommand):
		return Command{Version: format, Ignorable: true}, nil
	default:
		return Command{}, fmt.Errorf("state: decode: %w", err)
	}
}

// decodeText reads a command that is JSON as a whole: so they stood in the log before.
func decodeText(text []byte) (Command, error) {
	var c Command
	err := strictly(text, &c)
	c.At = c.At.UTC()
	switch {
	case err == nil && c.Version == format && c.Kind() != "":
		return c, nil
	case !json.Valid(text):
		return Command{}, fmt.Errorf("state: decode: %w", err)
	case ignorable(text):
		return Command{Version: format, Ignorable: true}, nil
	case err != nil:
		return Command{}, fmt.Errorf("%w: %w", ErrUnknownCommand, err)
	default:
		_, _, n := c.kinds()
		return Command{}, fmt.Errorf("%w: version %d with %d changes that are known here", ErrUnknownCommand, c.Version, n)
	}
}

// ignorable reads that one field, whatever shape the rest has.
func ignorable(text []byte) bool {
	var only struct{ Ignorable bool }
	return json.Unmarshal(text, &only) == nil && only.Ignorable
}
