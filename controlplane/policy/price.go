package policy

import (
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/currency"
)

// The bounds of what is written in money, and what is said beyond them.
const (
	maxPrice     = 1_000_000_000 // main units
	priceDigits  = 6
	priceExample = "write an amount and its currency, like 0.25 EUR"
)

// parsePrice reads 0.25 EUR. Nothing is rounded: an amount has at most six digits behind the point.
func parsePrice(text string) (Price, bool) {
	amount, code, ok := strings.Cut(text, " ")
	whole, part, _ := strings.Cut(amount, ".")
	if !ok || whole == "" || len(whole) > 10 || len(part) > priceDigits || strings.HasSuffix(amount, ".") || !isoCode(code) {
		return Price{}, false
	}
	n, err := strconv.ParseUint(whole+part+strings.Repeat("0", priceDigits-len(part)), 10, 63)
	if err != nil || n > maxPrice*million {
		return Price{}, false
	}
	return Price{Amount: int64(n), Currency: code}, true
}

// isoCode tells a currency of ISO 4217 in capitals.
func isoCode(code string) bool {
	unit, err := currency.ParseISO(code)
	return err == nil && unit.String() == code
}

// String is the price as the document writes it.
func (p Price) String() string {
	if p == (Price{}) {
		return ""
	}
	text := strconv.FormatInt(p.Amount/million, 10)
	if part := p.Amount % million; part != 0 {
		digits := strconv.FormatInt(million+part, 10)[1:]
		text += "." + strings.TrimRight(digits, "0")
	}
	return text + " " + p.Currency
}

// good tells whether a price is one that parsePrice gives.
func (p Price) good() bool {
	return p.Amount >= 0 && p.Amount <= maxPrice*million && isoCode(p.Currency)
}

// price reads 0.25 EUR.
func (r *reader) price(v value) Price {
	text := r.text(v)
	if text == "" {
		return Price{}
	}
	p, ok := parsePrice(text)
	if !ok {
		r.problem(v, strconv.Quote(clip(text))+" is no price, at most 1,000,000,000 with six digits behind the point", priceExample)
	}
	return p
}

// over are the times that a budget is spent over.
var over = [...]struct {
	word string
	time time.Duration
}{{"hour", time.Hour}, {"day", 24 * time.Hour}}

// spend reads 200 USD/day.
func (r *reader) spend(v value) (limit Price, per time.Duration) {
	text := r.text(v)
	if text == "" {
		return Price{}, 0
	}
	amount, word, _ := strings.Cut(text, "/")
	p, ok := parsePrice(amount)
	for _, o := range over {
		if o.word == word && ok && p.Amount > 0 {
			return p, o.time
		}
	}
	r.problem(v, strconv.Quote(clip(text))+" is no budget", "write an amount over an hour or a day, like 200 USD/day")
	return Price{}, 0
}

func (s SpendPlan) text() string {
	for _, o := range over {
		if s.Limit != (Price{}) && o.time == s.Per {
			return s.Limit.String() + "/" + o.word
		}
	}
	return ""
}
