package policy

import (
	"context"
	"errors"
	"fmt"
	"mime"
	"slices"
	"strings"
)

// Heard is a call in the API that the application speaks, and what is known of its transaction.
type Heard struct {
	Method, Path, RawQuery string
	Header                 func(name string) string // the first line of that name
	Type                   string                   // of the body
	Body                   []byte
	Key, Reference         string // of the attempt, as the provider is told them; "": a read has none
	Session                string
	Account                string // of the provider: a merchant account, a channel
	Object                 string // the provider's own id of the object that the call is about; "": it is about none, or nobody knows

	tree map[string]any
}

// Made is a call as the provider is to get it. The same Heard under the same contract is always the same Made.
type Made struct {
	Method, Path, RawQuery string
	Header                 [][2]string
	Type                   string
	Body                   []byte
}

// Told is an answer of the provider's.
type Told struct {
	Status    int
	Header    func(name string) string
	Type      string
	Body      []byte
	Succeeded bool  // by the provider's contract
	At        int64 // seconds since 1970
}

// Said is an answer in the API that the application speaks.
type Said struct {
	Status int
	Header [][2]string
	Body   []byte // JSON; nil: none
}

// read makes the tree of a call, once.
func (a *Heard) read(m *Mapped) error {
	if a.tree != nil {
		return nil
	}
	body, err := bodyTree(a.Type, a.Body)
	if err != nil {
		return fmt.Errorf("the body %w", err)
	}
	query, err := ReadForm([]byte(a.RawQuery))
	if err != nil {
		return fmt.Errorf("the query %w", err)
	}
	a.tree = map[string]any{
		"method": a.Method, "path": a.Path, "param": m.From.params(a.Path), "query": query, "header": shownHeaders(m.headers, a.Header), "body": body,
		"key": orNull(a.Key), "reference": orNull(a.Reference), "session": orNull(a.Session), "object": orNull(a.Object),
		"account": orNull(a.Account),
	}
	return nil
}

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func shownHeaders(list []string, header func(string) string) map[string]any {
	m := map[string]any{}
	for _, name := range list {
		if v := header(name); v != "" && len(v) <= maxFieldValue {
			m[strings.ToLower(name)] = strings.ToValidUTF8(v, "\uFFFD")
		}
	}
	return m
}

// errMedia says that a body is of a kind that no program can see.
var errMedia = errors.New("is neither JSON nor a form")

func bodyTree(media string, body []byte) (any, error) {
	if len(body) == 0 {
		return nil, nil
	}
	kind, _, err := mime.ParseMediaType(media)
	switch {
	case err != nil:
		return nil, errMedia
	case kind == "application/x-www-form-urlencoded":
		return ReadForm(body)
	case isJSON(kind):
		return ReadTree(body)
	default:
		return nil, errMedia
	}
}

func isJSON(kind string) bool { return kind == "application/json" || strings.HasSuffix(kind, "+json") }

// givenBy is what a program of a mapping may give.
func givenBy(program string) []string {
	switch program {
	case "request":
		return []string{"param", "path", "query", "header", "body", "form"}
	case "event":
		return []string{"send", "state", "end", "cut"}
	default:
		return []string{"status", "header", "body"}
	}
}

// members refuses what nobody reads in the result of a program.
func members(v any, known ...string) (map[string]any, error) {
	m, ok := v.(map[string]any)
	if !ok {
		return nil, errors.New("it gives no mapping")
	}
	for name := range m {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("it gives %s, which nobody reads; known: %s", clip(name), strings.Join(known, ", "))
		}
	}
	return m, nil
}

