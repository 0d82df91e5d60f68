package breaker

import "time"

// ramp is a share that changes with time.
type ramp struct {
	from time.Time
	over time.Duration // how long it takes
	away bool          // from all to none; else from StartShare to all
}

// Away tells whether the ramp, if it is on one, leads away from the provider.
func (c *Circuit) Away() bool { return c.state == Ramp && c.ramp.away }

// Gradual tells whether what is slow, or fails in part, is left gradually.
func (c *Circuit) Gradual() bool { return c.settings.Away > 0 }

func (c *Circuit) comingBack() bool { return c.state == Ramp && !c.ramp.away }

// done is how much of the ramp's time is over, 0 to 1.
func (r *ramp) done(now time.Time) float64 {
	d := now.Sub(r.from)
	switch {
	case d >= r.over, d < -r.over-time.Second: // the clock was set back: rather over than for ever
		return 1
	case d <= 0:
		return 0
	}
	return float64(d) / float64(r.over)
}

func (r *ramp) share(now time.Time) float64 {
	done := r.done(now)
	if r.away {
		return 1 - done
	}
	return StartShare + float64((1-StartShare)*done)
}

// Share is how much of what would go there may go there now.
func (c *Circuit) Share(now time.Time) float64 {
	switch c.state {
	case Closed:
		return 1
	case Ramp:
		return c.ramp.share(now)
	default:
		return 0
	}
}

// rampGate lets a draw through when its place is below the share. Who waits is told when the share will have reached it.
func (c *Circuit) rampGate(now time.Time, draw uint64) Gate {
	done, place := c.ramp.done(now), place(draw, c.settings.Salt)
	share := c.ramp.share(now)
	good := c.probes.row // none where it leads away
	switch {
	case c.ramp.away && done >= 1: // as open as it gets, though nobody has told it yet
		return probe(left(c.until, now, c.ramp.over+c.wait))
	case place < share || !c.ramp.away && done >= 1:
		return Gate{Pass: true, Good: good, Share: share}
	case c.ramp.away:
		return Gate{Share: share, Wait: max(left(c.until, now, c.ramp.over+c.wait), 0)}
	}
	at := (place - StartShare) / (1 - StartShare) // of the ramp's time
	return Gate{Good: good, Share: share, Wait: max(time.Duration((at-done)*float64(c.ramp.over)), 1)}
}

// place puts a draw into [0, 1). The choice between providers mixes the same draw in another way (splitmix64); these are the constants of
// murmur3, after a turn: a call's place on the ramp says nothing about which provider would win it, or the ramp would let through more or
// less than its share.
func place(draw, salt uint64) float64 {
	x := (draw>>32 | draw<<32) + salt ^ 0x5851f42d4c957f2d
	x = (x ^ x>>33) * 0xff51afd7ed558ccd
	x = (x ^ x>>33) * 0xc4ceb9fe1a85ec53
	x ^= x >> 33
	return float64(float64(x>>11) / (1 << 53)) // rounded by itself: no machine fuses it with what follows
}

// comeBack ends half-open: by the ramp, or at once where there is none.
func (c *Circuit) comeBack(now time.Time) Transition {
	if c.settings.Back == 0 {
		return c.close(ProbesGood, now)
	}
	c.ramp = ramp{from: now, over: c.settings.Back << c.flaps.relapses}
	return c.turn(Ramp, ProbesGood, now)
}

// leave begins the ramp away. What it will wait at its end is drawn now: a gate changes nothing.
func (c *Circuit) leave(why Reason, now time.Time, draw uint64) Transition {
	c.flaps.opens(c, now)
	c.ramp = ramp{from: now, over: c.settings.Away, away: true}
	c.wait = jittered(c.settings.wait(c.flaps.again), draw)
	c.flaps.again = min(c.flaps.again+1, maxDoubling)
	c.until = now.Add(c.settings.Away + c.wait)
	return c.turn(Ramp, why, now)
}

func (c *Circuit) close(why Reason, now time.Time) Transition {
	c.flaps.calm = now
	return c.turn(Closed, why, now)
}

// Settle ends a ramp whose time is over. Calls do it by themselves; whoever shows circuits may do it where none come.
func (c *Circuit) Settle(now time.Time) (Transition, bool) {
	switch {
	case c.state != Ramp || c.ramp.done(now) < 1:
		return Transition{}, false
	case c.ramp.away:
		c.probes.good, c.probes.slow = 0, 0
		return c.turn(Open, c.reason, now), true // why it was left
	default:
		return c.close(RampOver, now), true
	}
}

// flaps remembers troubles beyond their end: what fails again soon is taken back more slowly.
type flaps struct {
	again    int       // doublings of the next wait
	relapses int       // doublings of the next ramp back
	before   int       // what they were before the last opening
	calm     time.Time // closed since
}

// opens is told of each opening, before it. Every Stable that the circuit was closed forgives one doubling. An opening so soon that none
// is forgiven, or out of the ramp back, is a relapse; a probe that fails is not: then it never came back.
func (f *flaps) opens(c *Circuit, now time.Time) {
	f.before = f.relapses
	switch {
	case c.comingBack():
		f.relapses = min(f.relapses+1, maxDoubling)
	case c.state == Closed && !f.calm.IsZero():
		calm := int(min(max(now.Sub(f.calm)/Stable, 0), maxDoubling))
		f.again, f.relapses = max(f.again-calm, 0), max(f.relapses-calm, 0)
		if calm == 0 {
			f.relapses = min(f.relapses+1, maxDoubling)
		}
	}
}
