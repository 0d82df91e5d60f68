package policy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Bounds of synthetics.
const (
	maxSynthetics     = 8 // of one contract, of one provider, and of its runs
	maxTestSteps      = 12
	maxKept           = 8
	maxStepBody       = 8 << 10
	minSyntheticEvery = 30 * time.Second
	maxSyntheticEvery = 24 * time.Hour
)

// syntheticRuns reads "charge-and-void every 5m", or a list of such texts.
func (r *reader) syntheticRuns(v value) []SyntheticRun {
	list := []value{v}
	if kindOf(v.node) == "a list" {
		list = r.list(v, maxSynthetics)
	}
	var found []SyntheticRun
	for _, e := range list {
		text := r.text(e)
		words := strings.Fields(text)
		if len(words) == 3 && words[1] == "every" {
			if every, err := time.ParseDuration(words[2]); err == nil && every > 0 {
				found = append(found, SyntheticRun{words[0], every})
				continue
			}
		}
		if text != "" {
			r.problem(e, strconv.Quote(clip(text))+" is no synthetic and how often", "write its name and an interval, like charge-and-void every 5m")
		}
	}
	return found
}

// atMost reads "1 USD".
func (r *reader) atMost(v value) Value {
	text := r.text(v)
	if text == "" {
		return Value{}
	}
	amount, code, _ := strings.Cut(text, " ")
	worth, err := ParseValue(amount, strings.TrimSpace(code), true)
	if err != nil || worth.Minor == 0 {
		r.problem(v, strconv.Quote(clip(text))+" is no amount", "write an amount above 0 and its currency, like 1 USD")
		return Value{}
	}
	return worth
}

func (r *reader) testMarks(v value) TestMarks {
	var m TestMarks
	r.object(v, fields{known: map[string]func(value){
		"header": func(v value) { m.Header = r.text(v) },
		"field":  func(v value) { m.Field = r.text(v) },
	}})
	return m
}

func (r *reader) synthetics(v value) []Synthetic {
	var found []Synthetic
	for _, p := range r.pairs(v, maxSynthetics) {
		s := Synthetic{Name: p.name}
		r.object(p.value, fields{known: map[string]func(value){
			"steps":   func(v value) { s.Steps = r.steps(v) },
			"cleanup": func(v value) { s.Cleanup = r.steps(v) },
		}})
		found = append(found, s)
	}
	return found
}

func (r *reader) steps(v value) []TestStep {
	var found []TestStep
	for _, e := range r.list(v, maxTestSteps) {
		found = append(found, r.step(e))
	}
	return found
}

func (r *reader) step(v value) TestStep {
	var s TestStep
	r.object(v, fields{known: map[string]func(value){
		"name":      func(v value) { s.Name = r.text(v) },
		"call":      func(v value) { s.Call = r.text(v) },
		"semantics": func(v value) { s.Read = r.word(v, []string{"read"}, nil) != "" },
		"body":      func(v value) { s.Body = r.bodyOf(v) },
		"form":      func(v value) { s.Form = r.word(v, []string{"json", importForm}, nil) == importForm },
		"header": func(v value) {
			for _, p := range r.pairs(v, maxKept) {
				s.Header = append(s.Header, [2]string{p.name, r.text(p.value)})
			}
		},
		"expect": func(v value) { s.Expect = r.expected(v) },
		"keep":   func(v value) { s.Keep = r.kept(v) },
		"unless": func(v value) { s.Unless = r.text(v) },
	}})
	return s
}

// bodyOf reads a body as a tree, and keeps it as JSON.
func (r *reader) bodyOf(v value) string {
	if v.node.Kind != yaml.MappingNode {
		r.problem(v, "is "+kindOf(v.node)+", not a mapping", "write its fields, like {amount: 100, currency: usd}")
		return ""
	}
	text, err := WriteTree(r.tree(v))
	if err != nil || len(text) > maxStepBody {
		r.problem(v, "is no body of a call", fmt.Sprintf("write texts, numbers, lists and mappings, at most %d bytes", maxStepBody))
		return ""
	}
	return string(text)
}

func (r *reader) tree(v value) any {
	switch v.node.Kind {
	case yaml.MappingNode:
		m := map[string]any{}
		for _, p := range r.pairs(v, maxPairs) {
			m[p.name] = r.tree(p.value)
		}
		return m
	case yaml.SequenceNode:
		list := []any{}
		for _, e := range r.list(v, maxPairs) {
			list = append(list, r.tree(e))
		}
		return list
	}
	switch v.node.ShortTag() {
	case "!!bool":
		return strings.EqualFold(v.node.Value, "true")
	case "!!int", "!!float":
		if number, err := ReadTree([]byte(v.node.Value)); err == nil {
			return number
		}
	}
	text := r.text(v)
	if strings.ContainsFunc(text, unprintable) {
		r.problem(v, "holds unprintable characters", "write plain text")
	}
	return text
}

