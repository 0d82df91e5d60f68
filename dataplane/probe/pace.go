package probe

import (
	"sync"
	"time"
)

// Spacing is the least time between two of an agent's checks of one provider, whatever their kinds: two a second.
const Spacing = 500 * time.Millisecond

// MaxBackOff bounds how long a 429's Retry-After keeps the prober away.
const MaxBackOff = 10 * time.Minute

// pace is what an agent's checks may ask of each provider, all kinds together.
type pace struct {
	mu    sync.Mutex
	next  map[string]time.Time // by provider: when the next check may go
	until map[string]time.Time // by provider: it asked to be left alone until then
}

// turn takes the next free place, and tells how long it is until then.
func (p *pace) turn(provider string, now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.next == nil {
		p.next = map[string]time.Time{}
	}
	at := now
	if n := p.next[provider]; n.After(at) {
		at = n
	}
	p.next[provider] = at.Add(Spacing)
	return at.Sub(now)
}

// leave notes that a provider asked to be left alone. A shorter wish does not end a longer one.
func (p *pace) leave(provider string, until time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.until == nil {
		p.until = map[string]time.Time{}
	}
	if until.After(p.until[provider]) {
		p.until[provider] = until
	}
}

// away is how long it is to be left alone.
func (p *pace) away(provider string, now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return max(0, p.until[provider].Sub(now))
}
