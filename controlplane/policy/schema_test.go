package policy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
	"pgregory.net/rapid"
)

func validator(t testing.TB) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	if err := c.AddResource("policy.schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("policy.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// instance is a document as an editor's YAML server hands it to a validator: as JSON.
func instance(src []byte) (any, error) {
	var v any
	if err := yaml.Unmarshal(src, &v); err != nil {
		return nil, err
	}
	b, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return jsonschema.UnmarshalJSON(bytes.NewReader(b))
}

func TestSchemaAcceptsEveryGoodPolicy(t *testing.T) {
	s := validator(t)
	for _, name := range documents(t, "good") {
		v, err := instance(read(t, name))
		if err == nil {
			err = s.Validate(v)
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		src := Marshal(policies(t))
		v, err := instance(src)
		if err == nil {
			err = s.Validate(v)
		}
		if err != nil {
			t.Fatalf("%v\n%s", err, src)
		}
	})
}

// Documents that are wrong in their form are wrong for the schema too. Those that are left out are wrong in ways that no form shows.
func TestSchemaRefusesBadForms(t *testing.T) {
	s := validator(t)
	for _, name := range []string{"typos", "later", "list", "shapes", "version"} {
		v, err := instance(read(t, filepath.Join("testdata/bad", name+".yaml")))
		if err == nil && s.Validate(v) == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	good := string(read(t, "testdata/good/three-regions.yaml"))
	for _, c := range [][2]string{
		{"speaks: stripe/v1", "speeks: stripe/v1"}, {"per_try: 4s", "per_try: 4"}, {"per_try: 4s", "pertry: 4s"}, {"max: 2", "max: 0"}, {"rate: 100/s", "rate: 100"},
		{"segue: v1", "segue: v2"}, {"stripe: 70", "stripe: 170"}, {"strategy: weighted", "strategy: random"}, {"enforced: false", "enforced: maybe"},
		{"every 10s", "each 10s"}, {"class: limited", "class: nice"}, {"semantics: read", "semantics: write"},
	} {
		v, err := instance([]byte(edited(t, good, c[0], c[1])))
		if err != nil {
			t.Fatal(err)
		}
		if s.Validate(v) == nil {
			t.Errorf("%q is accepted", c[1])
		}
	}
}

// objects are those of the document: where each stands, and a document that has it.
var objects = map[string]string{
	"":                                       "%s",
	"regions.r":                              "regions: {r: {%s}}",
	"services.s":                             "services: {s: {%s}}",
	"services.s.listen":                      "services: {s: {listen: {%s}}}",
	"services.s.attempts":                    "services: {s: {attempts: {%s}}}",
	"services.s.breaker":                     "services: {s: {breaker: {%s}}}",
	"services.s.attempts.budget":             "services: {s: {attempts: {budget: {%s}}}}",
	"services.s.balance":                     "services: {s: {balance: {%s}}}",
	"services.s.high_value":                  "services: {s: {high_value: {%s}}}",
	"services.s.shift":                       "services: {s: {shift: {%s}}}",
	"services.s.rules[0]":                    "services: {s: {rules: [{%s}]}}",
	"services.s.budget":                      "services: {s: {budget: {%s}}}",
	"exchange":                               "exchange: {%s}",
	"providers.p.cost":                       "providers: {p: {cost: {%s}}}",
	"providers.p.cost.tokens":                "providers: {p: {cost: {tokens: {%s}}}}",
	"providers.p.cost.tiers[0]":              "providers: {p: {cost: {tiers: [{%s}]}}}",
	"providers.p.cost.tiers[0].tokens":       "providers: {p: {cost: {tiers: [{tokens: {%s}}]}}}",
	"providers.p.cost.currencies.c":          "providers: {p: {cost: {currencies: {EUR: {%s}}}}}",
	"providers.p.cost.currencies.c.tokens":   "providers: {p: {cost: {currencies: {EUR: {tokens: {%s}}}}}}",
	"providers.p.cost.c":                     "providers: {p: {cost: {r: {%s}}}}",
	"providers.p.cost.c.tokens":              "providers: {p: {cost: {r: {tokens: {%s}}}}}",
	"providers.p.cost.c.tiers[0]":            "providers: {p: {cost: {r: {tiers: [{%s}]}}}}",
	"providers.p.cost.c.tiers[0].tokens":     "providers: {p: {cost: {r: {tiers: [{tokens: {%s}}]}}}}",
	"providers.p.cost.c.currencies.c":        "providers: {p: {cost: {r: {currencies: {EUR: {%s}}}}}}",
	"providers.p.cost.c.currencies.c.tokens": "providers: {p: {cost: {r: {currencies: {EUR: {tokens: {%s}}}}}}}",
	"services.s.operations.o":                "services: {s: {operations: {o: {%s}}}}",
	"services.s.operations.o.key":            "services: {s: {operations: {o: {key: {%s}}}}}",
	"services.s.operations.o.value":          "services: {s: {operations: {o: {value: {%s}}}}}",
	"contracts.c.operations.o.value":         "contracts: {c: {operations: {o: {value: {%s}}}}}",
	"services.s.session.s":                   "services: {s: {session: {f: {%s}}}}",
	"contracts.c.session.s":                  "contracts: {c: {session: {m: {%s}}}}",
	"contracts.c.session.s.import":           "contracts: {c: {session: {m: {import: {%s}}}}}",
	"contracts.c.session.s.export":           "contracts: {c: {session: {m: {export: {%s}}}}}",
	"contracts.c.session.s.tokens":           "contracts: {c: {session: {m: {tokens: {%s}}}}}",
	"providers.p":                            "providers: {p: {%s}}",
	"providers.p.limits":                     "providers: {p: {limits: {%s}}}",
	"providers.p.checks":                     "providers: {p: {checks: {%s}}}",
	"contracts.c":                            "contracts: {c: {%s}}",
	"contracts.c.credential":                 "contracts: {c: {credential: {%s}}}",
	"contracts.c.keys":                       "contracts: {c: {keys: {%s}}}",
	"contracts.c.statuses[0]":                "contracts: {c: {statuses: [{%s}]}}",
	"contracts.c.rate_limit":                 "contracts: {c: {rate_limit: {%s}}}",
	"contracts.c.fees":                       "contracts: {c: {fees: {%s}}}",
	"contracts.c.fees[0]":                    "contracts: {c: {fees: [{%s}]}}",
	"contracts.c.use":                        "contracts: {c: {use: {%s}}}",
	"contracts.c.lookup":                     "contracts: {c: {lookup: {%s}}}",
	"contracts.c.cancel":                     "contracts: {c: {cancel: {%s}}}",
	"contracts.c.cancel.answers[0]":          "contracts: {c: {cancel: {answers: [{%s}]}}}",
	"contracts.c.webhooks":                   "contracts: {c: {webhooks: {%s}}}",
	"contracts.c.webhooks.signature":         "contracts: {c: {webhooks: {signature: {%s}}}}",
	"contracts.c.webhooks.states":            "contracts: {c: {webhooks: {states: {%s}}}}",
	"contracts.c.lookup.states":              "contracts: {c: {lookup: {states: {%s}}}}",
	"contracts.c.speaks.s":                   "contracts: {c: {speaks: {s: {%s}}}}",
	"contracts.c.speaks.s.operations.o":      "contracts: {c: {speaks: {s: {operations: {o: {%s}}}}}}",
	"contracts.c.operations.o":               "contracts: {c: {operations: {o: {%s}}}}",
	"contracts.c.operations.o.key":           "contracts: {c: {operations: {o: {key: {%s}}}}}",
	"contracts.c.tests":                      "contracts: {c: {tests: {%s}}}",
	"contracts.c.synthetics.s":               "contracts: {c: {synthetics: {s: {%s}}}}",
	"providers.p.synthetics.s":               "providers: {p: {synthetics: {s: {%s}}}}",
	"contracts.c.synthetics.s.steps[0]":      "contracts: {c: {synthetics: {s: {steps: [{%s}]}}}}",
	"contracts.c.synthetics.s.cleanup[0]":    "contracts: {c: {synthetics: {s: {cleanup: [{%s}]}}}}",
	"providers.p.synthetics.s.steps[0]":      "providers: {p: {synthetics: {s: {steps: [{%s}]}}}}",
	"providers.p.synthetics.s.cleanup[0]":    "providers: {p: {synthetics: {s: {cleanup: [{%s}]}}}}",

	"contracts.c.session.s.tokens.issue":   "contracts: {c: {session: {m: {tokens: {issue: {%s}}}}}}",
	"contracts.c.session.s.tokens.refresh": "contracts: {c: {session: {m: {tokens: {refresh: {%s}}}}}}",

	"services.s.operations.o.offline_pin":  "services: {s: {operations: {o: {offline_pin: {%s}}}}}",
	"contracts.c.operations.o.offline_pin": "contracts: {c: {operations: {o: {offline_pin: {%s}}}}}",
}

// TestSchemaIsTheParsers asks the parser what it knows in each object (its complaint about an unknown field lists it) and finds the same in
// the schema, and no object that is not asked about.
func TestSchemaIsTheParsers(t *testing.T) {
	var root map[string]any
	if err := json.Unmarshal(Schema(), &root); err != nil {
		t.Fatal(err)
	}
	found := map[string][]string{}
	collect(root, "", found)
	for path, form := range objects {
		_, problems := Parse("", fmt.Appendf(nil, "{segue: v1, %s}", fmt.Sprintf(form, "qqqqqqqqqqqqqqqqqqqqqqqq: 1")))
		i := slices.IndexFunc(problems, func(p Problem) bool { return p.Message == "unknown field" })
		if i < 0 {
			t.Errorf("%s: the parser takes anything: %v", path, problems)
			continue
		}
		known := strings.Split(strings.TrimPrefix(problems[i].Fix, "known: "), ", ")
		if slices.Contains(known, "…") {
			t.Fatalf("%s: the parser lists only some of what it knows", path)
		}
		if got := found[path]; !slices.Equal(got, known) {
			t.Errorf("%s: the schema knows %v, the parser %v", path, got, known)
		}
		delete(found, path)
	}
	for path, names := range found {
		t.Errorf("%s: the schema knows %v, the parser was not asked", path, names)
	}
}

// collect finds every object with named fields; names of things are r, s, o, p and c.
func collect(s map[string]any, path string, found map[string][]string) {
	if properties, ok := s["properties"].(map[string]any); ok {
		var names []string
		for name, below := range properties {
			names = append(names, name)
			collect(below.(map[string]any), join(path, name), found)
		}
		slices.Sort(names)
		found[path] = names
		if s["additionalProperties"] != false {
			names = append(names, "and anything else")
			found[path] = names
		}
	} else if below, ok := s["additionalProperties"].(map[string]any); ok {
		name := path[strings.LastIndexByte(path, '.')+1:]
		collect(below, join(path, name[:1]), found)
	}
	if below, ok := s["items"].(map[string]any); ok {
		collect(below, path+"[0]", found)
	}
	forms, _ := s["anyOf"].([]any)
	for _, form := range forms {
		collect(form.(map[string]any), path, found)
	}
}

func TestSchemaSaysWhatItIs(t *testing.T) {
	var root struct {
		Schema string `json:"$schema"`
	}
	if err := json.Unmarshal(Schema(), &root); err != nil || root.Schema != "https://json-schema.org/draft/2020-12/schema" {
		t.Errorf("%v %q", err, root.Schema)
	}
	if !bytes.Equal(Schema(), Schema()) {
		t.Error("two schemas differ")
	}
}
