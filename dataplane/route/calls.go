package route

import (
	"time"

	"segue/controlplane/policy"
)

// Calls is what is remembered of a service's calls, beside what each provider showed. It outlives a policy.
type Calls struct {
	retries retries
	values  values
	spent   policy.Money
	since   time.Time // when the stretch of time began that spent counts
	ends    time.Time // and when it ends
	per     time.Duration
	serial  uint32 // of the stretch
}

// NewCalls returns the memory of a service that had no calls.
func NewCalls() *Calls { return &Calls{} }

// look takes down what a choice may know. well: nobody is out, so that nothing has to be shed.
func (c *Calls) look(p *Past, svc *policy.Service, f *policy.Facts, well bool, now time.Time) {
	if c == nil {
		return
	}
	if b := svc.Attempts.Budget; again(f) && b != (policy.RetryBudget{}) {
		p.NoRetry = !c.retries.left(b, now)
	}
	if l := svc.Spend.Limit; l > 0 {
		c.stretch(svc, now)
		if c.spent >= l {
			p.Spent, p.Resets = true, c.ends.Sub(now)
		}
	}
	if !well {
		p.Above = c.values.above(int64(f.Value))
	}
}

// again tells whether the call was sent before.
func again(f *policy.Facts) bool { return f.Tried != 0 }

// stretch begins the next stretch of the budget when it is time: stretches begin at whole multiples of their length, days at midnight UTC.
func (c *Calls) stretch(svc *policy.Service, now time.Time) {
	per := svc.Spend.Per
	if per == c.per && now.Before(c.ends) && !now.Before(c.since) {
		return
	}
	if begin := now.Truncate(per); !begin.Equal(c.since) || per != c.per {
		c.spent, c.since, c.ends, c.per = 0, begin, begin.Add(per), per
		c.serial++
	}
}

// Retry takes one retry from the budget, false: there is none.
func (st *Standings) Retry(svc *policy.Service, now time.Time) bool {
	c, b := st.Past, svc.Attempts.Budget
	if c == nil || b == (policy.RetryBudget{}) {
		return true
	}
	if !c.retries.left(b, now) {
		return false
	}
	c.retries.retry(now)
	return true
}

// Spent is what the service's calls cost in this stretch, and when the next begins.
func (c *Calls) Spent(svc *policy.Service, now time.Time) (policy.Money, time.Time) {
	if c == nil || svc.Spend.Limit <= 0 {
		return 0, time.Time{}
	}
	c.stretch(svc, now)
	return c.spent, c.ends
}

// money is what a permit took from the service's budget.
type money struct {
	from  *Calls
	cost  policy.Money // what it took
	said  policy.Money // what the policy says that the call costs
	in    uint32       // the serial of the stretch that it was taken from
	known bool         // it says it
}

// begin counts a call that is made. What look saw in the same section holds: the stretch is the present one.
func (c *Calls) begin(m *money, f *policy.Facts, svc *policy.Service, now time.Time) {
	if c == nil {
		return
	}
	if again(f) {
		c.retries.retry(now)
	} else {
		c.retries.call(now)
		c.values.note(int64(f.Value))
	}
	if svc.Spend.Limit <= 0 {
		return
	}
	if c.per != svc.Spend.Per {
		c.stretch(svc, now)
	}
	c.spent = min(c.spent+m.cost, policy.MaxMoney)
	m.from, m.in = c, c.serial
}

func (m *money) back() { m.settle(0) }

// settle makes it cost, if the stretch that it was taken from is still the one that counts.
func (m *money) settle(cost policy.Money) {
	if m.from != nil && m.from.serial == m.in {
		m.from.spent = min(max(m.from.spent+cost-m.cost, 0), policy.MaxMoney)
	}
}
