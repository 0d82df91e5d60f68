package simulator

import (
	"slices"
	"time"

	"segue/controlplane/health"
	"segue/dataplane/breaker"
	"segue/dataplane/route"
)

// leader is the control plane's part: the window that all agents report to, and the verdicts that hold.
type leader struct {
	window   *health.Window
	verdicts []health.Verdict
	seq      uint64
}

// verdictKinds are the places of a tally's verdicts.
func verdictKinds() []health.VerdictKind {
	return []health.VerdictKind{"", health.PathFault, health.ProviderFault, health.RegionFault, health.OursFault}
}

// tick is a second: agents report, the leader judges, agents hear of it. With one region there is nothing to compare.
func (a *agents) tick(s *sim) {
	if s.Scenario.Regions < 2 {
		return
	}
	l, now := &a.leader, at(s.now)
	l.seq++
	for r := range s.Scenario.Regions {
		report := a.report(r, now)
		report.Seq = l.seq
		if s.world.cut {
			continue
		}
		if err := l.window.Put(report, now); err != nil {
			s.broken(err)
			return
		}
	}
	if s.world.cut { // the leader may judge what it likes: nobody hears of it
		return
	}
	verdicts := l.window.Judge(now)
	for _, v := range verdicts {
		if !slices.ContainsFunc(l.verdicts, v.Same) {
			i := slices.Index(verdictKinds(), v.Kind)
			s.tally.Verdicts[max(i, 0)]++
		}
	}
	l.verdicts = verdicts
	a.heed(s, now)
}

// report is what the agent of a region measured in the last second, as the board tells it.
func (a *agents) report(region int, now time.Time) health.Report {
	g := &a.list[region]
	rep := health.Report{Agent: regionName(region), Region: regionName(region), Run: "1", At: now}
	for i, row := range g.st.Rows {
		line := health.Row{Service: g.svc.Name, Provider: row.Provider, Traffic: g.rows[i], Evidence: row.Failing.Take(row.Measures[:])}
		line.Condition = health.Condition{InFlight: row.InFlight, Breaker: row.Circuit.State().String(), Since: row.Circuit.Since()}
		if row.Circuit.State() != breaker.Closed {
			cause := row.Cause()
			line.Why = cause.Text(row.Circuit.Failures())
		}
		g.rows[i] = health.Traffic{}
		rep.Rows = append(rep.Rows, line)
	}
	return rep
}

// heed gives the verdicts to the agents, as their boards do.
func (a *agents) heed(s *sim, now time.Time) {
	frozen := route.Frozen(a.leader.verdicts, now)
	for r := range s.Scenario.Regions {
		g := &a.list[r]
		for i, row := range g.st.Rows {
			row.Frozen = frozen
			for k := range a.leader.verdicts {
				if v := &a.leader.verdicts[k]; v.Until.After(now) && v.Service == g.svc.Name && v.Provider == row.Provider {
					g.st.Heed(row, &g.heeded[i], v, regionName(r), now)
				}
			}
		}
		a.watch(s, int8(r))
	}
}
