package probe

import (
	"slices"
	"strconv"
	"sync"
	"time"

	"segue/controlplane/health"
)

// The times between two tries to take away what a run left.
const (
	firstAgain = 10 * time.Second
	maxAgain   = 5 * time.Minute
)

// leavings are the records whose runs are over and left something.
type leavings struct {
	mu   sync.Mutex
	list []*leaving
	wake chan struct{}
}

// leaving is one of them, and when it is tried next. The record is the sweeper's alone while it tries; says is what others may read of it.
type leaving struct {
	*record
	at   time.Time
	says string // why it is still there
}

func (w *leaving) target() target {
	return target{w.Service, w.Provider, health.Synthetic, w.Plan.Name}
}

// backOff doubles.
func backOff(tries int) time.Duration {
	return min(firstAgain<<min(max(tries-1, 0), 10), maxAgain)
}

func (l *leavings) add(r *record) {
	l.mu.Lock()
	l.list = append(l.list, &leaving{r, time.Now().Add(backOff(r.Tries)), r.Waits})
	l.mu.Unlock()
	l.hurry()
}

// hurry has the sweeper look again.
func (l *leavings) hurry() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// now makes all due: a policy came, and with it perhaps where they can be taken away.
func (l *leavings) now() {
	l.mu.Lock()
	for _, w := range l.list {
		w.at = time.Time{}
	}
	l.mu.Unlock()
	l.hurry()
}

func (l *leavings) due(now time.Time) []*leaving {
	l.mu.Lock()
	defer l.mu.Unlock()
	var list []*leaving
	for _, w := range l.list {
		if !w.at.After(now) {
			list = append(list, w)
		}
	}
	return list
}

// next is how long nothing is due.
func (l *leavings) next(now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	wait := time.Hour
	for _, w := range l.list {
		wait = min(wait, max(w.at.Sub(now), time.Millisecond))
	}
	return wait
}

func (l *leavings) again(w *leaving, now time.Time, after time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	w.at, w.says = now.Add(after), w.Waits
}

func (l *leavings) remove(w *leaving) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = slices.DeleteFunc(l.list, func(o *leaving) bool { return o == w })
}

// of tells how many runs of a lane left something, and why the first of it is still there.
func (l *leavings) of(t target) (waits string, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, w := range l.list {
		if w.target() == t {
			if n++; n == 1 {
				waits = w.says
			}
		}
	}
	return waits, n
}

func itoa(n int) string { return strconv.Itoa(n) }
