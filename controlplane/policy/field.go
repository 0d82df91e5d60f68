package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/url"
	"strconv"
	"strings"
)

// Bounds of reading one value out of a body that somebody else wrote.
const (
	maxFieldParts = 8
	maxFieldValue = 4096 // ids and the parts of a derived key are short; anything longer is not one
	maxPairs      = 10_000
)

// ParseField reads body.metadata.order, path.id or header.X-Order.
func ParseField(text string) (Field, error) {
	in, name, ok := strings.Cut(text, ".")
	f := Field{In: in, Name: name}
	if !ok || f.problem() != "" || len(text) > maxText {
		return Field{}, errors.New("not a field, like body.charge, path.id or header.X-Order")
	}
	return f, nil
}

func (f Field) problem() string {
	switch f.In {
	case "body":
		parts := strings.Split(f.Name, ".")
		if len(parts) > maxFieldParts {
			return "is nested too deep"
		}
		for _, p := range parts {
			if p == "" || strings.ContainsAny(p, "[] \t\n\r") || strings.ContainsFunc(p, unprintable) {
				return "is no field of a body"
			}
		}
		return ""
	case "path":
		return nameProblem(f.Name)
	case "header":
		if !token(f.Name) {
			return "is no header's name"
		}
		return ""
	default:
		return "stands neither in body, path nor header"
	}
}

func unprintable(r rune) bool { return !strconv.IsPrint(r) }

// token tells whether s can be a header's name (RFC 9110).
func token(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !lowerOrDigit(c) && (c < 'A' || c > 'Z') && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return s != "" && len(s) <= maxName
}

// String is the field as the document writes it.
func (f Field) String() string { return f.In + "." + f.Name }

// Value reads a field of a call. header returns the first line of that name. A field that is absent, empty, too long, or that
// stands there twice with different values is not found: two readers could take either.
func (o *Operation) Value(f Field, path, contentType string, body []byte, header func(name string) string) (string, bool) {
	switch f.In {
	case "body":
		return BodyField(contentType, body, f.Name)
	case "path":
		return o.Param(path, f.Name)
	case "header":
		if v := header(f.Name); v != "" && len(v) <= maxFieldValue {
			return v, true
		}
		return "", false
	default:
		return "", false
	}
}

// BodyField reads one value of a body by its dotted name: metadata.order is metadata[order] in a form and
// {"metadata":{"order":…}} in JSON. Only texts, numbers and booleans are values.
func BodyField(contentType string, body []byte, name string) (string, bool) {
	kind, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return "", false
	}
	var value string
	var ok bool
	switch {
	case kind == "application/x-www-form-urlencoded":
		value, ok = formField(body, name)
	case kind == "application/json" || strings.HasSuffix(kind, "+json"):
		value, ok = jsonField(body, name)
	}
	if !ok || value == "" || len(value) > maxFieldValue {
		return "", false
	}
	return value, true
}

func formField(body []byte, name string) (value string, found bool) {
	for range maxPairs {
		var pair []byte
		var more bool
		pair, body, more = bytes.Cut(body, []byte("&"))
		rawKey, rawValue, _ := bytes.Cut(pair, []byte("="))
		if len(rawKey) <= 3*maxFieldValue && formName(string(rawKey)) == name {
			v, err := url.QueryUnescape(string(rawValue))
			if err != nil || found && v != value {
				return "", false
			}
			value, found = v, true
		}
		if !more {
			return value, found
		}
	}
	return "", false // too many to be sure that the name does not stand there again
}

// formName turns an escaped metadata[order] into metadata.order; "" where it is neither.
func formName(escaped string) string {
	key, err := url.QueryUnescape(escaped)
	if err != nil {
		return ""
	}
	head, rest, nested := strings.Cut(key, "[")
	if !nested {
		return key
	}
	if !strings.HasSuffix(rest, "]") {
		return ""
	}
	return head + "." + strings.ReplaceAll(strings.TrimSuffix(rest, "]"), "][", ".")
}

// jsonField walks to the value token by token, so that a large body is not built up in memory.
func jsonField(body []byte, name string) (string, bool) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	w := jsonWalk{d: d, want: strings.Split(name, ".")}
	if w.value(0, true) != nil || w.times != 1 {
		return "", false
	}
	if _, err := d.Token(); err != io.EOF { // a second document: nobody knows which one counts
		return "", false
	}
	return w.found, true
}

// jsonWalk reads a JSON text to its end and keeps the value at want.
type jsonWalk struct {
	d     *json.Decoder
	want  []string
	found string
	times int
}

const maxJSONDepth = 64

var errTooDeep = errors.New("nested too deep")

// value reads one value. on says that the way here is the beginning of want, of which depth parts are passed.
func (w *jsonWalk) value(depth int, on bool) error {
	t, err := w.d.Token()
	if err != nil {
		return err
	}
	delim, nested := t.(json.Delim)
	if !nested {
		if on && depth == len(w.want) {
			w.keep(t)
		}
		return nil
	}
	if depth == maxJSONDepth {
		return errTooDeep
	}
	for i := 0; w.d.More(); i++ {
		key := strconv.Itoa(i)
		if delim == '{' {
			k, err := w.d.Token()
			if err != nil {
				return err
			}
			key, _ = k.(string)
		}
		if err := w.value(depth+1, on && depth < len(w.want) && key == w.want[depth]); err != nil {
			return err
		}
	}
	_, err = w.d.Token()
	return err
}

func (w *jsonWalk) keep(t json.Token) {
	switch v := t.(type) {
	case string:
		w.found = v
	case json.Number:
		w.found = v.String()
	case bool:
		w.found = strconv.FormatBool(v)
	default: // null is no value
		return
	}
	w.times++
}
