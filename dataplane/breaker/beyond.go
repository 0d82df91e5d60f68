package breaker

// maxRow bounds the count of good answers: what there is beyond it changes nothing.
const maxRow = 1 << 16

// A failure takes half of the good answers before it, and setBack more: well providers fail once in a while too, and one that fails each
// tenth time is left with none.
const setBack = 8

// beyondBit tells tickets of calls beyond the probes from all others.
const beyondBit Ticket = 1 << 63

// Beyond is the ticket of a call that goes through although the gate says no, because nobody else takes it and the provider has answered well since
// it was asked again (Gate.Good; how many go is the choice's). Such a call is no probe: it closes nothing and opens nothing. On the ramp back it is a call
// like others.
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

// stepBeyond takes what a call beyond the probes showed. When nothing is left of the good answers, its companions' tickets are old, and the next good
// probe begins anew.
func (c *Circuit) stepBeyond(e Event) {
	switch e {
	case Success:
		c.answeredWell()
	case Failure, Refused:
		c.answeredIll()
	case Slowed, Abandoned, Alarmed, Faltered: // no failure, and nothing that calls for more
	default: // what nobody knows proves nothing
	}
}

func (c *Circuit) answeredWell() {
	if c.probes.row == 0 {
		c.probes.beyond = c.ticket | beyondBit
	}
	c.probes.row = min(c.probes.row+1, maxRow)
}

func (c *Circuit) answeredIll() { c.probes.row = max(c.probes.row/2-setBack, 0) }
