package policy

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Synthetic is a transaction that Segue makes itself, as a test: steps with assertions, and what takes away what they left. It is data: no
// program of jq or CEL stands in it.
type Synthetic struct {
	Name    string
	Steps   []TestStep
	Cleanup []TestStep // run whatever failed; the last one decides whether all is clean
}

// TestStep is one call of a synthetic. {name} in its path and in the texts of its body stands for a variable: one that a step kept, or {run},
// the id of this run.
type TestStep struct {
	Name   string
	Call   string      // POST /v1/payment_intents/{id}/cancel, perhaps with a query
	Read   bool        // semantics: read. An answer twice is as good as one
	Body   string      // JSON; "": none
	Form   bool        // the body is sent as a form
	Header [][2]string // beside those of every call
	Expect []Expected  // nothing: any 2xx of a step, any answer of a cleanup
	Keep   []Kept      // variables that its answer gives
	Unless string      // of a cleanup: left out where that step was good
}

// Expected is one assertion: what stands in an answer at a field.
type Expected struct {
	Field Field    // In is status, body or header
	Want  []string // one of them
}

// Kept is a variable and where an answer has it.
type Kept struct {
	Name string
	From Field
}

// SyntheticRun says that a provider's synthetic is run, and how often.
type SyntheticRun struct {
	Name  string
	Every time.Duration
}

// String is the run as the document writes it.
func (r SyntheticRun) String() string { return r.Name + " every " + span(r.Every) }

// TestMarks are how a provider and its reports can tell Segue's own tests from calls: a header of every step, and a field of the body of
// every step that begins something. Both hold the id of the run.
type TestMarks struct {
	Header string
	Field  string // metadata.segue_test
}

// RunMark is the variable that holds the id of the run. It is there in every step.
const RunMark = "run"

// Planned is a synthetic as an agent runs it.
type Planned struct {
	Synthetic
	Every  time.Duration
	Marks  TestMarks
	AtMost Value // what one effect may be worth; zero: one main unit of its currency
}

// Effects tells whether a step changes something at a provider.
func (c *Contract) Effects(s *TestStep) bool {
	method, _, _ := strings.Cut(s.Call, " ")
	o := c.operationOf(s)
	return method != http.MethodGet && method != http.MethodHead && !s.Read && (o == nil || !o.Read)
}

// Begins tells whether an effect makes something new, and does not only go on with what another step made.
func (c *Contract) Begins(s *TestStep) bool {
	goesOn := func(name string) bool { return name != RunMark }
	return c.Effects(s) && !slices.ContainsFunc(append(marksIn(s.path()), marksIn(s.Body)...), goesOn)
}

func (s *TestStep) path() string {
	_, target, _ := strings.Cut(s.Call, " ")
	path, _, _ := strings.Cut(target, "?")
	return path
}

func (s *TestStep) query() string {
	_, query, _ := strings.Cut(s.Call, "?")
	return query
}

func (s *TestStep) pattern() (pattern, error) {
	call, _, _ := strings.Cut(s.Call, "?")
	return parsePattern(call)
}

// operationOf is the contract's operation that a step makes; nil: none is known.
func (c *Contract) operationOf(s *TestStep) *OperationSpec {
	p, err := s.pattern()
	if err != nil {
		return nil
	}
	values := map[string]any{}
	for _, segment := range p.segments {
		values[segment.text] = "x"
	}
	path, err := p.fill(values)
	if err != nil {
		return nil
	}
	for i := range c.Operations {
		o, err := parsePattern(c.Operations[i].Match)
		if err != nil || o.method != p.method {
			continue
		}
		if _, ok := o.match(path, -1); ok {
			return &c.Operations[i]
		}
	}
	return nil
}

// errStep says that a step cannot be made.
var errStep = errors.New("the step cannot be made")

// Make writes a step's call from the values of its variables.
func (p *Planned) Make(c *Contract, s *TestStep, vars map[string]string) (Made, error) {
	pattern, err := s.pattern()
	if err != nil {
		return Made{}, fmt.Errorf("%w: %w", errStep, err)
	}
	values := map[string]any{}
	for k, v := range vars {
		values[k] = v
	}
	m := Made{Method: pattern.method, RawQuery: s.query(), Header: slices.Clone(s.Header)}
	if m.Path, err = pattern.fill(values); err != nil {
		return Made{}, fmt.Errorf("%w: %w", errStep, err)
	}
	if p.Marks.Header != "" {
		m.Header = append(m.Header, [2]string{p.Marks.Header, vars[RunMark]})
	}
	if err := p.body(&m, c, s, vars); err != nil {
		return Made{}, err
	}
	return m, p.affordable(c, s, &m)
}

