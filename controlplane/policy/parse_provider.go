package policy

import (
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

func (r *reader) providers(v value) []ProviderSpec {
	var found []ProviderSpec
	for _, p := range r.pairs(v, maxProviders) {
		found = append(found, r.provider(p.name, p.value))
	}
	return found
}

func (r *reader) provider(name string, v value) ProviderSpec {
	p := ProviderSpec{Name: name}
	r.object(v, fields{
		known: map[string]func(value){
			"contract":       func(v value) { p.Contract = r.text(v) },
			"endpoint":       func(v value) { p.Endpoint = r.endpoints(v) },
			"credential":     func(v value) { p.Credential = r.byRegion(v) },
			"webhook_secret": func(v value) { p.HookSecret = r.byRegion(v) },
			"account":        func(v value) { p.Account = r.text(v) },
			"limits":         func(v value) { p.Limits = r.limits(v) },
			"cost":           func(v value) { p.Cost = r.cost(v) },
			"features":       func(v value) { p.Features = r.texts(v, maxFeatures) },
			"near":           func(v value) { p.Near = r.texts(v, maxRegions) },
			"checks":         func(v value) { p.Checks = r.checks(v) },
			"synthetics":     func(v value) { p.Synthetics = r.synthetics(v) },
		},
		later: []string{"capacity", "currency"},
	})
	return p
}

// byRegion reads one value for all regions, or a mapping of them by region.
func (r *reader) byRegion(v value) []RegionValue {
	if v.node.Kind != yaml.MappingNode {
		return []RegionValue{{Value: r.text(v)}}
	}
	var found []RegionValue
	for _, p := range r.pairs(v, maxRegions+1) {
		found = append(found, RegionValue{Region: orDefault(p.name), Value: r.text(p.value)})
	}
	return found
}

func (r *reader) limits(v value) Limits {
	var l Limits
	r.object(v, fields{known: map[string]func(value){
		"in_flight": func(v value) { l.InFlight = r.positive(v, maxInFlight) },
		"rate":      func(v value) { l.Rate = r.rate(v) },
	}})
	return l
}

// rate reads 100/s.
func (r *reader) rate(v value) float64 {
	text := r.text(v)
	if text == "" {
		return 0
	}
	number, ok := strings.CutSuffix(text, "/s")
	rate, err := strconv.ParseFloat(number, 64)
	if !ok || err != nil || !(rate > 0 && rate <= maxRate) {
		r.problem(v, strconv.Quote(clip(text))+" is not a rate", "write calls per second, like 100/s")
		return 0
	}
	return rate
}
