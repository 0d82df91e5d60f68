package route

import "time"

// What retries may add to a service's load: a fifth of what came in, and three a second however little that is, both of the last ten
// seconds. A provider in trouble is not buried under its callers' second attempts.
const (
	retryShare   = 5 // one retry for so many calls
	retryFloor   = 3 // retries per second
	retrySeconds = 10
)

// retries is the budget of one service's retries: calls and retries of the last ten seconds.
type retries struct {
	epoch  time.Time
	second int64 // since the epoch, of the newest stretch
	came   [retrySeconds]int32
	spent  [retrySeconds]int32
	calls  int32
	used   int32
}

func (b *retries) turn(now time.Time) int64 {
	if b.epoch.IsZero() {
		b.epoch = now
	}
	s := max(int64(now.Sub(b.epoch)/time.Second), b.second)
	for k := max(b.second+1, s-retrySeconds+1); k <= s; k++ {
		i := k % retrySeconds
		b.calls -= b.came[i]
		b.used -= b.spent[i]
		b.came[i], b.spent[i] = 0, 0
	}
	b.second = s
	return s % retrySeconds
}

// call counts a call that came in.
func (b *retries) call(now time.Time) {
	i := b.turn(now)
	b.came[i]++
	b.calls++
}

// left tells whether one more retry may be made.
func (b *retries) left(now time.Time) bool {
	b.turn(now)
	return retryShare*int64(b.used+1) <= int64(b.calls)+retryShare*retryFloor*retrySeconds
}

// retry counts one.
func (b *retries) retry(now time.Time) {
	i := b.turn(now)
	b.spent[i]++
	b.used++
}
