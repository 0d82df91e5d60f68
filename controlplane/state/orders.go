package state

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"segue/controlplane/policy"
)

// InForce returns the orders that have not ended by now, oldest first. The list may be appended to, and not written to.
func (s *State) InForce(now time.Time) []policy.Order {
	if !slices.ContainsFunc(s.Orders, func(o policy.Order) bool { return !o.Ends().After(now) }) {
		return slices.Clip(s.Orders)
	}
	out := make([]policy.Order, 0, len(s.Orders)+1)
	for _, o := range s.Orders {
		if o.Ends().After(now) {
			out = append(out, o)
		}
	}
	return out
}

// giveOrder puts an order in force. The draft's Orders hold only what is in force at the command's time.
func (s *State) giveOrder(c Command, o policy.Order) (done, *Error) {
	o.ID, o.At, o.Actor, o.Reason = orderID(c.Request), c.At, c.Actor, c.Reason
	o.Regions = slices.Clone(o.Regions)
	current := s.Current().Policy
	if err := o.Check(current); err != nil {
		return done{}, refuse(Invalid, "%s", err)
	}
	if len(s.Orders) >= MaxOrders {
		return done{}, refuse(Invalid, "%d orders are in force, the limit: end one first", len(s.Orders))
	}
	if slices.ContainsFunc(s.Orders, func(other policy.Order) bool { return other.ID == o.ID }) {
		return done{}, refuse(Invalid, "order %s is in force already", o.ID)
	}
	if o.Kind == policy.Drain {
		if why := stranded(current, s.Orders, o); why != "" {
			return done{}, refuse(Invalid, "%s", why)
		}
	}
	if o.Kind == policy.HintThrottle { // the latest counts, and an earlier one must not come back when it ends
		s.Orders = slices.DeleteFunc(slices.Clone(s.Orders), func(other policy.Order) bool { return other.Kind == o.Kind && covers(&o, &other) })
	}
	s.Orders = append(s.Orders, o)
	return done{text: describe(o), order: o.ID}, nil
}

// endOrders ends one order, all drains of a provider, or all throttles of hints. That there is none is no refusal: it is what was asked for.
func (s *State) endOrders(e *EndOrder) (done, *Error) {
	switch {
	case e.Throttles:
		return s.endEach(func(o *policy.Order) bool { return o.Kind == policy.HintThrottle }), nil
	case e.DrainsOf == "":
		return s.endOrder(e.ID)
	case s.Current().Policy.Provider(e.DrainsOf) == nil:
		return done{}, refuse(NotFound, "there is no provider %q", e.DrainsOf)
	}
	return s.endEach(func(o *policy.Order) bool { return o.Kind == policy.Drain && o.Provider == e.DrainsOf }), nil
}

// endEach ends the orders that are meant, which may be none.
func (s *State) endEach(meant func(*policy.Order) bool) done {
	var left []policy.Order
	var ids, texts []string
	for _, o := range s.Orders {
		if !meant(&o) {
			left = append(left, o)
			continue
		}
		ids, texts = append(ids, o.ID), append(texts, describe(o))
	}
	if len(ids) == 0 {
		return done{}
	}
	s.Orders = left
	return done{text: "ended early: " + strings.Join(texts, "; "), order: strings.Join(ids, " ")}
}

func (s *State) endOrder(id string) (done, *Error) {
	i := slices.IndexFunc(s.Orders, func(o policy.Order) bool { return o.ID == id })
	if i < 0 {
		return done{}, refuse(NotFound, "order %q is not in force", id)
	}
	text := "ended early: " + describe(s.Orders[i])
	s.Orders = slices.Delete(slices.Clone(s.Orders), i, i+1)
	return done{text: text, order: id}, nil
}

// orderID comes from the request id alone: every node must come to the same one, and a repeat too.
func orderID(request string) string {
	h := sha256.Sum256([]byte("order\x00" + request))
	return "o_" + hex.EncodeToString(h[:8])
}

func describe(o policy.Order) string {
	where := "every region"
	if len(o.Regions) > 0 {
		where = strings.Join(o.Regions, ", ")
	}
	what := string(o.Kind)
	switch {
	case o.Hints != nil:
		return describeHints(o, where)
	case o.About != nil:
		return describeAbout(o.Kind, o.About)
	case o.Open != nil:
		return "verification of " + o.Open.Text()
	}
	if o.Kind == policy.Drill {
		what = fmt.Sprintf("drill (%s, %g %%)", o.Fault.Kind, o.Fault.Share*100)
	}
	return fmt.Sprintf("%s of %s in %s for %s", what, o.Provider, where, o.For)
}

// describeAbout names the evidence by its hash: the text is kept with the transaction.
func describeAbout(kind policy.OrderKind, a *policy.About) string {
	if kind == policy.Verify {
		return "verification of " + a.Transaction
	}
	h := sha256.Sum256([]byte(a.Evidence))
	return fmt.Sprintf("resolution of %s as %s, by evidence with the SHA-256 %x", a.Transaction, a.Outcome, h)
}

func describeHints(o policy.Order, where string) string {
	h := o.Hints
	switch {
	case o.Kind == policy.HintReplay:
		return fmt.Sprintf("replay of hints in %s (held too: %t, past their age too: %t)", where, h.Held, h.Old)
	case h.Pause:
		return fmt.Sprintf("pause of the replay of hints in %s for %s", where, o.For)
	default:
		return fmt.Sprintf("replay of hints in %s at most %g a second, for %s", where, h.Rate, o.For)
	}
}

// covers tells whether o holds wherever other does.
func covers(o, other *policy.Order) bool {
	return len(o.Regions) == 0 || len(other.Regions) > 0 && !slices.ContainsFunc(other.Regions, func(r string) bool { return !slices.Contains(o.Regions, r) })
}

// stranded says which service a drain would leave without a provider, and why. Drains end by the agents' clocks, so one that runs
// out soon still counts as long as it is in force.
func stranded(p *policy.Policy, inForce []policy.Order, drain policy.Order) string {
	drains := append(slices.Clone(inForce), drain)
	for _, region := range p.Regions.Names() {
		if !concerns(&drain, region) {
			continue
		}
		for i := range p.Services {
			names := offering(&p.Services[i], region)
			if !slices.Contains(names, drain.Provider) {
				continue
			}
			if why, all := drained(names, drains, region); all {
				return fmt.Sprintf("%s in %s would have no provider left: %s", p.Services[i].Name, region, why)
			}
		}
	}
	return ""
}

// drained tells whether every provider named is drained in region, and by what.
func drained(names []string, drains []policy.Order, region string) (string, bool) {
	var why []string
	for _, name := range names {
		i := slices.IndexFunc(drains, func(o policy.Order) bool {
			return o.Kind == policy.Drain && o.Provider == name && concerns(&o, region)
		})
		switch {
		case i < 0:
			return "", false
		case i == len(drains)-1:
			why = append(why, name+" by this drain")
		default:
			why = append(why, fmt.Sprintf("%s is drained until %s", name, drains[i].Ends().Format(time.RFC3339)))
		}
	}
	return strings.Join(why, ", "), true
}

func concerns(o *policy.Order, region string) bool {
	return len(o.Regions) == 0 || slices.Contains(o.Regions, region)
}

// offering lists the providers that a service has in a region; a weight of 0 is a fallback, and so a provider.
func offering(s *policy.ServiceSpec, region string) []string { return s.ProvidersIn(region) }
