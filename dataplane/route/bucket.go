package route

import "time"

// bucket is when the next call may come.
type bucket struct {
	taken  time.Time     // GCRA: when the last token was taken,
	ahead  time.Duration // how far beyond that its theoretical arrival is,
	over   time.Duration // and how far beyond what may come early: where it is not above 0, nobody has to ask for the time
	closed time.Time     // Retry-After: nothing before
}

// take takes a token of the rate, and returns it.
func (b *bucket) take(rate float64, now time.Time) time.Duration {
	token := interval(rate)
	b.ahead, b.taken = max(b.ahead-now.Sub(b.taken), 0)+token, now
	b.over = b.ahead - burst(token)
	return token
}

// back gives one back.
func (b *bucket) back(token time.Duration) { b.ahead, b.over = b.ahead-token, b.over-token }

// wait is how long it takes until the next call may come; not above 0: it may.
func (b *bucket) wait(now time.Time) time.Duration {
	if b.over <= 0 {
		return 0
	}
	return b.over - now.Sub(b.taken)
}

// interval is the time between two calls at the rate. A rate below one call in MaxRetryAfter is held to that.
func interval(rate float64) time.Duration {
	return time.Duration(min(float64(time.Second)/rate, float64(MaxRetryAfter)))
}

// burst is how far calls may come before their time: a tenth of a second's worth, so that the small crowds of ordinary traffic pass
// and no second holds much more than the rate.
func burst(token time.Duration) time.Duration { return max(0, 100*time.Millisecond-token) }
