package simulator

import (
	"time"

	"segue/dataplane/ledger"
)

// What a question costs in time.
const (
	questionTime = int64(60 * time.Millisecond)
	silenceTime  = int64(time.Second) // a question that gets no answer
)

// ask puts the question that the ledger's step wants: at most so many in one drive, and spaced.
func (d *driver) ask(s *sim, c *call) {
	c.asks++
	switch {
	case c.asks > ledger.MaxAsks, !c.answered && s.left(c) <= 0:
		d.hold(s, c)
	case c.asks > 2:
		s.later(c, int64(ledger.LookSpacing), toAsk)
	default:
		d.question(s, c)
	}
}

func (d *driver) question(s *sim, c *call) {
	c.begun = s.now
	then := toLook
	if c.step.Kind == ledger.Cancel {
		if err := c.tx.Close(ledger.Cancel); err != nil {
			d.hold(s, c)
			return
		}
		c.write(s)
		then, c.found = toCancel, s.world.cancel(c, int(c.at), s.now)
	} else {
		c.found = s.world.lookUp(c, int(c.at), s.now)
	}
	took := questionTime
	if c.found == noWord {
		took = silenceTime
	}
	s.later(c, took, then)
}

// woke goes on after a pause.
func (d *driver) woke(s *sim, c *call) {
	switch c.then {
	case toLook, toCancel:
		d.weigh(s, c, d.finding(c))
	case toAsk:
		d.question(s, c)
	case toRedrive:
		d.redrive(s, c)
	case toCheck:
		c.asks = 0
		d.weigh(s, c, d.timer(c))
	case toTime:
		d.weigh(s, c, d.timer(c))
	default:
		d.hold(s, c)
	}
}

// finding is what a question showed, as provider.Client tells it.
func (d *driver) finding(c *call) ledger.Evidence {
	e := ledger.Evidence{Attempt: c.tx.Current().ID, Kind: ledger.FromLookup, Outcome: ledger.Unknown, Begun: at(c.begun)}
	if c.then == toCancel {
		e.Kind = ledger.FromCancel
	}
	switch c.found {
	case isThere:
		e.Outcome = ledger.Succeeded
	case isAbsent:
		e.Finding = ledger.Absent
	case isVoided:
		e.Finding = ledger.Voided
	case isTooLate:
		e.Finding = ledger.TooLate
	case noWord:
	default:
	}
	return e
}

// redrive sends the same request to the same provider: it enforces keys, so that it executes once.
func (d *driver) redrive(s *sim, c *call) {
	if s.left(c) <= 0 {
		d.hold(s, c)
		return
	}
	f := d.facts(c)
	f.Tried, f.Owner = 0, c.at
	if !d.retry(s, c) || d.choose(s, c, f) < 0 {
		c.pauses++
		s.later(c, pauseOf(c), toRedrive)
		return
	}
	c.pauses = 0
	c.tx.Again(at(s.now))
	if c.tx.State == ledger.Held {
		c.tx.State = ledger.Intent
		c.write(s)
	}
	s.send(c, int(c.at))
}

// pauseOf is how long a re-send waits, longer each time.
func pauseOf(c *call) int64 {
	return int64(ledger.AgainAfter(c.tx.Current().Sends + int(c.pauses)))
}