// Request maps a call. An error says that it cannot be made at this provider: nothing was sent.
func (m *Mapped) Request(ctx context.Context, a *Heard) (*Made, error) {
	if err := a.read(m); err != nil {
		return nil, err
	}
	v, err := m.run.request.run(ctx, a.tree)
	if err != nil {
		return nil, err
	}
	out, err := members(v, givenBy("request")...)
	if err != nil {
		return nil, err
	}
	made := &Made{Method: m.path.method}
	if made.Path, err = m.address(out, a.Object); err != nil {
		return nil, err
	}
	if q := out["query"]; q != nil {
		tree, ok := q.(map[string]any)
		if !ok {
			return nil, errors.New("query is no mapping")
		}
		text, err := WriteForm(tree)
		if err != nil {
			return nil, err
		}
		made.RawQuery = string(text)
	}
	if h := out["header"]; h != nil {
		if made.Header, err = headerLines(h, m.At.Credential.Header, "Authorization", m.At.Keys.Header, "Idempotency-Key"); err != nil {
			return nil, err
		}
	}
	return made, made.write(out)
}

// address is the path of the call at the provider. It must be one of the operation's.
func (m *Mapped) address(out map[string]any, object string) (string, error) {
	if p := out["path"]; p != nil {
		path, ok := p.(string)
		if !ok || len(path) > maxPath || !safePath(path) {
			return "", errors.New("path is no path")
		}
		if _, fits := m.path.match(path, -1); !fits {
			return "", fmt.Errorf("path is none of %s", m.To.Match)
		}
		return path, nil
	}
	values := map[string]any{"id": object}
	if p, ok := out["param"].(map[string]any); ok {
		for name, v := range p {
			values[name] = v
		}
	}
	return m.path.fill(values)
}

func (d *Made) write(out map[string]any) (err error) {
	body, form := out["body"], out["form"]
	switch {
	case body != nil && form != nil:
		return errors.New("it gives both body and form")
	case form != nil:
		tree, ok := form.(map[string]any)
		if !ok {
			return errors.New("form is no mapping")
		}
		d.Type = "application/x-www-form-urlencoded"
		d.Body, err = WriteForm(tree)
	case body != nil:
		d.Type = "application/json"
		d.Body, err = WriteTree(body)
	}
	return err
}

// answered is what the programs of answers and events see of call and answer.
func (m *Mapped) answered(a *Heard, t *Told) (map[string]any, error) {
	if err := a.read(m); err != nil {
		return nil, err
	}
	return map[string]any{
		"request": a.tree, "status": t.Status, "header": shownHeaders(m.headers, t.Header), "at": int(t.At),
		"key": a.tree["key"], "reference": a.tree["reference"], "session": a.tree["session"], "object": a.tree["object"],
		"account": a.tree["account"],
	}, nil
}

// Answer maps an answer. An error says that the application cannot be told it; what it proves is known all the same.
func (m *Mapped) Answer(ctx context.Context, a *Heard, t *Told) (*Said, error) {
	in, err := m.answered(a, t)
	if err != nil {
		return nil, err
	}
	body, err := bodyTree(t.Type, t.Body)
	if err != nil {
		if t.Succeeded {
			return nil, fmt.Errorf("the answer %w", err)
		}
		body = nil // a page of something on the way: the status says enough
	}
	in["body"] = body
	run, low, high := m.run.failed, 400, 599
	if t.Succeeded {
		run, low, high = m.run.answer, 200, 299
	}
	v, err := run.run(ctx, in)
	if err != nil {
		return nil, err
	}
	out, err := members(v, givenBy("answer")...)
	if err != nil {
		return nil, err
	}
	said := &Said{Status: t.Status}
	if s := out["status"]; s != nil {
		n, ok := wholeNumber(s)
		if !ok {
			return nil, errors.New("status is no number")
		}
		said.Status = n
	}
	if said.Status < low || said.Status > high {
		return nil, fmt.Errorf("status %d is not one from %d to %d", said.Status, low, high)
	}
	if h := out["header"]; h != nil {
		if said.Header, err = headerLines(h, "Set-Cookie", "Session-Id"); err != nil {
			return nil, err
		}
	}
	if b := out["body"]; b != nil {
		said.Body, err = WriteTree(b)
	}
	return said, err
}
