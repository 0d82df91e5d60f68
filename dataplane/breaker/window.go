package breaker

import "time"

const slots = 10

// window counts calls and failures of the last while, in slots that slide: no minute of the calendar begins with a clean slate.
type window struct {
	slots [slots]struct{ calls, failed uint32 }
	at    int   // the newest
	last  int64 // its number
	from  int64 // it is of the times from there on, in nanoseconds
	to    int64 // and before that
}

func (w *window) count(now time.Time, span time.Duration, failed bool) {
	if span < slots {
		return
	}
	if t := now.UnixNano(); t < w.from || t >= w.to { // a call costs no division while the slot is the same
		w.slide(t, int64(span/slots))
	}
	s := &w.slots[w.at]
	s.calls++
	if failed {
		s.failed++
	}
}

// slide makes the slot of time t the newest.
func (w *window) slide(t, each int64) {
	n := t / each
	switch gone := n - w.last; {
	case gone < -slots || gone >= slots: // long ago, or a clock that was set back
		*w = window{last: n}
	case gone > 0:
		for i := range gone {
			w.slots[place10(w.last+1+i)] = struct{ calls, failed uint32 }{}
		}
		w.last = n
	default: // a little late is now
		return
	}
	w.at, w.from, w.to = place10(n), n*each, (n+1)*each
}

func place10(n int64) int { return int((n%slots + slots) % slots) }

func (w *window) sum() (calls, failed int) {
	for _, s := range w.slots {
		calls, failed = calls+int(s.calls), failed+int(s.failed)
	}
	return calls, failed
}
