package sandbox

import "net/http"

// references are what a provider of payments knows by the reference that its caller wrote into metadata[reference]: it finds the charge,
// and it rules out for good that one is still made.
type references struct {
	charges map[string]*charge
	voided  map[string]bool
}

func newReferences() *references {
	return &references{charges: map[string]*charge{}, voided: map[string]bool{}}
}

// fencing are the endpoints that a provider with references has beside the usual ones.
func fencing() []*route {
	return []*route{
		read("/v1/references/{id}", "references.get", getReference),
		effect("/v1/references/{id}/void", "references.void", voidReference),
	}
}

// blocked says why a charge must not be made any more; nil: it may.
func (b *bank) blocked(reference string) *apiError {
	if b.references == nil || !b.references.voided[reference] {
		return nil
	}
	return &apiError{Status: http.StatusConflict, Type: "invalid_request_error", Code: "reference_voided", Message: "The reference was voided before: nothing is charged."}
}

func (b *bank) refer(reference string, ch *charge) {
	if b.references != nil && reference != "" {
		b.references.charges[reference] = ch
	}
}

func getReference(b *bank, c *call) (any, *apiError) {
	if ch := b.references.charges[c.id]; ch != nil {
		return ch.render(), nil
	}
	if b.references.voided[c.id] {
		return voidedReference(c.id), nil
	}
	return nil, noSuch("reference", "id", c.id)
}

// voidReference is final: from now on no charge is made under the reference. It comes too late where one was; one that was declined is none.
func voidReference(b *bank, c *call) (any, *apiError) {
	if ch := b.references.charges[c.id]; ch != nil && !ch.failed {
		return nil, &apiError{Status: http.StatusConflict, Type: "invalid_request_error", Code: "reference_used", Message: "The charge was made before."}
	}
	b.references.voided[c.id] = true
	return voidedReference(c.id), nil
}

func voidedReference(id string) map[string]any {
	return map[string]any{"object": "reference", "status": "voided", "metadata": map[string]any{"reference": id}}
}
