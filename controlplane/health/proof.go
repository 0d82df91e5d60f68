package health

import (
	"cmp"
	"slices"
	"time"
)

// The tests for failures that the leader keeps are those of the agents: a bank of sums of log-likelihood ratios, each against another share
// of failing calls. The alarm is a little below the agents' own: three failures in a row, where one call in 200 fails, are one in each of three
// regions; chance makes them once in eight million calls, and a verdict only makes agents look more closely.
const (
	banks    = Tests
	alarmAt  = 13.815510557964274 // ln 10⁶ nats
	span     = 30 * time.Second   // evidence older than this is none
	spanStep = int64(span / Step) // steps in it
	perRest  = alarmAt / 2        // what one agent's second can say against an alarm: one voice does not drown the others
	oneWord  = time.Second        // and how long a second is: whoever reports ten times as often says no more
)

// proof is what one agent showed of one provider.
type proof struct {
	agent   *agent
	open    bool           // the agent's circuit is not closed
	drained time.Time      // until then an order keeps calls away
	s       [banks]float64 // evidence that it fails, 0 … alarmAt
	steps   [spanStep + 1]struct{ calls, failed uint32 }
	inARow  uint32    // calls that failed since one did not, as it said last
	asked   time.Time // when calls were last told of
	last    int64     // number of the newest step
	fed     time.Time // when it was last added to
	good    time.Time // when a call was last told of that did not fail
	checks  int8      // active checks in a row: good above 0, bad below
	checked time.Time // the last of them
}

// pool is the evidence of several agents together: every call of each counts, the good ones too, as if one agent had made them all.
type pool struct {
	s  [banks]float64
	at time.Time
}

// poolMost is more than an alarm: those of a region who are well do not take it back in the second in which the others fail.
const poolMost = 2 * alarmAt

// climb adds to a sum that never leaves 0 … most: what is beyond says nothing more.
func climb(s, by, most float64) float64 { return min(max(s+by, 0), most) }

// put counts a report's row and returns what it says, held to what one agent can say in the time since its last.
func (p *proof) put(r *Row, t *Traffic, c *Condition, at time.Time) [banks]float64 {
	n := step(at)
	for k := max(p.last, n-spanStep-1) + 1; k <= n; k++ {
		p.steps[k%(spanStep+1)].calls, p.steps[k%(spanStep+1)].failed = 0, 0
	}
	p.last = max(p.last, n)
	if calls, _ := p.counts(at); calls == 0 {
		p.s = [banks]float64{}
	}
	now := &p.steps[p.last%(spanStep+1)]
	told := t.Calls - min(t.Calls, t.Limited)
	add(&now.calls, told)
	add(&now.failed, min(t.Failed, told))
	if told > t.Failed {
		p.good = at
	}
	if told > 0 {
		p.asked = at
	}
	_, failed := p.counts(at)
	p.inARow = uint32(min(uint64(r.Evidence.InARow), failed))
	p.check(c)
	words := oneWord
	if !p.fed.IsZero() {
		words = min(max(at.Sub(p.fed), 0), 5*oneWord)
	}
	p.fed = at
	low := -perRest * words.Seconds()
	by := evidenceOf(t, &r.Evidence)
	for i := range by {
		by[i] = min(max(by[i], low), alarmAt)
		p.s[i] = climb(p.s[i], by[i], alarmAt)
	}
	return by
}

// prove takes what an agent's report says of a provider as evidence: the agent's own, its region's, and that of all regions.
func (w *Window) prove(a *agent, k cellKey, r *Row, t *Traffic, c *Condition, at time.Time) {
	if a.proofs == nil {
		a.proofs = map[cellKey]*proof{}
	}
	p := a.proofs[k]
	if p == nil {
		p = &proof{agent: a}
		a.proofs[k] = p
		w.seat(k, p)
	}
	p.open, p.drained = c.Breaker == "open" || c.Breaker == "half-open", c.Drained
	by := p.put(r, t, c, at)
	if t.Calls == 0 && r.Evidence.Calls == 0 {
		return
	}
	for _, key := range [...]cellKey{k, {service: k.service, provider: k.provider}} {
		all := w.pools[key]
		if all == nil {
			all = &pool{}
			w.pools[key] = all
		}
		all.put(by, at)
	}
}

