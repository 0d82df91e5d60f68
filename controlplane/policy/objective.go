package policy

// What balanced means, in fees: a failure costs as much as five typical fees beside the value's margin, a second as much as half of one, and
// leaving a session's provider a fiftieth. DESIGN.md says why.
const (
	valueMargin   = 0.1
	failureFees   = 5
	secondFees    = 0.5
	stayFees      = 0.02
	maxPart       = 1000 // where cost does not matter at all, it still decides between equals
	maxMargin     = 1
	centOf        = 100
	typicalValue  = 50 * Unit
	typicalTokens = 1000
	typicalAnswer = 500
)

// knobs are the parts that a balance gives to what matters.
func (b Balance) knobs() (cost, reliability, latency float64) {
	switch b.Preset {
	case "cost":
		return 70, 20, 10
	case balanced:
		return 40, 40, 20
	case "latency":
		return 20, 30, 50
	case "reliability":
		return 15, 70, 15
	default:
		return b.Cost, b.Reliability, b.Latency
	}
}

// objective lowers a balance to money. A euro of fees counts as a euro; what else matters counts by its part of that of cost, as many times as
// in balanced. Nothing but plain arithmetic.
func (b Balance) objective(typical Money) Objective {
	cost, reliability, latency := b.filled().knobs()
	ofCost, ofReliability, ofLatency := Balance{Preset: balanced}.knobs()
	failures := ratio(float64(reliability*ofCost), float64(cost*ofReliability))
	seconds := ratio(float64(latency*ofCost), float64(cost*ofLatency))
	fee := float64(typical)
	return Objective{
		Margin:  min(float64(valueMargin*failures), maxMargin),
		Failure: rounded(float64(fee*failureFees) * failures),
		Second:  rounded(float64(fee*secondFees) * seconds),
		Stay:    rounded(fee * stayFees),
	}
}

// ratio is part / of, at most maxPart.
func ratio(part, of float64) float64 {
	if part >= float64(of*maxPart) {
		if part == 0 {
			return 0
		}
		return maxPart
	}
	return part / of
}

func rounded(f float64) Money { return Money(min(f+0.5, float64(MaxMoney))) }

// typicalFee is what a typical call costs at a typical candidate: the yardstick of a balance. Where nobody says a cost it is a cent.
func typicalFee(candidates []*Candidate) Money {
	var sum Money
	n := Money(0)
	for _, c := range candidates {
		if c.Cost.Known {
			sum += c.Cost.Expected(typicalValue, 0, Use{typicalTokens, typicalAnswer, 1}) / MaxCandidates
			n++
		}
	}
	if n == 0 || sum == 0 {
		return Unit / centOf
	}
	return sum * MaxCandidates / n
}
