package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
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
	if !json.Valid(body) {
		return unfit("it does not parse as one JSON value")
	}
	if name, twice := repeated(body); twice {
		return unfit(fmt.Sprintf("the field %q stands twice", name))
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	return wrongBody(d.Decode(into))
}

func unfit(why string) error {
	return refusal(state.Invalid, "the body is not the JSON that is wanted here: "+why)
}

// wrongBody says in the API's words what does not fit.
func wrongBody(err error) error {
	var kind *json.UnmarshalTypeError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &kind) && kind.Field != "":
		return unfit(fmt.Sprintf("%s: %s is given, %s is wanted", kind.Field, kind.Value, kind.Type))
	case errors.As(err, &kind):
		return unfit(kind.Value + " is given, an object with fields is wanted")
	default:
		return unfit(strings.TrimPrefix(err.Error(), "json: "))
	}
}

// repeated returns a field that the outer object has twice: of two weights for one provider, none may win in silence.
func repeated(body []byte) (name string, twice bool) {
	d := json.NewDecoder(bytes.NewReader(body))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return "", false
	}
	seen := map[string]bool{}
	for d.More() {
		key, err := d.Token()
		name, ok := key.(string)
		if err != nil || !ok {
			return "", false
		}
		if seen[name] {
			return name, true
		}
		seen[name] = true
		var value json.RawMessage
		if d.Decode(&value) != nil {
			return "", false
		}
	}
	return "", false
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
			return nil, unfit(fmt.Sprintf("%s: %.40s is given, a share in percent is wanted, like 40", name, text))
		}
		weights = append(weights, w)
	}
	return weights, nil
}
