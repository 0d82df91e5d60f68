package transfer

import (
	"sync"
	"time"

	"segue/dataplane/session"
)

const (
	firstWait = time.Second
	lastWait  = time.Minute
	paced     = 1024 // that wait; beyond them nothing waits longer than the queue makes it
)

// pace spaces what failed: each time twice as long as before.
type pace struct {
	mu   sync.Mutex
	wait map[pacedName]waits
}

type pacedName struct{ app, session, service, field, provider string }

type waits struct {
	until time.Time
	next  time.Duration
	of    session.Stamp // what was tried with
	final bool          // trying again with that is of no use
}

func paceOf(n Name, provider string) pacedName {
	return pacedName{n.Session.App, n.Session.ID, n.Service.Name, n.Rule.Name, provider}
}

// may tells whether something may be tried now, and has whoever asks next wait for its end.
func (p *pace) may(n Name, provider string, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	k := paceOf(n, provider)
	w, waiting := p.wait[k]
	if waiting && now.Before(w.until) {
		return false
	}
	if !waiting {
		w.next = firstWait
	}
	w.until = now.Add(w.next)
	p.put(k, w)
	return true
}

// failed notes that what was tried did not succeed, and with what; final: that will not either.
func (p *pace) failed(n Name, provider string, now time.Time, of session.Stamp, final bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	k := paceOf(n, provider)
	w, waiting := p.wait[k]
	if !waiting || w.of != of {
		w.next = firstWait
	}
	w.until, w.next, w.of, w.final = now.Add(w.next), min(lastWait, 2*w.next), of, final
	p.put(k, w)
}

// waits tells whether something that failed is not to be tried yet with the same, and whether that is of no use at all.
func (p *pace) waits(n Name, provider string, now time.Time, of session.Stamp) (waits, final bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	w, waiting := p.wait[paceOf(n, provider)]
	waits = waiting && w.of == of && now.Before(w.until)
	return waits, waits && w.final
}

// ended forgets what succeeded.
func (p *pace) ended(n Name, provider string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.wait, paceOf(n, provider))
}

func (p *pace) put(k pacedName, w waits) {
	if p.wait == nil || len(p.wait) >= paced {
		p.wait = map[pacedName]waits{}
	}
	p.wait[k] = w
}
