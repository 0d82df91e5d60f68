package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"strconv"
	"unicode/utf8"
)

// Bounds of a tree: a body as programs of a mapping see it.
const (
	MaxTree     = 1 << 20 // bytes, read or written
	maxNodes    = 100_000
	maxDigits   = 64 // of a number: beyond any amount, id or time
	nodeCharge  = 16 // what a value takes at least, beside its text
	numberBytes = 24 // of a number, written
)

// errTree says that a body is no tree that one could read in one way only.
var errTree = errors.New("cannot be read as JSON")

// ReadTree reads a JSON text into null, bool, int, json.Number (what is no int), string, []any and map[string]any. What two readers could take
// differently is refused: a name twice, bytes that are no UTF-8, a second text behind the first.
func ReadTree(text []byte) (any, error) {
	if len(text) > MaxTree {
		return nil, fmt.Errorf("%w: it has %d bytes, more than %d", errTree, len(text), MaxTree)
	}
	if !utf8.Valid(text) {
		return nil, fmt.Errorf("%w: it holds bytes that are not UTF-8", errTree)
	}
	r := treeReader{d: json.NewDecoder(bytes.NewReader(text)), left: maxNodes}
	r.d.UseNumber()
	v, err := r.value(0)
	if err != nil {
		return nil, err
	}
	if _, err := r.d.Token(); err != io.EOF {
		return nil, fmt.Errorf("%w: something follows its end", errTree)
	}
	return v, nil
}

// treeReader reads one text token by token, so that its bounds hold before memory is taken.
type treeReader struct {
	d    *json.Decoder
	left int
}

func (r *treeReader) value(depth int) (any, error) {
	t, err := r.d.Token()
	if err != nil {
		return nil, fmt.Errorf("%w: it is not whole, or no JSON", errTree)
	}
	if r.left--; r.left < 0 {
		return nil, fmt.Errorf("%w: it has more than %d values", errTree, maxNodes)
	}
	switch t := t.(type) {
	case json.Delim:
		if depth == maxJSONDepth {
			return nil, fmt.Errorf("%w: it is nested deeper than %d", errTree, maxJSONDepth)
		}
		if t == '{' {
			return r.object(depth)
		}
		return r.array(depth)
	case json.Number:
		return number(t)
	default:
		return t, nil
	}
}

func (r *treeReader) object(depth int) (any, error) {
	m := map[string]any{}
	for r.d.More() {
		k, err := r.d.Token()
		name, ok := k.(string)
		if err != nil || !ok {
			return nil, fmt.Errorf("%w: it is not whole, or no JSON", errTree)
		}
		if _, twice := m[name]; twice {
			return nil, fmt.Errorf("%w: a name is there twice", errTree)
		}
		if m[name], err = r.value(depth + 1); err != nil {
			return nil, err
		}
	}
	return m, r.close()
}

func (r *treeReader) array(depth int) (any, error) {
	list := []any{}
	for r.d.More() {
		v, err := r.value(depth + 1)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, r.close()
}

func (r *treeReader) close() error {
	if _, err := r.d.Token(); err != nil {
		return fmt.Errorf("%w: it is not whole, or no JSON", errTree)
	}
	return nil
}

// number keeps every number as it was written.
func number(text json.Number) (any, error) {
	if len(text) > maxDigits {
		return nil, fmt.Errorf("%w: a number has more than %d digits", errTree, maxDigits)
	}
	if n, err := strconv.Atoi(string(text)); err == nil && strconv.Itoa(n) == string(text) {
		return n, nil
	}
	return text, nil
}

// WriteTree writes a tree as JSON, the names of an object in order: the same tree is always the same bytes.
func WriteTree(v any) ([]byte, error) {
	if err := measured(v, MaxTree); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, fmt.Errorf("cannot be written as JSON: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// errLarge says that a value is over its bound.
var errLarge = fmt.Errorf("a value is larger than %d bytes", MaxTree)

// measured looks at a value as large as it would be written. Parts that stand in it several times count each time.
func measured(v any, most int) error {
	if measure(v, most, 0) < 0 {
		return errLarge
	}
	return nil
}

// measure takes the size of v away from left; below 0 it stops.
func measure(v any, left, depth int) int {
	left -= nodeCharge
	switch v := v.(type) {
	case string:
		left -= len(v)
	case []any:
		if depth > 4*maxJSONDepth {
			return -1
		}
		for i := 0; i < len(v) && left >= 0; i++ {
			left = measure(v[i], left, depth+1)
		}
	case map[string]any:
		if depth > 4*maxJSONDepth {
			return -1
		}
		for k, e := range v {
			if left = measure(e, left-len(k), depth+1); left < 0 {
				return left
			}
		}
	case *big.Int:
		left -= v.BitLen() / 3
	default:
		left -= numberBytes - nodeCharge
	}
	return left
}
