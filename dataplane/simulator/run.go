package simulator

import (
	"fmt"
	"time"
)

// Config is one run.
type Config struct {
	Scenario Scenario
	Rate     float64 // calls per second and region
	Seed     uint64  // for the record: Streams are made of it
	Streams  Streams
}

// player is somebody who chooses.
type player interface {
	begin(s *sim, c *call) // a call arrived, or came back
	ended(s *sim, c *call) // the send that was under way showed something, in c.shown
	woke(s *sim, c *call)  // the pause is over
	tick(s *sim)           // a second has passed
	pulse(s *sim)          // a twentieth of one
}

// sim is one run.
type sim struct {
	Config
	agenda
	world  world
	player player
	tally  *Tally
	now    int64
	end    int64 // no call arrives after
	calls  []*call
	free   []int32
	faults []Fault
	err    error // the ledger refused what its own step asked for: the run is worth nothing
}

func (s *sim) broken(err error) {
	if s.err == nil {
		s.err = fmt.Errorf("simulator: scenario %s, rate %v, seed %d, at %v: %w", s.Scenario.Name, s.Rate, s.Seed, time.Duration(s.now), err)
	}
}

// epoch is when virtual time begins, for code that wants a date.
var epoch = time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)

func at(ns int64) time.Time { return epoch.Add(time.Duration(ns)) }

func virtual(t time.Time) int64 { return int64(t.Sub(epoch)) }

// Run plays one scenario by one player.
func Run(cfg Config, name string) (*Tally, error) {
	if !(cfg.Rate >= MinRate && cfg.Rate <= MaxRate) {
		return nil, fmt.Errorf("simulator: the rate is %v; it is %v to %d a second", cfg.Rate, MinRate, MaxRate)
	}
	s := &sim{Config: cfg}
	s.build()
	p, err := newPlayer(name, s)
	if err != nil {
		return nil, err
	}
	s.player = p
	s.tally = newTally(s, name)
	s.plan()
	for {
		e, ok := s.pop()
		if !ok || s.err != nil {
			break
		}
		s.now = e.at
		s.happen(e)
	}
	s.tally.close(s)
	return s.tally, s.err
}

// MinRate and MaxRate bound the calls per second and region.
const (
	MinRate = 0.01
	MaxRate = 20_000
)

// build makes the world.
func (s *sim) build() {
	unit := float64(unitOf(s.Rate))
	s.end = int64(s.Scenario.Units * unit)
	for i, p := range providers() {
		w := place{Provider: p, servers: s.Scenario.room(i, &p, s.Rate*float64(s.Scenario.Regions)), salt: mix(uint64(i+1) * golden)}
		s.world.places = append(s.world.places, w)
	}
	for _, f := range s.Scenario.Faults {
		f.From, f.To = f.From*unit, f.To*unit
		s.faults = append(s.faults, f)
	}
}

// plan puts what is known beforehand on the agenda.
func (s *sim) plan() {
	for i := range s.faults {
		s.push(int64(s.faults[i].From), turns, int32(i))
		s.push(int64(s.faults[i].To), turns, int32(i))
	}
	for r := range s.Scenario.Regions {
		s.push(s.gap(), arrives, int32(r))
	}
	s.push(int64(time.Second), ticks, 0)
	s.push(pulseTime, pulses, 0)
}

// pulseTime is how often a board looks at its rows where nobody chooses.
const pulseTime = int64(50 * time.Millisecond)

// gap is the time to the next arrival.
func (s *sim) gap() int64 {
	return int64(exponential(unit(s.Streams.Arrivals.Uint64())) * float64(time.Second) / s.Rate)
}

