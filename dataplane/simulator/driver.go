package simulator

import (
	"strconv"
	"time"

	"segue/controlplane/health"
	"segue/controlplane/policy"
	"segue/dataplane/ledger"
)

// chooser is where a driver asks who is next, and tells how it went.
type chooser interface {
	service(region int8) *policy.Service
	choose(s *sim, c *call, f *policy.Facts) int
	done(s *sim, c *call, x health.Sample, o health.Outcome)
	retry(s *sim, c *call) bool // another send to the same provider may be made
	tick(s *sim)
	pulse(s *sim)
}

// driver settles calls as agents do: what is done after each piece of evidence, the shipped ledger says. It has no store: a row is a value
// here, and every write succeeds at once.
type driver struct {
	chooser
	leave    ledger.Leave
	currency policy.Currency
	means    [MaxProviders]ledger.Means
	meaning  [MaxProviders]map[int16]meaning
}

// meaning is what a status proves, by the provider's contract.
type meaning struct {
	class   health.Class
	outcome ledger.Outcome
}

const (
	run = "sim/1"

	// pausedSender is what a sender that was paused may still send, and what TCP may still deliver.
	pausedSender = 22 * time.Second
)

func newDriver(by chooser, svc *policy.Service) *driver {
	d := &driver{chooser: by, leave: ledger.Leave{Twice: svc.Operations[0].Leave.Duplicates, Traced: svc.Operations[0].Leave.Traced || svc.Operations[0].Leave.TracedValue}, currency: policy.CurrencyOf("EUR")}
	for i, c := range svc.Candidates {
		d.means[i] = ledger.MeansOf(c.Contract, "pay")
		if d.means[i].Settle > 0 {
			d.means[i].Settle += pausedSender
		}
		d.meaning[i] = map[int16]meaning{}
		for _, status := range [...]int16{200, 402, 409, 500, 503} {
			class, outcome := c.Classify(int(status), "")
			d.meaning[i][status] = meaning{classes()[class], outcomes()[outcome]}
		}
	}
	return d
}

func classes() map[string]health.Class {
	return map[string]health.Class{policy.ClassOK: health.OK, policy.ClassLimited: health.Limited, policy.ClassSlow: health.Slow, policy.ClassFailure: health.Failure}
}

func outcomes() map[string]ledger.Outcome {
	return map[string]ledger.Outcome{
		policy.OutcomeSucceeded: ledger.Succeeded, policy.OutcomeDeclined: ledger.Declined, policy.OutcomeNotSent: ledger.NotSent, policy.OutcomeUnknown: ledger.Unknown,
	}
}

func (d *driver) facts(c *call) *policy.Facts {
	return &policy.Facts{
		Draw: c.draw, Tried: c.tried, Pinned: -1, Owner: -1, Client: -1, Read: c.read, Value: policy.Money(c.value * 1e6), Currency: d.currency, Deadline: at(c.deadline),
	}
}

func (d *driver) begin(s *sim, c *call) {
	switch {
	case c.read:
		d.first(s, c)
	case s.world.noStore[c.region]: // guarded work without a quorum: nothing is sent
		s.answer(c, failed)
	case c.back == 0:
		d.claim(s, c)
	default:
		d.again(s, c)
	}
}

// first sends a read, or the first attempt of an effect whose row is ready for it.
func (d *driver) first(s *sim, c *call) {
	f := d.facts(c)
	p := d.choose(s, c, f)
	if p < 0 {
		d.nowhere(s, c)
		return
	}
	c.times++
	if !c.read {
		d.intend(s, c, p)
	}
	s.send(c, p)
}

// claim makes the row of a new key.
func (d *driver) claim(s *sim, c *call) {
	if c.tx == nil {
		c.tx = &ledger.Transaction{Attempts: make([]ledger.Attempt, 0, 2)}
	}
	*c.tx = ledger.Transaction{Operation: "pay", Attempts: c.tx.Attempts[:0], Created: at(s.now), Updated: at(s.now)}
	d.first(s, c)
}

