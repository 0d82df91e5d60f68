package policy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/itchyny/gojq"
)

// Bounds of one run of a program. They are above what the largest body needs that a program may see, and low enough that a program which
// loops or grows does no harm.
const (
	maxProgram  = 16 << 10 // bytes of its text
	maxSteps    = 1_000_000
	maxRunBytes = 16 * MaxTree // of all the values that it makes
)

// Why a run ends early.
var (
	errSteps  = fmt.Errorf("it takes more than %d steps", maxSteps)
	errGrows  = fmt.Errorf("it makes values of more than %d bytes, or one of more than %d", maxRunBytes, MaxTree)
	errTime   = errors.New("it takes too long")
	errValues = errors.New("it gives more than one value")
	errNone   = errors.New("it gives no value")
	errKind   = errors.New("a value is not of the kind that it expects")
)

// ProgramError says why a program gave no value. Its text holds nothing of the call but what the program itself says with error.
type ProgramError struct {
	Why   error
	Said  string // by the program
	cause error
}

// Error is fit for callers.
func (e *ProgramError) Error() string {
	if e.Said != "" {
		return e.Said
	}
	return e.Why.Error()
}

// Detail is for whoever wrote the program: it can hold pieces of bodies.
func (e *ProgramError) Detail() string {
	if e.cause != nil {
		return e.cause.Error()
	}
	return e.Error()
}

// program is a compiled jq program of the subset that always gives the same for the same.
type program struct{ code *gojq.Code }

// run gives the program's one value.
func (p *program) run(ctx context.Context, input any) (any, error) {
	return p.runWithin(newRun(ctx), input)
}

func newRun(ctx context.Context) *run { return &run{Context: ctx, steps: maxSteps, bytes: maxRunBytes} }

func (p *program) runWithin(r *run, input any) (any, error) {
	values := p.code.RunWithContext(r, input, r)
	v, ok := values.Next()
	switch err, failed := v.(error); {
	case failed:
		return nil, r.failed(err)
	case !ok:
		return nil, &ProgramError{Why: errNone}
	}
	if again, more := values.Next(); more {
		if err, failed := again.(error); failed {
			return nil, r.failed(err)
		}
		return nil, &ProgramError{Why: errValues}
	}
	return v, nil
}

// run is what one run may still use. It is the context of its run, which asks Done before each step, and a variable of its program, by
// which values are charged to it.
type run struct {
	context.Context
	steps, bytes int
	over         error
}

var closed = func() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// Done counts a step. Nothing that a program catches makes it go on.
func (r *run) Done() <-chan struct{} {
	if r.over == nil {
		switch r.steps--; {
		case r.steps < 0:
			r.over = errSteps
		case r.steps%256 == 0 && r.Context.Err() != nil:
			r.over = errTime
		}
	}
	if r.over != nil {
		return closed
	}
	return nil
}

// Err is why the run is over.
func (r *run) Err() error { return r.over }

func (r *run) failed(err error) error {
	if r.over != nil {
		return &ProgramError{Why: r.over}
	}
	var said gojq.ValueError
	if errors.As(err, &said) {
		if text, ok := said.Value().(string); ok {
			return &ProgramError{Why: errKind, Said: clipText(text), cause: err}
		}
	}
	return &ProgramError{Why: errKind, cause: err}
}

// clipText keeps what a program says to one short line.
func clipText(s string) string {
	s = strings.Map(func(r rune) rune {
		if unprintable(r) {
			return ' '
		}
		return r
	}, s)
	if len(s) > maxText {
		s = strings.ToValidUTF8(s[:maxText], "") + "…"
	}
	return s
}

// The names by which a program is guarded. No text can write them.
const (
	runVariable  = "$__run"
	guardName    = "_segue_made"
	multiplyName = "_segue_times"
)

// charge takes a value's size from what the run may make, and gives the value back.
func charge(v any, args []any) any {
	r, ok := args[0].(*run)
	if !ok {
		return errGrows
	}
	left := measure(v, min(MaxTree, r.bytes), 0)
	if left < 0 {
		r.over = errGrows
		return errGrows
	}
	r.bytes -= min(MaxTree, r.bytes) - left
	return v
}

