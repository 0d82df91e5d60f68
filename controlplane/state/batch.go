package state

import (
	"encoding/binary"
	"errors"
)

// batch begins an entry of the log that holds several commands, in their order: batch, then of each its length as uvarint and its bytes.
const batch = 0x02

var errBatch = errors.New("state: a batch of commands is cut")

// Join makes one entry of several encoded commands. One alone stays as it is.
func Join(commands [][]byte) []byte {
	if len(commands) == 1 {
		return commands[0]
	}
	size := 1
	for _, c := range commands {
		size += binary.MaxVarintLen32 + len(c)
	}
	b := append(make([]byte, 0, size), batch)
	for _, c := range commands {
		b = append(binary.AppendUvarint(b, uint64(len(c))), c...)
	}
	return b
}

// Split returns the commands of an entry; many tells that Join had several.
func Split(entry []byte) (commands [][]byte, many bool, err error) {
	if len(entry) == 0 || entry[0] != batch {
		return [][]byte{entry}, false, nil
	}
	for rest := entry[1:]; len(rest) > 0; {
		n, size := binary.Uvarint(rest)
		if size <= 0 || n > uint64(len(rest)-size) {
			return nil, true, errBatch
		}
		rest = rest[size:]
		commands, rest = append(commands, rest[:n:n]), rest[n:]
	}
	return commands, true, nil
}
