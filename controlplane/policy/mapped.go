package policy

import (
	"fmt"
	"net/textproto"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Mapped is one operation of a service as a provider of another API carries it out. It is made by Compile, and shared by calls.
type Mapped struct {
	From *Operation    // of the service
	To   OperationSpec // of the provider's contract
	API  *Contract     // that applications speak
	At   *Contract     // the provider's

	headers []string
	path    pattern // of To
	run     *programs
}

// programs are compiled once for a contract, and shared.
type programs struct {
	path                           pattern
	request, answer, failed, event *program
}

// Mapped returns how an operation is carried out at a candidate of another API; nil: it is not.
func (c *Candidate) Mapped(operation string) *Mapped {
	if c.mapped == nil { // every candidate whose API is the spoken one
		return nil
	}
	return c.mapped[operation]
}

// OperationThere is what a candidate's contract calls an operation of the service: aids and recourse are stated by that name.
func (c *Candidate) OperationThere(operation string) string {
	if m := c.Mapped(operation); m != nil {
		return m.To.Name
	}
	return operation
}

// Streams tells whether the operation's answers may come as events.
func (m *Mapped) Streams() bool { return m.run.event != nil }

// mapAll makes what a candidate of another API needs, and notes in each operation that it has to be mapped, or cannot be.
func (b *builder) mapAll(c *Candidate, index int, contract *compiledContract, svc *Service) error {
	how := contract.spoken(svc.Speaks.Name)
	c.mapped = map[string]*Mapped{}
	for _, op := range svc.Operations {
		m := how.mapping(op.Name)
		if m == nil {
			op.Unmapped = op.Unmapped.With(index)
			continue
		}
		run, err := contract.programs(how, m)
		if err != nil {
			return fmt.Errorf("contract %s: %s of %s: %w", contract.Name, m.Operation, how.API, err)
		}
		op.Maps = true
		c.mapped[op.Name] = &Mapped{From: op, To: *contract.operation(m.To), API: svc.Speaks, At: &contract.Contract, headers: how.Headers, path: run.path, run: run}
	}
	return nil
}

// programs compiles an operation's programs, once.
func (c *compiledContract) programs(how *Spoken, m *Mapping) (*programs, error) {
	key := how.API + " " + m.Operation
	if p, ok := c.compiled[key]; ok {
		return p, nil
	}
	to := c.operation(m.To)
	if to == nil {
		return nil, fmt.Errorf("the contract has no operation %q", clip(m.To))
	}
	p := &programs{}
	var err error
	if p.path, err = parsePattern(to.Match); err != nil {
		return nil, err
	}
	tables := tableTrees(how.Tables)
	for _, one := range []struct {
		text string
		into **program
	}{{m.Request, &p.request}, {m.Answer, &p.answer}, {firstOf(m.Error, how.Error), &p.failed}, {m.Event, &p.event}} {
		if one.text == "" {
			continue
		}
		compiled, bad := compileProgram(how.Define, one.text, tables)
		if bad != nil {
			return nil, bad
		}
		*one.into = compiled
	}
	if c.compiled == nil {
		c.compiled = map[string]*programs{}
	}
	c.compiled[key] = p
	return p, nil
}

// params are the named segments of a call's path.
func (o *Operation) params(path string) map[string]any {
	m := map[string]any{}
	for i := range o.pattern.segments {
		if s := &o.pattern.segments[i]; s.kind == named {
			if v, ok := o.Param(path, s.text); ok {
				m[s.text] = v
			}
		}
	}
	return m
}

// fill writes a path from the values of a pattern's names.
func (p *pattern) fill(values map[string]any) (string, error) {
	var b strings.Builder
	for _, s := range p.segments {
		b.WriteByte('/')
		switch s.kind {
		case literal:
			b.WriteString(s.text)
		case named:
			v, _ := values[s.text].(string)
			if v == "" || v == "." || v == ".." {
				return "", fmt.Errorf("the path has no value for {%s}", s.text)
			}
			b.WriteString(url.PathEscape(v) + s.suffix)
		default:
			return "", fmt.Errorf("the path is open: say path")
		}
	}
	return b.String(), nil
}

// headerLines checks the header that a program made, and brings it into an order.
func headerLines(v any, forbidden ...string) ([][2]string, error) {
	m, ok := v.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("header is not a mapping of texts")
	}
	var lines [][2]string
	for name, value := range m {
		text, ok := value.(string)
		switch {
		case !ok || strings.ContainsFunc(text, unprintable) || len(text) > maxFieldValue:
			return nil, fmt.Errorf("header %s is no text of one line", clip(name))
		case !putHeader(name), slices.ContainsFunc(forbidden, func(f string) bool { return f != "" && strings.EqualFold(f, name) }):
			return nil, fmt.Errorf("header %s is not for programs", clip(name))
		}
		lines = append(lines, [2]string{textproto.CanonicalMIMEHeaderKey(name), text})
	}
	slices.SortFunc(lines, func(a, b [2]string) int { return strings.Compare(a[0], b[0]) })
	return lines, nil
}

// wholeNumber reads a whole number of a program.
func wholeNumber(v any) (int, bool) {
	switch v := v.(type) {
	case int:
		return v, true
	case float64:
		n := int(v)
		return n, float64(n) == v
	case interface{ String() string }: // json.Number, *big.Int
		n, err := strconv.Atoi(v.String())
		return n, err == nil
	default:
		return 0, false
	}
}
