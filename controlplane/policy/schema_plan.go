package policy

import (
	"encoding/json"

	"github.com/invopop/jsonschema"
)

// Forms of amounts.
const (
	priceForm = `^[0-9]{1,10}(\.[0-9]{1,6})? [A-Z]{3}$`
	spendForm = `^[0-9]{1,10}(\.[0-9]{1,6})? [A-Z]{3}/(hour|day)$`
)

func priceSchema() *jsonschema.Schema { return &jsonschema.Schema{Type: "string", Pattern: priceForm} }

// from0 is a number from 0 to most.
func from0(most string) *jsonschema.Schema {
	return &jsonschema.Schema{Type: "number", Minimum: "0", Maximum: json.Number(most)}
}

// above0 is a number above 0.
func above0(most string) *jsonschema.Schema {
	return &jsonschema.Schema{Type: "number", ExclusiveMinimum: "0", Maximum: json.Number(most)}
}

// planSchema are the fields of a service that choose its provider.
func planSchema(order *jsonschema.Schema) []property {
	rule := object([]string{"name"},
		property{"name", "what people call it", text()},
		property{"when", "CEL over the request; left out: always", text()},
		property{"only", "the providers that may take the call then", listOf(text(), MaxCandidates)},
		property{"never", "the providers that may not", listOf(text(), MaxCandidates)},
		property{"needs", "the features that a provider must have then", listOf(text(), maxFeatures)})
	part := from0("100")
	return []property{
		{"providers", "who serves, for every region or by region; strategies nearest and adaptive", anyOf(order, byName(order, 1, maxRegions+1))},
		{"balance", "what matters to strategy adaptive: a preset, or parts", anyOf(oneWord(presets()...), object(nil,
			property{"cost", "", part}, property{"reliability", "", part}, property{"latency", "", part}))},
		{"high_value", "calls above a value are sent more carefully", object([]string{"above"},
			property{"above", "like 500 EUR", priceSchema()}, property{"prefer", "", oneWord(string(PreferReliability))})},
		{"shift", "how long it takes to move a share", object(nil,
			property{"away", "from a provider", spanSchema()}, property{"back", "to it", spanSchema()})},
		{"rules", "who may take which call; all that hold count together", listOf(rule, maxRules)},
		{"budget", "what its calls may cost", object([]string{"spend"},
			property{"spend", "like 200 USD/day", &jsonschema.Schema{Type: "string", Pattern: spendForm}},
			property{"then", "what becomes of calls when it is spent", oneWord(string(SpendRefuse), string(SpendCheapest))})},
	}
}

func retryBudgetSchema() *jsonschema.Schema {
	return object(nil,
		property{"ratio", "second attempts that each call earns", above0("1")},
		property{"floor", "those that are always there, like 3/s", &jsonschema.Schema{Type: "string", Pattern: rateForm}})
}

func costSchema() *jsonschema.Schema {
	tier := object([]string{"above"}, append(tariffSchema(), property{"above", "the values that it is for, like 100 EUR", priceSchema()})...)
	one := object(nil, append(tariffSchema(),
		property{"tiers", "by amount: the highest that a value is above", listOf(tier, maxTiers)},
		property{"currencies", "by the transaction's currency", byName(object(nil, tariffSchema()...), 1, maxCurrencies)})...)
	return anyOf(one, byName(one, 1, maxRegions+1))
}

func tariffSchema() []property {
	return []property{
		{"fixed", "for each call, like 0.25 EUR", priceSchema()},
		{"percent", "of the call's value", above0("100")},
		{"tokens", "for a million tokens", object(nil, property{"in", "", priceSchema()}, property{"out", "", priceSchema()})},
		{"segment", "for each segment of a message", priceSchema()},
	}
}

func exchangeSchema() *jsonschema.Schema {
	return object([]string{"base"},
		property{"base", "the currency that everything is counted in", &jsonschema.Schema{Type: "string", Pattern: "^[A-Z]{3}$"}},
		property{"rates", "what one of a currency is worth in the base", byName(above0("1000000"), 1, maxCurrencies)})
}
