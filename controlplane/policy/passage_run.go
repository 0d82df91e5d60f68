package policy

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

// passage is a contract's passage with its programs, made once and shared by candidates.
type passage struct {
	*Passage
	export, tokens *program
}

// passages compiles the programs of a contract's passages.
func (c *compiledContract) makePassages() error {
	for i := range c.Session {
		p := &passage{Passage: &c.Session[i]}
		for _, one := range []struct {
			text string
			into **program
		}{{p.Export.Answer, &p.export}, {p.Tokens.Answer, &p.tokens}} {
			if one.text == "" {
				continue
			}
			compiled, bad := compileProgram("", one.text, nil)
			if bad != nil {
				return fmt.Errorf("session %s: %w", p.Map, bad)
			}
			*one.into = compiled
		}
		c.passages = append(c.passages, p)
	}
	return nil
}

func (c *Candidate) passage(name string) *passage {
	for _, p := range c.passages {
		if p.Map == name {
			return p
		}
	}
	return nil
}

// Exporting is a candidate's call that fetches a field.
type Exporting struct {
	*Export
	answer *program
}

// Export returns the candidate's call that fetches a field; false: it has none.
func (c *Candidate) Export(name string) (Exporting, bool) {
	p := c.passage(name)
	if p == nil || p.Export.Match == "" {
		return Exporting{}, false
	}
	return Exporting{&p.Export, p.export}, true
}

// NeedsID tells whether the call names what the field is called there.
func (e Exporting) NeedsID() bool { return strings.Contains(e.Match, "{"+markID+"}") }

// Touches tells whether an operation of the contract changes the field there.
func (e Exporting) Touches(operation string) bool { return slices.Contains(e.After, operation) }

// FieldMarks are what the marks of an export stand for.
type FieldMarks struct{ ID, Session, Account string }

// Ask fills the call in.
func (e Exporting) Ask(m FieldMarks) (Asked, error) {
	method, path, query, err := parseAskFor(e.Match, exportMarks())
	if err != nil {
		return Asked{}, err
	}
	fill := func(text string, escape func(string) string) string {
		return strings.NewReplacer("{"+markID+"}", escape(m.ID), "{"+markSession+"}", escape(m.Session), "{"+markAccount+"}", escape(m.Account)).Replace(text)
	}
	return Asked{Method: method, Path: fill(path, url.PathEscape), RawQuery: fill(query, url.QueryEscape)}, nil
}

// Value is what an answer says of the field: a text as it is, anything else as JSON. There is false where it says that there is nothing.
func (e Exporting) Value(ctx context.Context, media string, body []byte) (kind string, value []byte, there bool, err error) {
	v, err := runAnswer(ctx, e.answer, media, body)
	switch v := v.(type) {
	case nil:
		return "", nil, false, err
	case string:
		return "text/plain", []byte(v), true, err
	}
	if value, err = WriteTree(v); err != nil {
		return "", nil, false, err
	}
	return "application/json", value, true, nil
}

func runAnswer(ctx context.Context, p *program, media string, body []byte) (any, error) {
	tree, err := bodyTree(media, body)
	if err != nil {
		return nil, fmt.Errorf("the answer %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	return p.run(ctx, tree)
}

// Tokening is how a candidate lets a conversation in.
type Tokening struct {
	*Tokens
	answer *program
}

// Tokens returns how a candidate lets a conversation in; false: it asks for no tokens of that name.
func (c *Candidate) Tokens(name string) (Tokening, bool) {
	p := c.passage(name)
	if p == nil || p.Tokens.Put == (Field{}) {
		return Tokening{}, false
	}
	return Tokening{&p.Tokens, p.tokens}, true
}

// CanIssue tells whether a conversation can be given its first tokens.
func (t Tokening) CanIssue() bool { return t.Issue.Match != "" }

// CanRefresh tells whether tokens can be renewed.
func (t Tokening) CanRefresh() bool { return t.Refresh.Match != "" }

// Line is what calls carry of a token.
func (t Tokening) Line(access string) string {
	if t.Value == "" {
		return access
	}
	return strings.Replace(t.Value, "{"+markAccess+"}", access, 1)
}

// TokenMarks are what the marks of a token call stand for.
type TokenMarks struct{ Session, Account, Refresh string }

func (m TokenMarks) fill(text string, escape func(string) string) string {
	return strings.NewReplacer("{"+markSession+"}", escape(m.Session), "{"+markAccount+"}", escape(m.Account), "{"+markRefresh+"}", escape(m.Refresh)).Replace(text)
}

// Ask fills the call in.
func (t TokenCall) Ask(m TokenMarks) (Asked, error) {
	method, path, query, err := parseAskFor(t.Match, issueMarks())
	if err != nil {
		return Asked{}, err
	}
	a := Asked{Method: method, Path: m.fill(path, url.PathEscape), RawQuery: m.fill(query, url.QueryEscape)}
	switch {
	case t.Body == "":
	case t.Body[0] == '{':
		a.Type, a.Body = "application/json", m.fill(t.Body, inJSON)
	default:
		a.Type, a.Body = "application/x-www-form-urlencoded", m.fill(t.Body, url.QueryEscape)
	}
	return a, nil
}

// Given are the tokens of one answer.
type Given struct {
	Access, Refresh string
	Life            time.Duration // 0: they do not end
}

const (
	maxGiven     = 4096 // bytes of a token: it stands in a header
	maxGivenLife = 366 * 24 * time.Hour
)

// Problems with an answer that should hold tokens. None says what it holds.
var (
	errNoToken  = errors.New("the answer has no access token of at most 4096 printable bytes")
	errRefresh  = errors.New("the answer's refresh token is no text of at most 4096 printable bytes")
	errLife     = errors.New("the answer's life is no number of seconds, up to a year")
	errNoAnswer = errors.New("the program that reads tokens gives no mapping of access, refresh and life")
)

// Read finds the tokens in an answer. Its errors hold nothing of it.
func (t Tokening) Read(ctx context.Context, media string, body []byte) (Given, error) {
	v, err := runAnswer(ctx, t.answer, media, body)
	if err != nil {
		return Given{}, errNoAnswer
	}
	m, err := members(v, "access", "refresh", "life")
	if err != nil {
		return Given{}, errNoAnswer
	}
	var g Given
	var ok bool
	if g.Access, ok = m["access"].(string); !ok || !SaneToken(g.Access) {
		return Given{}, errNoToken
	}
	if r := m["refresh"]; r != nil {
		if g.Refresh, ok = r.(string); !ok || !SaneToken(g.Refresh) {
			return Given{}, errRefresh
		}
	}
	if l := m["life"]; l != nil {
		n, ok := wholeNumber(l)
		if !ok || n < 1 || n > int(maxGivenLife/time.Second) {
			return Given{}, errLife
		}
		g.Life = time.Duration(n) * time.Second
	}
	return g, nil
}

// SaneToken tells whether a text can be a token: it stands on one line of a header.
func SaneToken(text string) bool {
	return text != "" && len(text) <= maxGiven && !strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' })
}
