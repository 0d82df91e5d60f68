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
			"object_id":   func(v value) { c.ObjectID = r.text(v) },
			"statuses":    func(v value) { c.Statuses = r.statuses(v) },
			"operations":  func(v value) { c.Operations = r.operations(v) },
		},
		later: []string{"lookup", "cancel", "refund", "webhooks", "mapping", "session", "settle", "fees", "rate_limit", "replay", "scope"},
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
		"life":   func(v value) { k.Life = r.duration(v) },
		"max":    func(v value) { k.Max = r.positive(v, maxKeyLength) },
		"in_use": func(v value) { k.InUse = r.positive(v, 599) },
	}, later: []string{"scope", "replay", "syntax"}})
	return k
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
