package policy

import (
	"errors"
	"math"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
	"golang.org/x/text/currency"
)

// ValueRule says where a call's value stands: an amount and its currency. The zero rule: nobody says, unless the call does.
type ValueRule struct {
	Amount, Currency Field
	Major            bool // the amount is in the currency's main unit, 12.90; otherwise in its smallest, 1290
}

// Set tells whether there is a rule.
func (r ValueRule) Set() bool { return r.Amount.Name != "" }

// moneyRule is money(body): the form that most payment APIs have.
var moneyRule = ValueRule{Amount: Field{"body", "amount"}, Currency: Field{"body", "currency"}}

// Value is what a call is worth, in the smallest unit of its currency. The zero Value: nobody said.
type Value struct {
	Minor    int64
	Currency string // ISO 4217, capitals
}

// MaxMinor bounds a Value, so that many of them can be added up.
const MaxMinor = 1_000_000_000_000_000

var (
	errAmount   = errors.New("the amount is no number of the currency's units, at most 10^15 of the smallest")
	errCurrency = errors.New("the currency is none of ISO 4217")
)

// ParseValue reads an amount in a currency's smallest unit, or with major in its main one. Nothing is rounded.
func ParseValue(amount, code string, major bool) (Value, error) {
	unit, err := currency.ParseISO(code)
	if err != nil {
		return Value{}, errCurrency
	}
	if major {
		scale, _ := currency.Standard.Rounding(unit)
		if amount, err = minor(amount, scale); err != nil {
			return Value{}, err
		}
	}
	n, err := strconv.ParseInt(amount, 10, 64)
	if err != nil || n < 0 || n > MaxMinor {
		return Value{}, errAmount
	}
	return Value{Minor: n, Currency: unit.String()}, nil
}

// minor moves the decimal point by scale places. What stands behind them must be zeros.
func minor(amount string, scale int) (string, error) {
	whole, part, _ := strings.Cut(amount, ".")
	if whole == "" || len(amount) > 40 {
		return "", errAmount
	}
	if len(part) > scale {
		if strings.Trim(part[scale:], "0") != "" {
			return "", errAmount
		}
		part = part[:scale]
	}
	return whole + part + strings.Repeat("0", scale-len(part)), nil
}

// String is the value as people write it: 12.90 EUR.
func (v Value) String() string {
	if v == (Value{}) {
		return ""
	}
	unit, err := currency.ParseISO(v.Currency)
	if err != nil {
		return strconv.FormatInt(v.Minor, 10) + " " + v.Currency
	}
	scale, _ := currency.Standard.Rounding(unit)
	return strconv.FormatFloat(float64(v.Minor)/math.Pow10(scale), 'f', scale, 64) + " " + v.Currency
}

// Worth reads the value of a call. said is false where the rule finds no whole value: then it is as if there were no rule.
func (o *Operation) Worth(path, contentType string, body []byte, header func(name string) string) (v Value, said bool) {
	if !o.OperationSpec.Value.Set() {
		return Value{}, false
	}
	rule := &o.OperationSpec.Value
	amount, ok := o.Value(rule.Amount, path, contentType, body, header)
	if !ok {
		return Value{}, false
	}
	code, ok := o.Value(rule.Currency, path, contentType, body, header)
	if !ok {
		return Value{}, false
	}
	v, err := ParseValue(amount, code, rule.Major)
	return v, err == nil
}

// value reads money(body), or {amount: body.amount, currency: body.currency, unit: minor}.
func (r *reader) value(v value) ValueRule {
	if v.node.Kind != yaml.MappingNode {
		if r.word(v, []string{"money(body)"}, nil) == "" {
			return ValueRule{}
		}
		return moneyRule
	}
	var rule ValueRule
	r.object(v, fields{known: map[string]func(value){
		"amount":   func(v value) { rule.Amount = r.field(v) },
		"currency": func(v value) { rule.Currency = r.field(v) },
		"unit":     func(v value) { rule.Major = r.word(v, []string{"minor", "major"}, nil) == "major" },
	}})
	if rule.Amount.Name == "" || rule.Currency.Name == "" {
		r.problem(v, "needs both amount and currency", "write {amount: body.amount, currency: body.currency}, or money(body)")
		return ValueRule{}
	}
	return rule
}

// field reads one field.
func (r *reader) field(v value) Field {
	text := r.text(v)
	if text == "" {
		return Field{}
	}
	f, err := ParseField(text)
	if err != nil {
		r.problem(v, strconv.Quote(clip(text))+" is "+err.Error(), "")
	}
	return f
}

// writeValue writes the rule as the document has it.
func writeValue(w writer, rule ValueRule) {
	switch {
	case !rule.Set():
	case rule == moneyRule:
		w.text("value", "money(body)")
	default:
		m := w.below("value", yaml.FlowStyle)
		m.text("amount", rule.Amount.String())
		m.text("currency", rule.Currency.String())
		if rule.Major {
			m.text("unit", "major")
		}
	}
}

func (r ValueRule) String() string {
	unit := "smallest units"
	if r.Major {
		unit = "main units"
	}
	return "value " + r.Amount.String() + " in " + unit + " of " + r.Currency.String()
}
