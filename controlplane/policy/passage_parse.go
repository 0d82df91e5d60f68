package policy

func (r *reader) passages(v value) []Passage {
	var found []Passage
	for _, p := range r.pairs(v, maxPassages) {
		one := Passage{Map: p.name}
		r.object(p.value, fields{known: map[string]func(value){
			"import": func(v value) { r.importCall(v, &one.Import) },
			"export": func(v value) { r.exportCall(v, &one.Export) },
			"tokens": func(v value) { r.tokens(v, &one.Tokens) },
		}})
		found = append(found, one)
	}
	return found
}

func (r *reader) importCall(v value, i *Import) {
	r.object(v, fields{known: map[string]func(value){
		"match": func(v value) { i.Match = r.text(v) },
		"put":   func(v value) { i.Put = r.oneField(v) },
		"form": func(v value) {
			if r.word(v, []string{"json", importForm}, nil) == importForm {
				i.Form = importForm
			}
		},
		"id": func(v value) { i.ID = r.text(v) },
	}})
}

func (r *reader) exportCall(v value, e *Export) {
	r.object(v, fields{known: map[string]func(value){
		"match":  func(v value) { e.Match = r.text(v) },
		"answer": func(v value) { e.Answer = r.program(v) },
		"after":  func(v value) { e.After = r.texts(v, maxOperations) },
		"id":     func(v value) { e.ID = r.text(v) },
		"absent": func(v value) { e.Absent = r.statusList(v) },
		"life":   func(v value) { e.Life = r.duration(v) },
		"max":    func(v value) { e.Max = r.positive(v, maxExport) },
	}})
}

func (r *reader) tokens(v value, t *Tokens) {
	r.object(v, fields{known: map[string]func(value){
		"put":     func(v value) { t.Put = r.oneField(v) },
		"value":   func(v value) { t.Value = r.text(v) },
		"answer":  func(v value) { t.Answer = r.program(v) },
		"issue":   func(v value) { r.tokenCall(v, &t.Issue) },
		"refresh": func(v value) { r.tokenCall(v, &t.Refresh) },
		"early":   func(v value) { t.Early = r.duration(v) },
	}})
}

func (r *reader) tokenCall(v value, c *TokenCall) {
	r.object(v, fields{known: map[string]func(value){
		"match": func(v value) { c.Match = r.text(v) },
		"body":  func(v value) { c.Body = r.text(v) },
	}})
}
