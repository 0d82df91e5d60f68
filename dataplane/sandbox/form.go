package sandbox

import (
	"net/url"
	"strconv"
	"strings"
)

// form is the parameters of a request, as Stripe encodes them: a=1&metadata[order]=x.
type form struct{ url.Values }

func parseForm(encoded string) (form, *apiError) {
	v, err := url.ParseQuery(encoded)
	if err != nil {
		return form{}, invalid("", "", "The request body is not a valid form: "+err.Error())
	}
	return form{v}, nil
}

// apiError is Stripe's error object, with the status it is sent with.
type apiError struct {
	Status      int            `json:"-"`
	Type        string         `json:"type"`
	Code        string         `json:"code,omitempty"`
	DeclineCode string         `json:"decline_code,omitempty"`
	Message     string         `json:"message"`
	Param       string         `json:"param,omitempty"`
	Charge      string         `json:"charge,omitempty"`
	Intent      map[string]any `json:"payment_intent,omitempty"`
}

func invalid(param, code, message string) *apiError {
	return &apiError{Status: 400, Type: "invalid_request_error", Code: code, Param: param, Message: message}
}

func missing(param string) *apiError {
	return invalid(param, "parameter_missing", "Missing required param: "+param+".")
}

func noSuch(kind, param, id string) *apiError {
	f := invalid(param, "resource_missing", "No such "+kind+": '"+id+"'")
	f.Status = 404
	return f
}

// amount reads a whole, positive number of minor units.
func (f form) amount(param string) (int64, *apiError) {
	text := f.Get(param)
	if text == "" {
		return 0, missing(param)
	}
	n, err := strconv.ParseInt(text, 10, 64)
	switch {
	case err != nil:
		return 0, invalid(param, "parameter_invalid_integer", "Invalid integer: "+text)
	case n < 1:
		return 0, invalid(param, "parameter_invalid_integer", "Invalid positive integer")
	case n > maxAmount:
		return 0, invalid(param, "amount_too_large", "Amount must be no more than $999,999.99")
	}
	return n, nil
}

const maxAmount = 99_999_999 // Stripe's own limit: eight digits

func (f form) currency() (string, *apiError) {
	c := strings.ToLower(f.Get("currency"))
	switch {
	case c == "":
		return "", missing("currency")
	case len(c) != 3 || strings.Trim(c, "abcdefghijklmnopqrstuvwxyz") != "":
		return "", invalid("currency", "", "Invalid currency: "+c)
	}
	return c, nil
}

// metadata collects metadata[x]=y.
func (f form) metadata() map[string]string {
	out := map[string]string{}
	for k, v := range f.Values {
		if name, ok := strings.CutPrefix(k, "metadata["); ok && strings.HasSuffix(name, "]") {
			out[strings.TrimSuffix(name, "]")] = v[0]
		}
	}
	return out
}

func (f form) flag(param string, otherwise bool) bool {
	switch f.Get(param) {
	case "true":
		return true
	case "false":
		return false
	}
	return otherwise
}

// declines says why a payment with this card and amount is declined; "" means that it is not. Stripe's test cards work, and so does the
// amount 402.00.
func declines(card string, amount int64) string {
	low := strings.ToLower(card)
	switch {
	case strings.Contains(low, "insufficientfunds"):
		return "insufficient_funds"
	case strings.Contains(low, "chargedeclined"), amount == declinedAmount:
		return "generic_decline"
	}
	return ""
}

const declinedAmount = 40_200

func declined(reason, charge string) *apiError {
	return &apiError{Status: 402, Type: "card_error", Code: "card_declined", DeclineCode: reason, Message: "Your card was declined.", Charge: charge}
}
