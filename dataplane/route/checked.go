package route

import (
	"time"

	"segue/dataplane/breaker"
)

// Checked takes what a check of the provider showed where no call asks for it: then it is the half-open circuit's probe, under the same rules. Each
// turn is told. Where calls come, where the circuit is closed or its time is not over, a check proves nothing. One that fails costs no caller
// anything: it makes nobody ask less often, and says nothing new of a circuit that is open. How long it took is not weighed: it is another path than calls
// take, or several calls.
func (row *Standing) Checked(good bool, now time.Time, tell func(breaker.Transition)) {
	c := &row.Circuit
	if !c.Unasked(now) || !good && c.State() == breaker.Open {
		return
	}
	draw := mix(row.salt ^ uint64(now.UnixNano()))
	held, t, changed := c.Enter(now, draw)
	if changed {
		row.turned(t, true, now)
		tell(t)
	}
	e := breaker.Refused
	if good {
		e = breaker.Success
	}
	if t, changed = row.step(e, held, now, draw); changed {
		tell(t)
	}
}
