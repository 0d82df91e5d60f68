package breaker

import "time"

// How a circuit behaves where nobody said otherwise, and what bounds it.
const (
	// Spacing is how far apart probes start. A provider that just came back is asked gently, however many calls want to go there.
	Spacing = 500 * time.Millisecond

	// FirstWait is how long a circuit without a Reset stays open the first time; each opening of the same trouble doubles it, to LongestWait.
	FirstWait   = 5 * time.Second
	LongestWait = 20 * time.Second

	// RefusedWait is how long it is where every connection is refused: to ask costs a caller a moment, and leaves nothing unknown.
	RefusedWait = time.Second

	// Stable is how long a circuit has to stay closed before one doubling is forgiven. What flaps faster is not forgiven.
	Stable = time.Minute

	// DefaultBack is the ramp back that policies get: nine tenths of the share are back after 4.4 s.
	DefaultBack = 5 * time.Second

	// StartShare is what the ramp back begins with.
	StartShare = 0.1

	maxSpan     = 30 * 24 * time.Hour // of every setting: sums of them never overflow
	maxDoubling = 4                   // 5 s · 2² is LongestWait; a ramp back is at most 16 times as long as it was set
)

// Settings are the thresholds people know.
type Settings struct {
	Failures  int           // failures in a row that open it
	Successes int           // probes in a row that end half-open
	Reset     time.Duration // open for so long, ± 20 % by the draw; 0: FirstWait, doubling to LongestWait
	Lease     time.Duration // a probe that has not ended by then is given up: half-open can never wedge
	Percent   float64       // this share of failures over Window opens it too; 0: no such rule
	Window    time.Duration // 0: 30 s
	Calls     int           // at least so many in Window before Percent counts; 0: 20
	Back      time.Duration // its share grows from StartShare to all of it in this time; 0: at once
	Away      time.Duration // what is slow, or fails in part, loses its share in this time; 0: at once
	Salt      uint64        // of the provider: two providers on a ramp do not refuse the same calls
}

// sane holds settings to what makes sense.
func (s Settings) sane() Settings {
	s.Failures = max(s.Failures, 1)
	s.Successes = max(s.Successes, 1)
	for _, d := range [...]*time.Duration{&s.Reset, &s.Lease, &s.Window, &s.Back, &s.Away} {
		*d = min(max(*d, 0), maxSpan)
	}
	if !(s.Percent > 0) { // NaN too
		s.Percent = 0
	}
	if s.Percent > 0 && s.Window == 0 {
		s.Window = 30 * time.Second
	}
	if s.Percent > 0 && s.Calls <= 0 {
		s.Calls = 20
	}
	s.Percent, s.Calls = min(s.Percent, 100), max(s.Calls, 0)
	return s
}

// wait is how long an opening lasts when the draw is in the middle.
func (s *Settings) wait(again int) time.Duration {
	if s.Reset > 0 {
		return s.Reset
	}
	return min(FirstWait<<min(again, maxDoubling), LongestWait)
}

// row is how many failures in a row open it: half as many while it comes back.
func (s *Settings) row(back bool) int {
	if back {
		return (s.Failures + 1) / 2
	}
	return s.Failures
}
