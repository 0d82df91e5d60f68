package standing

import (
	"fmt"
	"math"
	"sort"
	"time"

	"segue/controlplane/health"
	"segue/dataplane/breaker"
	"segue/dataplane/route"
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
	s.ended.Budget.Spent, s.ended.Budget.Resets = s.st.Past.Spent(s.now, now)
	to.Services = append(to.Services, s.ended)
	s.ended = health.ServiceRow{}
	for _, r := range s.rows {
		to.Rows = append(to.Rows, health.Row{
			Service: s.name, Provider: r.Provider, Traffic: r.traffic, Condition: r.condition(now), Evidence: r.Failing.Take(r.Measures[:]),
		})
		r.traffic = health.Traffic{}
	}
}

func (r *row) condition(now time.Time) health.Condition {
	c := health.Condition{
		InFlight: r.InFlight, Breaker: r.Circuit.State().String(), Since: r.Circuit.Since(), Why: r.evidence(now),
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
func (r *row) evidence(now time.Time) string {
	c, cause := &r.Circuit, r.Cause()
	if c.State() == breaker.Closed && c.Failures() == 0 {
		return ""
	}
	if c.State() == breaker.Closed {
		cause = route.Cause{}
	}
	why := cause.Text(c.Failures())
	switch {
	case r.Partly() && !(c.State() == breaker.Ramp && !c.Away()):
		why = "being left as far as the others can take its calls: " + why
	case c.State() == breaker.Open && !c.Until().After(now):
		why += ", the next call asks again"
	case c.Away():
		why = fmt.Sprintf("being left, %d %% of its share goes there still: %s", percent(c, now), why)
	case c.State() == breaker.Ramp:
		why = fmt.Sprintf("coming back, at %d %% of its share", percent(c, now))
	}
	return why
}

func percent(c *breaker.Circuit, now time.Time) int { return int(math.Round(100 * c.Share(now))) }

// turned tells that a circuit changed. It is called under the service's lock.
func (b *Board) turned(r *row, t breaker.Transition) {
	e := health.Event{At: t.At, Kind: "breaker", Service: r.home.name, Provider: r.Provider}
	switch t.To {
	case breaker.Open:
		wait := max(0, r.Circuit.Until().Sub(t.At).Round(time.Second))
		cause := r.Cause()
		e.Level, e.Text = "bad", fmt.Sprintf("%s: circuit open, %s, asks again in %v", r.Provider, cause.Text(t.Failures), wait)
	case breaker.HalfOpen:
		e.Level, e.Text = "warn", r.Provider+": circuit half-open, one call at a time asks again"
	case breaker.Ramp:
		e.Level, e.Text = r.ramps()
	case breaker.Closed:
		got, _ := r.Circuit.Probes()
		e.Level, e.Text = "ok", fmt.Sprintf("%s: circuit closed, %d probes in a row succeeded", r.Provider, got)
		if t.Reason == breaker.RampOver {
			e.Text = r.Provider + ": circuit closed, all of its share is back"
		}
	default:
		e.Level, e.Text = "warn", r.Provider+": circuit in no state that is known"
	}
	b.Note(e)
}

// ramps tells that the share begins to move.
func (r *row) ramps() (level, text string) {
	if cause := r.Cause(); r.Circuit.Away() {
		return "bad", fmt.Sprintf("%s: its share is taken away bit by bit, %s", r.Provider, cause.Text(r.Circuit.Failures()))
	}
	got, _ := r.Circuit.Probes()
	return "ok", fmt.Sprintf("%s: %d probes in a row succeeded, its share comes back bit by bit", r.Provider, got)
}

// Note puts an event into the next report. Report writes the region in; an event without a time gets none.
func (b *Board) Note(e health.Event) { b.events.put(e) }
