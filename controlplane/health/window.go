package health

import (
	"errors"
	"fmt"
	"sort"
	"time"

	"segue/controlplane/policy"
)

// Window puts the reports of all agents together: 15 minutes of history in steps of five seconds, by the receiver's clock, and each
// agent's latest gauges. It is one goroutine's: the leader's loop.
type Window struct {
	roll    [2]*roll // what the policy has, and the one before it: agents follow one after the other; nil: anything may be reported
	strange Strange  // what the last Put left out
	agents  map[string]*agent
	cells   map[cellKey]*series[Traffic]
	flows   map[flowKey]*series[ServiceRow]
	lanes   map[cellKey]map[laneName][]float64 // the last results of each
	events  []Event                            // sorted by time, oldest first
	told    uint64                             // events that were heard so far
	start   time.Time
	panels  map[cellKey][]*proof // what agents showed of a provider, by region; sorted by agent
	pools   map[cellKey]*pool    // of a provider: by region, and with region "" of all
	limits  map[string]policy.Limits
	court   court
}

type cellKey struct{ region, service, provider string }

type flowKey struct{ region, service string }

// agent is what is kept of one agent.
type agent struct {
	seen     AgentSeen
	lastRun  string    // the run before: what it still sends is late
	since    time.Time // when the run was first heard
	twinAt   time.Time // when the run before was last heard beside it
	seq      uint64
	strange  bool // it has reported of what the policy does not have
	rows     map[cellKey]Condition
	was      map[cellKey]Condition // rows of the report before
	proofs   map[cellKey]*proof    // of the providers in rows, over many reports
	services map[string]gauges
}

// gauges are a service's.
type gauges struct {
	open         int32     // outcomes that are unknown
	oldest       time.Time // of them
	inUse, could uint32    // sessions
	budget       Budget
}

// Errors of Put. A refused report changed nothing.
var (
	ErrLate     = errors.New("health: the report is late or came twice")
	ErrReport   = errors.New("health: the report makes no sense")
	ErrCrowded  = errors.New("health: more agents than a window holds")
	ErrElsewise = errors.New("health: the agent reported from another region")
	ErrTwin     = errors.New("health: two runs report under one agent's id: give one of them another")
)

// NewWindow returns a window that has heard nobody.
func NewWindow() *Window {
	return &Window{
		agents: map[string]*agent{}, cells: map[cellKey]*series[Traffic]{}, flows: map[flowKey]*series[ServiceRow]{}, lanes: map[cellKey]map[laneName][]float64{},
		panels: map[cellKey][]*proof{}, pools: map[cellKey]*pool{},
	}
}

// Put takes one report that came at the receiver's time at. It takes all of it, bounded, or nothing. The report is the caller's again.
func (w *Window) Put(r Report, at time.Time) error {
	w.strange = Strange{}
	w.forget(at)
	a, err := w.admit(&r, at)
	if err != nil {
		return err
	}
	if w.start.IsZero() {
		w.start = at
	}
	w.strip(a, &r)
	a.hear(&r, at)
	for i := range r.Rows[:min(len(r.Rows), MaxRows)] {
		w.putRow(a, &r.Rows[i], at)
	}
	for i := range r.Services[:min(len(r.Services), MaxServiceRows)] {
		w.putService(a, &r.Services[i], at)
	}
	w.forgetProofs(a)
	w.putEvents(&r, at)
	return nil
}

// admit checks who reports. An agent belongs to the region of its run's first report: nobody moves another region by a name.
func (w *Window) admit(r *Report, at time.Time) (*agent, error) {
	if !named(r.Agent) || !named(r.Region) || len(r.Run) > maxName {
		return nil, fmt.Errorf("%w: it names no agent or no region, or with more than %d bytes", ErrReport, maxName)
	}
	if !w.has(func(k *roll) bool { return k.regions[r.Region] }) {
		return nil, fmt.Errorf("%w: the policy has no region %q", ErrReport, r.Region)
	}
	a := w.agents[r.Agent]
	if a == nil {
		if len(w.agents) >= MaxAgents {
			return nil, fmt.Errorf("%w: %d", ErrCrowded, MaxAgents)
		}
		a = &agent{seen: AgentSeen{ID: r.Agent, Region: r.Region, Run: r.Run}, since: at}
		w.agents[r.Agent] = a
	}
	switch {
	case a.seen.Region != r.Region:
		return nil, fmt.Errorf("%w: %q is known in %s, not %s", ErrElsewise, r.Agent, a.seen.Region, r.Region)
	case r.Run != a.seen.Run && r.Run == a.lastRun && at.Sub(a.since) > lateFor:
		a.seen.Twin, a.twinAt = r.Run, at
		return nil, fmt.Errorf("%w: %q, runs %q and %q", ErrTwin, r.Agent, a.seen.Run, r.Run)
	case r.Run != a.seen.Run && r.Run == a.lastRun:
		return nil, fmt.Errorf("%w: run %q of %q has ended", ErrLate, r.Run, r.Agent)
	case r.Run != a.seen.Run:
		a.lastRun, a.seen.Run, a.seq, a.since, a.strange = a.seen.Run, r.Run, 0, at, false
	case r.Seq <= a.seq && a.seq > 0:
		return nil, fmt.Errorf("%w: %d after %d of %q", ErrLate, r.Seq, a.seq, r.Agent)
	}
	a.seq = r.Seq
	return a, nil
}

