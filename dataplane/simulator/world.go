package simulator

import "time"

// Bounds of a world.
const (
	MaxProviders = 4
	MaxRegions   = 3
)

// never is after every end.
const never = int64(1) << 62

// Provider is an external system as it is when nothing ails it.
type Provider struct {
	Name     string
	Keys     bool          // enforces idempotency keys: the same key executes once. Otherwise it has a lookup, and a cancel that blocks late creates
	Fixed    float64       // fee per executed call, in money
	Percent  float64       // and of its value
	Errors   float64       // chance of a 5xx
	Declines float64       // chance of a decline
	Median   time.Duration // of its latency, lognormal
	Sigma    float64
	Silent   float64 // chance that no answer comes
}

// condition is what ails a provider, seen from one region. The zero value is nothing.
type condition struct {
	errors   float64 // added chance of a 5xx
	declines float64 // added chance of a decline
	silent   float64 // added chance that no answer comes
	executed float64 // chance that a call without an answer was executed all the same
	refused  float64 // chance that the connection is refused: nothing is sent
	slow     float64 // latency is 1 + slow times as long
	fees     float64 // fees are 1 + fees times as high
	lost     float64 // share of the capacity that is lost
}

func (c *condition) add(o *condition, sign float64) {
	c.errors += sign * o.errors
	c.declines += sign * o.declines
	c.silent += sign * o.silent
	c.executed += sign * o.executed
	c.refused += sign * o.refused
	c.slow += sign * o.slow
	c.fees += sign * o.fees
	c.lost += sign * o.lost
}

// What is the same at every provider.
const (
	executedUnheard = 0.5 // of the calls that stay without an answer on a good day, half were executed
	begunOnError    = 0.5 // of the 5xx, half began to execute: their key answers 5xx for ever
	doneOnError     = 0.1 // and a tenth was executed
	refusalTime     = int64(20 * time.Millisecond)
	quickAnswer     = int64(15 * time.Millisecond) // stored answers, refusals for want of room, lookups
	patience        = int64(10 * time.Second)      // a provider's queue that is longer refuses
	lateMean        = float64(1500 * time.Millisecond)
)

// place is a provider in the world: what ails it now, and its queue.
type place struct {
	Provider
	now     [MaxRegions]condition
	servers int
	busy    []int64 // a heap of when each server is free
	salt    uint64
	longest int64 // wait for a server
}

// world is all providers.
type world struct {
	places  []place
	noStore [MaxRegions]bool // the ledger has no quorum there
	cut     bool             // no report reaches the control plane, and no verdict an agent
}

// shown is what one send shows a client who waits long enough.
type shown struct {
	at      int64
	status  int16 // 0: no answer
	refused bool  // the connection was: nothing was sent
}

// execution is what a provider did under one key of a call.
type execution struct {
	at     int64 // of the first; 0: none
	count  int16 // live ones
	broken bool  // it began, and answers 5xx for ever
	voided bool  // a cancel blocks what has not executed by now
}

// send is one request to provider p. What becomes of it is known now: nothing but a cancel can change it.
func (w *world) send(c *call, p int, now int64) shown {
	at := &w.places[p]
	ill := &at.now[c.region]
	d := dice(c.fate ^ at.salt ^ uint64(c.tries)*golden)
	if d.roll() < ill.refused {
		return shown{at: now + refusalTime, refused: true}
	}
	x := &c.executed[p]
	if at.Keys && !c.read && (x.at != 0 || x.broken) {
		return x.again(now)
	}
	silent := d.roll() < at.Silent+ill.silent
	service := int64(lognormal(d.roll(), float64(at.Median), at.Sigma) * (1 + ill.slow))
	fate, begun, late := d.roll(), d.roll(), d.roll()
	if silent {
		share := executedUnheard
		if ill.silent > 0 {
			share = ill.executed
		}
		if begun < share {
			w.execute(c, p, now+service+int64(exponential(late)*lateMean))
		}
		return shown{at: never}
	}
	start := at.serve(now, service, ill.lost)
	if start-now > patience {
		return shown{at: now + quickAnswer, status: 503}
	}
	end := start + service
	switch bad := at.Errors + ill.errors; {
	case fate < bad:
		x.broken = begun < begunOnError
		if begun < doneOnError {
			w.execute(c, p, end)
		}
		return shown{at: end, status: 500}
	case fate < bad+at.Declines+ill.declines:
		return shown{at: end, status: 402}
	}
	w.execute(c, p, end)
	return shown{at: end, status: 200}
}

