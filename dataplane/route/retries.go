package route

import (
	"time"

	"segue/controlplane/policy"
)

// retrySeconds is how long a call's part of a retry lasts: what a quiet hour did not use is not there in a storm.
const retrySeconds = 10

// retries is the budget of one service's retries: calls and retries of the last ten seconds. A provider in trouble is not buried under its
// callers' second attempts.
type retries struct {
	epoch  time.Time
	second int64     // since the epoch, of the newest stretch
	next   time.Time // when the one after it begins
	came   [retrySeconds]int32
	spent  [retrySeconds]int32
	calls  int32
	used   int32
}

// turn tells the present stretch.
func (b *retries) turn(now time.Time) int64 {
	if !now.Before(b.next) {
		b.pass(now)
	}
	return b.second % retrySeconds
}

// pass begins the stretches that time has come to.
func (b *retries) pass(now time.Time) {
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
	b.second, b.next = s, b.epoch.Add(time.Duration(s+1)*time.Second)
}

// call counts a call that came in.
func (b *retries) call(now time.Time) {
	i := b.turn(now)
	b.came[i]++
	b.calls++
}

// left tells whether one more retry may be made: a share of the calls that came in, and so many a second however few came.
func (b *retries) left(of policy.RetryBudget, now time.Time) bool {
	b.turn(now)
	return float64(b.used+1) <= float64(of.Ratio*float64(b.calls))+float64(of.Floor*retrySeconds)+1e-9
}

// retry counts one.
func (b *retries) retry(now time.Time) {
	i := b.turn(now)
	b.spent[i]++
	b.used++
}
