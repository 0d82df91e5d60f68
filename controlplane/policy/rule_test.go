package policy

import "math/rand/v2"

// answered takes the functions of rules out of a snapshot, which are never equal, and puts what they answer to some facts in their place.
func answered(s *Snapshot) *Snapshot {
	for _, svc := range s.Services {
		for i := range svc.Rules {
			r := rand.New(rand.NewPCG(1, 2))
			for range 32 {
				if svc.Rules[i].When(someFacts(r)) {
					svc.Rules[i].Text += "+"
				} else {
					svc.Rules[i].Text += "-"
				}
			}
			svc.Rules[i].When = nil
		}
	}
	return s
}

// someFacts draws what rules may see of a call, missing parts too.
func someFacts(r *rand.Rand) *Facts {
	f := &Facts{Client: int8(r.IntN(4)) - 1, Op: int16(r.IntN(3)), Minute: int16(r.IntN(7 * minutesOfDay)), Read: r.IntN(2) == 0}
	if r.IntN(3) > 0 {
		f.Value, f.Currency = Money(r.IntN(2000))*Unit/4, CurrencyOf([]string{"EUR", "USD", ""}[r.IntN(3)])
	}
	for i := range f.Operands {
		f.Operands[i] = []Operand{{}, {Kind: IsText, Text: uint16(r.IntN(4))}, {Kind: IsNumber, Number: float64(r.IntN(5000))}, {Kind: IsYes}, {Kind: IsNo}}[r.IntN(5)]
	}
	return f
}
