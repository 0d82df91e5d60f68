package policy

import (
	"strconv"

	"go.yaml.in/yaml/v3"
)

// planFields are those of a service that choose its provider.
func (r *reader) planFields(s *ServiceSpec) map[string]func(value) {
	return map[string]func(value){
		"providers":  func(v value) { s.Providers = r.priority(v) },
		"balance":    func(v value) { s.Balance = r.balance(v) },
		"high_value": func(v value) { s.HighValue = r.highValue(v) },
		"shift":      func(v value) { s.Shift = r.shift(v) },
		"rules":      func(v value) { s.Rules = r.rules(v) },
		"budget":     func(v value) { s.Budget = r.budget(v) },
	}
}

// balance reads a preset, or {cost: 70, reliability: 30}.
func (r *reader) balance(v value) Balance {
	if v.node.Kind != yaml.MappingNode {
		return Balance{Preset: r.word(v, presets(), nil)}
	}
	var b Balance
	before := len(r.problems)
	r.object(v, fields{known: map[string]func(value){
		"cost":        func(v value) { b.Cost = r.knob(v) },
		"reliability": func(v value) { b.Reliability = r.knob(v) },
		"latency":     func(v value) { b.Latency = r.knob(v) },
	}})
	if b == (Balance{}) && len(r.problems) == before {
		r.problem(v, "says of nothing that it matters", "write parts, like {cost: 70, reliability: 30}, or balanced")
	}
	return b
}

// knob reads a part from 0 to 100.
func (r *reader) knob(v value) float64 {
	return r.fitting(v, func(n float64) bool { return n >= 0 && n <= 100 }, "is not between 0 and 100", "write how much it matters, like 70")
}

func (r *reader) highValue(v value) ValuePlan {
	var h ValuePlan
	before := len(r.problems)
	r.object(v, fields{known: map[string]func(value){
		"above": func(v value) { h.Above = r.price(v) },
		"prefer": func(v value) {
			h.Prefer = Prefer(r.word(v, []string{string(PreferReliability)}, []string{"cost", "latency"}))
		},
	}})
	if h.Above == (Price{}) && len(r.problems) == before {
		r.problem(v, "does not say above what", "write {above: 500 EUR, prefer: reliability}")
	}
	return h
}

func (r *reader) shift(v value) Shift {
	var s Shift
	r.object(v, fields{known: map[string]func(value){
		"away": func(v value) { s.Away = r.duration(v) },
		"back": func(v value) { s.Back = r.duration(v) },
	}})
	return s
}

func (r *reader) budget(v value) SpendPlan {
	var s SpendPlan
	before := len(r.problems)
	r.object(v, fields{known: map[string]func(value){
		"spend": func(v value) { s.Limit, s.Per = r.spend(v) },
		"then": func(v value) {
			s.Then = SpendThen(r.word(v, []string{string(SpendRefuse), string(SpendCheapest)}, nil))
		},
	}})
	if s.Limit == (Price{}) && len(r.problems) == before {
		r.problem(v, "does not say how much", "write {spend: 200 USD/day, then: refuse}")
	}
	return s
}

// retryBudget reads {ratio: 0.2, floor: 3/s}.
func (r *reader) retryBudget(v value) RetryBudget {
	var b RetryBudget
	r.object(v, fields{known: map[string]func(value){
		"ratio": func(v value) {
			b.Ratio = r.fitting(v, func(n float64) bool { return n > 0 && n <= 1 }, "is no share of the calls", "write a number above 0 and at most 1, like 0.2")
		},
		"floor": func(v value) { b.Floor = r.rate(v) },
	}})
	return b
}

// percentage reads a number above 0 and at most 100.
func (r *reader) percentage(v value) float64 {
	return r.fitting(v, func(n float64) bool { return n > 0 && n <= 100 }, "is not above 0 and at most 100", "write percent, like 1.5")
}

// fitting reads a number; 0 for one that does not fit.
func (r *reader) fitting(v value, fits func(float64) bool, wrong, fix string) float64 {
	n, ok := r.number(v)
	if ok && !fits(n) {
		r.problem(v, shown(v.node)+" "+wrong, fix)
		return 0
	}
	return n
}

func (r *reader) exchange(v value) ExchangeSpec {
	var e ExchangeSpec
	before := len(r.problems)
	r.object(v, fields{known: map[string]func(value){
		"base": func(v value) { e.Base = r.code(v) },
		"rates": func(v value) {
			for _, p := range r.pairs(v, maxCurrencies) {
				if n, ok := r.number(p.value); ok {
					e.Rates = append(e.Rates, ExchangeRate{p.name, n})
				}
			}
		},
	}})
	if e.Base == "" && len(r.problems) == before {
		r.problem(v, "does not say its base", "write {base: EUR, rates: {USD: 0.92}}: one USD is 0.92 EUR")
	}
	return e
}

// code reads a currency.
func (r *reader) code(v value) string {
	text := r.text(v)
	if text != "" && !isoCode(text) {
		r.problem(v, strconv.Quote(clip(text))+" is no currency of ISO 4217", "write three capitals, like EUR")
		return ""
	}
	return text
}

func (r *reader) rules(v value) []RuleSpec {
	var found []RuleSpec
	for _, e := range r.list(v, maxRules) {
		var s RuleSpec
		r.object(e, fields{known: map[string]func(value){
			"name":  func(v value) { s.Name = r.text(v) },
			"when":  func(v value) { s.When = r.condition(v) },
			"only":  func(v value) { s.Only = r.texts(v, MaxCandidates) },
			"never": func(v value) { s.Never = r.texts(v, MaxCandidates) },
			"needs": func(v value) { s.Needs = r.texts(v, maxFeatures) },
		}})
		found = append(found, s)
	}
	return found
}
