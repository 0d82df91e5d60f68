package policy

import (
	"bytes"
	"encoding/json"
	"strconv"

	"github.com/invopop/jsonschema"
)

// Forms of texts that the parser reads as something else. They are as wide as the parser: what a schema refuses wrongly, an editor marks.
const (
	spanForm   = `^\+?(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+$`
	rateForm   = `^[0-9.eE+-]+/s$`
	checkForm  = `^\s*(\S+\s+\S+|tcp|tls)\s+every\s+\S+(\s+(warn|bad)\s+[0-9]+d)*\s*$`
	runForm    = `^\s*\S+\s+every\s+\S+\s*$`
	moneyForm  = `^[0-9.]+ +[A-Za-z]{3}$`
	statusForm = `^[0-9]+(-[0-9]+)?$`
	fieldForm  = `^(body|path|header)\..+$`
)

// Schema is the JSON Schema (draft 2020-12) of the policy document, for editors. It knows each field and its form; what only follows from
// several fields together is Validate's. A test holds it against the parser, field by field.
func Schema() []byte {
	s := documentSchema()
	s.Version = jsonschema.Version
	s.Title = "Segue policy"
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(s); err != nil {
		return nil // nothing in it can fail to encode; the test would see it
	}
	return b.Bytes()
}

func documentSchema() *jsonschema.Schema {
	version := &jsonschema.Schema{Const: "v1"}
	region := anyOf(&jsonschema.Schema{Type: "null"}, object(nil,
		property{"standby", "the regions that take over, the first first", listOf(text(), maxRegions)}))
	return object([]string{"segue", "services"},
		property{"segue", "the version of this document's form", version},
		property{"regions", "where agents run; without it there is one, called " + Local, byName(region, 1, maxRegions)},
		property{"services", "what applications call, by name", byName(serviceSchema(), 1, maxServices)},
		property{"providers", "the external systems that offer services, by name", byName(providerSchema(), 0, maxProviders)},
		property{"exchange", "what currencies are worth, where amounts are in several", exchangeSchema()},
		property{"contracts", "what is true of providers' APIs, beside the built-in contracts", byName(contractSchema(), 0, maxContracts)},
	)
}

func serviceSchema() *jsonschema.Schema {
	port := whole(65535)
	shares := byName(&jsonschema.Schema{Type: "number", Minimum: "0", Maximum: "100"}, 1, MaxCandidates)
	order := listOf(text(), MaxCandidates)
	return object([]string{"speaks", "listen", "strategy"}, append(planSchema(order),
		property{"speaks", "the contract that the application's code talks", text()},
		property{"listen", "the port on which agents take calls, or {port, host}", anyOf(port, object([]string{"port"},
			property{"port", "", port}, property{"host", "the host name, where services share a port", text()}))},
		property{"operations", "name → match, key, semantics, follows; left out: the contract's", operationsSchema()},
		property{"strategy", "how the provider is chosen", oneWord(strategyWords()...)},
		property{"weights", "percent of new sessions by provider, for every region or by region; 0 = fallback only", anyOf(shares, byName(shares, 1, maxRegions+1))},
		property{"priority", "providers, the preferred first, for every region or by region", anyOf(order, byName(order, 1, maxRegions+1))},
		property{"attempts", "bounds of one call", object(nil,
			property{"max", "providers per call", whole(maxAttempts)},
			property{"per_try", "time to the first byte of one", spanSchema()},
			property{"deadline", "time for the whole call", spanSchema()},
			property{"budget", "bounds second attempts", retryBudgetSchema()})},
		property{"breaker", "when a provider is left alone, and for how long", object(nil,
			property{"failures", "in a row that open it", whole(maxBreakerRuns)},
			property{"successes", "of probes in a row that close it", whole(maxBreakerRuns)},
			property{"reset", "time until it is tried again", spanSchema()},
			property{"percent", "of the calls of a window that open it when they fail", above0("100")},
			property{"window", "of that", spanSchema()},
			property{"calls", "that a window must have", whole(maxBreakerRuns)})},
		property{"session", "what its sessions hold beside the provider, by name", sessionSchema()},
		property{"without_quorum", "what becomes of effects while the ledger cannot be written", oneWord(string(RefuseEffects), string(OfflineAtPin))},
	)...)
}

