package sandbox

import (
	"net/http"
	"strconv"
	"time"
)

// perMinute is how many requests a chat provider says that it takes. It is only said: what is over it is refused by the fault Limit alone.
const perMinute = 10_000

// minute counts the requests of one minute.
type minute struct {
	began time.Time
	used  int
}

// allowance is what a chat provider tells of its limits with every answer.
type allowance struct {
	left  int
	reset time.Duration
	until time.Time // the same, as a time
}

// spend counts a request.
func (b *bank) spend() allowance {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	if now.Sub(b.minute.began) >= time.Minute {
		b.minute = minute{began: now}
	}
	b.minute.used++
	until := b.minute.began.Add(time.Minute)
	return allowance{max(0, perMinute-b.minute.used), until.Sub(now), until}
}

func (a allowance) tell(h http.Header) {
	h.Set("X-Ratelimit-Limit-Requests", strconv.Itoa(perMinute))
	h.Set("X-Ratelimit-Remaining-Requests", strconv.Itoa(a.left))
	h.Set("X-Ratelimit-Reset-Requests", a.reset.Round(time.Millisecond).String())
}
