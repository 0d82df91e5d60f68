package health

import "time"

// slots hold the whole steps of the history, and the step that is not over yet.
const slots = HistoryPoints + 1

// series is the history of one thing in steps, by the receiver's clock: a ring, so that what is old is written over and nothing freezes.
type series[T any] struct {
	steps [slots]T
	last  int64 // number of the newest step; 0: none
}

// step is the number of the step that t lies in, counted from 1970.
func step(t time.Time) int64 { return t.UnixNano() / int64(Step) }

// at returns the counts of now's step and clears the steps that passed without a report. A clock that was set back counts into the newest
// step.
func (s *series[T]) at(now time.Time) *T {
	n := step(now)
	if s.last != 0 && n < s.last {
		n = s.last
	}
	var none T
	for k := max(s.last, n-slots) + 1; k <= n; k++ {
		s.steps[k%slots] = none
	}
	s.last = n
	return &s.steps[n%slots]
}

// get returns the counts of step n, nil if they are gone or nothing came in it.
func (s *series[T]) get(n int64) *T {
	if n > s.last || n <= s.last-slots || n < 0 {
		return nil
	}
	return &s.steps[n%slots]
}

// silent tells whether the whole history is older than the window.
func (s *series[T]) silent(now time.Time) bool { return step(now)-s.last > slots }

// sum adds the steps that cover the span before now, the unfinished one included.
func sum[T any, P interface {
	*T
	Add(*T)
}](s *series[T], now time.Time, span time.Duration) T {
	var total T
	to := max(step(now), s.last)
	for n := to - int64(span/Step); n <= to; n++ {
		if got := s.get(n); got != nil {
			P(&total).Add(got)
		}
	}
	return total
}
