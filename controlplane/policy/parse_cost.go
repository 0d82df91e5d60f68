package policy

import (
	"slices"

	"go.yaml.in/yaml/v3"
)

// costWords are the fields of a cost: a mapping that has none of them, and mappings below, is by region.
var costWords = []string{"fixed", "percent", "tokens", "segment", "tiers", "currencies"}

// cost reads {fixed: 0.25 EUR, percent: 1.5}, or a mapping of them by region.
func (r *reader) cost(v value) []RegionCost {
	if !costByRegion(v.node) {
		return []RegionCost{{CostSpec: r.oneCost(v)}}
	}
	var found []RegionCost
	for _, p := range r.pairs(v, maxRegions+1) {
		found = append(found, RegionCost{Region: orDefault(p.name), CostSpec: r.oneCost(p.value)})
	}
	return found
}

func costByRegion(n *yaml.Node) bool {
	if n.Kind != yaml.MappingNode || len(n.Content) == 0 {
		return false
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, below := n.Content[i].Value, n.Content[i+1]
		if slices.Contains(costWords, key) || nearest(key, costWords) != "" && !costly(below) || below.Kind != yaml.MappingNode {
			return false
		}
	}
	return true
}

// costly tells a mapping that has a field of a cost: then its name is a region's, however it is written.
func costly(n *yaml.Node) bool {
	for i := 0; i < len(n.Content); i += 2 {
		if n.Kind == yaml.MappingNode && slices.Contains(costWords, n.Content[i].Value) {
			return true
		}
	}
	return false
}

func (r *reader) oneCost(v value) CostSpec {
	var c CostSpec
	known := r.tariffFields(&c.TariffSpec)
	known["tiers"] = func(v value) {
		for _, e := range r.list(v, maxTiers) {
			c.Tiers = append(c.Tiers, r.tier(e))
		}
	}
	known["currencies"] = func(v value) {
		for _, p := range r.pairs(v, maxCurrencies) {
			one := CurrencySpec{Currency: p.name}
			r.tariff(p.value, r.tariffFields(&one.TariffSpec), &one.TariffSpec)
			c.Currencies = append(c.Currencies, one)
		}
	}
	before := len(r.problems)
	r.object(v, fields{known: known})
	if c.TariffSpec == (TariffSpec{}) && len(c.Currencies) == 0 && len(r.problems) == before {
		r.problem(v, "says nothing of what a call costs", "write it, like {fixed: 0.25 EUR, percent: 1.5}, or {fixed: 0 EUR}")
	}
	return c
}

func (r *reader) tier(v value) TierSpec {
	var t TierSpec
	known := r.tariffFields(&t.TariffSpec)
	known["above"] = func(v value) { t.Above = r.price(v) }
	r.tariff(v, known, &t.TariffSpec)
	return t
}

// tariff reads a mapping that must say a price.
func (r *reader) tariff(v value, known map[string]func(value), t *TariffSpec) {
	before := len(r.problems)
	r.object(v, fields{known: known})
	if *t == (TariffSpec{}) && len(r.problems) == before {
		r.problem(v, "says nothing of what a call costs", "write it, like {fixed: 0.25 EUR, percent: 1.5}")
	}
}

func (r *reader) tariffFields(t *TariffSpec) map[string]func(value) {
	return map[string]func(value){
		"fixed":   func(v value) { t.Fixed = r.price(v) },
		"percent": func(v value) { t.Percent = r.percentage(v) },
		"segment": func(v value) { t.Segment = r.price(v) },
		"tokens": func(v value) {
			before := len(r.problems)
			r.object(v, fields{known: map[string]func(value){
				"in":  func(v value) { t.In = r.price(v) },
				"out": func(v value) { t.Out = r.price(v) },
			}})
			if t.In == (Price{}) && t.Out == (Price{}) && len(r.problems) == before {
				r.problem(v, "says no price", "write what a million of them cost, like {in: 3 USD, out: 15 USD}")
			}
		},
	}
}
