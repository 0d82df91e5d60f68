package breaker

import "time"

const slots = 10

// window counts calls and failures of the last while, in slots that slide: no minute of the calendar begins with a clean slate.
type window struct {
	slots [slots]struct{ calls, failed uint32 }
	last  int64 // the number of the newest slot
}

func (w *window) count(now time.Time, span time.Duration, failed bool) {
	if span < slots {
		return
	}
	n := now.UnixNano() / int64(span/slots)
	switch gone := n - w.last; {
	case gone < -slots || gone >= slots: // long ago, or a clock that was set back
		*w = window{last: n}
	case gone > 0:
		for i := range gone {
			w.slots[place10(w.last+1+i)] = struct{ calls, failed uint32 }{}
		}
		w.last = n
	}
	s := &w.slots[place10(w.last)] // a little late is now
	s.calls++
	if failed {
		s.failed++
	}
}

func place10(n int64) int { return int((n%slots + slots) % slots) }

func (w *window) sum() (calls, failed int) {
	for _, s := range w.slots {
		calls, failed = calls+int(s.calls), failed+int(s.failed)
	}
	return calls, failed
}
