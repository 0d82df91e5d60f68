package route

import (
	"time"

	"segue/controlplane/health"
	"segue/controlplane/policy"
	"segue/dataplane/breaker"
)

// MaxRetryAfter bounds what a provider's Retry-After can do: a wrong header closes the bucket for five minutes, not for a year.
const MaxRetryAfter = 5 * time.Minute

// Standing is what is known of one provider of a service, in this region.
type Standing struct {
	Provider string
	Circuit  breaker.Circuit
	InFlight int32
	Drained  time.Time // an order keeps new calls away until then
	Home     any       // whoever keeps the row finds its lock by it again; the choice does not look at it
	salt     uint64    // of the provider's name: with the draw, its place in the rendezvous
	tat      time.Time // GCRA: theoretical arrival time of the next call
	closed   time.Time // Retry-After: nothing before
}

// NewStanding returns the row of a provider of which nothing is known yet.
func NewStanding(provider string) *Standing {
	return &Standing{Provider: provider, salt: salt(provider)}
}

// Closed is until when the provider asked to be left alone, by a Retry-After; it may be past.
func (s *Standing) Closed() time.Time { return s.closed }

// Standings are the rows of one service, by candidate index.
type Standings struct {
	Rows []*Standing
}

// Permit is the right to send one attempt: it points to its row, so that it survives a policy swap. The zero value is none. It is
// given back once, by End or by Release.
type Permit struct {
	row    *Standing
	ticket breaker.Ticket
	token  time.Duration // what it took from the rate
	draw   uint64
	at     time.Time
}

// Valid tells whether the permit was given.
func (p Permit) Valid() bool { return p.row != nil }

// Row is the standing that the permit was given from; nil: none was given.
func (p Permit) Row() *Standing { return p.row }

// At is when the permit was given.
func (p Permit) At() time.Time { return p.at }

// Draw is the draw of the call that holds the permit.
func (p Permit) Draw() uint64 { return p.draw }

// Begin takes what the decision's winner costs: a slot, a token of the rate, and the probe's lease if it goes there as the probe.
// It belongs to the same critical section as Decide. Without a winner there is no permit.
func (st *Standings) Begin(d *Decision, svc *policy.Service, now time.Time) Permit {
	w := int(d.Winner)
	if w < 0 || w >= len(st.Rows) || w >= len(svc.Candidates) {
		return Permit{}
	}
	row := st.Rows[w]
	p := Permit{row: row, draw: d.Facts.Draw, at: now}
	p.ticket, _, _ = row.Circuit.Enter(now, d.Facts.Draw)
	row.InFlight++
	if l := svc.Candidates[w].Limits; l.Rate > 0 {
		p.token = interval(l.Rate)
		if row.tat.Before(now) {
			row.tat = now
		}
		row.tat = row.tat.Add(p.token)
	}
	return p
}

// End gives the permit back with what the call showed. A 429 closes the bucket for as long as the provider asks.
func (st *Standings) End(p Permit, s health.Sample, now time.Time, draw uint64) (breaker.Transition, bool) {
	return p.End(s, now, draw)
}

// End does the same where the Standings that gave the permit are not at hand: they may have been swapped since.
func (p Permit) End(s health.Sample, now time.Time, draw uint64) (breaker.Transition, bool) {
	if p.row == nil {
		return breaker.Transition{}, false
	}
	p.free()
	if s.RetryAfter > 0 && s.Class != health.OK {
		until := now.Add(min(s.RetryAfter, MaxRetryAfter))
		if until.After(p.row.closed) {
			p.row.closed = until
		}
	}
	return p.row.Circuit.Step(event(s.Class), p.ticket, now, draw)
}

// Release gives a permit back that was not used: slot, token and lease, as if it had not been given.
func (st *Standings) Release(p Permit) { p.Release() }

// Release does the same where the Standings are not at hand.
func (p Permit) Release() {
	if p.row == nil {
		return
	}
	p.free()
	p.row.tat = p.row.tat.Add(-p.token)
	p.row.Circuit.Step(breaker.Abandoned, p.ticket, p.at, p.draw)
}

func (p Permit) free() {
	if p.row.InFlight > 0 {
		p.row.InFlight--
	}
}

// event is what a class means to the plain circuit: answered slowly is answered, and a 429 accuses nobody.
func event(c health.Class) breaker.Event {
	switch c {
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

// interval is the time between two calls at the rate. A rate below one call in MaxRetryAfter is held to that.
func interval(rate float64) time.Duration {
	return time.Duration(min(float64(time.Second)/rate, float64(MaxRetryAfter)))
}

// burst is how far calls may come before their time: a tenth of a second's worth, so that the small crowds of ordinary traffic pass
// and no second holds much more than the rate.
func burst(rate float64) time.Duration {
	return max(0, 100*time.Millisecond-interval(rate))
}
