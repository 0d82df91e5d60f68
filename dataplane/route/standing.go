package route

import (
	"math"
	"time"

	"segue/controlplane/health"
	"segue/controlplane/policy"
	"segue/dataplane/breaker"
)

// MaxRetryAfter bounds what a provider's Retry-After can do: a wrong header closes the bucket for five minutes, not for a year.
const MaxRetryAfter = 5 * time.Minute

// The kinds of calls that are measured apart.
const (
	reads uint8 = iota
	effects
	kinds
)

func kindOf(read bool) uint8 {
	if read {
		return reads
	}
	return effects
}

// Detectors are what calls are measured by: each kind for what is usual and how long it takes, all of them for failures.
type Detectors struct {
	Measures [kinds]health.Measure // of reads and of effects; any of them trips the one circuit
	Failing  health.Bank
	Silence  health.Silence
}

// Standing is what is known of one provider of a service, in this region. What a choice looks at stands first, close together.
type Standing struct {
	Provider string
	Drained  time.Time // an order keeps new calls away until then
	InFlight int32
	normal   float64 // calls in flight while the circuit is closed, smoothed
	salt     uint64  // of the provider's name: with the draw, its place in the rendezvous
	bucket
	known   [kinds]knowledge
	fees    fees
	Circuit breaker.Circuit
	Home    any       // whoever keeps the row finds its lock by it again; the choice does not look at it
	Frozen  time.Time // until then detectors turn nothing: the trouble is ours
	trouble
	looked
	Detectors
	ages [kinds]ages
}

// looked is how the calls in flight are looked at.
type looked struct {
	epoch time.Time // ages count from it, without what this process slept
	calm  time.Time // none of them comes to its limit before: until then a choice does not look through the ages
}

// blame is what the last alarm was for.
type blame struct {
	cause Cause
	came  int32 // of the calls that were late when it was told, those that have been answered since
}

// knowledge is what a measure says, kept so that a choice does not work it out for each candidate.
type knowledge struct {
	mean, lower    float32
	latency, limit time.Duration
	until          time.Time // it is fresh
}

// stale is how old knowledge may be while calls succeed: where there are thousands a second, one of them changes nothing.
const stale = 25 * time.Millisecond

// minLimit is the shortest age that counts as slow: the clocks and queues of a busy machine are no provider's fault.
const minLimit = 150 * time.Millisecond

func know(m *health.Measure, now time.Time) knowledge {
	k := knowledge{latency: m.Latency(), limit: max(m.Limit(), minLimit), until: now.Add(stale)}
	mean, lower := m.Success(now)
	k.mean, k.lower = float32(mean), float32(lower)
	return k
}

// know works out anew what a measure says. Where calls are late sooner now, some may be already.
func (row *Standing) know(kind uint8, now time.Time) {
	was := row.known[kind].limit
	if row.known[kind] = know(&row.Measures[kind], now); row.known[kind].limit < was || was == 0 {
		row.calm = time.Time{}
	}
}

// NewStanding returns the row of a provider of which nothing is known yet.
func NewStanding(provider string) *Standing {
	row := &Standing{Provider: provider, salt: salt(provider)}
	for k := range kinds {
		row.known[k] = know(&row.Measures[k], time.Time{})
	}
	return row
}

// Closed is until when the provider asked to be left alone, by a Retry-After; it may be past.
func (s *Standing) Closed() time.Time { return s.closed }

// Standings are the rows of one service, by candidate index.
type Standings struct {
	Rows []*Standing
	Past *Calls // nil: nothing is remembered of the service's calls
}

// Permit is the right to send one attempt: it points to its row, so that it survives a policy swap. The zero value is none. It is
// given back once, by End or by Release.
type Permit struct {
	row    *Standing
	ticket breaker.Ticket
	token  time.Duration // what it took from the rate
	draw   uint64
	at     time.Time
	money  money
	age    uint32 // its generation, while it waits
	kind   uint8
	waits  bool // it was sent, and nothing of an answer came yet
	judged bool // it was counted as slow while it waited
}

// Valid tells whether the permit was given.
func (p *Permit) Valid() bool { return p.row != nil }

// Row is the standing that the permit was given from; nil: none was given.
func (p *Permit) Row() *Standing { return p.row }

// At is when the permit was given.
func (p *Permit) At() time.Time { return p.at }

