package standing

import (
	"fmt"
	"sort"
	"time"

	"segue/controlplane/health"
	"segue/dataplane/breaker"
)

// Report takes the counters since the last one and tells the gauges as they are now. Agent, Run, Addr and what is open in the ledger are
// the agent's to fill in. Rows come sorted, so that two reports can be held against each other.
func (b *Board) Report(now time.Time) health.Report {
	b.swap.Lock()
	defer b.swap.Unlock()
	b.seq++
	rep := health.Report{Seq: b.seq, Region: b.region, Revision: b.revision, At: now, Events: b.events.take()}
	for _, s := range *b.services.Load() {
		s.report(&rep, now)
	}
	for i := range rep.Events {
		rep.Events[i].Region = b.region
	}
	sort.Slice(rep.Services, func(i, j int) bool { return rep.Services[i].Service < rep.Services[j].Service })
	sort.SliceStable(rep.Rows, func(i, j int) bool { return rep.Rows[i].Service < rep.Rows[j].Service })
	return rep
}

func (s *service) report(to *health.Report, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended.Service = s.name
	to.Services = append(to.Services, s.ended)
	s.ended = health.ServiceRow{}
	for _, r := range s.rows {
		to.Rows = append(to.Rows, health.Row{
			Service: s.name, Provider: r.Provider, Traffic: r.traffic, Condition: r.condition(now),
		})
		r.traffic = health.Traffic{}
	}
}

func (r *row) condition(now time.Time) health.Condition {
	c := health.Condition{
		InFlight: r.InFlight, Breaker: r.Circuit.State().String(), Since: r.Circuit.Since(), Why: evidence(&r.Circuit, now),
		Weight: r.weight,
	}
	r.tellLanes(&c)
	if r.Drained.After(now) {
		c.Drained = r.Drained
	}
	if r.Circuit.State() == breaker.HalfOpen {
		got, need := r.Circuit.Probes()
		c.Probes = fmt.Sprintf("%d of %d", got, need)
	}
	return c
}

// evidence is why the circuit is not closed, in words; "" while it is and nothing fails.
func evidence(c *breaker.Circuit, now time.Time) string {
	if c.Failures() == 0 {
		return ""
	}
	why := inARow(c.Failures())
	if c.State() == breaker.Open && !c.Until().After(now) {
		why += ", the next call asks again"
	}
	return why
}

func inARow(failures int) string {
	if failures == 1 {
		return "1 failure"
	}
	return fmt.Sprintf("%d failures in a row", failures)
}

// turned tells that a circuit changed. It is called under the service's lock.
func (b *Board) turned(r *row, t breaker.Transition) {
	e := health.Event{At: t.At, Kind: "breaker", Service: r.home.name, Provider: r.Provider}
	switch t.To {
	case breaker.Open:
		wait := max(0, r.Circuit.Until().Sub(t.At).Round(time.Second))
		e.Level, e.Text = "bad", fmt.Sprintf("%s: circuit open, %s, asks again in %v", r.Provider, inARow(t.Failures), wait)
	case breaker.HalfOpen:
		e.Level, e.Text = "warn", r.Provider+": circuit half-open, one call at a time asks again"
	case breaker.Closed:
		got, _ := r.Circuit.Probes()
		e.Level, e.Text = "ok", fmt.Sprintf("%s: circuit closed, %d probes in a row succeeded", r.Provider, got)
	default:
		e.Level, e.Text = "warn", r.Provider+": circuit in no state that is known"
	}
	b.Note(e)
}

// Note puts an event into the next report. Report writes the region in; an event without a time gets none.
func (b *Board) Note(e health.Event) { b.events.put(e) }
