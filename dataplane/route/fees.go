package route

import (
	"fmt"
	"math"

	"segue/controlplane/policy"
)

// fees learns from answers what a provider's calls cost, beside what the policy says: what was stated of it for each that told, as a
// multiple. What came before counts less with each answer and not with time, so that nothing changes while none come.
type fees struct {
	said, stated float64
	learned      Learned
}

const (
	feesEnough = 20   // answers before anything is concluded
	feesMemory = 256  // answers: with each, what came before counts by one part of so many less
	feesLeast  = 0.25 // an answer can be wrong, and a policy old: what is concluded stays within these
	feesMost   = 4
	feesWorst  = 16 // times what the policy says is the most that one answer can say
)

// Learned is what answers say of a provider's fees. The zero Learned: too few have told.
type Learned struct {
	Ratio   float32 `json:",omitzero"` // the fees are so many times what the policy says; 0: not known
	Answers uint32  `json:",omitzero"` // that told
}

// told takes what one answer states for a call that costs said by the policy, and returns what of it counts.
func (f *fees) told(said, stated policy.Money) policy.Money {
	if said <= 0 {
		return max(stated, 0)
	}
	if stated = max(stated, 0); stated/feesWorst > said {
		stated = said * feesWorst
	}
	const keep = 1 - 1./feesMemory
	f.said = float64(f.said*keep) + float64(said)
	f.stated = float64(f.stated*keep) + float64(stated)
	if f.learned.Answers < math.MaxUint32 {
		f.learned.Answers++
	}
	f.conclude()
	return stated
}

func (f *fees) conclude() {
	if f.learned.Answers >= feesEnough {
		f.learned.Ratio = float32(min(max(f.stated/f.said, feesLeast), feesMost))
	}
}

// of is what a call costs by what was learned, that costs said by the policy.
func (l *Learned) of(said policy.Money) policy.Money {
	if l.Ratio == 0 {
		return said
	}
	return policy.Money(min(float64(float64(said)*float64(l.Ratio))+.5, float64(policy.MaxMoney)))
}

// under is what was learned where the policy asks is for a call that it asked was for before: what answers state stays as it is.
func (l Learned) under(was, is policy.Money) Learned {
	if l.Ratio != 0 && was > 0 && is > 0 && was != is {
		l.Ratio = float32(float64(float64(l.Ratio)*float64(was)) / float64(is))
	}
	return l
}

// words tell it where it changes something; "" where it does not.
func (l *Learned) words(provider string) string {
	if l.Ratio == 0 || math.Abs(float64(l.Ratio)-1) < .005 {
		return ""
	}
	return fmt.Sprintf("fees of %s are %s x what the policy says, by %s", provider, fine(float64(l.Ratio)), count(int(l.Answers), "answer"))
}

// Fees is what answers say of the provider's fees.
func (row *Standing) Fees() Learned { return row.fees.learned }

// Reprice forgets it: the policy says something else now.
func (row *Standing) Reprice() { row.fees = fees{} }
