package route

import (
	"math"
	"time"

	"segue/controlplane/policy"
)

// Spending is what a service's calls cost in the stretch of its budget that runs: what outlives the process.
type Spending struct {
	Spent policy.Money
	Since time.Time // when the stretch began
	Per   time.Duration
}

// Spending is what was spent; false: no budget counts anything.
func (c *Calls) Spending() (Spending, bool) {
	return Spending{c.spent, c.since, c.per}, c.per > 0
}

// Remember takes over what an earlier run of the agent spent. It is for a memory that has counted nothing yet.
func (c *Calls) Remember(s Spending) {
	if s.Per <= 0 || s.Spent < 0 || s.Spent > policy.MaxMoney || !s.Since.Equal(s.Since.Truncate(s.Per)) {
		return
	}
	c.spent, c.since, c.ends, c.per = s.Spent, s.Since, s.Since.Add(s.Per), s.Per
	c.serial++
}

// Told is what answers told of a provider's fees: what outlives the process.
type Told struct {
	Said, Stated float64
	Answers      uint32
}

// Told is what was told; none: nothing was.
func (row *Standing) Told() Told {
	return Told{row.fees.said, row.fees.stated, row.fees.learned.Answers}
}

// Remember takes over what an earlier run of the agent was told. What cannot have been told is not.
func (row *Standing) Remember(t Told) {
	if !(t.Said > 0) || !(t.Stated >= 0) || math.IsInf(t.Said, 0) || math.IsInf(t.Stated, 0) || t.Answers == 0 {
		return
	}
	row.fees = fees{said: t.Said, stated: t.Stated, learned: Learned{Answers: t.Answers}}
	row.fees.conclude()
}
