package policy

import (
	"cmp"
	"time"
)

// Plan is how a service's provider is chosen, beside its strategy, shares and order: what the document says of it.
type Plan struct {
	Providers []RegionPriority // strategies nearest and adaptive: who serves, per region ("" = every other)
	Balance   Balance
	HighValue ValuePlan
	Shift     Shift
	Rules     []RuleSpec
	Budget    SpendPlan
}

// Balance says what matters to strategy adaptive: one of the presets, or parts of a whole.
type Balance struct {
	Preset                     string
	Cost, Reliability, Latency float64
}

// Price is an amount as the document writes it: 0.25 EUR. Amount is in millionths of the currency's main unit.
type Price struct {
	Amount   int64
	Currency string
}

// ValuePlan is high_value: {above, prefer}.
type ValuePlan struct {
	Above  Price
	Prefer Prefer
}

// SpendPlan is budget: {spend, then}.
type SpendPlan struct {
	Limit Price
	Per   time.Duration
	Then  SpendThen
}

// RuleSpec is a rule as the document writes it: where When (CEL) holds, Only these providers take the call, or Never these, or those that
// have all of Needs. One of the three.
type RuleSpec struct {
	Name  string
	When  string // "": always
	Only  []string
	Never []string
	Needs []string
}

// CostSpec is what a provider asks for a call.
type CostSpec struct {
	TariffSpec
	Tiers      []TierSpec
	Currencies []CurrencySpec
}

// TariffSpec is one price list: its parts are added up.
type TariffSpec struct {
	Fixed   Price
	Percent float64 // of the value
	In, Out Price   // per million tokens
	Segment Price
}

// TierSpec is the tariff of values above Above.
type TierSpec struct {
	Above Price
	TariffSpec
}

// CurrencySpec is the tariff of transactions in one currency.
type CurrencySpec struct {
	Currency string
	TariffSpec
}

// RegionCost is a provider's cost in one region ("" = default).
type RegionCost struct {
	Region string
	CostSpec
}

// ExchangeSpec says what currencies are worth: one unit of a currency is Rate units of Base.
type ExchangeSpec struct {
	Base  string
	Rates []ExchangeRate
}

// ExchangeRate is one currency's.
type ExchangeRate struct {
	Currency string
	Rate     float64
}

// CostIn returns what a provider asks in a region. said is false where nobody wrote it.
func (p *ProviderSpec) CostIn(region string) (cost CostSpec, said bool) {
	c, said := inRegion(p.Cost, region, func(c RegionCost) string { return c.Region })
	return c.CostSpec, said
}

// ListedIn returns the providers that `providers` names for a region.
func (s *ServiceSpec) ListedIn(region string) []string {
	p, _ := inRegion(s.Providers, region, func(p RegionPriority) string { return p.Region })
	return p.Providers
}

// listed tells the strategies whose providers stand in `providers`.
func (s Strategy) listed() bool { return s == Nearest || s == Adaptive }

func strategies() []Strategy { return []Strategy{Weighted, Priority, Nearest, Adaptive} }

func strategyWords() []string {
	var words []string
	for _, s := range strategies() {
		words = append(words, s.String())
	}
	return words
}

// balanced is the preset that holds where an adaptive service says none.
const balanced = "balanced"

func presets() []string { return []string{"cost", balanced, "latency", "reliability"} }

// filled puts the default where nothing was said.
func (b Balance) filled() Balance {
	if b == (Balance{}) {
		b.Preset = balanced
	}
	return b
}

func (v ValuePlan) filled() ValuePlan {
	if v.Above != (Price{}) {
		v.Prefer = cmp.Or(v.Prefer, PreferReliability)
	}
	return v
}

func (s SpendPlan) filled() SpendPlan {
	if s.Limit != (Price{}) {
		s.Then = cmp.Or(s.Then, SpendRefuse)
	}
	return s
}

// Base is the currency that everything is counted in; "" where no amount is.
func (p *Policy) Base() string { return p.base() }

// Told is what a service is steered by beside strategy, shares and order, as people read it: a name and a text each. Rules are sentences.
func (p *Policy) Told(s *ServiceSpec) [][2]string {
	var list [][2]string
	for _, f := range planFacts(p, "", s) {
		if f.value != "" {
			list = append(list, [2]string{f.label, f.value})
		}
	}
	return list
}

// Worth is a price of the document in the base currency.
func (p *Policy) Worth(price Price) Money { return p.exchange().price(price) }

// Text is the budget as the document writes it: 200 USD/day.
func (s SpendPlan) Text() string { return s.text() }
