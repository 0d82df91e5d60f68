package policy

import (
	"bytes"
	"mime"
	"strconv"
	"strings"

	"golang.org/x/text/currency"
)

// Statement is what an answer states: the fee of its call, or else what was used. The zero Statement states nothing.
type Statement struct {
	Fee Price // in the currency that the answer names
	Use Use   // only what the contract says that answers tell; what it does not is 0
}

// Tells tells whether the contract says where answers state what calls cost, for calls that are priced so.
func (c *Contract) Tells(f *Fee) bool {
	return f.Known && (len(c.Fees) > 0 || c.Use.Set() && f.pieces())
}

// Statement reads what an answer states, as far as it can be trusted. Of a stream of events, the latest that tells counts.
func (c *Contract) Statement(contentType string, body []byte) Statement {
	var find func(f Field) string
	switch kind, _, err := mime.ParseMediaType(contentType); {
	case err != nil:
		return Statement{}
	case kind == "text/event-stream":
		find = func(f Field) string { return inEvents(body, f.Name) }
	case kind == "application/json" || strings.HasSuffix(kind, "+json"):
		doc, ok := oneValue(body)
		if !ok {
			return Statement{}
		}
		find = func(f Field) string { return word(doc, f.Name) }
	default:
		return Statement{}
	}
	if fee, ok := c.statedFee(find); ok {
		return Statement{Fee: fee}
	}
	return Statement{Use: c.statedUse(find)}
}

func (c *Contract) statedFee(find func(Field) string) (Price, bool) {
	for i := range c.Fees {
		rule := &c.Fees[i]
		amount := find(rule.Amount)
		if amount == "" {
			continue
		}
		if fee, ok := statedPrice(amount, find(rule.Currency), rule.Major); ok {
			return fee, true
		}
	}
	return Price{}, false
}

// statedUse is told only where every part that the contract names is there.
func (c *Contract) statedUse(find func(Field) string) (u Use) {
	for i, p := range c.Use.parts() {
		if len(*p.of) == 0 {
			continue
		}
		n, told := int32(0), false
		for _, f := range *p.of {
			if n, told = wholeOf(find(f)); told {
				break
			}
		}
		if !told || n == 0 && p.word == "segments" { // a message that is not cut into segments yet
			return Use{}
		}
		*[...]*int32{&u.In, &u.Out, &u.Segments}[i] = n
	}
	return u
}

// statedPrice reads an amount as providers write it: some put a minus before what they took. Beyond six digits it is rounded.
func statedPrice(amount, code string, major bool) (Price, bool) {
	unit, err := currency.ParseISO(code)
	if err != nil {
		return Price{}, false
	}
	scale := 0
	if !major {
		scale, _ = currency.Standard.Rounding(unit)
	}
	whole, part, _ := strings.Cut(strings.TrimPrefix(amount, "-"), ".")
	if whole == "" || len(whole)+len(part) > 30 || strings.Trim(whole+part, "0123456789") != "" {
		return Price{}, false
	}
	digits := whole + part + strings.Repeat("0", priceDigits+1+scale)
	point := len(whole) - scale
	if point < 0 {
		digits, point = strings.Repeat("0", -point)+digits, 0
	}
	n, err := strconv.ParseUint(digits[:point+priceDigits+1], 10, 63)
	if err != nil || n/10 > maxPrice*million {
		return Price{}, false
	}
	return Price{Amount: int64((n + 5) / 10), Currency: unit.String()}, true
}

// inEvents is the latest value of that name in the data of a stream's events. What was cut at either end is no event.
func inEvents(stream []byte, name string) string {
	last := []byte(name[strings.LastIndexByte(name, '.')+1:])
	for len(stream) > 0 {
		at := bytes.LastIndexByte(stream, '\n')
		line := bytes.TrimSuffix(stream[at+1:], []byte("\r"))
		stream = stream[:max(at, 0)]
		data, ok := bytes.CutPrefix(line, []byte("data:"))
		if !ok || !bytes.Contains(data, last) {
			continue
		}
		if doc, ok := oneValue(data); ok {
			if v := word(doc, name); v != "" {
				return v
			}
		}
	}
	return ""
}

// Stated is what a call cost at candidate i by its answer, in the base currency; false where no rate or price says it.
func (s *Service) Stated(i int, f *Facts, st *Statement) (Money, bool) {
	if i < 0 || i >= len(s.Candidates) || s.Exchange == nil || *st == (Statement{}) {
		return 0, false
	}
	if st.Fee.Currency != "" {
		return s.Exchange.worth(st.Fee)
	}
	use, told := f.Use, &st.Use
	for _, p := range [...]struct{ to, of *int32 }{{&use.In, &told.In}, {&use.Out, &told.Out}, {&use.Segments, &told.Segments}} {
		if *p.of != 0 {
			*p.to = *p.of
		}
	}
	return s.Candidates[i].Cost.Expected(f.Value, f.Currency, use), true
}

// worth is price where a rate may be missing.
func (e *Exchange) worth(p Price) (Money, bool) {
	for i := range e.rates {
		if e.rates[i].code == p.Currency {
			return e.price(p), true
		}
	}
	return 0, false
}
