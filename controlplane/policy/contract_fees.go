package policy

import (
	"strings"

	"github.com/invopop/jsonschema"
	"go.yaml.in/yaml/v3"
)

// UseRule says where an answer tells how much was used: tokens in and out, segments. Of several places the first that is there counts.
type UseRule struct{ In, Out, Segments []Field }

// Set tells whether there is a rule.
func (r *UseRule) Set() bool { return len(r.In) > 0 || len(r.Out) > 0 || len(r.Segments) > 0 }

// parts are the three, by the words of the document.
func (r *UseRule) parts() [3]struct {
	word string
	of   *[]Field
} {
	return [...]struct {
		word string
		of   *[]Field
	}{{"in", &r.In}, {"out", &r.Out}, {"segments", &r.Segments}}
}

const (
	maxFees = 4 // places where one answer can tell its fee, or a part of its use
	feesFix = "write {amount: body.fee.value, currency: body.fee.currency, unit: major}, or a list of such"
	useFix  = "write {in: body.usage.prompt_tokens, out: body.usage.completion_tokens}, or {segments: body.num_segments}"
)

// fees reads where an answer says what the call cost.
func (r *reader) fees(v value) []ValueRule {
	if v.node.Kind != yaml.SequenceNode {
		return r.fee(v, nil)
	}
	var list []ValueRule
	for _, e := range r.list(v, maxFees) {
		list = r.fee(e, list)
	}
	return list
}

func (r *reader) fee(v value, list []ValueRule) []ValueRule {
	if v.node.Kind != yaml.MappingNode {
		r.problem(v, "is "+kindOf(v.node), feesFix)
		return list
	}
	if rule := r.value(v); rule.Set() {
		list = append(list, rule)
	}
	return list
}

// use reads where it says how much was used.
func (r *reader) use(v value) UseRule {
	var u UseRule
	if v.node.Kind != yaml.MappingNode {
		r.problem(v, "is "+kindOf(v.node), useFix)
		return u
	}
	known := map[string]func(value){}
	for _, p := range u.parts() {
		known[p.word] = func(v value) {
			if v.node.Kind != yaml.SequenceNode {
				*p.of = []Field{r.field(v)}
				return
			}
			for _, e := range r.list(v, maxFees) {
				*p.of = append(*p.of, r.field(e))
			}
		}
	}
	r.object(v, fields{known: known})
	return u
}

func (c *checker) tellsIn(path string, own *Contract) {
	for _, rule := range own.Fees {
		c.inBody(path+".fees", rule.Amount, rule.Currency)
	}
	for _, p := range own.Use.parts() {
		c.inBody(path+".use."+p.word, *p.of...)
	}
}

func (c *checker) inBody(path string, list ...Field) {
	for _, f := range list {
		if f.In != "body" || f.problem() != "" {
			c.problem(path, "write where it stands in the answer's body, like body.fee.value", "%q is no field of an answer's body", clip(f.String()))
		}
	}
}

func (c *Contract) feesText() string {
	var lines []string
	for _, rule := range c.Fees {
		unit := "smallest units"
		if rule.Major {
			unit = "main units"
		}
		lines = append(lines, rule.Amount.Name+" in "+unit+" of "+rule.Currency.Name)
	}
	return strings.Join(lines, ", or ")
}

func (r *UseRule) text() string {
	var lines []string
	for _, p := range r.parts() {
		if len(*p.of) > 0 {
			lines = append(lines, p.word+" "+strings.Join(fieldNames(*p.of), " or "))
		}
	}
	return strings.Join(lines, ", ")
}

func fieldNames(list []Field) []string {
	found := make([]string, len(list))
	for i, f := range list {
		found[i] = f.Name
	}
	return found
}

func writeFees(w writer, list []ValueRule, use UseRule) {
	switch {
	case len(list) == 1:
		writeFee(w.below("fees", yaml.FlowStyle), &list[0])
	case len(list) > 1:
		all := &yaml.Node{Kind: yaml.SequenceNode}
		for i := range list {
			one := &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle}
			writeFee(writer{one}, &list[i])
			all.Content = append(all.Content, one)
		}
		w.add("fees", all)
	}
	if use.Set() {
		m := w.below("use", yaml.FlowStyle)
		for _, p := range use.parts() {
			var list []string
			for _, f := range *p.of {
				list = append(list, f.String())
			}
			m.one(p.word, list)
		}
	}
}

func writeFee(m writer, rule *ValueRule) {
	m.text("amount", rule.Amount.String())
	m.text("currency", rule.Currency.String())
	if rule.Major {
		m.text("unit", "major")
	}
}

func feesSchema() *jsonschema.Schema {
	one := object([]string{"amount", "currency"}, property{"amount", "", fieldSchema()}, property{"currency", "", fieldSchema()}, property{"unit", "", oneWord("minor", "major")})
	return anyOf(one, listOf(one, maxFees))
}

func useSchema() *jsonschema.Schema {
	form := anyOf(fieldSchema(), listOf(fieldSchema(), maxFees))
	return object(nil, property{"in", "tokens", form}, property{"out", "tokens", form}, property{"segments", "", form})
}

func fieldSchema() *jsonschema.Schema { return &jsonschema.Schema{Type: "string", Pattern: fieldForm} }
