package policy

func (r *reader) lookup(v value) Lookup {
	var l Lookup
	r.object(v, fields{known: map[string]func(value){
		"match":     func(v value) { l.Match = r.text(v) },
		"by":        func(v value) { l.By = r.oneField(v) },
		"wins":      func(v value) { l.Wins = Winner(r.word(v, winners(), nil)) },
		"of":        func(v value) { l.Of = r.texts(v, maxOperations) },
		"horizon":   func(v value) { l.Horizon = r.duration(v) },
		"strong":    func(v value) { l.Strong, _ = r.boolean(v) },
		"items":     func(v value) { l.Items = r.text(v) },
		"reference": func(v value) { l.Reference = r.text(v) },
		"id":        func(v value) { l.ID = r.text(v) },
		"states":    func(v value) { l.States = r.states(v) },
		"absent":    func(v value) { l.Absent = r.statusList(v) },
		"answer":    func(v value) { l.Answer = r.positive(v, 299) },
	}})
	return l
}

// states reads which words mean what. The field that they stand in is one, or a list of those that decide together.
func (r *reader) states(v value) States {
	var s States
	words := func(to *[]string) func(value) {
		return func(v value) { *to = r.texts(v, maxWords) }
	}
	r.object(v, fields{known: map[string]func(value){
		"in":          func(v value) { s.In = r.textOrTexts(v, maxStateFields) },
		"succeeded":   words(&s.Succeeded),
		"declined":    words(&s.Declined),
		"voided":      words(&s.Voided),
		"in_progress": words(&s.InProgress),
	}})
	return s
}

// textOrTexts reads one scalar, or a list of them.
func (r *reader) textOrTexts(v value, limit int) []string {
	if kindOf(v.node) == "a list" {
		return r.texts(v, limit)
	}
	if one := r.text(v); one != "" {
		return []string{one}
	}
	return nil
}

func (r *reader) statusList(v value) []int {
	var found []int
	for _, e := range r.list(v, maxStatuses) {
		found = append(found, r.positive(e, 599))
	}
	return found
}

func (r *reader) cancel(v value) Cancel {
	var c Cancel
	r.object(v, fields{known: map[string]func(value){
		"match":              func(v value) { c.Match = r.text(v) },
		"body":               func(v value) { c.Body = r.text(v) },
		"of":                 func(v value) { c.Of = r.texts(v, maxOperations) },
		"state":              func(v value) { c.State = CancelState(r.word(v, cancelStates(), nil)) },
		"blocks_late_create": func(v value) { c.Blocks, _ = r.boolean(v) },
		"answers":            func(v value) { c.Answers = r.cancelRules(v) },
	}})
	return c
}

func (r *reader) cancelRules(v value) []CancelRule {
	var found []CancelRule
	for _, e := range r.list(v, maxStatuses) {
		var one CancelRule
		r.object(e, fields{known: map[string]func(value){
			"status": func(v value) { one.From, one.To = r.statusRange(v) },
			"in":     func(v value) { one.In = r.text(v) },
			"is":     func(v value) { one.Is = r.text(v) },
			"means":  func(v value) { one.Means = Shown(r.word(v, cancelMeanings(), nil)) },
		}})
		found = append(found, one)
	}
	return found
}
