package health

import "segue/controlplane/policy"

// Attempt counts one attempt that ended.
func (t *Traffic) Attempt(s Sample, o Outcome) {
	t.Calls++
	switch o {
	case Succeeded:
		t.Succeeded++
	case Declined:
		t.Declined++
	case NotSent:
		t.NotSent++
	case Unknown:
		t.Unknown++
	case Open: // it has not ended in the ledger: a call, no outcome
	default: // an outcome that nobody knows is unknown
		t.Unknown++
	}
	switch s.Class {
	case Failure:
		t.Failed++
	case Limited:
		t.Limited++
	case None, OK, Slow:
	default: // a class that nobody knows accuses nobody
	}
	if s.Class != None {
		t.Latency.Observe(s.Latency)
	}
}

// Add puts the counts of another stretch of time, or of another agent, on top. Counts stop at the largest number, they never wrap.
func (t *Traffic) Add(o *Traffic) {
	add(&t.Sessions, o.Sessions)
	add(&t.Calls, o.Calls)
	add(&t.Succeeded, o.Succeeded)
	add(&t.Declined, o.Declined)
	add(&t.NotSent, o.NotSent)
	add(&t.Unknown, o.Unknown)
	add(&t.Limited, o.Limited)
	add(&t.Failed, o.Failed)
	t.Latency.Merge(&o.Latency)
	t.Spend.Add(&o.Spend)
}

// Count takes what one attempt cost, by the fees and by what its answer states. Known: the policy says what it costs.
func (s *Spend) Count(cost policy.Money, known bool, sample Sample, o Outcome) {
	if !known || o == NotSent {
		return
	}
	s.Priced++
	s.Cost = purse(s.Cost, cost)
	if sample.Told {
		s.Told++
		s.Meant, s.Stated = purse(s.Meant, cost), purse(s.Stated, max(sample.Stated, 0))
	}
}

// Add puts another one's sums on top.
func (s *Spend) Add(o *Spend) {
	add(&s.Priced, o.Priced)
	add(&s.Told, o.Told)
	s.Cost, s.Meant, s.Stated = purse(s.Cost, o.Cost), purse(s.Meant, o.Meant), purse(s.Stated, o.Stated)
}

// purse adds money up to the most that there is.
func purse(a, b policy.Money) policy.Money { return min(a+b, policy.MaxMoney) }

// Count counts one call that ended for its caller.
func (r *ServiceRow) Count(e CallEnd) {
	r.Calls++
	switch e.Outcome {
	case Succeeded:
		r.Succeeded++
	case Declined:
		r.Declined++
	case NotSent:
		r.Refused++
	case Unknown:
		r.Unknown++
	case Open: // nobody waited for its end
	default:
		r.Unknown++
	}
	if e.FailedOver {
		r.FailedOver++
		if e.Outcome == Succeeded || e.Outcome == Declined {
			r.Saved++
		}
	}
	if e.Covered {
		r.Covered++
	}
	if e.Elsewhere {
		r.Elsewhere++
	}
	r.Worth = purse(r.Worth, e.Worth)
	r.Overhead.Observe(e.Overhead)
}

// Add puts another row's counts on top. The gauges are not touched: whoever adds knows which agents are heard.
func (r *ServiceRow) Add(o *ServiceRow) {
	add(&r.Calls, o.Calls)
	add(&r.Succeeded, o.Succeeded)
	add(&r.Declined, o.Declined)
	add(&r.Unknown, o.Unknown)
	add(&r.Refused, o.Refused)
	add(&r.FailedOver, o.FailedOver)
	add(&r.Saved, o.Saved)
	add(&r.InUse, o.InUse) // over a while these say nothing but their share
	add(&r.Could, o.Could)
	add(&r.Covered, o.Covered)
	add(&r.Elsewhere, o.Elsewhere)
	r.Worth = purse(r.Worth, o.Worth)
	r.Overhead.Merge(&o.Overhead)
}

func add(to *uint32, n uint32) {
	if *to += n; *to < n {
		*to = 1<<32 - 1
	}
}
