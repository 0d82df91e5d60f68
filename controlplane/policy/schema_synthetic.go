package policy

import "github.com/invopop/jsonschema"

func checksSchema() *jsonschema.Schema {
	run := &jsonschema.Schema{Type: "string", Pattern: runForm}
	return object(nil,
		property{"active", "like GET /v1/balance every 10s, tcp every 5s or tls every 1h; several as a list", checkSchema()},
		property{"synthetic", "like charge-and-void every 5m; several as a list", anyOf(run, listOf(run, maxSynthetics))},
		property{"at_most", "what one effect of a synthetic may be worth, like 5 USD; left out: one main unit of its currency", &jsonschema.Schema{Type: "string", Pattern: moneyForm}})
}

func checkSchema() *jsonschema.Schema {
	one := &jsonschema.Schema{Type: "string", Pattern: checkForm}
	return anyOf(one, listOf(one, maxChecks))
}

func testMarksSchema() *jsonschema.Schema {
	return object(nil,
		property{"header", "of every step of a synthetic: holds the id of its run", text()},
		property{"field", "of the body of every step that begins something, like metadata.segue_test", text()})
}

func syntheticsSchema() *jsonschema.Schema {
	return byName(object([]string{"steps"},
		property{"steps", "what is done, in order, until one is not as expected", listOf(testStepSchema(), maxTestSteps)},
		property{"cleanup", "what takes away what the steps left; run whatever failed, and the last one decides", listOf(testStepSchema(), maxTestSteps)}), 0, maxSynthetics)
}

func testStepSchema() *jsonschema.Schema {
	one := text()
	return object([]string{"call"},
		property{"name", "what it is called in results", text()},
		property{"call", "like POST /v1/payment_intents/{id}/cancel", text()},
		property{"semantics", "read: an answer twice is as good as one", oneWord("read")},
		property{"body", "its fields; {name} in a text is a variable", &jsonschema.Schema{Type: "object"}},
		property{"form", "form: the body is sent as a form; left out: as JSON", oneWord("json", importForm)},
		property{"header", "headers beside those of every call", byName(text(), 0, maxKept)},
		property{"expect", "status, body.… or header.… → the value, or one of several", byName(anyOf(one, listOf(one, maxKept)), 0, maxKept)},
		property{"keep", "variable → where the answer has it, like body.id", byName(text(), 0, maxKept)},
		property{"unless", "of a cleanup: the step after whose success it is left out", text()})
}
