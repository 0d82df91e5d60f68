package dataplane

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"segue/controlplane/health"
	"segue/controlplane/policy"
	"segue/controlplane/state"
)

// errOld refuses an Update from before the one that is in force.
var errOld = errors.New("dataplane: the update is older than the one in force")

// Apply takes an Update from the control plane. An error leaves everything as it was; its text goes up as the NACK's reason.
func (a *Agent) Apply(u state.Update) error { return a.take(u, true) }

// take puts an Update in force: all that can fail comes first.
func (a *Agent) take(u state.Update, keep bool) error {
	a.force.mu.Lock()
	defer a.force.mu.Unlock()
	if was := a.force.position; was.Incarnation == u.Incarnation && u.Index < was.Index {
		return fmt.Errorf("%w: index %d after %d", errOld, u.Index, was.Index)
	}
	snap := a.force.snapshot.Load()
	fresh := len(u.Policy) > 0 && (snap == nil || snap.Revision != u.Revision || !slices.Equal(a.force.source, u.Policy))
	if fresh {
		next, err := a.compile(u)
		if err != nil {
			return err
		}
		if err := a.swap(next); err != nil {
			return err
		}
		a.force.source = u.Policy
	}
	a.order(u)
	a.heed(u)
	changed := a.force.position != u.Position && (fresh || a.force.position.Incarnation != u.Incarnation || !sameOrders(a.force.orders, u.Orders))
	a.force.position, a.force.orders = u.Position, u.Orders
	if keep && changed && len(a.force.source) > 0 { // verdicts alone make no generation: a restart must not begin with old suspicions
		if err := a.generations.save(u, a.cfg.Now()); err != nil { // it is in force all the same; only a restart would miss it
			a.cfg.Log.Error("a generation could not be written", "revision", u.Revision, "error", err)
		}
	}
	return nil
}

func (a *Agent) compile(u state.Update) (*policy.Snapshot, error) {
	doc, problems := policy.Parse("update", u.Policy)
	if err := problems.Err(); err != nil {
		return nil, fmt.Errorf("dataplane: revision %d does not parse: %w", u.Revision, err)
	}
	snap, err := policy.Compile(doc, a.cfg.Region, u.Revision)
	if err != nil {
		return nil, fmt.Errorf("dataplane: revision %d: %w", u.Revision, err)
	}
	return snap, nil
}

// swap puts a snapshot in force. The board first: no call may be decided by a policy whose rows it does not have. The edge can
// refuse (a port is taken); then the others go back to what they had.
func (a *Agent) swap(next *policy.Snapshot) error {
	p, was := &a.parts, a.force.snapshot.Load()
	p.board.Swap(next)
	p.proxy.Swap(next)
	p.driver.Swap(next)
	if err := p.edge.Swap(next); err != nil {
		if was == nil {
			was = &policy.Snapshot{Region: a.cfg.Region}
		}
		p.board.Swap(was)
		p.proxy.Swap(was)
		p.driver.Swap(was)
		return fmt.Errorf("dataplane: revision %d: %w", next.Revision, err)
	}
	p.prober.Swap(next)
	a.force.snapshot.Store(next)
	if was != nil {
		p.board.Note(health.Event{
			At: a.cfg.Now(), Kind: "policy", Level: "ok", Text: fmt.Sprintf("%s serves by policy %d", a.cfg.ID, next.Revision),
		})
	}
	return nil
}

// order puts the orders in force. Their ends are counted on this agent's clock: the time that was left when the Update was sent.
func (a *Agent) order(u state.Update) {
	now := a.cfg.Now()
	drains := map[string]time.Time{}
	var throttle *policy.Order
	orders := make([]policy.Order, len(u.Orders))
	for i, o := range u.Orders {
		o.At = now.Add(o.At.Sub(u.Now))
		orders[i] = o
		if here := len(o.Regions) == 0 || slices.Contains(o.Regions, a.cfg.Region); !here || !o.Ends().After(now) {
			continue
		}
		switch o.Kind {
		case policy.Drain:
			if o.Ends().After(drains[o.Provider]) {
				drains[o.Provider] = o.Ends()
			}
		case policy.Probe:
			a.parts.prober.Ask(o.ID, o.Provider, o.Synthetic)
		case policy.HintReplay:
			a.parts.hints.replay(o.ID, *o.Hints)
		case policy.HintThrottle:
			throttle = throttling(throttle, &orders[i])
		case policy.Verify, policy.Resolve:
			a.decide(o)
		case policy.VerifyAll:
			a.lookFor(o)
		case policy.Drill: // the client's, below
		}
	}
	a.parts.hints.steer(throttle)
	a.parts.board.Drains(drains)
	a.parts.client.Drills(orders)
}

// sameOrders tells whether two Updates carry the same orders.
func sameOrders(a, b []policy.Order) bool {
	return slices.EqualFunc(a, b, func(x, y policy.Order) bool { return x.ID == y.ID })
}

// heed tells the board the verdicts in force. Their ends are counted on this agent's clock, and none holds for longer than it may: if the
// control plane is gone, they are soon over.
func (a *Agent) heed(u state.Update) {
	now := a.cfg.Now()
	verdicts := slices.Clone(u.Verdicts)
	for i := range verdicts {
		verdicts[i].Until = now.Add(min(verdicts[i].Until.Sub(u.Now), health.VerdictMost))
	}
	a.parts.board.Heed(verdicts, now)
}

// Report is what the agent measured since its last report.
func (a *Agent) Report() health.Report {
	r := a.parts.board.Report(a.cfg.Now())
	r.Agent, r.Region, r.Run, r.Addr = a.cfg.ID, a.cfg.Region, a.run, a.Addrs()
	unknown, snap := a.parts.driver.Unknowns(), a.force.snapshot.Load()
	for i := range r.Services {
		s := &r.Services[i]
		u := unknown[s.Service]
		s.UnknownOpen, s.OldestUnknown = int32(min(u.Open, 1<<30)), u.Oldest
		a.metrics.worth(s.Service, exchange(snap, s.Service), u.Worth)
	}
	a.reach(&r, snap)
	a.cover(&r)
	a.metrics.show(&r, a.age())
	return r
}

// reach tells which endpoints of providers are passed over.
func (a *Agent) reach(r *health.Report, snap *policy.Snapshot) {
	if snap == nil {
		return
	}
	for i := range r.Rows {
		row := &r.Rows[i]
		svc, known := snap.Service(row.Service)
		if !known {
			continue
		}
		for _, c := range svc.Candidates {
			if c.Provider == row.Provider {
				row.Passed = a.parts.client.Passed(c, r.At)
			}
		}
	}
}

// exchange is what a policy says of currencies; nil: there is none yet.
func exchange(snap *policy.Snapshot, service string) *policy.Exchange {
	if snap == nil {
		return nil
	}
	svc, known := snap.Service(service)
	if !known {
		return nil
	}
	return svc.Exchange
}

// cover tells which share of the sessions in use could go on elsewhere now.
func (a *Agent) cover(r *health.Report) {
	snap := a.force.snapshot.Load()
	if snap == nil {
		return
	}
	for i := range r.Services {
		s := &r.Services[i]
		if svc, known := snap.Service(s.Service); known {
			told := a.parts.carrier.InUse(svc, r.At)
			s.InUse, s.Could = uint32(told.InUse), uint32(told.Could)
		}
	}
}

// age is how long ago a control node was heard; negative: never.
func (a *Agent) age() time.Duration {
	if a.feed != nil {
		if age, heard := a.feed.Age(); heard {
			return age
		}
	}
	return -1
}
