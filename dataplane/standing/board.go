package standing

import (
	"sync"
	"sync/atomic"
	"time"

	"segue/controlplane/health"
	"segue/controlplane/policy"
	"segue/dataplane/breaker"
	"segue/dataplane/route"
)

// Board keeps the standings of one agent.
type Board struct {
	swap     sync.Mutex // of Swap and Drain: one change of the rows at a time
	services atomic.Pointer[map[string]*service]
	places   atomic.Pointer[[]placed]
	drains   map[string]time.Time // under swap: provider → until; rows that come later are drained too
	region   string               // under swap
	revision uint64               // under swap
	seq      uint64               // under swap
	frozen   time.Time            // under swap: until then detectors turn nothing
	lost     time.Time            // under swap: until then the leader says that this region's way out is gone
	earlier  map[string]Spent     // under swap: by service, what an earlier run left and no policy asked for yet
	events   ring
	beat     beat
}

// placed is a service at its place in the policy in force.
type placed struct {
	of *policy.Service
	*service
}

// service is one service's rows and its lock.
type service struct {
	mu    sync.Mutex
	name  string
	now   *policy.Service // the compiled service that rows stands for, index by index
	st    route.Standings
	rows  []*row
	ended health.ServiceRow
}

// row is one provider of one service: the standing that is chosen by, and what was counted.
type row struct {
	route.Standing
	home    *service
	weight  float64
	priced  bool // the policy says what a call costs
	traffic health.Traffic
	heeded  route.Heeded
	lanes   []health.Lane // its own checks
}

// New returns a board that knows no service: every choice is refused until the first Swap.
func New() *Board {
	b := &Board{drains: map[string]time.Time{}}
	b.services.Store(&map[string]*service{})
	b.places.Store(&[]placed{})
	return b
}

// Swap takes a new policy: before anybody decides by it, or after, as the agent likes. Rows survive by service and provider name with
// all that they know; their settings are the new ones. A row that is gone lives on as long as somebody holds a permit of it.
func (b *Board) Swap(snap *policy.Snapshot) {
	b.swap.Lock()
	defer b.swap.Unlock()
	old, next := *b.services.Load(), make(map[string]*service, len(snap.Services))
	places := make([]placed, len(snap.Services))
	for i, svc := range snap.Services {
		s := old[svc.Name]
		if s == nil {
			s = newService(svc.Name)
		}
		s.take(svc, b.drains)
		if was, known := b.earlier[svc.Name]; known {
			s.remember(was)
			delete(b.earlier, svc.Name)
		}
		next[svc.Name], places[i] = s, placed{svc, s}
	}
	b.region, b.revision = snap.Region, snap.Revision
	b.services.Store(&next)
	b.places.Store(&places)
}

// take lays the rows out in the order of svc's candidates.
func (s *service) take(svc *policy.Service, drains map[string]time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	rows := make([]*row, len(svc.Candidates))
	for i, c := range svc.Candidates {
		r := s.row(c.Provider)
		if r == nil {
			r = &row{Standing: *route.NewStanding(c.Provider), home: s}
			r.Home = r
		}
		r.weight, r.priced = c.Weight, c.Cost.Known
		if s.now != nil && !s.now.SamePrice(svc, c.Provider) {
			r.Reprice()
		}
		r.Drained = drains[c.Provider]
		r.prune(c)
		r.Circuit.Configure(route.Settings(svc, c.Provider))
		rows[i] = r
	}
	s.now, s.rows, s.st = svc, rows, standings(rows, s.st.Past)
}

func (s *service) row(provider string) *row {
	for _, r := range s.rows {
		if r.Provider == provider {
			return r
		}
	}
	return nil
}

func standings(rows []*row, past *route.Calls) route.Standings {
	st := route.Standings{Rows: make([]*route.Standing, len(rows)), Past: past}
	for i, r := range rows {
		st.Rows[i] = &r.Standing
	}
	return st
}

// Choose decides and takes what the winner costs in one section: no two calls get the same last slot, token or lease. False: nobody
// was eligible, and d tells why.
func (b *Board) Choose(d *route.Decision, svc *policy.Service, f *policy.Facts, now time.Time) (p route.Permit, ok bool) {
	s := b.service(svc)
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.standings(svc)
	if !b.missed(now) {
		b.watch(st.Rows, now)
	}
	route.Decide(d, svc, st, f, now)
	if d.Winner < 0 {
		return p, false
	}
	r, _ := st.Rows[d.Winner].Home.(*row)
	was := r.Circuit.State()
	p.Begin(st, d, svc, now)
	if is := r.Circuit.State(); is != was {
		b.turned(r, breaker.Transition{From: was, To: is, At: now, Failures: r.Circuit.Failures()})
	}
	if newSession(f) {
		r.traffic.Sessions++
	}
	return p, true
}

// watch lets the rows see how old their calls in flight are: a hang shows before it times out.
func (b *Board) watch(rows []*route.Standing, now time.Time) {
	for _, of := range rows {
		if of.Still(now) {
			continue
		}
		if t, changed := of.Watch(now); changed {
			if r, _ := of.Home.(*row); r != nil {
				b.turned(r, t)
			}
		}
	}
}

