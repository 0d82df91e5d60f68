package policy

import (
	"fmt"
	"maps"
	"strings"

	"go.yaml.in/yaml/v3"
)

func (r *reader) services(v value) []ServiceSpec {
	var found []ServiceSpec
	for _, p := range r.pairs(v, maxServices) {
		found = append(found, r.service(p.name, p.value))
	}
	return found
}

func (r *reader) service(name string, v value) ServiceSpec {
	s := ServiceSpec{Name: name}
	known := r.planFields(&s)
	maps.Copy(known, map[string]func(value){
		"speaks":     func(v value) { s.Speaks = r.text(v) },
		"listen":     func(v value) { s.Listen = r.listen(v) },
		"operations": func(v value) { s.Operations = r.operations(v) },
		"strategy":   func(v value) { s.Strategy = r.strategy(v) },
		"weights":    func(v value) { s.Weights = r.weights(v) },
		"priority":   func(v value) { s.Priority = r.priority(v) },
		"attempts":   func(v value) { s.Attempts = r.attempts(v) },
		"breaker":    func(v value) { s.Breaker = r.breaker(v) },
		"session":    func(v value) { s.Session = r.session(v) },
		"without_quorum": func(v value) {
			s.NoQuorum = NoQuorum(r.word(v, []string{string(RefuseEffects), string(OfflineAtPin)}, nil))
		},
	})
	r.object(v, fields{known: known, later: []string{"apps", "across_regions", "objectives"}})
	return s
}

func (r *reader) strategy(v value) Strategy {
	word := r.word(v, strategyWords(), nil)
	for _, s := range strategies() {
		if s.String() == word {
			return s
		}
	}
	return 0
}

// listen reads a port, or {port, host}.
func (r *reader) listen(v value) Listen {
	var l Listen
	port := func(v value) { l.Port = r.positive(v, 65535) }
	if v.node.Kind != yaml.MappingNode {
		port(v)
		return l
	}
	r.object(v, fields{known: map[string]func(value){
		"port": port,
		"host": func(v value) { l.Host = r.text(v) },
	}})
	return l
}

func (r *reader) operations(v value) []OperationSpec {
	var found []OperationSpec
	for _, p := range r.pairs(v, maxOperations) {
		found = append(found, r.operation(p.name, p.value))
	}
	if found == nil && v.node.Kind == yaml.MappingNode {
		r.problem(v, "lists no operation", "leave operations out for those of the contract")
	}
	return found
}

func (r *reader) operation(name string, v value) OperationSpec {
	o := OperationSpec{Name: name}
	semantics := ""
	r.object(v, fields{
		known: map[string]func(value){
			"match":      func(v value) { o.Match = r.text(v) },
			"key":        func(v value) { o.Key = r.key(v) },
			"semantics":  func(v value) { semantics = r.word(v, []string{"read", "effect"}, nil) },
			"follows":    func(v value) { o.Follows = r.fieldOrFields(v) },
			"duplicates": func(v value) { o.Leave.Duplicates = r.word(v, []string{acceptWord}, nil) != "" },
			"unknown":    func(v value) { o.Leave.traced(r.word(v, []string{traceWord, traceValueWord}, nil)) },
			"keep":       func(v value) { o.Leave.Keep = r.word(v, []string{requestWord}, nil) != "" },
			"execute_by": func(v value) { o.Leave.ExecuteBy = r.duration(v) },
			"value":      func(v value) { o.Value = r.value(v) },

			"offline_pin": func(v value) { o.Pin = r.pin(v) },
		},
		later: []string{"session", "class"},
	})
	o.Read = semantics == "read" || semantics == "" && readsByMethod(o.Match)
	return o
}

// pin reads {provider, account, endpoint}.
func (r *reader) pin(v value) OfflinePin {
	var p OfflinePin
	r.object(v, fields{known: map[string]func(value){
		"provider": func(v value) { p.Provider = r.text(v) },
		"account":  func(v value) { p.Account = r.text(v) },
		"endpoint": func(v value) { p.Endpoint = r.text(v) },
	}})
	if p.Provider == "" {
		r.problem(v, "names no provider", "write {provider: main}")
	}
	return p
}

// The words of an operation's leave.
const (
	acceptWord  = "accept"
	traceWord   = "trace"
	requestWord = "request"

	traceValueWord = "trace-value" // where the call is worth something: it is not said by the way
)

