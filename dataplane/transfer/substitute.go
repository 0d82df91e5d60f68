package transfer

import (
	"bytes"
	"encoding/json"
	"mime"
	"net/url"
	"slices"
	"strings"

	"segue/controlplane/policy"
	"segue/dataplane/message"
)

// substituted is a request in which a field that says one of the known names says the provider's own. A field that says something else is
// none of the session's, and stays.
func substituted(r *message.Request, at policy.Field, known []string, theirs string) *message.Request {
	if at.In == "header" {
		if v := r.Header.Get(at.Name); v == theirs || !slices.Contains(known, v) {
			return r
		}
		out := *r
		out.Header = slices.Clone(r.Header)
		out.Header.Set(at.Name, theirs)
		return &out
	}
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || len(r.Body) == 0 {
		return r
	}
	var body []byte
	switch {
	case kind == "application/x-www-form-urlencoded":
		body = inForm(r.Body, bracketed(at.Name), known, theirs)
	case kind == "application/json" || strings.HasSuffix(kind, "+json"):
		body = inJSON(r.Body, strings.Split(at.Name, "."), known, theirs)
	}
	if body == nil {
		return r
	}
	out := *r
	out.Body = body
	return &out
}

// inForm rewrites the pairs under a name; nil: there is nothing to rewrite. All else stays byte for byte.
func inForm(body []byte, name string, known []string, theirs string) []byte {
	pairs := bytes.Split(body, []byte("&"))
	found := false
	for i, pair := range pairs {
		rawName, rawValue, _ := bytes.Cut(pair, []byte("="))
		got, err := url.QueryUnescape(string(rawName))
		if err != nil || got != name {
			continue
		}
		value, err := url.QueryUnescape(string(rawValue))
		if err != nil || value == theirs || !slices.Contains(known, value) {
			continue
		}
		pairs[i] = append(append(bytes.Clone(rawName), '='), url.QueryEscape(theirs)...)
		found = true
	}
	if !found {
		return nil
	}
	return bytes.Join(pairs, []byte("&"))
}

// inJSON rewrites the text at a dotted name; nil: there is nothing to rewrite. All else stays byte for byte.
func inJSON(body []byte, path []string, known []string, theirs string) []byte {
	d := json.NewDecoder(bytes.NewReader(body))
	start, end, value, ok := find(d, path, 0)
	if !ok || value == theirs || !slices.Contains(known, value) || !json.Valid(body) {
		return nil
	}
	from := bytes.IndexByte(body[start:end], '"') // between the tokens stand a colon and white space
	text, err := json.Marshal(theirs)
	if from < 0 || err != nil {
		return nil
	}
	return slices.Concat(body[:start+from], text, body[end:])
}

const maxDepth = 32

// find walks to the text at path, and says between which bytes it stands.
func find(d *json.Decoder, path []string, depth int) (start, end int, value string, ok bool) {
	t, err := d.Token()
	if err != nil || t != json.Delim('{') || depth > maxDepth {
		return 0, 0, "", false
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return 0, 0, "", false
		}
		if key != path[0] {
			var skipped json.RawMessage
			if d.Decode(&skipped) != nil {
				return 0, 0, "", false
			}
			continue
		}
		if len(path) > 1 {
			return find(d, path[1:], depth+1)
		}
		start = int(d.InputOffset())
		t, err := d.Token()
		text, isText := t.(string)
		return start, int(d.InputOffset()), text, err == nil && isText
	}
	return 0, 0, "", false
}