// Draw is the draw of the call that holds the permit.
func (p *Permit) Draw() uint64 { return p.draw }

// Cost is what the call costs at the provider by the policy; false: it does not say.
func (p *Permit) Cost() (policy.Money, bool) { return p.money.said, p.money.known }

// Begin takes what the decision's winner costs: a slot, a token of the rate, the probe's lease if it goes there as the probe, and what it
// costs of the service's budgets. It belongs to the same critical section as Decide. Without a winner there is no permit.
func (st *Standings) Begin(d *Decision, svc *policy.Service, now time.Time) (p Permit) {
	p.Begin(st, d, svc, now)
	return p
}

// Begin does the same where the permit is to be: a copy of one costs as much as a gate.
func (p *Permit) Begin(st *Standings, d *Decision, svc *policy.Service, now time.Time) {
	w := int(d.Winner)
	if w < 0 || w >= len(st.Rows) || w >= len(svc.Candidates) {
		*p = Permit{}
		return
	}
	row, c := st.Rows[w], svc.Candidates[w]
	p.row, p.draw, p.at, p.kind = row, d.Facts.Draw, now, kindOf(d.Facts.Read)
	p.age, p.waits, p.judged = 0, false, false
	closed := false
	switch p.ticket, closed = row.Circuit.Pass(); {
	case closed:
	case d.beyond && !d.Seen[w].Circuit.Pass:
		p.ticket = row.Circuit.Beyond()
	default:
		p.ticket, _, _ = row.Circuit.Enter(now, p.draw)
	}
	row.InFlight++
	if d.Reason == BySpill {
		row.trials[p.kind].asked = min(row.trials[p.kind].asked+1, hopeless)
	}
	if d.Seen[w].State == breaker.Closed {
		row.normal += float64((float64(row.InFlight) - row.normal) * (1. / 64))
	}
	p.token = 0
	if c.Limits.Rate > 0 {
		p.token = row.take(c.Limits.Rate, now)
	}
	p.money.from, p.money.cost, p.money.said, p.money.known = nil, d.Seen[w].Cost, d.Seen[w].Cost, c.Cost.Known
	if d.Seen[w].Fees.Ratio != 0 {
		p.money.said = svc.Price(w, &d.Facts)
	}
	st.Past.begin(&p.money, &d.Facts, svc, now)
}

// Sent begins the age of the permit's call: it goes out now. What came before it, the store's time too, was not the provider's.
func (p *Permit) Sent(now time.Time) {
	if p.row == nil || p.waits {
		return
	}
	limit := p.row.limit(p.kind)
	p.waits = true
	p.age = p.row.ages[p.kind].begin(p.row.since(now), limit)
	if p.row.calm.Sub(now) > limit {
		p.row.calm = time.Time{}
	}
}

// Answered ends it: the first of an answer came. How long the rest takes, a stream's most of all, says nothing of a hang.
func (p *Permit) Answered() {
	if p.waits {
		p.row.Silence.Answered()
		p.out()
	}
}

// out ends the age of the permit's call: it waits no more.
func (p *Permit) out() {
	if p.waits {
		p.waits = false
		p.judged = p.row.ages[p.kind].end(p.age) || p.judged
	}
}

// since is the row's own time: it does not jump when somebody sets the clock.
func (row *Standing) since(now time.Time) time.Duration {
	if row.epoch.IsZero() {
		row.epoch = now
	}
	return now.Sub(row.epoch)
}

// Stall takes time out of the row's own: this process did not run, so that no call in flight was late by the provider's fault.
func (row *Standing) Stall(d time.Duration) {
	if !row.epoch.IsZero() {
		row.epoch = row.epoch.Add(d)
	}
}

// Due tells whether calls in flight have come to the age at which they count as slow, and were not told yet.
func (row *Standing) Due(now time.Time) bool {
	if row.InFlight == 0 {
		return false
	}
	at := row.since(now)
	for k := range kinds {
		if row.ages[k].due(at, row.limit(k)) {
			return true
		}
	}
	return row.Silence.Half(row.quiet(at, false))
}

func (row *Standing) limit(kind uint8) time.Duration {
	if l := row.known[kind].limit; l > 0 {
		return l
	}
	return max(row.Measures[kind].Limit(), minLimit)
}