// put adds what one agent's report says. What was said longer than a span ago is no evidence any more.
func (p *pool) put(by [banks]float64, at time.Time) {
	if at.Sub(p.at) > span {
		p.s = [banks]float64{}
	}
	p.at = at
	for i := range by {
		p.s[i] = climb(p.s[i], by[i], poolMost)
	}
}

// forgetProofs drops what the agent's newest report does not have.
func (w *Window) forgetProofs(a *agent) {
	for k, p := range a.proofs {
		if _, here := a.rows[k]; !here {
			delete(a.proofs, k)
			w.unseat(k, p)
		}
	}
}

// seat puts a proof among those of its region and provider, by the agents' ids: whoever judges goes through them without a look-up, and adds
// them up in one order.
func (w *Window) seat(k cellKey, p *proof) {
	i, _ := slices.BinarySearchFunc(w.panels[k], p, byAgent)
	w.panels[k] = slices.Insert(w.panels[k], i, p)
}

func (w *Window) unseat(k cellKey, p *proof) {
	left := slices.DeleteFunc(w.panels[k], func(o *proof) bool { return o == p })
	if w.panels[k] = left; len(left) == 0 {
		delete(w.panels, k)
	}
}

func byAgent(a, b *proof) int { return cmp.Compare(a.agent.seen.ID, b.agent.seen.ID) }

// check counts the active checks in a row; a report repeats the last one.
func (p *proof) check(c *Condition) {
	if c.CheckOK == 0 || !c.CheckAt.After(p.checked) {
		return
	}
	p.checked = c.CheckAt
	switch {
	case c.CheckOK > 0:
		p.checks = min(max(p.checks, 0)+1, maxChecks)
	default:
		p.checks = max(min(p.checks, 0)-1, -maxChecks)
	}
}

const maxChecks = 3 // so many probes are evidence

// counts are the calls of the last span.
func (p *proof) counts(now time.Time) (calls, failed uint64) {
	for n := step(now) - spanStep; n <= p.last; n++ {
		if n > p.last-spanStep-1 && n >= 0 {
			calls += uint64(p.steps[n%(spanStep+1)].calls)
			failed += uint64(p.steps[n%(spanStep+1)].failed)
		}
	}
	return calls, failed
}

// evidenceOf is what a row says: the agent's own sums, which know what is usual for the provider there, held to what the counts beside them
// can have led to; of an agent that sends none, what the counts alone say.
func evidenceOf(t *Traffic, own *Increment) (by [banks]float64) {
	told := t.Calls - min(t.Calls, t.Limited)
	failed := min(t.Failed, told)
	sums := own.Calls > 0
	if sums {
		told = min(own.Calls, maxPerReport)
		failed = min(own.Failed, told)
	}
	for i := range by {
		w := &weights[0][i] // of a provider that fails as rarely as any: where more failures are usual, each says less
		most, least := float64(float64(failed)*w.up), -float64(told)
		by[i] = most + float64(float64(told-failed)*w.down)
		if sums {
			by[i] = min(own.Nats[i], most)
			if !(by[i] > least) { // NaN too
				by[i] = least
			}
		}
	}
	return by
}

// Add puts another class of calls on top.
func (i *Increment) Add(o Increment) {
	for k, n := range o.Nats {
		i.Nats[k] += n
	}
	add(&i.Calls, o.Calls)
	add(&i.Failed, o.Failed)
	add(&i.Slow, o.Slow)
	i.InARow = max(i.InARow, o.InARow)
}
