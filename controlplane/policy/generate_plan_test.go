package policy

import (
	"fmt"
	"slices"

	"pgregory.net/rapid"
)

func exchanges(t *rapid.T) ExchangeSpec {
	return rapid.SampledFrom([]ExchangeSpec{{}, {Base: "EUR"}, {Base: "EUR", Rates: []ExchangeRate{{"USD", 0.92}, {"JPY", 0.0061}}}}).Draw(t, "exchange")
}

// amounts draws a price in a currency that the policy has a rate for. Without an exchange all are in euros.
func amounts(t *rapid.T, p *Policy, label string) Price {
	codes := []string{"EUR"}
	for _, r := range p.Exchange.Rates {
		codes = append(codes, r.Currency)
	}
	return Price{rapid.Int64Range(1, 5000*million).Draw(t, label), rapid.SampledFrom(codes).Draw(t, label)}
}

// plans draws how a service's provider is chosen. No rule leaves nobody for every call.
func plans(t *rapid.T, p *Policy, s *ServiceSpec) {
	if s.Strategy == Adaptive {
		s.Balance = rapid.SampledFrom([]Balance{{}, {Preset: "cost"}, {Preset: balanced}, {Cost: 70, Reliability: 29.5}, {Latency: 1}}).Draw(t, "balance")
	}
	if rapid.Bool().Draw(t, "high value") {
		s.HighValue = ValuePlan{amounts(t, p, "above"), rapid.SampledFrom([]Prefer{"", PreferReliability}).Draw(t, "prefer")}
	}
	if rapid.Bool().Draw(t, "shift") {
		s.Shift = Shift{spans(t, "away", maxShift), spans(t, "back", maxShift)}
	}
	if rapid.Bool().Draw(t, "budget") {
		s.Budget = SpendPlan{amounts(t, p, "spend"), over[rapid.IntRange(0, 1).Draw(t, "per")].time, rapid.SampledFrom([]SpendThen{"", SpendRefuse, SpendCheapest}).Draw(t, "then")}
	}
	all := s.allProviders()
	for i := range rapid.IntRange(0, 3).Draw(t, "rules") {
		rule := RuleSpec{Name: fmt.Sprintf("rule %d: é", i), When: rapid.SampledFrom([]string{
			"value > 5", `card.region == "EU: #" && !read`, "body.a.b in [1, 2.5] || header.x_y != 'z'", `has(body.x) ? hour < 6 : currency in ["EUR"]`,
			fmt.Sprintf("client_region == %q", p.Regions[0].Name), fmt.Sprintf("region == %q && minute > 5", p.Regions[0].Name), fmt.Sprintf("(region != %q || weekday == 0) && read", p.Regions[0].Name),
		}).Draw(t, "when")}
		some := rapid.Permutation(slices.Clone(all)).Draw(t, "whom")[:rapid.IntRange(1, len(all)).Draw(t, "of")]
		features := p.featuresOf(all)
		switch kind := rapid.IntRange(0, 2).Draw(t, "kind"); {
		case kind == 2 && len(features) > 0:
			rule.Needs = features[:1]
		case kind == 1 && len(some) < len(all):
			rule.Never = some
		default:
			rule.Only = some
		}
		s.Rules = append(s.Rules, rule)
	}
}

func (p *Policy) featuresOf(providers []string) []string {
	return (&checker{Policy: p}).featuresOf(providers)
}

// asks draws what a provider asks and can.
func asks(t *rapid.T, p *Policy, s *ProviderSpec) {
	if rapid.Bool().Draw(t, "cost") {
		if rapid.Bool().Draw(t, "everywhere") {
			s.Cost = append(s.Cost, RegionCost{CostSpec: costSpecs(t, p)})
		}
		for _, r := range p.Regions {
			if rapid.Bool().Draw(t, "cost there") {
				s.Cost = append(s.Cost, RegionCost{r.Name, costSpecs(t, p)})
			}
		}
	}
	s.Features = rapid.SampledFrom([][]string{nil, {"3ds"}, {"1", "null", "refunds"}}).Draw(t, "features")
	if rapid.Bool().Draw(t, "near") {
		s.Near = p.Regions.Names()[:1]
	}
}

func costSpecs(t *rapid.T, p *Policy) CostSpec {
	c := CostSpec{TariffSpec: tariffs(t, p)}
	for i := range rapid.IntRange(0, 2).Draw(t, "tiers") {
		c.Tiers = append(c.Tiers, TierSpec{Price{int64(i+1) * million, "EUR"}, tariffs(t, p)})
	}
	if rapid.Bool().Draw(t, "currencies") {
		c.Currencies = []CurrencySpec{{"USD", tariffs(t, p)}, {"NOK", tariffs(t, p)}}
	}
	return c
}

func tariffs(t *rapid.T, p *Policy) TariffSpec {
	spec := TariffSpec{Percent: rapid.SampledFrom([]float64{0, 1.5, 0.00001, 100}).Draw(t, "percent"), Fixed: amounts(t, p, "fixed")}
	if rapid.Bool().Draw(t, "tokens") {
		spec.In, spec.Out = amounts(t, p, "in"), amounts(t, p, "out")
	}
	if rapid.Bool().Draw(t, "segment") {
		spec.Segment = amounts(t, p, "segment")
	}
	return spec
}
