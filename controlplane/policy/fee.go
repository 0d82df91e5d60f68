package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
)

// Fee is what one call costs at a provider, in the base currency. The zero Fee costs nothing and is not Known.
type Fee struct {
	Known  bool
	Tariff Tariff
	Steps  []Step   // by amount, the lowest first; the last whose Above is below the value counts instead of Tariff
	Of     []Priced // where a transaction's currency has a tariff of its own
}

// Tariff is one price list. Percent is in billionths of the value: 1.5 % are 15,000,000.
type Tariff struct {
	Fixed   Money
	Billion int64 // of the value
	In, Out Money // per million tokens
	Segment Money
}

// Step is the tariff of values above Above.
type Step struct {
	Above  Money
	Tariff Tariff
}

// Priced is the tariff of one currency.
type Priced struct {
	Currency Currency
	Tariff   Tariff
}

// Expected is what one call costs, its parts added up: whole numbers only, rounded to the nearest millionth, at most MaxMoney.
func (f *Fee) Expected(value Money, currency Currency, use Use) Money {
	t := &f.Tariff
	if len(f.Of)+len(f.Steps) > 0 {
		t = f.tariff(value, currency)
	}
	sum := plus(t.Fixed, part(value, t.Billion, billion))
	if t.In|t.Out|t.Segment != 0 {
		sum = plus(sum, t.used(use))
	}
	return sum
}

// tariff is the price list that counts.
func (f *Fee) tariff(value Money, currency Currency) *Tariff {
	tariff, steps := &f.Tariff, f.Steps
	for i := range f.Of {
		if f.Of[i].Currency == currency {
			tariff, steps = &f.Of[i].Tariff, nil
		}
	}
	for i := range steps {
		if value > steps[i].Above {
			tariff = &steps[i].Tariff
		}
	}
	return tariff
}

// same tells whether two fees ask the same of any call.
func (f *Fee) same(o *Fee) bool {
	return f.Known == o.Known && f.Tariff == o.Tariff && slices.Equal(f.Steps, o.Steps) && slices.Equal(f.Of, o.Of)
}

// PricePrint names what the provider asks, and in which money: who asks the same has the same print.
func (s *Service) PricePrint(provider string) string {
	c, base := s.candidate(provider), ""
	if c == nil {
		return ""
	}
	if s.Exchange != nil {
		base = s.Exchange.Base
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %+v", base, c.Cost))
	return hex.EncodeToString(sum[:8])
}

// SamePrice tells whether the provider asks the same in two compiled services, in the same money.
func (s *Service) SamePrice(o *Service, provider string) bool {
	x, y := s.candidate(provider), o.candidate(provider)
	if x == nil || y == nil || (s.Exchange == nil) != (o.Exchange == nil) {
		return false
	}
	return (s.Exchange == nil || s.Exchange.Base == o.Exchange.Base) && x.Cost.same(&y.Cost)
}

func (s *Service) candidate(provider string) *Candidate {
	for _, c := range s.Candidates {
		if c.Provider == provider {
			return c
		}
	}
	return nil
}