// expected reads {status: 200, body.status: requires_capture}; a list is any of its values.
func (r *reader) expected(v value) []Expected {
	var found []Expected
	for _, p := range r.pairs(v, maxKept) {
		e := Expected{Field: Field{In: "status"}}
		if p.name != "status" {
			e.Field = r.fieldNamed(p)
		}
		e.Want = r.textOrTexts(p.value, maxKept)
		if strings.ContainsFunc(strings.Join(e.Want, ""), unprintable) {
			r.problem(p.value, "holds unprintable characters", "write what the answer says")
		}
		if len(e.Want) > 0 && e.Field.In != "" {
			found = append(found, e)
		}
	}
	return found
}

func (r *reader) kept(v value) []Kept {
	var found []Kept
	for _, p := range r.pairs(v, maxKept) {
		found = append(found, Kept{p.name, r.oneField(p.value)})
	}
	return found
}

func (r *reader) fieldNamed(p pair) Field {
	f, err := ParseField(p.name)
	if err != nil || f.In == "path" {
		r.problem(value{p.key, p.path}, "is no field of an answer", "write status, a field of the body like body.status, or header.X-Name")
		return Field{}
	}
	return f
}

func writeSynthetics(w writer, list []Synthetic) {
	if len(list) == 0 {
		return
	}
	m := w.below("synthetics", 0)
	for i := range list {
		one := m.below(list[i].Name, 0)
		writeSteps(one, "steps", list[i].Steps)
		writeSteps(one, "cleanup", list[i].Cleanup)
	}
}

func writeSteps(w writer, key string, list []TestStep) {
	if len(list) == 0 {
		return
	}
	n := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
	for i := range list {
		m := mapping()
		m.node.Style = yaml.FlowStyle
		writeStep(m, &list[i])
		n.Content = append(n.Content, m.node)
	}
	w.add(key, n)
}

func writeStep(m writer, s *TestStep) {
	m.text("name", s.Name)
	m.text("call", s.Call)
	if s.Read {
		m.text("semantics", "read")
	}
	if tree, err := ReadTree([]byte(s.Body)); err == nil {
		m.add("body", nodeOf(tree))
	}
	if s.Form {
		m.text("form", importForm)
	}
	if len(s.Header) > 0 {
		h := m.below("header", yaml.FlowStyle)
		for _, one := range s.Header {
			h.text(one[0], one[1])
		}
	}
	if len(s.Expect) > 0 {
		e := m.below("expect", yaml.FlowStyle)
		for _, one := range s.Expect {
			if len(one.Want) == 1 {
				e.text(one.Field.text(), one.Want[0])
			} else {
				e.texts(one.Field.text(), one.Want)
			}
		}
	}
	if len(s.Keep) > 0 {
		k := m.below("keep", yaml.FlowStyle)
		for _, one := range s.Keep {
			k.text(one.Name, one.From.String())
		}
	}
	m.text("unless", s.Unless)
}

func nodeOf(v any) *yaml.Node {
	switch v := v.(type) {
	case map[string]any:
		m := mapping()
		m.node.Style = yaml.FlowStyle
		keys := make([]string, 0, len(v))
		for k := range v {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		for _, k := range keys {
			m.add(k, nodeOf(v[k]))
		}
		return m.node
	case []any:
		n := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Style: yaml.FlowStyle}
		for _, e := range v {
			n.Content = append(n.Content, nodeOf(e))
		}
		return n
	case nil:
		return plain("!!null", "null")
	case bool:
		return plain("!!bool", strconv.FormatBool(v))
	case int:
		return plain("!!int", strconv.Itoa(v))
	case string:
		return scalar(v)
	default:
		return plain("!!float", fmt.Sprint(v))
	}
}

// text is a synthetic in one line.
func (s *Synthetic) text() string {
	m := mapping()
	m.node.Style = yaml.FlowStyle
	writeSteps(m, "steps", s.Steps)
	writeSteps(m, "cleanup", s.Cleanup)
	return flow(m.node, func(text string) string { return text })
}

// syntheticsOver lays scripts over those that were there: one of the same name takes its place.
func syntheticsOver(under, over []Synthetic) []Synthetic {
	kept := slices.DeleteFunc(slices.Clone(under), func(s Synthetic) bool {
		return slices.ContainsFunc(over, func(o Synthetic) bool { return o.Name == s.Name })
	})
	if kept = append(kept, over...); len(kept) == 0 {
		return nil
	}
	return kept
}

func syntheticNames(list []Synthetic) string {
	names := make([]string, len(list))
	for i := range list {
		names[i] = list[i].Name
	}
	return strings.Join(names, ", ")
}

func runTexts(list []SyntheticRun) []string {
	texts := make([]string, len(list))
	for i, r := range list {
		texts[i] = r.String()
	}
	return texts
}
