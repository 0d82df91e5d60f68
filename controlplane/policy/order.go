package policy

import (
	"fmt"
	"slices"
	"time"
)

// OrderKind is what an order asks for.
type OrderKind string

// The orders that are built.
const (
	Drain OrderKind = "drain" // no calls to Provider but those about objects that it owns: sessions move too
	Drill OrderKind = "drill" // agents inject Fault into calls to Provider
	Probe OrderKind = "probe" // agents run Provider's active check once, now
)

// Order is a bounded instruction that does not wait for a rollout. It ends For after At; agents count the remaining time
// on their own clocks, so that an order ends even where the control plane is gone.
type Order struct {
	ID        string `json:",omitempty"`
	Kind      OrderKind
	Provider  string
	Regions   []string  `json:",omitempty"` // empty: every region
	Fault     Fault     `json:",omitzero"`  // drill only
	Hints     *Hints    `json:",omitempty"` // hint-replay and hint-throttle only
	About     *About    `json:",omitempty"` // verify and resolve only
	Open      *Open     `json:",omitempty"` // verify-all only
	Synthetic bool      `json:",omitempty"` // probe only: the synthetics instead of the active checks
	At        time.Time `json:",omitzero"`
	For       time.Duration
	Actor     string `json:",omitempty"`
	Reason    string `json:",omitempty"`
}

// Ends is when the order ends, on the leader's clock.
func (o *Order) Ends() time.Time { return o.At.Add(o.For) }

// FaultKind is what a drill does to a call.
type FaultKind string

// The faults that an agent's provider can inject.
const (
	FaultRefuse    FaultKind = "refuse"     // as if the connection were refused: nothing is sent
	FaultStatus    FaultKind = "status"     // answered with Status, nothing is sent
	FaultHang      FaultKind = "hang"       // nothing is sent, no answer until the time-out: unknown
	FaultLostReply FaultKind = "lost-reply" // sent and executed; the answer is dropped: unknown
	FaultSlow      FaultKind = "slow"       // the answer comes Delay later
)

// Fault is a drill's fault: its kind, the share of calls it hits (0 < Share ≤ 1), and its numbers.
type Fault struct {
	Kind   FaultKind
	Share  float64
	Status int           `json:",omitempty"`
	Delay  time.Duration `json:",omitempty"`
}

// Check tells what is wrong with an order under a policy, in one sentence that names the field and what would be right.
func (o *Order) Check(p *Policy) error {
	if (o.Hints != nil) != o.aboutHints() {
		return orderError("hints", "what is to happen to hints stands in an order of kind hint-replay or hint-throttle, and in no other", "give the one with the other")
	}
	if (o.About != nil) != o.aboutOne() {
		return orderError("about", "a transaction stands in an order of kind verify or resolve, and in no other", "give the one with the other")
	}
	if (o.Open != nil) != (o.Kind == VerifyAll) {
		return orderError("open", "which open transactions are meant stands in an order of kind verify-all, and in no other", "give the one with the other")
	}
	if !o.aboutHints() && !o.aboutOne() && o.Open == nil && p.Provider(o.Provider) == nil {
		var names []string
		for i := range p.Providers {
			names = append(names, p.Providers[i].Name)
		}
		return orderError("provider", fmt.Sprintf("there is no provider %q", clip(o.Provider)), didYouMean(o.Provider, names))
	}
	for i, r := range o.Regions {
		if _, ok := p.Regions.Find(r); !ok {
			return orderError("regions", fmt.Sprintf("there is no region %q", clip(r)), didYouMean(r, p.Regions.Names()))
		}
		if slices.Contains(o.Regions[:i], r) {
			return orderError("regions", r+" is there twice", "name each region once")
		}
	}
	if o.For <= 0 || o.For > maxOrder {
		return orderError("for", fmt.Sprintf("%s is not between 0 and %s", span(o.For), span(maxOrder)), "every order ends: write how long it holds, like 10m")
	}
	if o.Synthetic && o.Kind != Probe {
		return orderError("synthetic", "synthetics stand in an order of kind probe, and in no other", "leave it out")
	}
	switch o.Kind {
	case Drain:
		if o.Fault != (Fault{}) {
			return orderError("fault", "a drain has no fault", "leave it out")
		}
		return nil
	case Drill:
		return o.Fault.check()
	case Probe:
		return o.checkProbe(p)
	case HintReplay, HintThrottle:
		return o.checkHints()
	case Verify, Resolve:
		return o.checkAbout()
	case VerifyAll:
		return o.checkOpen(p)
	default:
		return orderError("kind", fmt.Sprintf("%q is unknown", clip(string(o.Kind))), "write drain, drill, probe, hint-replay, hint-throttle, verify, verify-all or resolve")
	}
}

// maxProbe bounds a probe's order: it is for agents that are attached now.
const maxProbe = time.Minute

func (o *Order) checkProbe(p *Policy) error {
	switch {
	case o.Fault != (Fault{}):
		return orderError("fault", "a probe has no fault", "leave it out")
	case o.For > maxProbe:
		return orderError("for", fmt.Sprintf("%s is longer than %s", span(o.For), span(maxProbe)), "a probe is for agents that are attached now")
	case o.Synthetic && len(p.Provider(o.Provider).Checks.Synthetic) == 0:
		return orderError("provider", o.Provider+" has no synthetic", "give it one in the policy, like checks: {synthetic: charge-and-void every 5m}")
	case !o.Synthetic && len(p.Provider(o.Provider).Checks.Active) == 0:
		return orderError("provider", o.Provider+" has no active check", "give it one in the policy, like checks: {active: GET /v1/balance every 10s}")
	}
	return nil
}

func (f Fault) check() error {
	if !(f.Share > 0 && f.Share <= 1) {
		return orderError("fault.share", fmt.Sprintf("%v is not above 0 and at most 1", f.Share), "write the share of calls that it hits, like 0.5")
	}
	switch f.Kind {
	case FaultRefuse, FaultHang, FaultLostReply:
	case FaultStatus:
		if f.Status < 400 || f.Status > 599 {
			return orderError("fault.status", fmt.Sprintf("%d is not between 400 and 599", f.Status), "write one, like 503")
		}
	case FaultSlow:
		if f.Delay <= 0 || f.Delay > maxFaultDelay {
			return orderError("fault.delay", fmt.Sprintf("%s is not between 0 and %s", span(f.Delay), span(maxFaultDelay)), "write one, like 2s")
		}
	default:
		known := []string{string(FaultRefuse), string(FaultStatus), string(FaultHang), string(FaultLostReply), string(FaultSlow)}
		return orderError("fault.kind", fmt.Sprintf("%q is unknown", clip(string(f.Kind))), didYouMean(string(f.Kind), known))
	}
	return f.checkNumbers()
}

// checkNumbers refuses numbers that the kind of fault does not use: they would do nothing.
func (f Fault) checkNumbers() error {
	if f.Status != 0 && f.Kind != FaultStatus {
		return orderError("fault.status", "does nothing in a fault "+string(f.Kind), "leave it out")
	}
	if f.Delay != 0 && f.Kind != FaultSlow {
		return orderError("fault.delay", "does nothing in a fault "+string(f.Kind), "leave it out")
	}
	return nil
}

func orderError(field, what, fix string) error {
	return Problems{{Path: field, Message: what, Fix: fix}}
}
