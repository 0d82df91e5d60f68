package policy

import "slices"

// steer compiles what chooses between the candidates of a service, beside strategy and shares.
func (b *builder) steer(s *ServiceSpec, svc *Service) {
	svc.Here = int8(slices.Index(b.policy.Regions.Names(), b.region))
	svc.Shift = s.Shift
	if h := s.HighValue.filled(); h != (ValuePlan{}) {
		svc.HighValue = HighValue{Above: b.exchange.price(h.Above), Prefer: h.Prefer}
	}
	if g := s.Budget.filled(); g != (SpendPlan{}) {
		svc.Spend = Spend{Limit: b.exchange.price(g.Limit), Per: g.Per, Then: g.Then}
	}
	switch s.Strategy {
	case Nearest:
		svc.Near = b.ranks(s.ProvidersIn(b.region))
	case Adaptive:
		svc.Objective = s.Balance.objective(typicalFee(svc.Candidates))
	}
	svc.Exchange = b.exchange
}
