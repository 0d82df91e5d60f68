package policy

import "go.yaml.in/yaml/v3"

func (r *reader) webhooks(v value) Webhooks {
	var h Webhooks
	signed := false
	r.object(v, fields{known: map[string]func(value){
		"by":        func(v value) { h.By = r.oneField(v) },
		"wins":      func(v value) { h.Wins = Winner(r.word(v, winners(), nil)) },
		"of":        func(v value) { h.Of = r.texts(v, maxOperations) },
		"signature": func(v value) { signed, h.Signature = true, r.signature(v) },
		"items":     func(v value) { h.Items = r.text(v) },
		"item":      func(v value) { h.Item = r.text(v) },
		"reference": func(v value) { h.Reference = r.text(v) },
		"id":        func(v value) { h.ID = r.text(v) },
		"states":    func(v value) { h.States = r.states(v) },
	}})
	if !signed {
		r.problem(v, "says nothing of a signature: anybody could tell us anything", "write signature: {scheme: body, header: X-Signature, encoding: hex}")
	}
	return h
}

func (r *reader) signature(v value) Signature {
	var s Signature
	encoding := func(to *Encoding) func(value) {
		return func(v value) { *to = Encoding(r.word(v, encodings(), nil)) }
	}
	r.object(v, fields{known: map[string]func(value){
		"scheme":    func(v value) { s.Scheme = Scheme(r.word(v, schemes(), nil)) },
		"header":    func(v value) { s.Header = r.text(v) },
		"in":        func(v value) { s.In = r.text(v) },
		"part":      func(v value) { s.Part = r.text(v) },
		"time":      func(v value) { s.Time = r.text(v) },
		"encoding":  encoding(&s.Encoding),
		"secret":    encoding(&s.Secret),
		"fields":    func(v value) { s.Fields = r.texts(v, maxSignedFields) },
		"tolerance": func(v value) { s.Tolerance = r.duration(v) },
	}})
	return s
}

func writeWebhooks(w writer, h *Webhooks) {
	if !h.say() {
		return
	}
	m := w.below("webhooks", 0)
	if h.By != (Field{}) {
		m.text("by", h.By.String())
	}
	m.text("wins", string(h.Wins))
	m.texts("of", h.Of)
	s := &h.Signature
	n := m.below("signature", yaml.FlowStyle)
	n.text("scheme", string(s.Scheme))
	n.text("header", s.Header)
	n.text("in", s.In)
	n.text("part", s.Part)
	n.text("time", s.Time)
	n.text("encoding", string(s.Encoding))
	n.text("secret", string(s.Secret))
	n.texts("fields", s.Fields)
	n.span("tolerance", s.Tolerance)
	m.text("items", h.Items)
	m.text("item", h.Item)
	m.text("reference", h.Reference)
	m.text("id", h.ID)
	writeStates(m, &h.States)
}
