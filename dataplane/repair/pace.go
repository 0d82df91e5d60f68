package repair

import (
	"sync"
	"time"
)

const (
	firstRetry = 50 * time.Millisecond
	lastRetry  = 2 * time.Second
	slowest    = time.Second // between two hints, whatever the load: a backlog must end
	slower     = 4           // times its best: the store is loaded
)

// pace is what decides how long a replayer waits before its next hint.
type pace struct {
	latency  time.Duration // of the last hint
	best     time.Duration // of the store, lately
	front    int64         // calls of new traffic under way
	failures int           // in a row
	rate     float64       // most hints a second; 0: no limit
}

// wait is how long. draw is between 0 and 1. New traffic goes first: for each of its calls under way, a replayer leaves the store alone
// for as long as a hint took.
func (p pace) wait(draw float64) time.Duration {
	if p.failures > 0 {
		d := min(lastRetry, firstRetry<<min(p.failures-1, 10))
		return d/2 + time.Duration(draw*float64(d/2))
	}
	w := p.latency * time.Duration(p.front)
	if p.best > 0 && p.latency > slower*p.best {
		w += p.latency
	}
	w = min(w, slowest)
	if p.rate > 0 {
		w = max(w, time.Duration(float64(time.Second)/p.rate)-p.latency)
	}
	return w
}

// observed takes a latency in. The best one fades, so that a store that became slower for good is not taken for a loaded one for ever.
func (p pace) observed(took time.Duration) pace {
	p.latency = took
	if p.best += p.best / 64; p.best == 0 || took < p.best {
		p.best = max(took, 1)
	}
	return p
}

// meter counts what was replayed in the last seconds.
type meter struct {
	mu      sync.Mutex
	seconds [meterSeconds]int64
	counts  [meterSeconds]int64
}

const meterSeconds = 10

func (m *meter) add(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := now.Unix()
	i := s % meterSeconds
	if m.seconds[i] != s {
		m.seconds[i], m.counts[i] = s, 0
	}
	m.counts[i]++
}

// rate is per second, over the whole seconds that the meter has.
func (m *meter) rate(now time.Time) float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := int64(0)
	for i, s := range m.seconds {
		if age := now.Unix() - s; age >= 0 && age < meterSeconds {
			n += m.counts[i]
		}
	}
	return float64(n) / meterSeconds
}
