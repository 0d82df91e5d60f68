package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"segue/controlplane/policy"
	"segue/controlplane/state"
)

// readJSON reads a body; an empty one is nothing to read. What would be ignored is an error: an unknown field, a field that stands twice,
// text behind the end. What is ignored is not noticed.
func readJSON(c echo.Context, into any) error {
	body, err := io.ReadAll(c.Request().Body)
	if err != nil {
		return fmt.Errorf("web: body: %w", err)
	}
	if len(bytes.TrimSpace(body)) == 0 {
		return nil
	}
	if err := json.Unmarshal(body, new(json.RawMessage)); err != nil {
		return unparsed(body, err)
	}
	outer := fields(body)
	_, names := into.(*map[string]json.RawMessage) // its keys are names; those of an object are read in small and capital letters
	if f, twice := repeated(outer, !names); twice {
		return unfitAt(body, f.at, f.name, fmt.Sprintf("the field %q stands twice", f.name))
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	return wrongBody(body, outer, d.Decode(into))
}

func unfit(why string) *state.Error {
	return refusal(state.Invalid, "the body is not the JSON that is wanted here: "+why)
}

// unfitAt is unfit with the field and its place in the body, counted from 1.
func unfitAt(body []byte, at int64, field, why string) error {
	e := unfit(why)
	before := body[:min(max(int(at), 0), len(body))]
	line, column := 1+bytes.Count(before, []byte{'\n'}), len(before)-bytes.LastIndexByte(before, '\n')
	e.Problems = policy.Problems{{Line: line, Col: column, Path: field, Message: why}}
	return e
}

func unparsed(body []byte, err error) error {
	var syntax *json.SyntaxError
	if !errors.As(err, &syntax) {
		return unfit("it does not parse as one JSON value")
	}
	return unfitAt(body, max(0, syntax.Offset-1), "", "it does not parse as one JSON value: "+syntax.Error())
}

// wrongBody says in the API's words what does not fit.
func wrongBody(body []byte, outer []field, err error) error {
	var kind *json.UnmarshalTypeError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &kind) && kind.Field != "":
		return unfitAt(body, kind.Offset-1, kind.Field, fmt.Sprintf("%s: %s is given, %s is wanted", kind.Field, kind.Value, kind.Type))
	case errors.As(err, &kind):
		return unfitAt(body, 0, "", kind.Value+" is given, an object with fields is wanted")
	}
	why := strings.TrimPrefix(err.Error(), "json: ")
	_, name, _ := strings.Cut(why, "unknown field ")
	name = strings.Trim(name, `"`)
	for _, f := range outer {
		if f.name == name {
			return unfitAt(body, f.at, name, why)
		}
	}
	return unfit(why)
}

// field is one field of the outer object, and where it stands.
type field struct {
	name string
	at   int64
}

// fields are those of the outer object, in their order; none where the body is no object.
func fields(body []byte) (list []field) {
	d := json.NewDecoder(bytes.NewReader(body))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return nil
	}
	for d.More() {
		key, err := d.Token()
		name, ok := key.(string)
		if err != nil || !ok {
			return list
		}
		list = append(list, field{name, d.InputOffset() - int64(len(strconv.Quote(name)))})
		var value json.RawMessage
		if d.Decode(&value) != nil {
			return list
		}
	}
	return list
}

// repeated returns a field that stands twice: of two weights for one provider, none may win in silence.
func repeated(list []field, anyCase bool) (field, bool) {
	seen := map[string]bool{}
	for _, f := range list {
		name := f.name
		if anyCase {
			name = strings.ToLower(strings.ToUpper(name)) // as encoding/json finds its fields
		}
		if seen[name] {
			return f, true
		}
		seen[name] = true
	}
	return field{}, false
}

// readShares reads {"main": 40, "backup": 60}.
func readShares(c echo.Context) ([]policy.Weight, error) {
	var shares map[string]json.RawMessage
	if err := readJSON(c, &shares); err != nil {
		return nil, err
	}
	var weights []policy.Weight
	for _, name := range slices.Sorted(keys(shares)) {
		w := policy.Weight{Provider: name}
		if text := string(shares[name]); text == "null" || json.Unmarshal(shares[name], &w.Percent) != nil {
			why := fmt.Sprintf("%s: %.40s is given, a share in percent is wanted, like 40", name, text)
			e := unfit(why)
			e.Problems = policy.Problems{{Path: name, Message: why}}
			return nil, e
		}
		weights = append(weights, w)
	}
	return weights, nil
}
