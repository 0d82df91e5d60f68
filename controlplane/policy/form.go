package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// errForm says that a form is no tree that one could read in one way only.
var errForm = errors.New("cannot be read as a form")

// ReadForm reads an application/x-www-form-urlencoded text into a tree of texts: metadata[order]=o1 is {"metadata":{"order":"o1"}},
// items[0]=a&items[1]=b and items[]=a&items[]=b are {"items":["a","b"]}, and a name that is there several times is a list too. A name
// that is both a text and more, and a list with holes, are refused.
func ReadForm(text []byte) (map[string]any, error) {
	if len(text) > MaxTree {
		return nil, fmt.Errorf("%w: it has %d bytes, more than %d", errForm, len(text), MaxTree)
	}
	root := &formNode{}
	for n := 0; len(text) > 0; n++ {
		if n == maxPairs {
			return nil, fmt.Errorf("%w: it has more than %d fields", errForm, maxPairs)
		}
		var pair []byte
		pair, text, _ = bytes.Cut(text, []byte("&"))
		if len(pair) == 0 {
			continue
		}
		if err := root.read(string(pair)); err != nil {
			return nil, err
		}
	}
	v, err := root.tree()
	if err != nil {
		return nil, err
	}
	if m, ok := v.(map[string]any); ok {
		return m, nil
	}
	return nil, fmt.Errorf("%w: it is a list", errForm)
}

// formNode is a name's part of a form: texts, or names below it.
type formNode struct {
	texts []string
	order []string // of below, as they came
	below map[string]*formNode
	many  bool // its texts were written with []
}

func (n *formNode) read(pair string) error {
	rawKey, rawValue, _ := strings.Cut(pair, "=")
	key, err := url.QueryUnescape(rawKey)
	value, err2 := url.QueryUnescape(rawValue)
	if err != nil || err2 != nil || !utf8.ValidString(key) || !utf8.ValidString(value) {
		return fmt.Errorf("%w: a field is not escaped as forms are, or no UTF-8", errForm)
	}
	parts, many, err := formParts(key)
	if err != nil {
		return err
	}
	for _, p := range parts {
		if n.below == nil {
			n.below = map[string]*formNode{}
		}
		next := n.below[p]
		if next == nil {
			next = &formNode{}
			n.below[p], n.order = next, append(n.order, p)
		}
		n = next
	}
	if len(n.texts) > 0 && n.many != many {
		return fmt.Errorf("%w: a name is written in two ways", errForm)
	}
	n.texts, n.many = append(n.texts, value), many
	return nil
}

// formParts takes a[b][0] apart; many: it ends with [].
func formParts(key string) (parts []string, many bool, err error) {
	head, rest, nested := strings.Cut(key, "[")
	parts = []string{head}
	wrong := head == "" || strings.Contains(head, "]")
	if nested {
		if key, many = strings.CutSuffix(key, "[]"); many {
			rest = strings.TrimPrefix(strings.TrimPrefix(key, head), "[")
		}
		wrong = wrong || rest == "" && !many
		if rest != "" {
			inner, closed := strings.CutSuffix(rest, "]")
			parts = append(parts, strings.Split(inner, "][")...)
			wrong = wrong || !closed
		}
	}
	for _, p := range parts[1:] {
		wrong = wrong || p == "" || strings.ContainsAny(p, "[]")
	}
	if wrong || len(parts) > maxFieldParts {
		return nil, false, fmt.Errorf("%w: a name is not like metadata[order]", errForm)
	}
	return parts, many, nil
}

func (n *formNode) tree() (any, error) {
	if len(n.below) == 0 {
		switch {
		case n.many || len(n.texts) > 1:
			list := make([]any, len(n.texts))
			for i, s := range n.texts {
				list[i] = s
			}
			return list, nil
		case len(n.texts) == 1:
			return n.texts[0], nil
		}
		return map[string]any{}, nil
	}
	if len(n.texts) > 0 {
		return nil, fmt.Errorf("%w: a name is both a text and more", errForm)
	}
	m := make(map[string]any, len(n.below))
	for _, name := range n.order {
		v, err := n.below[name].tree()
		if err != nil {
			return nil, err
		}
		m[name] = v
	}
	return listed(m), nil
}

// listed makes a list of a mapping whose names are 0, 1, 2 and so on.
func listed(m map[string]any) any {
	list := make([]any, len(m))
	for i := range list {
		v, ok := m[strconv.Itoa(i)]
		if !ok {
			return m
		}
		list[i] = v
	}
	return list
}

// WriteForm writes a tree as a form, names in order: the same tree is always the same bytes. Null is left out; an empty list or mapping
// cannot be said in a form and is left out too.
func WriteForm(tree map[string]any) ([]byte, error) {
	if err := measured(tree, MaxTree); err != nil {
		return nil, err
	}
	w := formWriter{}
	if err := w.mapping("", tree, 0); err != nil {
		return nil, err
	}
	if w.b.Len() > MaxTree {
		return nil, errLarge
	}
	return w.b.Bytes(), nil
}

type formWriter struct{ b bytes.Buffer }

func (w *formWriter) mapping(name string, m map[string]any, depth int) error {
	if depth == maxFieldParts {
		return fmt.Errorf("cannot be written as a form: nested deeper than %d", maxFieldParts)
	}
	keys := make([]string, 0, len(m))
	for k := range m {
		if k == "" || strings.ContainsAny(k, "[]") {
			return errors.New("cannot be written as a form: a name in it is none")
		}
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		below := k
		if name != "" {
			below = name + "[" + k + "]"
		}
		if err := w.value(below, m[k], depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (w *formWriter) value(name string, v any, depth int) error {
	switch v := v.(type) {
	case nil:
	case string:
		w.pair(name, v)
	case bool:
		w.pair(name, strconv.FormatBool(v))
	case int:
		w.pair(name, strconv.Itoa(v))
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return errors.New("cannot be written as a form: a number in it is none")
		}
		w.pair(name, strconv.FormatFloat(v, 'f', -1, 64))
	case *big.Int:
		w.pair(name, v.String())
	case json.Number:
		w.pair(name, v.String())
	case []any:
		if depth == maxFieldParts && len(v) > 0 {
			return fmt.Errorf("cannot be written as a form: nested deeper than %d", maxFieldParts)
		}
		for i := range v {
			if err := w.value(name+"["+strconv.Itoa(i)+"]", v[i], depth+1); err != nil {
				return err
			}
		}
	case map[string]any:
		return w.mapping(name, v, depth)
	default:
		return fmt.Errorf("cannot be written as a form: a value is %T", v)
	}
	return nil
}

func (w *formWriter) pair(name, value string) {
	if w.b.Len() > 0 {
		w.b.WriteByte('&')
	}
	w.b.WriteString(url.QueryEscape(name))
	w.b.WriteByte('=')
	w.b.WriteString(url.QueryEscape(value))
}