func operationsSchema() *jsonschema.Schema {
	derived := object([]string{"derive", "within"},
		property{"derive", "fields that are unique per intent", fieldsSchema()}, property{"within", "how long the same fields are the same intent", spanSchema()})
	field := &jsonschema.Schema{Type: "string", Pattern: fieldForm}
	worth := object([]string{"amount", "currency"},
		property{"amount", "", field}, property{"currency", "ISO 4217", field}, property{"unit", "of the amount: the smallest, or the main one", oneWord("minor", "major")})
	return byName(object([]string{"match"},
		property{"match", "method and path: POST /v1/charges; * is one segment, {id} a named one, ** any number", text()},
		property{"key", "where an effect's idempotency key comes from", anyOf(oneWord("required"), derived)},
		property{"semantics", "GET and HEAD are reads unless said otherwise", oneWord("read", "effect")},
		property{"follows", "where the id of the object stands that the call belongs to", fieldsSchema()},
		property{"duplicates", "accept: what is unknown is sent again, and may execute twice", oneWord(acceptWord)},
		property{"unknown", "trace: a settle window and lookups count as proof that it was not executed", oneWord(traceWord, traceValueWord)},
		property{"keep", "request: its bytes are kept, sealed, to send the same request again in the background", oneWord(requestWord)},
		property{"execute_by", "how long after its arrival the kept request may be sent; default: the call's deadline", spanSchema()},
		property{"offline_pin", "the one provider that every region makes the first attempt at, so that it may be made without a quorum", object([]string{"provider"},
			property{"provider", "", text()}, property{"account", "the provider's account", text()}, property{"endpoint", "the provider's endpoint", text()})},
		property{"value", "where the amount and its currency stand", anyOf(oneWord("money(body)"), worth)},
	), 1, maxOperations)
}

// fieldsSchema is a field of a call, or a list of them.
func fieldsSchema() *jsonschema.Schema {
	field := &jsonschema.Schema{Type: "string", Pattern: fieldForm}
	return anyOf(field, listOf(field, maxFields))
}

func providerSchema() *jsonschema.Schema {
	byRegion, endpoints := anyOf(text(), byName(text(), 1, maxRegions+1)), anyOf(text(), listOf(text(), maxEndpoints))
	return object([]string{"contract", "credential"},
		property{"contract", "what is true of its API: a built-in contract or one of yours", text()},
		property{"endpoint", "base URL, or a list, the nearest first; or by region; left out: the contract's", anyOf(endpoints, byName(endpoints, 1, maxRegions+1))},
		property{"credential", "caller, env:NAME or file:PATH, or by region", byRegion},
		property{"webhook_secret", "what signs its webhooks: env:NAME or file:PATH, or by region", byRegion},
		property{"account", "names the domain in which keys are unique; left out: the provider's name", text()},
		property{"limits", "what an agent asks of it at most", object(nil,
			property{"in_flight", "calls at once", whole(maxInFlight)},
			property{"rate", "calls per second, like 100/s", &jsonschema.Schema{Type: "string", Pattern: rateForm}})},
		property{"cost", "what a call costs, or by region", costSchema()},
		property{"features", "what it can beside its contract, as rules ask for it", listOf(text(), maxFeatures)},
		property{"near", "the regions that it is close to", listOf(text(), maxRegions)},
		property{"checks", "how Segue itself asks whether it is well", checksSchema()},
		property{"synthetics", "transactions that can be made as tests, beside those of its contract", syntheticsSchema()},
	)
}

