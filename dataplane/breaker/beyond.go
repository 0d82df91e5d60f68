package breaker

import "time"

// maxRow bounds the count of good answers in a row: what there is beyond it changes nothing.
const maxRow = 1 << 16

// beyondBit tells tickets of calls beyond the probes from all others.
const beyondBit Ticket = 1 << 63

// Beyond is the ticket of a call that goes through although the gate says no, because nobody else takes it and the provider has answered well since
// it was asked again (Gate.Good; how many go is the choice's). Such a call is no probe and closes nothing, but its failure says what a probe's says. On the
// ramp back it is a call like others.
func (c *Circuit) Beyond() Ticket {
	switch {
	case c.state == HalfOpen && c.probes.row > 0:
		return c.probes.beyond
	case c.comingBack():
		return c.ticket
	default:
		return Outside
	}
}

// stepBeyond takes what a call beyond the probes showed. The first failure opens the circuit again, and ends what its companions could tell.
func (c *Circuit) stepBeyond(e Event, now time.Time, draw uint64) (Transition, bool) {
	switch e {
	case Success:
		c.answeredWell()
	case Failure, Refused:
		return c.probeFailed(e, now, draw), true
	case Slowed, Abandoned, Alarmed, Faltered: // no failure, and nothing that calls for more
	default: // what nobody knows proves nothing
	}
	return Transition{}, false
}

func (c *Circuit) answeredWell() { c.probes.row = min(c.probes.row+1, maxRow) }