// again is a caller who comes back with a key that is known.
func (d *driver) again(s *sim, c *call) {
	c.asks = 0
	switch t := c.tx; {
	case t.Final():
		s.answer(c, good)
	case len(t.Attempts) == 0 || t.State == ledger.Refused:
		c.before, c.sends = len(t.Attempts), 0
		d.first(s, c)
	default:
		c.before, c.sends = len(t.Attempts), t.Current().Sends
		t.TakeOver(run, at(s.now))
		d.weigh(s, c, d.timer(c))
	}
}

// intend opens the next attempt of a row.
func (d *driver) intend(s *sim, c *call, p int) {
	who := d.service(c.region).Candidates[p]
	if err := c.tx.Begin(ledger.Attempt{ID: attemptName(len(c.tx.Attempts)), Provider: who.Provider, IntentAt: at(s.now), Reference: "r"}, run); err != nil {
		s.broken(err)
	}
	c.sends = 0
	c.write(s)
}

const attemptNames = "0123456789abcdef"

func attemptName(i int) string { return attemptNames[i : i+1] }

// ended weighs what a send showed.
func (d *driver) ended(s *sim, c *call) {
	x, m := d.sample(s, c)
	s.tally.showed(s, c, x.Class == health.Failure, x.Again)
	d.done(s, c, x, health.Outcome(m.outcome))
	if c.read {
		d.endedRead(s, c, m.outcome)
		return
	}
	kind := ledger.FromAnswer
	if c.shown.status == 0 && !c.shown.refused {
		kind = ledger.FromTimeout
	}
	a := c.tx.Current()
	d.weigh(s, c, ledger.Evidence{Attempt: a.ID, Kind: kind, Outcome: m.outcome, Status: int(c.shown.status), Redrive: a.Sends > 1})
}

// sample is what a send showed, as provider.Client tells it.
func (d *driver) sample(s *sim, c *call) (health.Sample, meaning) {
	took := time.Duration(s.now - c.sentAt)
	m := meaning{health.Failure, ledger.Unknown}
	switch {
	case c.shown.refused:
		m.outcome = ledger.NotSent
	case c.shown.status != 0:
		m = d.meaning[c.at][c.shown.status]
	}
	again := c.tx != nil && !c.read && c.tx.Current().Sends > 1 && c.shown.status != 0
	return health.Sample{Class: m.class, Latency: took, Again: again}, m
}

// endedRead asks elsewhere as long as it may.
func (d *driver) endedRead(s *sim, c *call, o ledger.Outcome) {
	switch {
	case o == ledger.Succeeded || o == ledger.Declined:
		s.answer(c, good)
	case int(c.times) < d.service(c.region).Attempts.Max && s.left(c) > 0:
		c.tried = c.tried.With(int(c.at))
		d.first(s, c)
	default:
		s.answer(c, failed)
	}
}

func (d *driver) timer(c *call) ledger.Evidence {
	return ledger.Evidence{Attempt: c.tx.Current().ID, Kind: ledger.FromTimer, Outcome: ledger.Unknown}
}

// circumstances are what the ledger is told beside the row.
func (d *driver) circumstances(s *sim, c *call) ledger.Circumstances {
	p := int(c.at)
	keys := &d.service(c.region).Candidates[p].Contract.Keys
	live := !c.answered
	out := ledger.Circumstances{
		Now: at(s.now), Live: live, Deadline: at(c.deadline), Enforced: keys.Enforced, KeyLife: keys.Life,
		MaxTries: d.service(c.region).Attempts.Max, Before: c.before, MaxSends: c.sends + ledger.MaxSends, Run: run, Means: d.means[p], Leave: d.leave,
	}
	if !live {
		out.MaxSends, out.Changed = c.tx.Current().Sends+ledger.MaxSends, true // the body is gone with the caller
	}
	return out
}