func contractSchema() *jsonschema.Schema {
	status := object([]string{"status"},
		property{"status", "429, or 500-599", anyOf(&jsonschema.Schema{Type: "integer"}, &jsonschema.Schema{Type: "string", Pattern: statusForm})},
		property{"code", "the provider's own code in the body", text()},
		property{"class", "what it says of the provider's health", oneWord(classes()...)},
		property{"outcome", "what it says of the call", oneWord(outcomes()...)})
	return object(nil,
		property{"like", "the contract that it starts from", text()},
		property{"dialect", "the shape of error bodies that SDKs take for errors", oneWord(dialects()...)},
		property{"endpoint", "base URL", text()},
		property{"credential", "where the credential goes", object(nil,
			property{"header", "", text()}, property{"value", "with {credential} in it", text()}, property{"path", "paths that hold the user", text()})},
		property{"keys", "the provider's idempotency keys", object(nil,
			property{"header", "", text()},
			property{"enforced", "does the same key execute once?", &jsonschema.Schema{Type: "boolean"}},
			property{"scope", "how far a key is one key", oneWord(scopes()...)},
			property{"life", "how long a key is remembered", spanSchema()},
			property{"max", "the longest key, in bytes", whole(maxKeyLength)},
			property{"syntax", "what a key may be made of; left out: anything", oneWord(syntaxes()...)},
			property{"in_use", "the status while the first call is in progress", whole(599)},
			property{"replay", "which answers are stored under a key and told again", oneWord(storeds()...)})},
		property{"retry_after", "the header that says when to come back", text()},
		property{"rate_limit", "the headers that tell of its limits", object(nil,
			property{"limit", "", text()}, property{"remaining", "", text()}, property{"reset", "", text()})},
		property{"fees", "where an answer says what the call cost; shown", feesSchema()},
		property{"object_id", "where a created object's id stands in the body", text()},
		property{"codes", "where answers' own codes stand; left out: where the dialect has them", anyOf(text(), listOf(text(), maxStateFields))},
		property{"statuses", "what answers mean; the first match counts, what nothing matches is unknown", listOf(status, maxStatuses)},
		property{"lookup", "a read that finds a request by our reference", lookupSchema()},
		property{"cancel", "a call that ends a request by our reference", cancelSchema()},
		property{"refund", "the operation that gives back what was executed", text()},
		property{"settle", "the longest time after a send in which it may still begin to execute", spanSchema()},
		property{"webhooks", "what the provider tells by itself", webhooksSchema()},
		property{"operations", "as for services", operationsSchema()},
		property{"session", "how a session's fields come to a provider and from it, by the name that fields ask for", passagesSchema()},
		property{"speaks", "other APIs whose calls it can carry out, and how", spokenSchema()},
		property{"tests", "how Segue's own tests are marked", testMarksSchema()},
		property{"synthetics", "transactions that can be made as tests", syntheticsSchema()},
		property{"sources", "fact → the page on which the vendor states it", sourcesSchema()},
	)
}

func sourcesSchema() *jsonschema.Schema {
	most := uint64(len(factNames()))
	return &jsonschema.Schema{Type: "object", MaxProperties: &most, PropertyNames: oneWord(factNames()...),
		AdditionalProperties: &jsonschema.Schema{Type: "string", Pattern: "^https?://"}}
}

// property is one field of an object.
type property struct {
	name, about string
	form        *jsonschema.Schema
}

// object has the named fields and no others.
func object(required []string, list ...property) *jsonschema.Schema {
	s := &jsonschema.Schema{Type: "object", Properties: jsonschema.NewProperties(), Required: required, AdditionalProperties: jsonschema.FalseSchema}
	for _, p := range list {
		form := *p.form
		form.Description = p.about
		s.Properties.Set(p.name, &form)
	}
	return s
}

// byName is a mapping whose keys are names.
func byName(form *jsonschema.Schema, least, most uint64) *jsonschema.Schema {
	s := &jsonschema.Schema{Type: "object", AdditionalProperties: form, MaxProperties: &most}
	if least > 0 {
		s.MinProperties = &least
	}
	return s
}

func listOf(form *jsonschema.Schema, most uint64) *jsonschema.Schema {
	return &jsonschema.Schema{Type: "array", Items: form, MaxItems: &most}
}

func anyOf(forms ...*jsonschema.Schema) *jsonschema.Schema { return &jsonschema.Schema{AnyOf: forms} }

func oneWord(words ...string) *jsonschema.Schema {
	s := &jsonschema.Schema{}
	for _, w := range words {
		s.Enum = append(s.Enum, w)
	}
	return s
}

// text is any single value: the parser reads 123 and true as texts too.
func text() *jsonschema.Schema {
	return &jsonschema.Schema{Extras: map[string]any{"type": []string{"string", "number", "boolean"}, "minLength": 1}}
}

func whole(limit int) *jsonschema.Schema {
	return &jsonschema.Schema{Type: "integer", Minimum: "1", Maximum: json.Number(strconv.Itoa(limit))}
}

func spanSchema() *jsonschema.Schema {
	return &jsonschema.Schema{Type: "string", Pattern: spanForm}
}
