package policy

import (
	"strconv"
	"strings"
)

func (r *reader) contracts(v value) []Contract {
	var found []Contract
	for _, p := range r.pairs(v, maxContracts) {
		found = append(found, r.contract(p.name, p.value))
	}
	return found
}

func (r *reader) contract(name string, v value) Contract {
	c := Contract{Name: name}
	r.object(v, fields{
		known: map[string]func(value){
			"like":        func(v value) { c.Like = r.text(v) },
			"dialect":     func(v value) { c.Dialect = r.dialect(v) },
			"endpoint":    func(v value) { c.Endpoint = r.text(v) },
			"credential":  func(v value) { c.Credential = r.slot(v) },
			"keys":        func(v value) { c.Keys = r.keys(v) },
			"retry_after": func(v value) { c.RetryAfter = r.text(v) },
			"rate_limit":  func(v value) { c.RateLimit = r.rateHeaders(v) },
			"object_id":   func(v value) { c.ObjectID = r.text(v) },
			"codes":       func(v value) { c.Codes = r.textOrTexts(v, maxStateFields) },
			"statuses":    func(v value) { c.Statuses = r.statuses(v) },
			"lookup":      func(v value) { c.Recourse.Lookup = r.lookup(v) },
			"cancel":      func(v value) { c.Recourse.Cancel = r.cancel(v) },
			"refund":      func(v value) { c.Recourse.Refund = r.text(v) },
			"settle":      func(v value) { c.Recourse.Settle = r.duration(v) },
			"webhooks":    func(v value) { c.Webhooks = r.webhooks(v) },
			"fees":        func(v value) { c.Fees = r.fees(v) },
			"use":         func(v value) { c.Use = r.use(v) },
			"operations":  func(v value) { c.Operations = r.operations(v) },
			"session":     func(v value) { c.Session = r.passages(v) },
			"speaks":      func(v value) { c.Speaks = r.speaks(v) },
			"tests":       func(v value) { c.Tests = r.testMarks(v) },
			"synthetics":  func(v value) { c.Synthetics = r.synthetics(v) },
			"sources":     func(v value) { c.Sources = r.sources(v) },
		},
	})
	return c
}

func (r *reader) dialect(v value) Dialect {
	return Dialect(r.word(v, dialects(), nil))
}

func (r *reader) slot(v value) Slot {
	var s Slot
	r.object(v, fields{known: map[string]func(value){
		"header": func(v value) { s.Header = r.text(v) },
		"value":  func(v value) { s.Value = r.text(v) },
		"path":   func(v value) { s.Path = r.text(v) },
	}, later: []string{"query"}})
	return s
}

func (r *reader) keys(v value) Keys {
	var k Keys
	r.object(v, fields{known: map[string]func(value){
		"header": func(v value) { k.Header = r.text(v) },
		"enforced": func(v value) {
			yes, ok := r.boolean(v)
			k.Enforced, k.Ignored = ok && yes, ok && !yes
		},
		"scope":  func(v value) { k.Scope = Scope(r.word(v, scopes(), nil)) },
		"life":   func(v value) { k.Life = r.duration(v) },
		"max":    func(v value) { k.Max = r.positive(v, maxKeyLength) },
		"in_use": func(v value) { k.InUse = r.positive(v, 599) },
		"replay": func(v value) { k.Replay = Stored(r.word(v, storeds(), nil)) },
		"syntax": func(v value) { k.Syntax = Syntax(r.word(v, syntaxes(), nil)) },
	}})
	return k
}

func (r *reader) rateHeaders(v value) RateHeaders {
	var h RateHeaders
	r.object(v, fields{known: map[string]func(value){
		"limit":     func(v value) { h.Limit = r.text(v) },
		"remaining": func(v value) { h.Remaining = r.text(v) },
		"reset":     func(v value) { h.Reset = r.text(v) },
	}})
	return h
}

func (r *reader) oneField(v value) Field {
	text := r.text(v)
	if text == "" {
		return Field{}
	}
	f, err := ParseField(text)
	if err != nil {
		r.problem(v, strconv.Quote(clip(text))+" is "+err.Error(), "write one, like body.reference")
	}
	return f
}

func (r *reader) sources(v value) []Source {
	var found []Source
	for _, p := range r.pairs(v, len(factNames())) {
		found = append(found, Source{p.name, r.text(p.value)})
	}
	return found
}

func (r *reader) statuses(v value) []StatusRule {
	var found []StatusRule
	for _, e := range r.list(v, maxStatuses) {
		found = append(found, r.status(e))
	}
	return found
}

func (r *reader) status(v value) StatusRule {
	var s StatusRule
	r.object(v, fields{known: map[string]func(value){
		"status":  func(v value) { s.From, s.To = r.statusRange(v) },
		"code":    func(v value) { s.Code = r.text(v) },
		"class":   func(v value) { s.Class = r.word(v, classes(), nil) },
		"outcome": func(v value) { s.Outcome = r.word(v, outcomes(), nil) },
	}})
	return s
}

func classes() []string { return []string{ClassOK, ClassLimited, ClassSlow, ClassFailure} }

func outcomes() []string {
	return []string{OutcomeSucceeded, OutcomeDeclined, OutcomeNotSent, OutcomeUnknown}
}

// statusRange reads 429, or 500-599.
func (r *reader) statusRange(v value) (from, to int) {
	text := r.text(v)
	low, high, ranged := strings.Cut(text, "-")
	if !ranged {
		high = low
	}
	from, errFrom := strconv.Atoi(low)
	to, errTo := strconv.Atoi(high)
	if errFrom != nil || errTo != nil {
		if text != "" {
			r.problem(v, strconv.Quote(clip(text))+" is not a status", "write one, like 429, or a range, like 500-599")
		}
		return 0, 0
	}
	return from, to
}
