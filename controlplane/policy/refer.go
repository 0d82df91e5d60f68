package policy

import (
	"bytes"
	"encoding/json"
	"mime"
	"net/url"
	"strconv"
	"strings"
)

// Carrier says where a request of an operation carries our reference, and whose stays when the caller uses the field himself. ok is false
// where nothing reads it there.
func (c *Contract) Carrier(operation string) (by Field, wins Winner, ok bool) {
	l := &c.Recourse.Lookup
	if l.Match != "" && l.By != (Field{}) && meant(l.Of, operation) {
		return l.By, l.Wins, true
	}
	if h := &c.Webhooks; h.By != (Field{}) && meant(h.Of, operation) {
		return h.By, h.Wins, true
	}
	return Field{}, "", false
}

// PutField writes a value into a field of a body. Where the body has that field already it is taken: then nothing is written, or, over it, the
// value takes its place. All other bytes stay as they are. ok is false where it is taken, and where the body is of a kind that has no such
// field, or leaves open which value would count.
func PutField(contentType string, body []byte, name, value string, over bool) (with []byte, ok bool) {
	kind, _, err := mime.ParseMediaType(contentType)
	switch {
	case err != nil:
		return nil, false
	case kind == "application/x-www-form-urlencoded":
		return putForm(body, name, value, over)
	case kind == "application/json" || strings.HasSuffix(kind, "+json"):
		if !json.Valid(body) {
			return nil, false
		}
		return putJSON(body, strings.Split(name, "."), value, over)
	default:
		return nil, false
	}
}

func putForm(body []byte, name, value string, over bool) ([]byte, bool) {
	head, rest, nested := strings.Cut(name, ".")
	written := head
	if nested {
		written += "[" + strings.ReplaceAll(rest, ".", "][") + "]"
	}
	kept := make([][]byte, 0, 16)
	for pair := range bytes.SplitSeq(body, []byte("&")) {
		key, _, _ := bytes.Cut(pair, []byte("="))
		switch is := formName(string(key)); {
		case is == name && over:
			continue
		case is == name, nested && is == head, len(kept) > maxPairs: // metadata= takes all of metadata away
			return nil, false
		}
		if len(pair) > 0 || len(body) > 0 {
			kept = append(kept, pair)
		}
	}
	kept = append(kept, []byte(url.QueryEscape(written)+"="+url.QueryEscape(value)))
	return bytes.Join(kept, []byte("&")), true
}

// putJSON splices a value into a JSON value that is valid.
func putJSON(raw []byte, way []string, value string, over bool) ([]byte, bool) {
	lead := len(raw) - len(bytes.TrimLeft(raw, " \t\r\n"))
	if lead == len(raw) {
		return nil, false
	}
	switch raw[lead] {
	case '{':
		return putMember(raw, lead, way, value, over)
	case '[':
		return putElement(raw, way, value, over)
	default:
		return nil, false
	}
}

func putMember(raw []byte, lead int, way []string, value string, over bool) ([]byte, bool) {
	start, end, members := 0, 0, 0
	d := json.NewDecoder(bytes.NewReader(raw))
	if _, err := d.Token(); err != nil {
		return nil, false
	}
	for ; d.More(); members++ {
		key, err := d.Token()
		var member json.RawMessage
		if err != nil || d.Decode(&member) != nil {
			return nil, false
		}
		if key == way[0] {
			if end != 0 {
				return nil, false // it is there twice
			}
			end = int(d.InputOffset())
			start = end - len(member)
		}
	}
	switch {
	case end == 0:
		text, ok := nest(way, value)
		if ok && members > 0 {
			text += ","
		}
		return splice(raw, lead+1, lead+1, text), ok
	case len(way) > 1:
		inner, ok := putJSON(raw[start:end], way[1:], value, over)
		return splice(raw, start, end, string(inner)), ok
	default:
		return splice(raw, start, end, quoted(value)), over
	}
}

func putElement(raw []byte, way []string, value string, over bool) ([]byte, bool) {
	want, err := strconv.Atoi(way[0])
	if err != nil || len(way) == 1 {
		return nil, false
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	if _, err := d.Token(); err != nil {
		return nil, false
	}
	for i := 0; d.More(); i++ {
		var element json.RawMessage
		if d.Decode(&element) != nil {
			return nil, false
		}
		if i == want {
			end := int(d.InputOffset())
			inner, ok := putJSON(element, way[1:], value, over)
			return splice(raw, end-len(element), end, string(inner)), ok
		}
	}
	return nil, false
}

// nest is a member of an object, with all that is on the way to it. Lists are never made up.
func nest(way []string, value string) (string, bool) {
	text := quoted(value)
	for i := len(way) - 1; i >= 0; i-- {
		if _, err := strconv.Atoi(way[i]); err == nil {
			return "", false
		}
		if text = quoted(way[i]) + ":" + text; i > 0 {
			text = "{" + text + "}"
		}
	}
	return text, true
}

func quoted(text string) string { return `"` + inJSON(text) + `"` }

func splice(raw []byte, from, to int, text string) []byte {
	out := make([]byte, 0, len(raw)+len(text))
	out = append(append(out, raw[:from]...), text...)
	return append(out, raw[to:]...)
}
