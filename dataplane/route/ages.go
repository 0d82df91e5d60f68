package route

import (
	"time"

	"segue/controlplane/health"
)

// generations is how many stretches of start times are told apart. Each is a 32nd of the age at which a call counts as slow, so that
// all of them together hold twice that age: what is older was judged long ago.
const generations = 64

// ages are the calls in flight of one class, by when they began: a hang shows in them before the first call times out. Their size does
// not depend on how many calls there are.
type ages struct {
	ring [generations]generation
	next uint32 // serial of the generation that will be opened next
	tail uint32 // serial of the oldest one that was not judged
}

// generation is the calls that began within one stretch. Times count from the row's epoch.
type generation struct {
	first, last time.Duration
	open        int32
	bits        int8 // what each of them has told of a silence
}

// begin counts a call in and tells its generation.
func (a *ages) begin(at, limit time.Duration) uint32 {
	newest := &a.ring[(a.next-1)%generations]
	if a.next == a.tail || at-newest.first >= limit/32 {
		if a.next-a.tail == generations {
			a.tail++ // the limit grew while they waited: they show when they end
		}
		newest = &a.ring[a.next%generations]
		*newest = generation{first: at}
		a.next++
	}
	newest.open++
	newest.last = max(newest.last, at)
	return a.next - 1
}

// end counts a call out. judged: it was counted as slow while it was open; one that outlived its generation was, long ago.
func (a *ages) end(serial uint32) (judged bool) {
	if a.next-serial > generations {
		return true
	}
	if g := &a.ring[serial%generations]; g.open > 0 {
		g.open--
	}
	return int32(a.tail-serial) > 0
}

// overdue tells how many calls came to the limit since it was asked last. A call is told once.
func (a *ages) overdue(at, limit time.Duration) (n int) {
	for a.tail != a.next {
		g := &a.ring[a.tail%generations]
		if at-g.last < limit {
			break
		}
		n += int(g.open)
		a.tail++
	}
	return n
}

// due tells whether overdue would tell any. Generations that are empty, and will stay so, are passed over.
func (a *ages) due(at, limit time.Duration) bool {
	for a.next-a.tail > 1 && a.ring[a.tail%generations].open == 0 {
		a.tail++
	}
	g := &a.ring[a.tail%generations]
	return a.tail != a.next && g.open > 0 && at-g.last >= limit
}

// left is how long nothing can become due: until the oldest that was not judged does, or else one that begins now. It is asked where due was not.
func (a *ages) left(at, limit time.Duration) time.Duration {
	if g := &a.ring[a.tail%generations]; a.tail != a.next && g.open > 0 {
		return g.last + limit - at
	}
	return limit
}

// older tells how many calls in flight are older than limit now, judged or not: a sentence says so.
func (a *ages) older(at, limit time.Duration) (n int) {
	for k := uint32(0); k < generations && k < a.next; k++ {
		if g := &a.ring[(a.next-1-k)%generations]; at-g.last >= limit {
			n += int(g.open)
		}
	}
	return n
}

// bits is what the calls in flight tell of a silence beyond what they told before. told: they have told it now. A generation is as old as its
// youngest call.
func (a *ages) bits(m *health.Measure, at time.Duration, told bool) (n int) {
	for k := uint32(0); k < generations && k < a.next; k++ {
		g := &a.ring[(a.next-1-k)%generations]
		if g.open == 0 || g.bits == health.MostBits {
			continue
		}
		if bits := int8(m.Bits(at - g.last)); bits > g.bits {
			n += int(bits-g.bits) * int(g.open)
			if told {
				g.bits = bits
			}
		}
	}
	return n
}

// all tells how many calls are in flight, and how many of them would be answered by now on an ordinary day. They are held as judged: they were
// counted as late.
func (a *ages) all() (n, due int32) {
	parts := int32(0) // in 256ths
	for k := uint32(0); k < generations && k < a.next; k++ {
		g := &a.ring[(a.next-1-k)%generations]
		n += g.open
		parts += g.open * (256 - 256>>g.bits)
	}
	a.tail = a.next
	return n, parts / 256
}
