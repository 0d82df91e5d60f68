package transfer

import (
	"slices"
	"sync"
	"time"

	"segue/controlplane/policy"
	"segue/controlplane/query"
	"segue/dataplane/route"
)

const (
	sampled = 1024             // sessions of a service that are looked at
	inUse   = 15 * time.Minute // a session that was silent for longer is not in use
)

// sample is some of the sessions in use, by service: where each is, and where it could go. A session has its place by its name, and the
// newest one takes a place over, so that the sample is as even as names are.
type sample struct {
	mu       sync.Mutex
	services map[string]*places
}

// places are those of one service, told by the order of its providers. When that changes, they say nothing any more.
type places struct {
	of    *policy.Service
	used  [sampled]used
	moved query.SessionsMoved
}

type used struct {
	at     int64 // seconds
	pin    int8
	barred policy.Set
}

// at returns the places of a service; it is called with the lock.
func (s *sample) at(svc *policy.Service) *places {
	p := s.services[svc.Name]
	if p == nil {
		if s.services == nil {
			s.services = map[string]*places{}
		}
		p = &places{of: svc}
		s.services[svc.Name] = p
	}
	if p.of != svc {
		if !slices.EqualFunc(p.of.Candidates, svc.Candidates, func(a, b *policy.Candidate) bool { return a.Provider == b.Provider }) {
			p.used = [sampled]used{}
		}
		p.of = svc
	}
	return p
}

// Used notes that a session is in use. It allocates nothing but for a service's first.
func (c *Carrier) Used(svc *policy.Service, draw uint64, pin int8, barred policy.Set, now time.Time) {
	s := &c.sample
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at(svc).used[draw%sampled] = used{now.Unix(), pin, barred}
}

// Moved counts a session that went on at another provider, or could not.
func (c *Carrier) Moved(svc *policy.Service, count func(*query.SessionsMoved)) {
	c.sample.mu.Lock()
	defer c.sample.mu.Unlock()
	count(&c.sample.at(svc).moved)
}

// InUse tells of a sample of the sessions in use how many could go on at another provider now: their state is there or can be brought, and
// no gate keeps new calls away.
func (c *Carrier) InUse(svc *policy.Service, now time.Time) query.SessionsInUse {
	var d route.Decision
	facts := policy.Facts{Pinned: -1, Owner: -1, Client: -1}
	c.cfg.Board.Preview(&d, svc, &facts, now)
	open := policy.Set(0)
	for i := range int(d.N) {
		if isOpen(d.Scores[i].Gate) {
			open = open.With(i)
		}
	}
	told := query.SessionsInUse{Service: svc.Name, Providers: make([]query.SessionsAt, len(svc.Candidates))}
	for i, candidate := range svc.Candidates {
		told.Providers[i].Provider = candidate.Provider
	}
	c.sample.mu.Lock()
	defer c.sample.mu.Unlock()
	p := c.sample.services[svc.Name]
	if p == nil {
		return told
	}
	p = c.sample.at(svc)
	told.Moved = p.moved
	for i := range p.used {
		if u := &p.used[i]; u.at != 0 && now.Unix()-u.at <= int64(inUse/time.Second) {
			count(&told, u, open)
		}
	}
	return told
}

// isOpen tells whether a provider takes calls of sessions that are not there yet.
func isOpen(g route.Gate) bool { return g == route.Passed || g == route.NoWeight }

func count(told *query.SessionsInUse, u *used, open policy.Set) {
	others, at := open&^u.barred, &query.SessionsAt{}
	if u.pin >= 0 && int(u.pin) < len(told.Providers) {
		others &^= policy.Set(1) << uint(u.pin)
		at = &told.Providers[u.pin]
	}
	told.InUse++
	at.InUse++
	if others != 0 {
		told.Could++
		at.Could++
	}
}