// weigh asks the ledger what e means, and takes the step.
func (d *driver) weigh(s *sim, c *call, e ledger.Evidence) {
	o := d.circumstances(s, c)
	c.e, c.step = e, ledger.Next(c.tx, e, o)
	c.news = c.tx.Note(e, o) || c.news
	switch c.step.Kind {
	case ledger.Finish, ledger.Compensate:
		d.close(s, c, ledger.Finish, good)
	case ledger.Elsewhere:
		d.elsewhere(s, c)
	case ledger.Redrive:
		c.pauses = 0
		s.later(c, pauseOf(c), toRedrive)
	case ledger.LookUp, ledger.Cancel:
		d.ask(s, c)
	case ledger.Wait:
		d.wait(s, c)
	case ledger.Refuse:
		d.close(s, c, ledger.Refuse, failed)
	default:
		d.hold(s, c)
	}
}

// close writes an end and tells it, to a caller who waits or to the books.
func (d *driver) close(s *sim, c *call, k ledger.StepKind, how ending) {
	if err := c.tx.Close(k); err != nil {
		d.hold(s, c)
		return
	}
	if k == ledger.Refuse {
		_ = c.tx.Tell()
	}
	c.write(s)
	if since := c.heldAt; since != 0 {
		c.heldAt = 0
		s.tally.resolved(since, s.now)
	}
	if !c.answered {
		s.answer(c, how)
		return
	}
	s.retire(c)
}

func (d *driver) elsewhere(s *sim, c *call) {
	c.tried = c.tried.With(int(c.at))
	f := d.facts(c)
	p := d.choose(s, c, f)
	if p < 0 {
		d.nowhere(s, c)
		return
	}
	c.tx.Accept()
	c.times++
	d.intend(s, c, p)
	s.send(c, p)
}

// nowhere ends a call that nobody can take.
func (d *driver) nowhere(s *sim, c *call) {
	switch {
	case c.read || len(c.tx.Attempts) == 0:
		s.answer(c, failed)
	case c.tx.Current().Outcome == ledger.NotSent:
		if c.tx.State == ledger.Refused { // it came back, and there is still nobody
			s.answer(c, failed)
			return
		}
		d.close(s, c, ledger.Refuse, failed)
	default:
		d.hold(s, c)
	}
}

// wait waits for as long as the ledger says while a caller does; the background comes back.
func (d *driver) wait(s *sim, c *call) {
	switch {
	case !c.answered:
		s.later(c, max(0, virtual(c.step.Until)-s.now), toTime)
	case c.tx.State == ledger.Intent:
		d.hold(s, c)
	default:
		if c.news {
			c.write(s)
		}
		d.look(s, c)
	}
}

// hold leaves the row to the background, and tells the caller that it is not known. A row that says so already is not written again.
func (d *driver) hold(s *sim, c *call) {
	if c.tx.State != ledger.Held || c.news {
		_ = c.tx.Close(ledger.Hold)
		c.write(s)
	}
	if c.heldAt == 0 {
		c.heldAt = s.now
		c.tx.ID = strconv.FormatUint(c.draw, 36) // looks are spread by it
	}
	if !c.answered {
		s.answer(c, unsure)
	}
	d.look(s, c)
}

// look plans the background's next look at what is unknown, when the ledger says: as settle does.
func (d *driver) look(s *sim, c *call) {
	next := ledger.NextCheck(c.tx, d.circumstances(s, c))
	if until := c.step.Until; c.step.Kind == ledger.Wait && until.After(at(s.now)) && (next.IsZero() || until.Before(next)) {
		next = until
	}
	if next.IsZero() {
		c.heldAt = 0 // from here on it is an operator's
		s.retire(c)
		return
	}
	s.later(c, virtual(next)-s.now, toCheck)
}

func (d *driver) tick(s *sim) { d.chooser.tick(s) }

func (d *driver) pulse(s *sim) { d.chooser.pulse(s) }