// End gives the permit back with what the call showed. A 429 closes the bucket for as long as the provider asks.
func (st *Standings) End(p Permit, s health.Sample, now time.Time, draw uint64) (breaker.Transition, bool) {
	return p.End(s, now, draw)
}

// End does the same where the Standings that gave the permit are not at hand: they may have been swapped since.
func (p *Permit) End(s health.Sample, now time.Time, draw uint64) (breaker.Transition, bool) {
	row := p.row
	if row == nil {
		return breaker.Transition{}, false
	}
	if p.waits && (s.Class == health.OK || s.Class == health.Slow || s.Class == health.Limited) {
		row.Silence.Answered()
	}
	judged := p.free()
	if s.Told {
		p.money.settle(row.fees.told(p.money.said, s.Stated))
	}
	if s.RetryAfter > 0 && s.Class != health.OK {
		row.closed = later(row.closed, now.Add(min(s.RetryAfter, MaxRetryAfter)))
	}
	if s.Again && s.Class != health.Limited { // whatever it shows, the first send showed it
		s.Class = health.None
	}
	e := event(&s)
	if e == breaker.Refused && p.ticket == breaker.Outside && row.shut() { // that nobody gets through is known
		s.Class = health.None
	}
	row.shows(p, s.Class)
	if s.Overdue = s.Overdue || judged; judged && (s.Class == health.OK || s.Class == health.Slow) {
		row.late(now)
	}
	m := &row.Measures[p.kind]
	alarm := m.Note(&row.Failing, &s, now)
	if s.Class != health.OK || alarm != health.NoAlarm || !now.Before(row.known[p.kind].until) {
		row.know(p.kind, now)
	}
	if e == breaker.Success && alarm == health.NoAlarm && row.Circuit.Succeed(p.ticket, now) { // most calls
		return breaker.Transition{}, false
	}
	return row.ended(p, e, alarm, s.Latency-s.Ours, now, draw)
}

// ended tells the circuit what a call showed, where it may turn by it.
func (row *Standing) ended(p *Permit, e breaker.Event, alarm health.Alarm, latency time.Duration, now time.Time, draw uint64) (breaker.Transition, bool) {
	m := &row.Measures[p.kind]
	if e == breaker.Success && row.Circuit.State() == breaker.HalfOpen && m.Slow(latency) {
		e = breaker.Slowed
	}
	t, changed := row.step(e, p.ticket, now, draw)
	if changed || alarm == health.NoAlarm {
		return t, changed
	}
	return row.alarmed(Cause{Alarm: alarm, Evidence: m.Evidence(&row.Failing)}, now, draw)
}

