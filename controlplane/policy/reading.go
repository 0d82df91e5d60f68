package policy

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

// Item is what a lookup's answer shows of a request.
type Item struct {
	Shows Shown
	ID    string // of the object, if it says one
	Body  []byte // the object as it stands in the answer
	Twice bool   // more than one object carries our reference: the provider executed it more than once
}

// Read says what an answer of the lookup shows of the request with our reference. What is not an item of ours, whole and in a form that the
// contract knows, shows nothing: above all it does not show that there is none.
func (l *Lookup) Read(status int, body []byte, reference, objectID string) Item {
	if slices.Contains(l.Absent, status) {
		return Item{Shows: ShowsAbsent}
	}
	if status < 200 || status > 299 {
		return Item{}
	}
	doc, ok := oneValue(body)
	if !ok {
		return Item{}
	}
	list := []json.RawMessage{doc}
	if l.Items != "" {
		found, there := within(doc, l.Items)
		if !there || found[0] != '[' || json.Unmarshal(found, &list) != nil {
			return Item{}
		}
		if len(list) == 0 {
			return Item{Shows: ShowsAbsent}
		}
	}
	var mine []Item
	for _, raw := range list {
		if word(raw, l.ReferenceIn()) == reference && reference != "" {
			mine = append(mine, l.item(raw, objectID))
		}
	}
	return single(mine)
}

func (l *Lookup) item(raw json.RawMessage, objectID string) Item {
	id := l.ID
	if id == "" {
		id = objectID
	}
	return Item{Shows: l.States.Read(raw), ID: word(raw, id), Body: raw}
}

// single is the item that counts: one that was executed before all others.
func single(mine []Item) Item {
	if len(mine) == 0 {
		return Item{}
	}
	best := mine[0]
	for _, i := range mine[1:] {
		if i.Shows == ShowsSucceeded && best.Shows != ShowsSucceeded {
			best = i
		} else if i.Shows != best.Shows && best.Shows != ShowsSucceeded {
			best.Shows = ShowsNothing // they contradict each other, and none is known to be executed
		}
	}
	best.Twice = len(mine) > 1
	return best
}

// Read says what the words of a JSON object mean.
func (s *States) Read(raw []byte) Shown {
	if len(s.In) == 0 {
		return ShowsNothing
	}
	words := make([]string, len(s.In))
	for i, f := range s.In {
		if words[i] = word(raw, f); words[i] == "" {
			return ShowsNothing
		}
	}
	says := strings.Join(words, " ")
	for _, l := range s.lists() {
		if slices.Contains(l.Words, says) {
			return l.Means
		}
	}
	return ShowsNothing
}

// Read says what an answer of the cancel means.
func (c *Cancel) Read(status int, body []byte) Shown {
	doc, whole := oneValue(body)
	for _, r := range c.Answers {
		if status >= r.From && status <= r.To && (r.In == "" || whole && word(doc, r.In) == r.Is) {
			return r.Means
		}
	}
	switch {
	case status < 200 || status > 299:
		return ShowsNothing
	case c.State == CancelFinal:
		return ShowsVoided
	default:
		return ShowsQueued
	}
}

// oneValue is a body that is one JSON value, and nothing after it.
func oneValue(body []byte) (json.RawMessage, bool) {
	body = bytes.TrimSpace(body)
	return body, len(body) > 0 && json.Valid(body)
}

// within walks a JSON value by a dotted name; parts of lists are numbers. A name that stands there twice leads nowhere.
func within(raw json.RawMessage, name string) (json.RawMessage, bool) {
	for part := range strings.SplitSeq(name, ".") {
		var ok bool
		if raw, ok = step(raw, part); !ok {
			return nil, false
		}
	}
	return raw, true
}

func step(raw json.RawMessage, part string) (json.RawMessage, bool) {
	switch {
	case len(raw) == 0:
		return nil, false
	case raw[0] == '[':
		var list []json.RawMessage
		i, err := strconv.Atoi(part)
		if err != nil || json.Unmarshal(raw, &list) != nil || i < 0 || i >= len(list) {
			return nil, false
		}
		return list[i], true
	case raw[0] != '{':
		return nil, false
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	if _, err := d.Token(); err != nil {
		return nil, false
	}
	var found json.RawMessage
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, false
		}
		var value json.RawMessage
		if d.Decode(&value) != nil {
			return nil, false
		}
		if key == part {
			if found != nil {
				return nil, false // two readers could take either
			}
			found = value
		}
	}
	return found, found != nil
}

// word is a text, a number or a boolean of a JSON object, by its dotted name; "" where it is none of them, or too long.
func word(raw json.RawMessage, name string) string {
	if name == "" {
		return ""
	}
	found, ok := within(raw, name)
	if !ok || len(found) == 0 || len(found) > 2*maxFieldValue {
		return ""
	}
	var text string
	switch found[0] {
	case '{', '[', 'n':
		return ""
	case '"':
		if json.Unmarshal(found, &text) != nil {
			return ""
		}
	default:
		text = string(found)
	}
	if len(text) > maxFieldValue {
		return ""
	}
	return text
}
