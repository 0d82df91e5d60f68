package sandbox

import (
	"math/rand/v2"
	"sync"
	"time"
)

// ActiveFault is a fault that is on, and how often it struck.
type ActiveFault struct {
	Fault Fault     `json:"fault"`
	Since time.Time `json:"since"`
	Hits  int       `json:"hits"`
}

func (a *ActiveFault) over(now time.Time) bool {
	return (a.Fault.For > 0 && !now.Before(a.Since.Add(a.Fault.For))) || (a.Fault.Count > 0 && a.Hits >= a.Fault.Count)
}

// faultSet is the list of faults that are on at one provider. The first that meets a request strikes it.
type faultSet struct {
	mu   sync.Mutex
	draw *rand.Rand
	on   []*ActiveFault
}

func newFaultSet(seed uint64) *faultSet {
	return &faultSet{draw: rand.New(rand.NewPCG(seed, 0xfa017))}
}

func (s *faultSet) set(faults []Fault, now time.Time) {
	on := make([]*ActiveFault, 0, len(faults))
	for _, f := range faults {
		on = append(on, &ActiveFault{Fault: f, Since: now})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.on = on
}

func (s *faultSet) list(now time.Time) []ActiveFault {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]ActiveFault, 0, len(s.on))
	for _, a := range s.on {
		if !a.over(now) {
			out = append(out, *a)
		}
	}
	return out
}

// strike picks the fault that one request meets, and counts it; a zero Fault is none.
func (s *faultSet) strike(effect, warm bool, now time.Time) Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.on {
		if a.Fault.portFault() || a.over(now) || !a.Fault.meets(effect, warm) {
			continue
		}
		if a.Fault.Share > 0 && s.draw.Float64() >= a.Fault.Share {
			continue
		}
		a.Hits++
		return a.Fault
	}
	return Fault{}
}

// port says whether the port must refuse now, and when that may change by itself (zero: never).
func (s *faultSet) port(now time.Time) (refuse bool, next time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.on {
		if !a.Fault.portFault() || a.over(now) {
			continue
		}
		down, turn := a.Fault.turn(now.Sub(a.Since))
		refuse = refuse || down
		if turn > 0 {
			next = sooner(next, now.Add(turn))
		}
		if a.Fault.For > 0 {
			next = sooner(next, a.Since.Add(a.Fault.For))
		}
	}
	return refuse, next
}

// turn says whether a port fault is in its down turn after it has been on for so long, and how long that turn lasts still.
func (f Fault) turn(on time.Duration) (down bool, left time.Duration) {
	if f.Kind == Refuse {
		return true, 0
	}
	at := on % (f.Up + f.Down)
	if at < f.Up {
		return false, f.Up - at
	}
	return true, f.Up + f.Down - at
}

func sooner(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}