// multiply is * for numbers. That of texts could make a gigabyte in one step.
func multiply(_ any, args []any) any {
	a, okA := args[0].(int)
	b, okB := args[1].(int)
	if okA && okB {
		if p := a * b; a == 0 || p/a == b && !(a == -1 && b == math.MinInt) {
			return p
		}
	}
	x, okX := gojq.ToFloat64(args[0])
	y, okY := gojq.ToFloat64(args[1])
	if !okX || !okY {
		return errKind
	}
	return x * y
}

// programError is a mistake in a program's text.
type programError struct {
	offset  int // of the text, or -1
	message string
	fix     string
}

func (e *programError) Error() string { return e.message }

// compileProgram compiles a program. define stands before it, tables are its $tables.
func compileProgram(define, text string, tables map[string]any) (*program, *programError) {
	q, bad := parseProgram(define, text)
	if bad != nil {
		return nil, bad
	}
	if q, bad = withTables(q, tables); bad != nil {
		return nil, bad
	}
	code, err := gojq.Compile(q,
		gojq.WithVariables([]string{runVariable}),
		gojq.WithFunction(guardName, 1, 1, charge),
		gojq.WithFunction(multiplyName, 2, 2, multiply),
		gojq.WithEnvironLoader(func() []string { return nil }))
	if err != nil {
		message := err.Error()
		name := message[strings.LastIndexByte(message, ' ')+1:]
		name, _, _ = strings.Cut(name, "/")
		return nil, &programError{offset: place1(text, name), message: message}
	}
	return &program{code}, nil
}

// parseProgram reads a program and holds it to the subset.
func parseProgram(define, text string) (*gojq.Query, *programError) {
	if define != "" {
		if _, err := gojq.Parse(define + "\n."); err != nil {
			return nil, &programError{offset: -1, message: "the definitions before it are no jq"}
		}
	}
	q, err := gojq.Parse(text)
	if err != nil {
		return nil, syntaxError(text, err)
	}
	if define != "" {
		if q, err = gojq.Parse(define + "\n" + text); err != nil {
			return nil, &programError{offset: -1, message: "cannot be read behind the definitions before it"}
		}
	}
	s := subset{}
	s.query(q, nil)
	if s.bad != nil {
		s.bad.offset = place1(text, s.word)
		return nil, s.bad
	}
	return q, nil
}

func syntaxError(text string, err error) *programError {
	var at *gojq.ParseError
	if errors.As(err, &at) {
		offset := max(0, at.Offset-len(at.Token))
		if at.Token == "" {
			return &programError{offset: len(text), message: "is no jq: it ends too early"}
		}
		return &programError{offset: offset, message: fmt.Sprintf("is no jq: unexpected %q", clip(at.Token))}
	}
	return &programError{offset: -1, message: "is no jq"}
}

// withTables puts the tables before a program, as a constant.
func withTables(q *gojq.Query, tables map[string]any) (*gojq.Query, *programError) {
	if tables == nil {
		tables = map[string]any{}
	}
	b, err := json.Marshal(tables)
	if err != nil {
		return nil, &programError{offset: -1, message: "its tables cannot be written"}
	}
	whole, err := gojq.Parse(string(b) + " as $tables | .")
	if err != nil || whole.Right == nil {
		return nil, &programError{offset: -1, message: "its tables cannot be read"}
	}
	whole.Right = q
	return whole, nil
}

// place1 is where a word stands first in a text, or -1.
func place1(text, word string) int {
	if word == "" {
		return -1
	}
	for from := 0; ; {
		i := strings.Index(text[from:], word)
		if i < 0 {
			return -1
		}
		i += from
		if !wordByte(text, i-1) && (!wordByte(text, i+len(word)) || !wordByte(word, len(word)-1)) {
			return i
		}
		from = i + len(word)
	}
}

func wordByte(s string, i int) bool {
	return i >= 0 && i < len(s) && (s[i] == '_' || lowerOrDigit(s[i]) || s[i] >= 'A' && s[i] <= 'Z')
}

// lineAndColumn is where a byte of a text stands; both begin at 1.
func lineAndColumn(text string, offset int) (line, col int) {
	before := text[:min(max(0, offset), len(text))]
	return 1 + strings.Count(before, "\n"), len([]rune(before[strings.LastIndexByte(before, '\n')+1:])) + 1
}