func (row *Standing) shut() bool {
	return row.Circuit.State() == breaker.Open || row.Circuit.State() == breaker.HalfOpen
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// step tells the circuit what a call showed.
func (row *Standing) step(e breaker.Event, held breaker.Ticket, now time.Time, draw uint64) (breaker.Transition, bool) {
	t, changed := row.Circuit.Step(e, held, now, draw)
	if changed {
		row.turned(t, true, now)
	}
	return t, changed
}

// turned keeps what goes with a turn. Who comes back begins anew, and is looked at closely: half of what an alarm takes is there already.
func (row *Standing) turned(t breaker.Transition, changed bool, now time.Time) {
	if changed && t.From == breaker.Closed {
		row.tried(t, &row.cause)
	}
	switch {
	case !changed:
	case t.To == breaker.Open && (t.Reason == breaker.InARow || t.Reason == breaker.ProbeFailed && row.cause.Alarm == health.Slowing):
		row.cause = Cause{}
	case t.To == breaker.Open && t.Reason == breaker.Percent:
		row.cause = Cause{Alarm: health.Failing, Evidence: health.Evidence{Failed: uint32(t.Failures), Calls: uint32(t.Calls)}}
	case t.From == breaker.HalfOpen && (t.To == breaker.Ramp || t.To == breaker.Closed):
		for k := range row.Measures {
			row.Measures[k].Clear(now)
			row.know(uint8(k), now)
		}
		row.Failing.Clear()
		row.Silence.Hush(row.since(now))
		if t.To == breaker.Ramp {
			row.Failing.Arm(row.Measures[:], now)
		}
	}
}

// alarmed tells the circuit what a detector concludes, and why it did where that turns it.
func (row *Standing) alarmed(c Cause, now time.Time, draw uint64) (breaker.Transition, bool) {
	if now.Before(row.Frozen) {
		return breaker.Transition{}, false
	}
	e := breaker.Alarmed
	switch {
	case c.Alarm == health.Slowing:
		e = breaker.Slowed
	case faltering(&c):
		e = breaker.Faltered
	}
	t, changed := row.Circuit.Step(e, breaker.Outside, now, draw)
	if changed && (t.Reason == breaker.Detected || t.Reason == breaker.TooSlow) {
		c.Evidence.At = time.Time{} // the circuit knows since when
		row.blame = blame{cause: c}
	}
	if !changed && c.Alarm != health.Slowing && row.cause.Alarm == health.Slowing && row.Circuit.State() != breaker.Closed {
		row.blame = blame{cause: c} // it was left because it is slow, and now it fails too: nobody's last resort any more, see slowest
	}
	row.turned(t, changed, now)
	return t, changed
}

// Cause is what the last alarm concluded from.
func (row *Standing) Cause() Cause { return row.cause }

// Watch looks at the calls in flight: those that came to the age at which they count as slow are told to the measure, and a ramp that is
// over ends. It is called before each choice, and by a tick where nobody chooses.
func (row *Standing) Watch(now time.Time) (breaker.Transition, bool) {
	if row.Still(now) {
		return breaker.Transition{}, false
	}
	return row.watch(now)
}

// Still tells whether there is nothing to watch: no ramp, and no call in flight that may be late.
func (row *Standing) Still(now time.Time) bool {
	return row.Circuit.State() != breaker.Ramp && (row.InFlight == 0 || now.Before(row.calm))
}

func (row *Standing) watch(now time.Time) (breaker.Transition, bool) {
	at, calm := row.since(now), time.Duration(math.MaxInt64)
	for k := range kinds {
		limit := row.limit(k)
		if !row.ages[k].due(at, limit) {
			calm = min(calm, row.ages[k].left(at, limit))
			continue
		}
		calm = 0
		n := row.ages[k].overdue(at, limit)
		if n == 0 {
			continue
		}
		m := &row.Measures[k]
		if alarm := m.Overdue(n, now); alarm != health.NoAlarm {
			c := Cause{Alarm: alarm, Evidence: m.Evidence(&row.Failing), Late: int32(row.ages[k].older(at, limit)), Limit: limit}
			if t, changed := row.alarmed(c, now, mix(row.salt^uint64(at))); changed {
				return t, changed
			}
		}
	}
	row.calm = now.Add(calm)
	if row.Circuit.State() != breaker.Ramp {
		return breaker.Transition{}, false
	}
	t, changed := row.Circuit.Settle(now)
	row.turned(t, changed, now)
	return t, changed
}

// Tick is Watch, and refreshes what is known: without calls, the past counts less with time.
func (row *Standing) Tick(now time.Time) (breaker.Transition, bool) {
	for k := range kinds {
		row.know(k, now)
	}
	if t, changed := row.listen(now); changed {
		return t, changed
	}
	return row.Watch(now)
}

// Release gives a permit back that was not used: slot, token, lease and money, as if it had not been given.
func (st *Standings) Release(p Permit) { p.Release() }

// Release does the same where the Standings are not at hand.
func (p *Permit) Release() {
	if p.row == nil {
		return
	}
	p.free()
	p.row.back(p.token)
	p.money.back()
	p.row.Circuit.Step(breaker.Abandoned, p.ticket, p.at, p.draw)
}

// Charge puts right what the service's budget was charged: what the call cost after all.
func (p *Permit) Charge(cost policy.Money) { p.money.settle(cost) }

// free gives the slot back. judged: the call was counted as slow while it was open.
func (p *Permit) free() (judged bool) {
	if p.row.InFlight > 0 {
		p.row.InFlight--
	}
	p.out()
	return p.judged
}

// moment is how long a connection may take to be refused, so that to try there costs a caller next to nothing.
const moment = 500 * time.Millisecond

// event is what a class means to the plain circuit: answered slowly is answered, and a 429 accuses nobody.
func event(s *health.Sample) breaker.Event {
	if s.Class == health.Failure && s.Unsent && s.Latency <= moment {
		return breaker.Refused
	}
	switch s.Class {
	case health.OK, health.Slow:
		return breaker.Success
	case health.Failure:
		return breaker.Failure
	case health.Limited, health.None:
		return breaker.Abandoned
	default:
		return breaker.Abandoned
	}
}