func (s *sim) happen(e event) {
	switch e.kind {
	case arrives:
		s.arrive(e.who)
	case returns:
		s.player.begin(s, s.comesBack(e.who))
	case ends:
		s.player.ended(s, s.calls[e.who])
	case wakes:
		if c := s.calls[e.who]; c.wakeAt == s.now {
			c.wakeAt = 0
			s.player.woke(s, c)
		}
	case turns:
		s.turn(&s.faults[e.who])
	case pulses:
		s.player.pulse(s)
		if next := s.now + pulseTime; next <= s.end {
			s.push(next, pulses, 0)
		}
	case ticks:
		s.player.tick(s)
		if next := s.now + int64(time.Second); next <= s.end {
			s.push(next, ticks, 0)
		}
	}
}

// arrive brings a region's next call, and plans the one behind it. The draws are the same for every player.
func (s *sim) arrive(region int32) {
	in := s.Streams.Arrivals
	c := s.take()
	c.region = int8(region)
	c.value = lognormal(unit(in.Uint64()), medianValue, valueSigma)
	c.read = unit(in.Uint64()) < reads
	c.draw, c.fate = in.Uint64(), s.Streams.World.Uint64()
	if next := s.now + s.gap(); next < s.end {
		s.push(next, arrives, region)
	}
	s.open(c)
	s.player.begin(s, c)
}

// comesBack is a caller who comes back with the same key.
func (s *sim) comesBack(id int32) *call {
	c := s.calls[id]
	c.back++
	c.coming, c.wakeAt = false, 0 // what the background waited for, this time does itself
	s.open(c)
	return c
}

func (s *sim) open(c *call) {
	c.arrived, c.deadline = s.now, s.now+int64(deadline)
	c.answered, c.first, c.times, c.tried = false, -1, 0, 0
	s.tally.arrived(s, c)
}

// take finds room for a call.
func (s *sim) take() *call {
	n := len(s.free)
	if n == 0 {
		c := &call{id: int32(len(s.calls))}
		s.calls = append(s.calls, c)
		return c
	}
	c := s.calls[s.free[n-1]]
	s.free = s.free[:n-1]
	tx := c.tx
	*c = call{id: c.id}
	c.tx = tx // its memory is used again
	return c
}

// turn begins a fault or ends it.
func (s *sim) turn(f *Fault) {
	begins := s.now < int64(f.To)
	sign := -1.0
	if begins {
		sign = 1
	}
	for p := range s.world.places {
		for r := range s.Scenario.Regions {
			if f.hits(p) && f.in(r) {
				s.world.places[p].now[r].add(&f.ill, sign)
			}
		}
	}
	for r := range s.Scenario.Regions {
		if f.store && f.in(r) {
			s.world.noStore[r] = begins
		}
	}
	if f.cut {
		s.world.cut = begins
	}
}

// send sends c to provider p. The client waits for as long as one try may take.
func (s *sim) send(c *call, p int) {
	c.at, c.sentAt = int8(p), s.now
	c.tries++
	if c.first < 0 {
		c.first = int8(p)
		s.tally.chosen(s, c)
	}
	before := c.fees
	c.shown = s.world.send(c, p, s.now)
	s.tally.sent(s, c, c.fees-before)
	until := min(s.now+int64(perTry), c.deadline)
	if c.shown.at > until {
		c.shown = shown{at: until}
	}
	s.push(c.shown.at, ends, c.id)
}

// left is how long the caller still waits.
func (s *sim) left(c *call) int64 { return c.deadline - s.now }

// answer tells the caller how his call ended. One who failed may come back.
func (s *sim) answer(c *call, how ending) {
	c.answered = true
	s.tally.answered(s, c, how)
	if how >= failed && int(c.back) < s.Scenario.Returns && s.now < s.end {
		c.coming = true
		s.push(s.now+int64(500*time.Millisecond)<<c.back, returns, c.id)
		return
	}
	s.retire(c)
}

// retire ends a call of which nothing is open any more.
func (s *sim) retire(c *call) {
	if !c.answered || c.coming || c.pending() {
		return
	}
	s.tally.retired(s, c)
	s.free = append(s.free, c.id)
}

// later wakes c after a while.
func (s *sim) later(c *call, after int64, what pause) {
	c.then, c.wakeAt = what, s.now+after
	s.push(c.wakeAt, wakes, c.id)
}
