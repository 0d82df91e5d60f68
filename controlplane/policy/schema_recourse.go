package policy

import "github.com/invopop/jsonschema"

func lookupSchema() *jsonschema.Schema {
	return object([]string{"match"},
		property{"match", "method and address, with {reference} in it", text()},
		property{"by", "where a request carries the reference", &jsonschema.Schema{Type: "string", Pattern: fieldForm}},
		property{"wins", "whose reference stays when the caller uses that field himself", oneWord(winners()...)},
		property{"of", "the operations that it finds; left out: every effect", listOf(text(), maxOperations)},
		property{"horizon", "how long it finds what is there", spanSchema()},
		property{"strong", "it shows each request as soon as that began to execute", &jsonschema.Schema{Type: "boolean"}},
		property{"items", "where the list of what was found stands; left out: the answer is the item", text()},
		property{"reference", "where an item names our reference; left out: as in the request's body", text()},
		property{"id", "where an item's id stands; left out: object_id", text()},
		property{"states", "which words of an item mean what", statesSchema()},
		property{"absent", "statuses that say that nothing is there", listOf(whole(599), maxStatuses)},
		property{"answer", "an item that succeeded is what the create answered, with this status", whole(299)})
}

func statesSchema() *jsonschema.Schema {
	words := listOf(text(), maxWords)
	return object(nil,
		property{"in", "the field, or those that decide together", anyOf(text(), listOf(text(), maxStateFields))},
		property{"succeeded", "", words}, property{"declined", "", words}, property{"voided", "", words}, property{"in_progress", "", words})
}

func cancelSchema() *jsonschema.Schema {
	rule := object(nil,
		property{"status", "202, or 200-299", anyOf(&jsonschema.Schema{Type: "integer"}, &jsonschema.Schema{Type: "string", Pattern: statusForm})},
		property{"in", "a field of the answer", text()},
		property{"is", "its word", text()},
		property{"means", "what it shows", oneWord(cancelMeanings()...)})
	return object([]string{"match"},
		property{"match", "method and address, with {reference}, or with {id} of what the lookup finds", text()},
		property{"body", "JSON or a form, with {reference}, {id} and {account}", text()},
		property{"of", "the operations that it ends; left out: every effect", listOf(text(), maxOperations)},
		property{"state", "what an answered cancel means", oneWord(cancelStates()...)},
		property{"blocks_late_create", "a create that comes after it is refused", &jsonschema.Schema{Type: "boolean"}},
		property{"answers", "what its answers mean; the first match counts", listOf(rule, maxStatuses)})
}

func webhooksSchema() *jsonschema.Schema {
	signature := object([]string{"scheme"},
		property{"scheme", "what is signed", oneWord(schemes()...)},
		property{"header", "the header in which the signature stands", text()},
		property{"in", "the field in which it stands", text()},
		property{"part", "its name in a header like t=1,v1=abc", text()},
		property{"time", "the time's name there, or a header of its own", text()},
		property{"encoding", "", oneWord(encodings()...)},
		property{"secret", "how the secret is written; left out: as it is", oneWord(encodings()...)},
		property{"fields", "what is signed, joined by a colon", listOf(text(), maxSignedFields)},
		property{"tolerance", "how old it may be", spanSchema()})
	return object([]string{"signature"},
		property{"by", "where a request carries our reference; left out: as the lookup says", &jsonschema.Schema{Type: "string", Pattern: fieldForm}},
		property{"wins", "whose reference stays when the caller uses that field himself", oneWord(winners()...)},
		property{"of", "the operations whose requests carry it; left out: every effect", listOf(text(), maxOperations)},
		property{"signature", "how a notice is signed, by HMAC-SHA256", signature},
		property{"items", "where a list of one notice stands; left out: the body is the notice", text()},
		property{"item", "where the notice stands in an item of that list", text()},
		property{"reference", "where a notice names our reference", text()},
		property{"id", "where it names the object", text()},
		property{"states", "which words mean what", statesSchema()})
}