func (a *agent) hear(r *Report, at time.Time) {
	a.seen.Revision, a.seen.LastSeen = r.Revision, at
	a.seen.SkewMS = r.At.Sub(at).Milliseconds()
	if r.At.IsZero() {
		a.seen.SkewMS = 0
	}
	a.seen.Addr = make(map[string]string, min(len(r.Addr), MaxServiceRows))
	for service, addr := range r.Addr {
		if len(a.seen.Addr) < MaxServiceRows && named(service) {
			a.seen.Addr[service] = sentence(addr, maxName)
		}
	}
	a.was = a.rows
	a.rows = make(map[cellKey]Condition, len(r.Rows))
	a.services = make(map[string]gauges, len(r.Services))
}

func (w *Window) putRow(a *agent, r *Row, at time.Time) {
	if !named(r.Service) || !named(r.Provider) {
		return
	}
	k := cellKey{a.seen.Region, r.Service, r.Provider}
	if _, twice := a.rows[k]; twice {
		return
	}
	s := w.cells[k]
	if s == nil {
		if len(w.cells) >= MaxCells {
			return
		}
		s = &series[Traffic]{}
		w.cells[k] = s
	}
	t := bounded(r.Traffic)
	s.at(at).Add(&t)
	c := boundedCondition(r.Condition, at)
	a.rows[k] = c
	w.prove(a, k, r, &t, &c, at)
	w.putLanes(k, a.was[k].Lanes, c.Lanes)
}

func (w *Window) putService(a *agent, r *ServiceRow, at time.Time) {
	if !named(r.Service) {
		return
	}
	if _, twice := a.services[r.Service]; twice {
		return
	}
	k := flowKey{a.seen.Region, r.Service}
	s := w.flows[k]
	if s == nil {
		if len(w.flows) >= MaxFlows {
			return
		}
		s = &series[ServiceRow]{}
		w.flows[k] = s
	}
	row := boundedService(*r)
	s.at(at).Add(&row)
	a.services[r.Service] = gauges{open: max(r.UnknownOpen, 0), oldest: past(r.OldestUnknown, at), inUse: row.InUse, could: row.Could, budget: boundedBudget(r.Budget, at)}
}

func (w *Window) putEvents(r *Report, at time.Time) {
	for _, e := range r.Events[max(0, len(r.Events)-MaxEvents):] {
		e.Region = r.Region
		if e.At = past(e.At, at); e.At.IsZero() {
			e.At = at
		}
		e.Kind, e.Level = sentence(e.Kind, maxName), sentence(e.Level, maxName)
		e.Service, e.Provider = sentence(e.Service, maxName), sentence(e.Provider, maxName)
		e.Transaction, e.Text = sentence(e.Transaction, maxName), sentence(e.Text, maxText)
		w.told++
		e.Seq = w.told
		w.events = append(w.events, e)
	}
	w.sortEvents()
}

func (w *Window) sortEvents() {
	sort.SliceStable(w.events, func(i, j int) bool { return w.events[i].At.Before(w.events[j].At) })
	if over := len(w.events) - MaxWorldEvents; over > 0 {
		w.events = append(w.events[:0], w.events[over:]...)
	}
}

// forget drops agents that were not heard for Forget, and history that is older than the window.
func (w *Window) forget(now time.Time) {
	for id, a := range w.agents {
		if now.Sub(a.seen.LastSeen) > Forget {
			for k, p := range a.proofs {
				w.unseat(k, p)
			}
			delete(w.agents, id)
		}
	}
	for k, s := range w.cells {
		if s.silent(now) {
			delete(w.cells, k)
			delete(w.lanes, k)
		}
	}
	for k, p := range w.pools {
		if now.Sub(p.at) > Forget {
			delete(w.pools, k)
		}
	}
	for k, s := range w.flows {
		if s.silent(now) {
			delete(w.flows, k)
		}
	}
}
