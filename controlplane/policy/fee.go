package policy

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

// Expected is what one call costs: whole numbers only, rounded to the nearest millionth, at most MaxMoney.
func (f *Fee) Expected(value Money, currency Currency, use Use) Money {
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
	return tariff.of(value, use)
}