// Retry takes one of the service's retries for a send to the same provider, of which Choose knows nothing. False: they are used up.
func (b *Board) Retry(svc *policy.Service, now time.Time) bool {
	s := b.service(svc)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.st.Retry(svc, now)
}

// Preview decides and takes nothing: for a dry run.
func (b *Board) Preview(d *route.Decision, svc *policy.Service, f *policy.Facts, now time.Time) {
	s := b.service(svc)
	s.mu.Lock()
	defer s.mu.Unlock()
	route.Decide(d, svc, s.standings(svc), f, now)
}

// newSession tells whether this choice is a session's first: nothing but weights or order decides it.
func newSession(f *policy.Facts) bool { return f.Pinned < 0 && f.Owner < 0 && f.Tried == 0 }

// service finds the rows of svc, or makes some that nobody else sees: a call that still holds the policy from before its service was
// removed can end by it.
func (b *Board) service(svc *policy.Service) *service {
	if places := *b.places.Load(); svc.Place < len(places) && places[svc.Place].of == svc { // the policy in force, as nearly always
		return places[svc.Place].service
	}
	if s := (*b.services.Load())[svc.Name]; s != nil {
		return s
	}
	s := newService(svc.Name)
	s.take(svc, nil)
	return s
}

func newService(name string) *service {
	return &service{name: name, st: route.Standings{Past: route.NewCalls()}}
}

// standings are the rows by svc's own indices. Around a swap a call may hold the policy before or after the board's: then its
// providers are looked up by name, and one that the board does not know stands alone.
func (s *service) standings(svc *policy.Service) *route.Standings {
	if s.now == svc {
		return &s.st
	}
	rows := make([]*row, len(svc.Candidates))
	for i, c := range svc.Candidates {
		if rows[i] = s.row(c.Provider); rows[i] == nil {
			rows[i] = &row{Standing: *route.NewStanding(c.Provider), home: s}
			rows[i].Home = rows[i]
			rows[i].Circuit.Configure(route.Settings(svc, c.Provider))
		}
	}
	st := standings(rows, s.st.Past)
	return &st
}

// Done gives the permit of an attempt back with what it showed and how it ended.
func (b *Board) Done(p route.Permit, s health.Sample, o health.Outcome, now time.Time) {
	r := held(&p)
	if r == nil {
		return
	}
	r.home.mu.Lock()
	defer r.home.mu.Unlock()
	s.Unsent, s.Ours = o == health.NotSent, b.beat.behind()
	r.traffic.Attempt(s, o)
	if s.Class == health.OK || s.Class == health.Slow {
		r.heeded.Answered(now)
	}
	cost, _ := p.Cost()
	r.traffic.Count(cost, r.priced, s, o)
	if o == health.NotSent { // what was not done costs nothing
		p.Charge(0)
	}
	if t, changed := p.End(s, now, p.Draw()); changed {
		b.turned(r, t)
	}
	if r.Still(now) || b.missed(now) {
		return
	}
	if t, changed := r.Watch(now); changed {
		b.turned(r, t)
	}
}

// Sent tells that the permit's call goes out now; Answered, that the first of its answer came. In between it has an age, by which a hang shows.
func (b *Board) Sent(p *route.Permit, now time.Time) {
	if r := held(p); r != nil {
		r.home.mu.Lock()
		defer r.home.mu.Unlock()
		p.Sent(now)
	}
}

// Answered is told once or more often, or not at all where no answer came.
func (b *Board) Answered(p *route.Permit) {
	if r := held(p); r != nil {
		r.home.mu.Lock()
		defer r.home.mu.Unlock()
		p.Answered()
	}
}

// Release gives a permit back that was not used: the claim was lost to another driver.
func (b *Board) Release(p route.Permit) {
	r := held(&p)
	if r == nil {
		return
	}
	r.home.mu.Lock()
	defer r.home.mu.Unlock()
	p.Release()
}

func held(p *route.Permit) *row {
	if !p.Valid() {
		return nil
	}
	r, _ := p.Row().Home.(*row)
	return r
}

// Closed tells whether a provider's circuit is closed.
func (b *Board) Closed(service, provider string) bool {
	s := (*b.services.Load())[service]
	if s == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.row(provider)
	return r != nil && r.Circuit.State() == breaker.Closed
}

// Call counts one call that ended for its caller. A service that is gone counts no more.
func (b *Board) Call(service string, e health.CallEnd) {
	s := (*b.services.Load())[service]
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended.Count(e)
}

// Drain keeps new calls away from a provider until then, in every service that has it; zero ends it.
func (b *Board) Drain(provider string, until time.Time) {
	b.swap.Lock()
	defer b.swap.Unlock()
	if until.IsZero() {
		delete(b.drains, provider)
	} else {
		b.drains[provider] = until
	}
	b.drain()
}

// Drains replaces all drains: whoever is not in it is drained no more. The map is copied.
func (b *Board) Drains(until map[string]time.Time) {
	b.swap.Lock()
	defer b.swap.Unlock()
	b.drains = make(map[string]time.Time, len(until))
	for provider, t := range until {
		b.drains[provider] = t
	}
	b.drain()
}

func (b *Board) drain() {
	for _, s := range *b.services.Load() {
		s.mu.Lock()
		for _, r := range s.rows {
			r.Drained = b.drains[r.Provider]
		}
		s.mu.Unlock()
	}
}
