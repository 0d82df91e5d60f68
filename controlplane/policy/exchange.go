package policy

import (
	"slices"

	"golang.org/x/text/currency"
)

// Exchange turns amounts into the base currency, by whole numbers: a record says the same on every machine. It is immutable.
type Exchange struct {
	Base  string // "": the policy speaks of no money
	rates []rate
}

// rate says what one main unit of a currency is worth: Billion billionths of the base's.
type rate struct {
	code    string
	number  Currency
	factor  int64 // millionths in the smallest unit
	billion int64
}

// Money is a value in the base currency; ok is false where no rate says it.
func (e *Exchange) Money(v Value) (m Money, ok bool) {
	if e == nil || v.Currency == "" {
		return 0, false
	}
	for i := range e.rates {
		if r := &e.rates[i]; r.code == v.Currency {
			return part(part(Money(r.factor), v.Minor, 1), r.billion, billion), true
		}
	}
	return 0, false
}

// Minor is how many millionths the smallest unit of the base currency has.
func (e *Exchange) Minor() float64 {
	if e == nil || len(e.rates) == 0 {
		return 1
	}
	return float64(e.rates[0].factor) // the base's is the first
}

// price is Money for an amount of the document. Validate has seen that there is a rate.
func (e *Exchange) price(p Price) Money {
	for i := range e.rates {
		if r := &e.rates[i]; r.code == p.Currency {
			return part(Money(p.Amount), r.billion, billion)
		}
	}
	return 0
}

// exchange compiles what a policy says of currencies. The base alone needs no rate.
func (p *Policy) exchange() *Exchange {
	e := &Exchange{Base: p.base()}
	if e.Base == "" {
		return e
	}
	add := func(code string, worth float64) {
		unit, err := currency.ParseISO(code)
		if err != nil {
			return
		}
		scale, _ := currency.Standard.Rounding(unit)
		factor := int64(million)
		for range scale {
			factor /= 10
		}
		e.rates = append(e.rates, rate{code, CurrencyOf(code), max(factor, 1), int64(float64(worth*billion) + 0.5)})
	}
	add(e.Base, 1)
	for _, r := range p.Exchange.Rates {
		if r.Currency != e.Base {
			add(r.Currency, r.Rate)
		}
	}
	return e
}

// base is the currency that everything is counted in: what exchange says, else the only one that amounts are in, else the first.
func (p *Policy) base() string {
	if p.Exchange.Base != "" {
		return p.Exchange.Base
	}
	if list := p.prices(); len(list) > 0 {
		return list[0].Currency
	}
	return ""
}

// placed is a price and where it stands.
type placed struct {
	Price
	path string
}

// prices lists every amount that a policy names.
func (p *Policy) prices() []placed {
	var list []placed
	add := func(path string, price Price) {
		if price != (Price{}) {
			list = append(list, placed{price, path})
		}
	}
	for i := range p.Services {
		s := &p.Services[i]
		path := join("services", clip(s.Name))
		add(path+".high_value.above", s.HighValue.Above)
		add(path+".budget.spend", s.Budget.Limit)
	}
	for i := range p.Providers {
		s := &p.Providers[i]
		path := join("providers", clip(s.Name)) + ".cost"
		for j := range s.Cost {
			c := &s.Cost[j]
			at := regionPath(path, c.Region, len(s.Cost))
			c.TariffSpec.prices(at, add)
			for k := range c.Tiers {
				add(tierPath(at, k)+".above", c.Tiers[k].Above)
				c.Tiers[k].prices(tierPath(at, k), add)
			}
			for k := range c.Currencies {
				c.Currencies[k].prices(at+".currencies."+clip(c.Currencies[k].Currency), add)
			}
		}
	}
	return list
}

func (t *TariffSpec) prices(path string, add func(path string, price Price)) {
	add(path+".fixed", t.Fixed)
	add(path+".tokens.in", t.In)
	add(path+".tokens.out", t.Out)
	add(path+".segment", t.Segment)
}

// whole is the exchange as a cut has it: the base is written, because what named it may be another region's.
func (p *Policy) wholeExchange() ExchangeSpec {
	return ExchangeSpec{Base: p.base(), Rates: slices.Clone(p.Exchange.Rates)}
}