// again is what a known key is answered.
func (x *execution) again(now int64) shown {
	switch {
	case x.at > now:
		return shown{at: now + quickAnswer, status: 409}
	case x.broken:
		return shown{at: now + quickAnswer, status: 500}
	default:
		return shown{at: now + quickAnswer, status: 200}
	}
}

// execute notes an execution that happens at that time, unless a cancel came before.
func (w *world) execute(c *call, p int, at int64) {
	x := &c.executed[p]
	if x.voided || c.read {
		return
	}
	x.count++
	if x.at == 0 || at < x.at {
		x.at = at
	}
	c.fees += w.fee(p, c)
}

// fee is what an execution costs there.
func (w *world) fee(p int, c *call) float64 {
	at := &w.places[p]
	return (at.Fixed + float64(at.Percent*c.value)/100) * (1 + at.now[c.region].fees)
}

// serve takes the first server that is free and returns when it begins. A server that works for a client who left works on.
func (at *place) serve(now, service int64, lost float64) int64 {
	room := max(1, int(float64(at.servers)*(1-lost)))
	at.resize(room, now)
	start := max(now, at.busy[0])
	at.longest = max(at.longest, start-now)
	if start-now > patience {
		return start
	}
	at.replace(start + service)
	return start
}

// resize takes servers away or puts them back. The work that is booked on one that goes is done all the same.
func (at *place) resize(room int, now int64) {
	for len(at.busy) < room {
		at.busy = append(at.busy, now)
		for i := len(at.busy) - 1; i > 0 && at.busy[i] < at.busy[(i-1)/2]; i = (i - 1) / 2 {
			at.busy[i], at.busy[(i-1)/2] = at.busy[(i-1)/2], at.busy[i]
		}
	}
	at.busy = at.busy[:room] // the end of a heap is a heap's end: what remains is one
}

// replace puts a server back that is free at that time, for the one that is free first.
func (at *place) replace(free int64) {
	h, i := at.busy, 0
	for {
		c := 2*i + 1
		if c >= len(h) {
			break
		}
		if c+1 < len(h) && h[c+1] < h[c] {
			c++
		}
		if h[c] >= free {
			break
		}
		h[i] = h[c]
		i = c
	}
	h[i] = free
}

// found is what a question about a call shows.
type found uint8

const (
	noWord found = iota
	isThere
	isAbsent
	isVoided
	isTooLate
)

// lookUp asks provider p what became of c. Who does not answer calls does not answer questions.
func (w *world) lookUp(c *call, p int, now int64) found {
	if w.mute(c, p) {
		return noWord
	}
	x := &c.executed[p]
	switch {
	case x.count > 0 && x.at <= now:
		return isThere
	case x.voided:
		return isVoided
	default:
		return isAbsent
	}
}

// cancel blocks what has not executed by now.
func (w *world) cancel(c *call, p int, now int64) found {
	if w.mute(c, p) {
		return noWord
	}
	x := &c.executed[p]
	if x.count > 0 && x.at <= now {
		return isTooLate
	}
	if x.count > 0 {
		c.fees -= float64(x.count) * w.fee(p, c)
	}
	x.count, x.at, x.voided = 0, 0, true
	return isVoided
}

// mute draws whether a question gets no answer.
func (w *world) mute(c *call, p int) bool {
	c.asked++
	ill := &w.places[p].now[c.region]
	d := dice(c.fate ^ w.places[p].salt ^ uint64(c.asked)<<32)
	u := d.roll()
	return u < ill.refused+ill.silent+ill.errors
}