func (p *Planned) body(m *Made, c *Contract, s *TestStep, vars map[string]string) error {
	if s.Body == "" {
		return nil
	}
	tree, err := ReadTree([]byte(s.Body))
	if err != nil {
		return fmt.Errorf("%w: its body %w", errStep, err)
	}
	object, ok := substituted(tree, vars).(map[string]any)
	if !ok {
		return fmt.Errorf("%w: its body is no mapping", errStep)
	}
	if p.Marks.Field != "" && c.Begins(s) {
		mark(object, strings.Split(p.Marks.Field, "."), vars[RunMark])
	}
	if m.Type = "application/json"; s.Form {
		m.Type = "application/x-www-form-urlencoded"
		m.Body, err = WriteForm(object)
	} else {
		m.Body, err = WriteTree(object)
	}
	if err != nil {
		return fmt.Errorf("%w: its body %w", errStep, err)
	}
	return nil
}

// mark writes the id of a run into a body.
func mark(object map[string]any, way []string, run string) {
	for ; len(way) > 1; way = way[1:] {
		below, ok := object[way[0]].(map[string]any)
		if !ok {
			below = map[string]any{}
			object[way[0]] = below
		}
		object = below
	}
	object[way[0]] = run
}

// substituted is a tree with the variables in its texts filled in.
func substituted(v any, vars map[string]string) any {
	switch v := v.(type) {
	case string:
		for name, value := range vars {
			v = strings.ReplaceAll(v, "{"+name+"}", value)
		}
		return v
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = substituted(v[i], vars)
		}
		return list
	case map[string]any:
		m := make(map[string]any, len(v))
		for k := range v {
			m[k] = substituted(v[k], vars)
		}
		return m
	default:
		return v
	}
}

// affordable holds an effect against the bound on its value.
func (p *Planned) affordable(c *Contract, s *TestStep, m *Made) error {
	o := c.operationOf(s)
	if o == nil || !o.Value.Set() || !c.Effects(s) {
		return nil
	}
	header := func(name string) string {
		for _, h := range m.Header {
			if strings.EqualFold(h[0], name) {
				return h[1]
			}
		}
		return ""
	}
	op := &Operation{OperationSpec: *o}
	op.pattern, _ = parsePattern(o.Match) // it matched
	worth, said := op.Worth(m.Path, m.Type, m.Body, header)
	if !said {
		return fmt.Errorf("%w: what it is worth does not stand in it", errStep)
	}
	most := p.AtMost
	if most == (Value{}) {
		most, _ = ParseValue("1", worth.Currency, true) // a currency that was read just now
	}
	if worth.Currency != most.Currency || worth.Minor > most.Minor {
		return fmt.Errorf("%w: it is worth %s, at most %s is allowed", errStep, worth, most)
	}
	return nil
}

// Answered is what came back of a step.
type Answered struct {
	Status int
	Type   string
	Header func(name string) string
	Body   []byte
}

func (a *Answered) at(f Field) (string, bool) {
	switch f.In {
	case "status":
		return strconv.Itoa(a.Status), true
	case "header":
		v := a.Header(f.Name)
		return v, v != ""
	default:
		return BodyField(a.Type, a.Body, f.Name)
	}
}

// Holds says why an answer is not what a step expects; "": it is.
func (s *TestStep) Holds(a *Answered, vars map[string]string) string {
	for _, e := range s.Expect {
		got, there := a.at(e.Field)
		wanted := slices.ContainsFunc(e.Want, func(w string) bool { return substituted(w, vars) == got })
		switch name := e.Field.text(); {
		case !there:
			return name + " is missing, where " + strings.Join(e.Want, " or ") + " is expected"
		case !wanted:
			return fmt.Sprintf("%s is %s, not %s", name, clip(got), strings.Join(e.Want, " or "))
		}
	}
	return ""
}

// Values are the variables that an answer gives, and the first one that it lacks.
func (s *TestStep) Values(a *Answered) (vars map[string]string, lacks string) {
	vars = map[string]string{}
	for _, k := range s.Keep {
		if v, there := a.at(k.From); there {
			vars[k.Name] = v
		} else if lacks == "" {
			lacks = k.Name
		}
	}
	return vars, lacks
}

func (f Field) text() string {
	if f.In == "status" {
		return f.In
	}
	return f.String()
}

// title is what people call a step.
func (s *TestStep) title() string {
	if s.Name != "" {
		return s.Name
	}
	return s.Call
}

// Title is what people call a step.
func (s *TestStep) Title() string { return s.title() }

// Uses are the variables that a step's call needs.
func (s *TestStep) Uses() []string { return append(marksIn(s.path()), marksIn(s.Body)...) }
