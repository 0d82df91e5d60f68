package policy

import (
	"github.com/invopop/jsonschema"
	"go.yaml.in/yaml/v3"
)

// fees reads where an answer says what the call cost.
func (r *reader) fees(v value) ValueRule {
	if v.node.Kind != yaml.MappingNode {
		r.problem(v, "is "+kindOf(v.node), "write {amount: body.fee.value, currency: body.fee.currency, unit: major}")
		return ValueRule{}
	}
	return r.value(v)
}

func (c *checker) feesIn(path string, rule ValueRule) {
	for _, f := range []Field{rule.Amount, rule.Currency} {
		if f.In != "body" || f.problem() != "" {
			c.problem(path, "write where they stand in the answer's body, like body.fee.value", "%q is no field of an answer's body", clip(f.String()))
		}
	}
}

func (c *Contract) feesText() string {
	if !c.Fees.Set() {
		return ""
	}
	unit := "smallest units"
	if c.Fees.Major {
		unit = "main units"
	}
	return c.Fees.Amount.Name + " in " + unit + " of " + c.Fees.Currency.Name
}

func writeFees(w writer, rule ValueRule) {
	if !rule.Set() {
		return
	}
	m := w.below("fees", yaml.FlowStyle)
	m.text("amount", rule.Amount.String())
	m.text("currency", rule.Currency.String())
	if rule.Major {
		m.text("unit", "major")
	}
}

func feesSchema() *jsonschema.Schema {
	field := &jsonschema.Schema{Type: "string", Pattern: fieldForm}
	return object([]string{"amount", "currency"}, property{"amount", "", field}, property{"currency", "", field}, property{"unit", "", oneWord("minor", "major")})
}
