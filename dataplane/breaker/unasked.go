package breaker

import "time"

// Patience is how long a call may take to come as the probe, before a check may be one.
const Patience = 5 * time.Second

// Unasked tells whether no call came for Patience as the probe that the circuit waits for. Then a check may be it: it enters and ends like a
// call. Where calls come, they are the probes.
func (c *Circuit) Unasked(now time.Time) bool {
	switch c.state {
	case Open:
		return left(c.until.Add(Patience), now, c.wait+Patience) <= 0
	case HalfOpen:
		return left(c.probes.at.Add(Patience), now, Patience) <= 0 && c.leaseLeft(now) <= 0
	case Closed, Ramp: // nothing is to be asked
		return false
	default:
		return false
	}
}
