package policy

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// The marks of a question's address and body.
const (
	markReference = "reference" // our reference there
	markID        = "id"        // the id of what a lookup found
	markAccount   = "account"   // the account's name, as the policy has it
)

func marks() []string { return []string{markReference, markID, markAccount} }

// Asked is a question, with its marks filled in.
type Asked struct{ Method, Path, RawQuery, Type, Body string }

// Marks are what a question's marks stand for.
type Marks struct{ Reference, ID, Account string }

// Ask fills the lookup's question in.
func (l *Lookup) Ask(m Marks) (Asked, error) { return ask(l.Match, "", m) }

// Ask fills the cancel's call in.
func (c *Cancel) Ask(m Marks) (Asked, error) { return ask(c.Match, c.Body, m) }

// NeedsID tells whether the cancel names the provider's id, which only a lookup knows.
func (c *Cancel) NeedsID() bool {
	return strings.Contains(c.Match, "{"+markID+"}") || strings.Contains(c.Body, "{"+markID+"}")
}

func ask(match, body string, m Marks) (Asked, error) {
	method, path, query, err := parseAsk(match)
	if err != nil {
		return Asked{}, err
	}
	a := Asked{Method: method, Path: m.fill(path, url.PathEscape), RawQuery: m.fill(query, url.QueryEscape)}
	switch {
	case body == "":
	case body[0] == '{':
		a.Type, a.Body = "application/json", m.fill(body, inJSON)
	default:
		a.Type, a.Body = "application/x-www-form-urlencoded", m.fill(body, url.QueryEscape)
	}
	return a, nil
}

func (m Marks) fill(text string, escape func(string) string) string {
	if !strings.Contains(text, "{") {
		return text
	}
	return strings.NewReplacer("{"+markReference+"}", escape(m.Reference), "{"+markID+"}", escape(m.ID), "{"+markAccount+"}", escape(m.Account)).Replace(text)
}

// inJSON is a text as it stands between the quotes of a JSON string.
func inJSON(text string) string {
	quoted, err := json.Marshal(text)
	if err != nil {
		return "" // a string always has a form
	}
	return string(quoted[1 : len(quoted)-1])
}

// parseAsk takes "GET /v1/payments/{id}?reference={reference}" apart.
func parseAsk(match string) (method, path, query string, err error) {
	return parseAskFor(match, marks())
}

// parseAskFor does so for other marks.
func parseAskFor(match string, known []string) (method, path, query string, err error) {
	match, query, asks := strings.Cut(match, "?")
	p, err := parsePattern(match)
	if err != nil {
		return "", "", "", err
	}
	for _, s := range p.segments {
		if s.kind == one || s.kind == many {
			return "", "", "", errors.New("an address that is asked has no * in it")
		}
		if s.kind == named && !slices.Contains(known, s.text) {
			return "", "", "", unknownMark(s.text, known)
		}
	}
	if asks && query == "" || len(query) > maxText {
		return "", "", "", errors.New("the query is empty or too long")
	}
	if err := checkMarks(query, known); err != nil {
		return "", "", "", err
	}
	for _, c := range []byte(strings.NewReplacer("{", "", "}", "").Replace(query)) {
		if !plainPathByte(c) && strings.IndexByte("/?*%[]", c) < 0 {
			return "", "", "", fmt.Errorf("%q cannot stand in a query: write it escaped", c)
		}
	}
	_, path, _ = strings.Cut(match, " ")
	return p.method, path, query, nil
}

// checkMarks refuses braces that are no marks.
func checkMarks(text string, known []string) error {
	for {
		_, rest, open := strings.Cut(text, "{")
		if !open {
			if strings.Contains(text, "}") {
				return errors.New("a } stands there without its {")
			}
			return nil
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed {
			return errors.New("a { stands there without its }")
		}
		if !slices.Contains(known, name) {
			return unknownMark(name, known)
		}
		text = after
	}
}

func unknownMark(name string, known []string) error {
	return fmt.Errorf("{%.20s} stands for nothing; known: {%s}", name, strings.Join(known, "}, {"))
}

// bodyProblem tells what is wrong with a cancel's body, or "".
func bodyProblem(body string) string {
	switch {
	case body == "":
		return ""
	case strings.ContainsFunc(body, unprintable):
		return "holds unprintable characters"
	}
	if body[0] != '{' {
		if err := checkMarks(body, marks()); err != nil {
			return err.Error()
		}
		if _, err := url.ParseQuery(Marks{"r", "i", "a"}.fill(body, url.QueryEscape)); err != nil {
			return "is neither JSON nor a form"
		}
		return ""
	}
	filled := Marks{"r", "i", "a"}.fill(body, inJSON)
	if !json.Valid([]byte(filled)) {
		return "is no JSON once its marks are filled in"
	}
	return ""
}
