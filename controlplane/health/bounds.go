package health

import (
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"segue/controlplane/policy"
)

// named tells whether s can be a name.
func named(s string) bool { return s != "" && len(s) <= maxName && utf8.ValidString(s) }

// sentence cuts a text to n bytes of valid UTF-8.
func sentence(s string, n int) string {
	if len(s) > n {
		s = s[:n]
	}
	return strings.ToValidUTF8(s, "")
}

// past is t, or at where t lies after it: no agent's clock makes something happen in the future. What lies before clocks is no time.
func past(t, at time.Time) time.Time { return ahead(t, at, 0) }

// ahead is t, held to at most d after at.
func ahead(t, at time.Time, d time.Duration) time.Time {
	switch {
	case t.Before(time.Unix(0, 0)):
		return time.Time{}
	case t.After(at.Add(d)):
		return at.Add(d)
	}
	return t
}

// bounded holds counts to what an agent can do in a second, and parts to their whole.
func bounded(t Traffic) Traffic {
	t.Calls, t.Sessions = min(t.Calls, maxPerReport), min(t.Sessions, maxPerReport)
	for _, part := range [...]*uint32{&t.Succeeded, &t.Declined, &t.NotSent, &t.Unknown, &t.Limited, &t.Failed} {
		*part = min(*part, t.Calls)
	}
	hold(t.Latency[:], t.Calls)
	t.Priced, t.Cost = min(t.Priced, t.Calls), worth(t.Cost)
	t.Told, t.Meant, t.Stated = min(t.Told, t.Priced), min(worth(t.Meant), t.Cost), worth(t.Stated)
	return t
}

func boundedService(r ServiceRow) ServiceRow {
	r.Calls = min(r.Calls, maxPerReport)
	left := r.Calls // what ended well, and what did not, are together no more than the calls
	for _, part := range [...]*uint32{&r.Succeeded, &r.Declined, &r.Unknown, &r.Refused} {
		*part = min(*part, left)
		left -= *part
	}
	r.FailedOver = min(r.FailedOver, r.Calls)
	r.Saved = min(r.Saved, r.FailedOver, r.Succeeded+r.Declined)
	r.InUse = min(r.InUse, maxPerReport)
	r.Could = min(r.Could, r.InUse)
	hold(r.Overhead[:], r.Calls)
	r.Covered, r.Elsewhere, r.Worth = min(r.Covered, r.Calls), min(r.Elsewhere, r.Calls), worth(r.Worth)
	return r
}

func boundedBudget(b Budget, at time.Time) Budget {
	b.Spent, b.Resets = min(max(b.Spent, 0), policy.MaxMoney), ahead(b.Resets, at, maxAhead)
	if !b.Resets.After(at) { // its stretch is over: nothing is spent of the next
		b = Budget{}
	}
	return b
}

// worth holds a second's money of one agent to what its sums can take for an hour.
func worth(m policy.Money) policy.Money { return min(max(m, 0), policy.MaxMoney/3600) }

// hold keeps a histogram's sum at or below n, from the fast end.
func hold(h []uint32, n uint32) {
	for i := range h {
		h[i] = min(h[i], n)
		n -= h[i]
	}
}

func boundedCondition(c Condition, at time.Time) Condition {
	c.InFlight = min(max(c.InFlight, 0), maxPerReport)
	if !(c.Weight >= 0) { // NaN too
		c.Weight = 0
	}
	c.Weight = math.Min(c.Weight, 100)
	if !(c.Fees >= 0 && c.Fees <= maxFees) {
		c.Fees = 0
	}
	switch c.Breaker {
	case "closed", "open", "half-open", "ramp":
	default:
		c.Breaker = "closed" // a word that nobody knows accuses nobody
	}
	c.Drained = ahead(c.Drained, at, maxAhead)
	c.Since, c.CheckAt = past(c.Since, at), past(c.CheckAt, at)
	c.Why, c.CheckWhy, c.Probes = sentence(c.Why, maxText), sentence(c.CheckWhy, maxText), sentence(c.Probes, maxName)
	c.CheckOK = min(max(c.CheckOK, -1), 1)
	c.Lanes = boundedLanes(c.Lanes, at)
	c.Passed = slices.Clone(c.Passed[:min(len(c.Passed), maxPassed)])
	for i := range c.Passed {
		c.Passed[i] = sentence(c.Passed[i], maxText)
	}
	return c
}

// maxPassed is as many endpoints as a provider has in a region.
const maxPassed = 4
