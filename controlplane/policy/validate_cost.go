package policy

import (
	"fmt"
	"slices"
	"strings"
)

func (c *checker) costs(path string, costs []RegionCost) {
	var keys []string
	for i := range costs {
		keys = append(keys, costs[i].Region)
		c.cost(regionPath(path, costs[i].Region, len(costs)), &costs[i].CostSpec)
	}
	c.regionKeys(path, keys)
}

func (c *checker) cost(path string, cost *CostSpec) {
	if cost.TariffSpec == (TariffSpec{}) && len(cost.Currencies) == 0 {
		c.problem(path, "write what a call costs, like {fixed: 0.25 EUR, percent: 1.5}, or {fixed: 0 EUR}", "says nothing of what a call costs")
	}
	c.tariff(path, &cost.TariffSpec)
	for i := range cost.Tiers {
		t, at := &cost.Tiers[i], tierPath(path, i)
		switch {
		case t.Above == (Price{}):
			c.lacks(at+".above", "write the values that it is for, like 100 EUR")
		case i > 0 && t.Above.Currency != cost.Tiers[i-1].Above.Currency:
			c.problem(at+".above", "write them in one currency", "is not in %s as the tier before it", cost.Tiers[i-1].Above.Currency)
		case i > 0 && t.Above.Amount <= cost.Tiers[i-1].Above.Amount:
			c.problem(at+".above", "begin with the lowest", "is not above that of the tier before it")
		}
		c.tariff(at, &t.TariffSpec)
	}
	for i := range cost.Currencies {
		one := &cost.Currencies[i]
		at := path + ".currencies." + clip(one.Currency)
		if !isoCode(one.Currency) {
			c.problem(at, "write three capitals, like EUR", "%q is no currency of ISO 4217", clip(one.Currency))
		}
		if slices.ContainsFunc(cost.Currencies[:i], func(o CurrencySpec) bool { return o.Currency == one.Currency }) {
			c.problem(at, "keep one of them", "is there twice")
		}
		c.tariff(at, &one.TariffSpec)
	}
}

func (c *checker) tariff(path string, t *TariffSpec) {
	for _, one := range [...]struct {
		name  string
		price Price
	}{{"fixed", t.Fixed}, {"tokens.in", t.In}, {"tokens.out", t.Out}, {"segment", t.Segment}} {
		if one.price != (Price{}) && !one.price.good() {
			c.problem(path+"."+one.name, priceExample, "%s is no price, at most 1,000,000,000", one.price)
		}
	}
	if !(t.Percent >= 0 && t.Percent <= 100) {
		c.problem(path+".percent", "write percent of the value, like 1.5", "%v is not between 0 and 100", t.Percent)
	}
}

// money wants one currency, or a rate for each.
func (c *checker) money() {
	e := c.Exchange
	known := map[string]bool{}
	if e.Base != "" && !isoCode(e.Base) {
		c.problem("exchange.base", "write three capitals, like EUR", "%q is no currency of ISO 4217", clip(e.Base))
	}
	if len(e.Rates) > 0 && e.Base == "" {
		c.lacks("exchange.base", "write the currency that rates are in, like EUR")
	}
	for i, r := range e.Rates {
		at := join("exchange.rates", clip(r.Currency))
		switch {
		case !isoCode(r.Currency):
			c.problem(at, "write three capitals, like USD", "%q is no currency of ISO 4217", clip(r.Currency))
		case r.Currency == e.Base:
			c.problem(at, "leave it out", "the base is worth 1 of itself")
		case known[r.Currency]:
			c.problem(at, "keep one of them", "is there twice")
		case !(r.Rate >= 1.0/billion && r.Rate <= maxExchange):
			c.problem(at, "write what one "+r.Currency+" is worth in the base", "%v is not between 0.000000001 and %d", r.Rate, maxExchange)
		}
		if known[r.Currency] = true; i == maxCurrencies {
			c.problem("exchange.rates", "shorten the list", "has more than %d entries", maxCurrencies)
			break
		}
	}
	known[c.base()] = true
	for _, p := range c.prices() {
		if !p.good() || known[p.Currency] {
			continue
		}
		fix := fmt.Sprintf("add it, like exchange: {base: %s, rates: {%s: …}}", c.base(), p.Currency)
		c.problem(p.path, fix, "there is no rate from %s to %s", p.Currency, strings.TrimSpace(c.base()))
	}
}
