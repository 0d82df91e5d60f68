package state

import "time"

// Ack says what became of an Update at one agent. An empty Reason is an ACK, any other a NACK.
type Ack struct {
	Agent, Region string
	Position
	Revision uint64
	Reason   string
	At       time.Time // when the control node heard of it
}
