package session

import (
	"strings"
	"time"
)

// Clock is a hybrid logical clock: milliseconds since 1970 in the upper 48 bits, a count in the lower 16. It is never behind what its
// owner has seen, so that a change that was made in knowledge of another one is later than it, whatever the machines' clocks say.
type Clock uint64

// countBits are the bits of a Clock that count within a millisecond.
const countBits = 16

// ClockAt is the first reading of a moment.
func ClockAt(t time.Time) Clock {
	return Clock(max(0, t.UnixMilli())) << countBits
}

// Time is the moment that a reading is near to.
func (c Clock) Time() time.Time { return time.UnixMilli(int64(c >> countBits)).UTC() }

// Tick is the next reading: that of now, or the one after what was seen.
func Tick(seen Clock, now time.Time) Clock {
	if c := ClockAt(now); c > seen {
		return c
	}
	return seen + 1
}

// Stamp says when a change was made and by which run. No two changes have one stamp.
type Stamp struct {
	Clock Clock
	By    string
}

// The marks behind a run's name in a stamp: what it wrote is a provider's word, and not an application's.
const (
	fetchedMark = "@" // a value: it was fetched there. A token: an operation changed the field there, and it was not fetched since
	sameMark    = "=" // a token: what was fetched there is what the field says
)

// Fetched is what a run signs with when it writes what it fetched from a provider, or that an operation changed the field there.
func Fetched(run, provider string) string { return run + fetchedMark + provider }

// Confirmed is what a run signs with when a fetch found what the field says.
func Confirmed(run, provider string) string { return run + sameMark + provider }

// From is the provider whose word a stamp stands for; "": it is an application's.
func (s Stamp) From() string {
	if i := strings.LastIndexAny(s.By, fetchedMark+sameMark); i >= 0 {
		return s.By[i+1:]
	}
	return ""
}

// Run is who made the stamp.
func (s Stamp) Run() string {
	if i := strings.LastIndexAny(s.By, fetchedMark+sameMark); i >= 0 {
		return s.By[:i]
	}
	return s.By
}

// Changed tells, of a token's stamp, whether an operation changed the field at the provider since it was fetched.
func (s Stamp) Changed() bool { return strings.Contains(s.By, fetchedMark) }

// Zero tells whether nothing was stamped.
func (s Stamp) Zero() bool { return s == Stamp{} }

// Compare orders stamps: by the clock, and two of one reading by the run's name.
func (s Stamp) Compare(o Stamp) int {
	switch {
	case s.Clock < o.Clock:
		return -1
	case s.Clock > o.Clock:
		return 1
	default:
		return strings.Compare(s.By, o.By)
	}
}
