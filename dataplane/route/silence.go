package route

import (
	"time"

	"segue/controlplane/health"
	"segue/dataplane/breaker"
)

// quiet is what the calls in flight tell of a silence beyond what they told before.
func (row *Standing) quiet(at time.Duration, told bool) (bits int) {
	for k := range kinds {
		bits += row.ages[k].bits(&row.Measures[k], at, told)
	}
	return bits
}

// listen looks whether answers have ended: long before any call in flight is too old, all of them together say so. It is asked by the tick.
func (row *Standing) listen(now time.Time) (breaker.Transition, bool) {
	at, usual := row.since(now), time.Duration(0)
	for k := range kinds {
		if row.ages[k].older(at, 0) > 0 {
			usual = max(usual, row.Measures[k].Usually())
		}
	}
	if !row.Silence.Listen(row.quiet(at, true), usual, at) {
		return breaker.Transition{}, false
	}
	c := Cause{Alarm: health.Hanging, Quiet: row.Silence.Quiet(at)}
	row.Silence.Hush(at)
	if row.shut() || now.Before(row.Frozen) {
		return breaker.Transition{}, false
	}
	for k := range kinds {
		n, due := row.ages[k].all()
		c.Late, c.Quiet.Due = c.Late+n, c.Quiet.Due+uint32(due)
	}
	return row.alarmed(c, now, mix(row.salt^uint64(at)))
}

// Ours tells that several providers were silent at once: what was not heard is not held against this one.
func (row *Standing) Ours(now time.Time, d time.Duration) {
	row.Stall(d)
	row.Silence.Hush(row.since(now))
}

// late takes an answer to a call that had been told as late. When all are answered it was no hang: the provider is slow, and stays the
// last resort of effects.
func (row *Standing) late(now time.Time) {
	b := &row.blame
	if b.cause.Late == 0 || b.cause.Alarm != health.Hanging {
		return
	}
	if b.came++; b.came >= b.cause.Late {
		b.cause.Alarm = health.Slowing
		row.Circuit.NoRelapse()
		if q := b.cause.Quiet; q.For > 0 {
			row.Silence.Came(q.For+now.Sub(row.Circuit.Since()), row.since(now))
		}
	}
}
