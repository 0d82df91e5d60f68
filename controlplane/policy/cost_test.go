package policy

import (
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

// costs compiles what a document says of providers' costs.
func costs(t *testing.T, providers, rest string) *Service {
	t.Helper()
	names := []string{"a", "b", "c"}
	src := "segue: v1\nservices:\n  s: {speaks: stripe/v1, listen: 7101, strategy: adaptive, providers: [a, b, c]" + rest + "}\nproviders:\n" + providers
	p := must(t, []byte(src))
	s, err := Compile(p, Local, 1)
	if err != nil || len(s.Services[0].Candidates) != len(names) {
		t.Fatal(err)
	}
	return s.Services[0]
}

func TestExpectedByHand(t *testing.T) {
	s := costs(t, `
  a: {contract: stripe/v1, credential: env:A, cost: {fixed: 0.25 EUR, percent: 1.5, tiers: [{above: 100 EUR, fixed: 0.20 EUR, percent: 1.2}, {above: 1000 EUR, percent: 1}], currencies: {USD: {fixed: 0.30 USD, percent: 2.9}}}}
  b: {contract: stripe/v1, credential: env:A, cost: {tokens: {in: 2.50 USD, out: 10 USD}, segment: 0.0079 USD}}
  c: {contract: stripe/v1, credential: env:A}
exchange: {base: EUR, rates: {USD: 0.92}}
`, "")
	eur, usd := CurrencyOf("EUR"), CurrencyOf("USD")
	for _, c := range []struct {
		provider int
		value    Money
		currency Currency
		use      Use
		want     Money
	}{
		{0, 50 * Unit, eur, Use{}, 1_000_000},       // 0.25 + 1.5 % of 50
		{0, 100 * Unit, eur, Use{}, 1_750_000},      // not above 100
		{0, 100*Unit + 1, eur, Use{}, 1_400_000},    // 0.20 + 1.2 % of 100.000001, rounded
		{0, 1000*Unit + 50, eur, Use{}, 10_000_001}, // 1 %: half a millionth goes up
		{0, 0, eur, Use{}, 250_000},                 // worth unknown
		{0, 50 * Unit, usd, Use{}, 276_000 + 1_450_000},
		{0, 5000 * Unit, usd, Use{}, 276_000 + 145_000_000}, // tiers are not for a currency of its own
		{1, 50 * Unit, eur, Use{In: 1000, Out: 500, Segments: 3}, 2_300 + 4_600 + 3*7_268},
		{1, 0, 0, Use{}, 7_268}, // there is one segment at least
		{2, 50 * Unit, eur, Use{In: 1000}, 0},
	} {
		if got := s.Candidates[c.provider].Cost.Expected(c.value, c.currency, c.use); got != c.want {
			t.Errorf("provider %d, %d of %s, %+v: %d, want %d", c.provider, c.value, c.currency, c.use, got, c.want)
		}
	}
	if s.Candidates[2].Cost.Known || !s.Candidates[0].Cost.Known {
		t.Error("what nobody says is known, or the reverse")
	}
	if n := testing.AllocsPerRun(100, func() { s.Candidates[0].Cost.Expected(50*Unit, usd, Use{}) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// A fee is what exact arithmetic gives, each part rounded to the nearest millionth, up to the most there is; nothing overflows.
func TestExpectedIsExact(t *testing.T) {
	amounts := rapid.OneOf(rapid.Int64Range(0, 1000), rapid.Int64Range(0, int64(MaxMoney)), rapid.Just(int64(math.MaxInt64)), rapid.Just(int64(math.MinInt64)))
	uses := rapid.OneOf(rapid.Int32Range(-5, 5000), rapid.Just(int32(math.MaxInt32)))
	rapid.Check(t, func(t *rapid.T) {
		price := rapid.Int64Range(0, maxPrice*million)
		tariff := Tariff{Money(price.Draw(t, "fixed")), rapid.Int64Range(0, billion).Draw(t, "percent"), Money(price.Draw(t, "in")), Money(price.Draw(t, "out")), Money(price.Draw(t, "segment"))}
		value, use := amounts.Draw(t, "value"), Use{uses.Draw(t, "in"), uses.Draw(t, "out"), uses.Draw(t, "segments")}
		got := (&Fee{Tariff: tariff}).Expected(Money(value), 0, use)
		want := new(big.Int).SetInt64(int64(tariff.Fixed))
		add := func(m, n int64, of int64) {
			if m <= 0 || n <= 0 {
				return
			}
			part := new(big.Int).Mul(big.NewInt(m), big.NewInt(n))
			part.Div(part.Add(part, big.NewInt(of/2)), big.NewInt(of))
			want.Add(want, part)
		}
		add(value, tariff.Billion, billion)
		add(int64(tariff.In), int64(use.In), million)
		add(int64(tariff.Out), int64(use.Out), million)
		add(int64(tariff.Segment), int64(max(use.Segments, 1)), 1)
		if want.Cmp(big.NewInt(int64(MaxMoney))) > 0 {
			want.SetInt64(int64(MaxMoney))
		}
		if want.Cmp(big.NewInt(int64(got))) != 0 {
			t.Fatalf("%+v of %d, %+v: %d, want %s", tariff, value, use, got, want)
		}
	})
}

func TestMoneyByExchange(t *testing.T) {
	p := &Policy{Exchange: ExchangeSpec{Base: "EUR", Rates: []ExchangeRate{{"USD", 0.92}, {"JPY", 0.0061}, {"KWD", 3}, {"EUR", 9}}}}
	e := p.exchange()
	for _, c := range []struct {
		value Value
		want  Money
		ok    bool
	}{
		{Value{1290, "EUR"}, 12_900_000, true},
		{Value{1000, "USD"}, 9_200_000, true},
		{Value{1000, "JPY"}, 6_100_000, true},
		{Value{1000, "KWD"}, 3_000_000, true},
		{Value{MaxMinor, "KWD"}, MaxMoney, true},
		{Value{1000, "CHF"}, 0, false},
		{Value{}, 0, false},
	} {
		if got, ok := e.Money(c.value); got != c.want || ok != c.ok {
			t.Errorf("%s: %d %v, want %d %v", c.value, got, ok, c.want, c.ok)
		}
	}
	if _, ok := (*Exchange)(nil).Money(Value{1, "EUR"}); ok {
		t.Error("money of no exchange")
	}
}

// What a balance means, computed by hand: the typical fee of these two is (1.00 + 2.00) / 2.
func TestBalanceInMoney(t *testing.T) {
	const providers = `
  a: {contract: stripe/v1, credential: env:A, cost: {fixed: 0.25 EUR, percent: 1.5}}
  b: {contract: stripe/v1, credential: env:A, cost: {fixed: 2 EUR}}
  c: {contract: stripe/v1, credential: env:A}
`
	for _, c := range []struct {
		balance string
		want    Objective
	}{
		{"", Objective{0.1, 7_500_000, 750_000, 30_000}},
		{", balance: balanced", Objective{0.1, 7_500_000, 750_000, 30_000}},
		{", balance: {cost: 20, reliability: 20, latency: 10}", Objective{0.1, 7_500_000, 750_000, 30_000}},
		{", balance: {cost: 20, reliability: 40}", Objective{0.2, 15_000_000, 0, 30_000}},
		{", balance: latency", Objective{0.1 * 1.5, 11_250_000, 3_750_000, 30_000}},
		{", balance: {cost: 100}", Objective{0, 0, 0, 30_000}},
		{", balance: {reliability: 1}", Objective{1, 7_500_000_000, 0, 30_000}},
	} {
		if got := costs(t, providers, c.balance).Objective; math.Abs(got.Margin-c.want.Margin) > 1e-12 || got.Failure != c.want.Failure || got.Second != c.want.Second || got.Stay != c.want.Stay {
			t.Errorf("%s: %+v, want %+v", c.balance, got, c.want)
		}
	}
	free := "\n  a: {contract: stripe/v1, credential: env:A}\n  b: {contract: stripe/v1, credential: env:A, cost: {fixed: 0 EUR}}\n  c: {contract: stripe/v1, credential: env:A}\n"
	if got := costs(t, free, "").Objective; got.Failure != 50_000 || got.Stay != 200 {
		t.Errorf("where nothing costs anything the yardstick is a cent: %+v", got)
	}
}

// A preset that asks for more of something gets more of it.
func TestPresetsAreWhatTheyAreCalled(t *testing.T) {
	of := func(preset string) Objective { return Balance{Preset: preset}.objective(Unit) }
	for _, other := range presets() {
		if cost := of("cost"); other != "cost" && (of(other).Failure <= cost.Failure || of(other).Second <= cost.Second) {
			t.Errorf("%s cares less for what is beside cost than cost does", other)
		}
		if other != "reliability" && of(other).Failure >= of("reliability").Failure {
			t.Errorf("%s cares more for failures than reliability does", other)
		}
		if other != "latency" && of(other).Second >= of("latency").Second {
			t.Errorf("%s cares more for seconds than latency does", other)
		}
	}
}

func TestBalanceIsFinite(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		part := rapid.OneOf(rapid.Just(0.0), rapid.Float64Range(0, 100), rapid.Just(math.SmallestNonzeroFloat64))
		b := Balance{Cost: part.Draw(t, "cost"), Reliability: part.Draw(t, "reliability"), Latency: part.Draw(t, "latency")}
		o := b.objective(Money(rapid.Int64Range(1, int64(MaxMoney)).Draw(t, "typical")))
		if !(o.Margin >= 0 && o.Margin <= 1) || o.Failure < 0 || o.Failure > MaxMoney || o.Second < 0 || o.Second > MaxMoney || o.Stay < 0 || o.Stay > MaxMoney {
			t.Fatalf("%+v: %+v", b, o)
		}
	})
}

func TestNearInRanks(t *testing.T) {
	p := must(t, []byte(`segue: v1
regions: {us: {standby: [eu, ap]}, eu: {standby: [us]}, ap: }
services:
  s: {speaks: stripe/v1, listen: 7101, strategy: nearest, providers: [here, there, both, nowhere]}
providers:
  here: {contract: stripe/v1, credential: env:A, near: [us]}
  there: {contract: stripe/v1, credential: env:A, near: [ap]}
  both: {contract: stripe/v1, credential: env:A, near: [ap, eu]}
  nowhere: {contract: stripe/v1, credential: env:A}
`))
	s, err := Compile(p, "eu", 1)
	if err != nil {
		t.Fatal(err)
	}
	svc := s.Services[0]
	want := [][4]uint8{{0, 2, 1, nowhereRank}, {1, farRank, 0, nowhereRank}, {farRank, 0, 0, nowhereRank}}
	for i, row := range svc.Near {
		if [4]uint8(row) != want[i] {
			t.Errorf("users in %s: %v, want %v", s.Regions[i], row, want[i])
		}
	}
	if len(svc.Near) != 3 || svc.Here != 1 {
		t.Errorf("%d rows, here %d", len(svc.Near), svc.Here)
	}
}

func TestCurrencyAndPriceRoundTrips(t *testing.T) {
	for _, code := range []string{"EUR", "AAA", "ZZZ", "USD"} {
		if CurrencyOf(code) == 0 || CurrencyOf(code).String() != code {
			t.Errorf("%s is read back as %s", code, CurrencyOf(code))
		}
	}
	for _, code := range []string{"", "eur", "EURO", "E1R"} {
		if CurrencyOf(code) != 0 {
			t.Errorf("%q is a currency", code)
		}
	}
	for _, text := range []string{"0.25 EUR", "0 USD", "1000000000 JPY", "0.000001 EUR", "12.5 CHF"} {
		if p, ok := parsePrice(text); !ok || p.String() != text {
			t.Errorf("%s is read as %q", text, p)
		}
	}
	for _, text := range []string{"", "1", "EUR", "1 eur", "1 XYZ", "-1 EUR", "+1 EUR", ".5 EUR", "1. EUR", "1e3 EUR", "NaN EUR", "1000000000.000001 EUR", "0.0000001 EUR", "1  EUR", "1 EUR ", "0x1 EUR", "1_0 EUR", "99999999999 EUR"} {
		if p, ok := parsePrice(text); ok {
			t.Errorf("%q is read as %s", text, p)
		}
	}
}
