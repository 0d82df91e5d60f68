package simulator

// eventKind is what an event is about.
type eventKind uint8

const (
	arrives eventKind = iota // the next call of a region
	returns                  // a caller comes back with the same key
	ends                     // a send has ended for the client: an answer, or his patience
	wakes                    // a call's pause is over
	turns                    // the world changes
	ticks                    // a second has passed
	pulses                   // a twentieth of one
)

// event is one thing that will happen.
type event struct {
	at   int64  // nanoseconds since the beginning
	seq  uint64 // of two at the same time the one that was planned first comes first
	who  int32  // a call, a region, a change
	kind eventKind
}

func (e *event) before(o *event) bool { return e.at < o.at || e.at == o.at && e.seq < o.seq }

// agenda is a heap of events, four children to a node: half as deep as with two.
type agenda struct {
	events []event
	seq    uint64
}

func (a *agenda) push(at int64, kind eventKind, who int32) {
	a.seq++
	e := event{at: at, seq: a.seq, who: who, kind: kind}
	a.events = append(a.events, e)
	i := len(a.events) - 1
	for i > 0 {
		up := (i - 1) / 4
		if !e.before(&a.events[up]) {
			break
		}
		a.events[i] = a.events[up]
		i = up
	}
	a.events[i] = e
}

func (a *agenda) pop() (event, bool) {
	n := len(a.events)
	if n == 0 {
		return event{}, false
	}
	first, last := a.events[0], a.events[n-1]
	a.events = a.events[:n-1]
	if n--; n > 0 {
		a.sink(last)
	}
	return first, true
}

func (a *agenda) sink(e event) {
	n, i := len(a.events), 0
	for {
		child := 4*i + 1
		if child >= n {
			break
		}
		best := child
		for c := child + 1; c < min(child+4, n); c++ {
			if a.events[c].before(&a.events[best]) {
				best = c
			}
		}
		if !a.events[best].before(&e) {
			break
		}
		a.events[i] = a.events[best]
		i = best
	}
	a.events[i] = e
}