func (l *Leave) traced(word string) {
	l.Traced, l.TracedValue = word != "", word == traceValueWord
}

// readsByMethod tells whether an operation is a read unless the policy says otherwise.
func readsByMethod(match string) bool {
	return strings.HasPrefix(match, "GET ") || strings.HasPrefix(match, "HEAD ")
}

// key reads "required", or {derive: [...], within: 5m}.
func (r *reader) key(v value) KeyRule {
	if v.node.Kind != yaml.MappingNode {
		return KeyRule{Required: r.word(v, []string{"required"}, []string{"made-up", "optional", "none"}) != ""}
	}
	var k KeyRule
	r.object(v, fields{known: map[string]func(value){
		"derive": func(v value) { k.Derive = r.fieldOrFields(v) },
		"within": func(v value) { k.Within = r.duration(v) },
	}})
	if len(k.Derive) == 0 || k.Within == 0 {
		r.problem(v, "needs both derive and within", "write {derive: [body.order], within: 5m}, or required")
	}
	return k
}

// fieldOrFields reads one field or a list of them.
func (r *reader) fieldOrFields(v value) []Field {
	entries := []value{v}
	if v.node.Kind == yaml.SequenceNode {
		entries = r.list(v, maxFields)
	}
	var found []Field
	for _, e := range entries {
		text := r.text(e)
		if text == "" {
			continue
		}
		f, err := ParseField(text)
		if err != nil {
			r.problem(e, fmt.Sprintf("%q is %v", clip(text), err), "")
			continue
		}
		found = append(found, f)
	}
	return found
}

// weights reads provider: percent for all regions, or a mapping of them by region.
func (r *reader) weights(v value) []RegionWeights {
	entries := r.pairs(v, maxProviders)
	byRegion := false
	for _, p := range entries {
		byRegion = byRegion || p.node.Kind == yaml.MappingNode
	}
	if len(entries) == 0 {
		return nil
	}
	if !byRegion {
		return []RegionWeights{{Weights: r.shares(entries)}}
	}
	var found []RegionWeights
	for _, p := range entries {
		found = append(found, RegionWeights{Region: orDefault(p.name), Weights: r.shares(r.pairs(p.value, MaxCandidates))})
	}
	return found
}

// orDefault is the region that a key names: default stands for "", every region that is not named.
func orDefault(key string) string {
	if key == Default {
		return ""
	}
	return key
}

func (r *reader) shares(entries []pair) []Weight {
	var found []Weight
	for _, p := range entries {
		if percent, ok := r.number(p.value); ok {
			found = append(found, Weight{Provider: p.name, Percent: percent})
		}
	}
	return found
}

// priority reads a list of providers for all regions, or a mapping of lists by region.
func (r *reader) priority(v value) []RegionPriority {
	if v.node.Kind == yaml.SequenceNode {
		return []RegionPriority{{Providers: r.texts(v, MaxCandidates)}}
	}
	var found []RegionPriority
	for _, p := range r.pairs(v, maxRegions+1) {
		found = append(found, RegionPriority{Region: orDefault(p.name), Providers: r.texts(p.value, MaxCandidates)})
	}
	return found
}

func (r *reader) attempts(v value) Attempts {
	var a Attempts
	r.object(v, fields{known: map[string]func(value){
		"max":      func(v value) { a.Max = r.positive(v, maxAttempts) },
		"per_try":  func(v value) { a.PerTry = r.duration(v) },
		"deadline": func(v value) { a.Deadline = r.duration(v) },
		"budget":   func(v value) { a.Budget = r.retryBudget(v) },
	}, later: []string{"hedge"}})
	return a
}

func (r *reader) breaker(v value) Breaker {
	var b Breaker
	r.object(v, fields{known: map[string]func(value){
		"failures":  func(v value) { b.Failures = r.positive(v, maxBreakerRuns) },
		"successes": func(v value) { b.Successes = r.positive(v, maxBreakerRuns) },
		"reset":     func(v value) { b.Reset = r.duration(v) },
		"percent":   func(v value) { b.Percent = r.percentage(v) },
		"window":    func(v value) { b.Window = r.duration(v) },
		"calls":     func(v value) { b.Calls = r.positive(v, maxBreakerRuns) },
	}})
	return b
}
