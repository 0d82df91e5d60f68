package transfer

import (
	"sync"
	"time"

	"segue/controlplane/policy"
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
	services map[string]*[sampled]used
}

type used struct {
	at     int64 // seconds
	pin    int8
	barred policy.Set
}

// Used notes that a session is in use. It allocates nothing but for a service's first.
func (c *Carrier) Used(service string, draw uint64, pin int8, barred policy.Set, now time.Time) {
	s := &c.sample
	s.mu.Lock()
	defer s.mu.Unlock()
	places := s.services[service]
	if places == nil {
		if s.services == nil {
			s.services = map[string]*[sampled]used{}
		}
		places = &[sampled]used{}
		s.services[service] = places
	}
	places[draw%sampled] = used{now.Unix(), pin, barred}
}

// Coverage is which share of the sessions in use could go on at another provider now: its state is there or can be brought, and no gate
// keeps new calls away. ok is false where no session is in use.
func (c *Carrier) Coverage(svc *policy.Service, now time.Time) (share float64, ok bool) {
	var d route.Decision
	facts := policy.Facts{Pinned: -1, Owner: -1}
	c.cfg.Board.Preview(&d, svc, &facts, now)
	open := policy.Set(0)
	for i := range int(d.N) {
		if g := d.Scores[i].Gate; g == route.Passed || g == route.NoWeight {
			open = open.With(i)
		}
	}
	c.sample.mu.Lock()
	defer c.sample.mu.Unlock()
	places := c.sample.services[svc.Name]
	if places == nil {
		return 0, false
	}
	all, can := 0, 0
	for i := range places {
		u := &places[i]
		if u.at == 0 || now.Unix()-u.at > int64(inUse/time.Second) {
			continue
		}
		all++
		others := open &^ u.barred
		if u.pin >= 0 {
			others &^= policy.Set(1) << uint(u.pin)
		}
		if others != 0 {
			can++
		}
	}
	if all == 0 {
		return 0, false
	}
	return float64(can) / float64(all), true
}
