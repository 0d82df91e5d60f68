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
	list [MaxRegions]agent
}

type agent struct {
	svc  *policy.Service
	st   route.Standings
	was  [MaxProviders]breaker.State
	d    route.Decision
	rows [MaxProviders]health.Traffic
}

func newAgents(svcs []*policy.Service) *agents {
	a := &agents{}
	for r, svc := range svcs {
		one := &a.list[r]
		one.svc = svc
		for _, c := range svc.Candidates {
			row := route.NewStanding(c.Provider)
			row.Circuit.Configure(settings(svc))
			one.st.Rows = append(one.st.Rows, row)
		}
	}
	return a
}

// settings are the board's.
func settings(svc *policy.Service) breaker.Settings {
	return breaker.Settings{
		Failures: svc.Breaker.Failures, Successes: svc.Breaker.Successes, Reset: svc.Breaker.Reset,
		Lease: svc.Attempts.PerTry + time.Second,
	}
}

func (a *agents) service(region int8) *policy.Service { return a.list[region].svc }

// choose decides and takes what the winner costs; -1: nobody is eligible.
func (a *agents) choose(s *sim, c *call, f *policy.Facts) int {
	g, now := &a.list[c.region], at(s.now)
	route.Decide(&g.d, g.svc, &g.st, f, now)
	if g.d.Winner >= 0 {
		c.permit = g.st.Begin(&g.d, g.svc, now)
	}
	a.watch(s, c.region)
	return int(g.d.Winner)
}

// done gives the permit back with what the send showed.
func (a *agents) done(s *sim, c *call, x health.Sample, o health.Outcome) {
	g := &a.list[c.region]
	g.rows[c.at].Attempt(x, o)
	c.permit.End(x, at(s.now), c.permit.Draw())
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
		switch {
		case was == breaker.Closed || was == breaker.Ramp && is == breaker.Open:
			s.tally.gate(s, int(region), p)
		case was == breaker.HalfOpen && is != breaker.Open:
			s.tally.returned(s, int(region), p)
		}
	}
}

func (a *agents) tick(*sim) {}
