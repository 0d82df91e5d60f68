package simulator

import (
	"time"

	"segue/controlplane/health"
	"segue/controlplane/policy"
	"segue/dataplane/breaker"
	"segue/dataplane/route"
)

// agents choose by the shipped code: one agent per region, each with standings of its own. What the board does under its lock is done here
// in virtual time; nothing here decides.
type agents struct {
	list   [MaxRegions]agent
	leader leader
}

type agent struct {
	svc    *policy.Service
	st     route.Standings
	was    [MaxProviders]breaker.State
	d      route.Decision
	rows   [MaxProviders]health.Traffic
	heeded [MaxProviders]route.Heeded
}

func newAgents(svcs []*policy.Service) *agents {
	a := &agents{}
	for r, svc := range svcs {
		one := &a.list[r]
		one.svc = svc
		one.st.Past = route.NewCalls()
		for _, c := range svc.Candidates {
			row := route.NewStanding(c.Provider)
			row.Circuit.Configure(route.Settings(svc, c.Provider))
			one.st.Rows = append(one.st.Rows, row)
		}
	}
	a.leader.window = health.NewWindow()
	return a
}

func (a *agents) service(region int8) *policy.Service { return a.list[region].svc }

// choose decides and takes what the winner costs; -1: nobody is eligible.
func (a *agents) choose(s *sim, c *call, f *policy.Facts) int {
	g, now := &a.list[c.region], at(s.now)
	for _, row := range g.st.Rows {
		row.Watch(now)
	}
	route.Decide(&g.d, g.svc, &g.st, f, now)
	if g.d.Winner >= 0 {
		c.permit = g.st.Begin(&g.d, g.svc, now)
		c.permit.Sent(now)
	}
	a.watch(s, c.region)
	return int(g.d.Winner)
}

// done gives the permit back with what the send showed.
func (a *agents) done(s *sim, c *call, x health.Sample, o health.Outcome) {
	g := &a.list[c.region]
	x.Unsent = o == health.NotSent
	if o == health.Succeeded && !c.read { // answers state their fee
		x.Told, x.Stated = true, policy.Money(s.world.fee(int(c.at), c)*1e6)
	}
	g.rows[c.at].Attempt(x, o)
	if x.Class == health.OK || x.Class == health.Slow {
		g.heeded[c.at].Answered(at(s.now))
	}
	now, row := at(s.now), c.permit.Row()
	c.permit.End(x, now, c.permit.Draw())
	if row != nil {
		row.Watch(now)
	}
	c.permit = route.Permit{}
	a.watch(s, c.region)
}

// watch tells the tally which circuits have turned.
func (a *agents) watch(s *sim, region int8) {
	g := &a.list[region]
	for p, row := range g.st.Rows {
		is, was := row.Circuit.State(), g.was[p]
		if is == was {
			continue
		}
		g.was[p] = is
		cause := row.Cause()
		s.tally.turned(s, Turn{regionName(int(region)), row.Provider, was.String(), is.String(), time.Duration(s.now).String(), row.Circuit.Reason().String() + ": " + cause.Text(row.Circuit.Failures())})
		switch {
		case was == breaker.Closed || was == breaker.Ramp && is == breaker.Open:
			s.tally.gate(s, int(region), p)
		case was == breaker.HalfOpen && is != breaker.Open:
			s.tally.returned(s, int(region), p)
		}
	}
}

// retry spends a re-send to the same provider from the service's budget.
func (a *agents) retry(s *sim, c *call) bool {
	g := &a.list[c.region]
	return g.st.Retry(g.svc, at(s.now))
}

// pulse is the board's own tick.
func (a *agents) pulse(s *sim) {
	now := at(s.now)
	for r := range s.Scenario.Regions {
		g := &a.list[r]
		for i, row := range g.st.Rows {
			row.Tick(now)
			g.st.Follow(row, &g.heeded[i], now)
		}
		a.watch(s, int8(r))
	}
}
