package policy

import "testing"

func TestParseValue(t *testing.T) {
	for _, c := range []struct {
		amount, code string
		major        bool
		want         Value
		shown        string
	}{
		{"1290", "eur", false, Value{1290, "EUR"}, "12.90 EUR"},
		{"12.90", "EUR", true, Value{1290, "EUR"}, "12.90 EUR"},
		{"12.9", "EUR", true, Value{1290, "EUR"}, "12.90 EUR"},
		{"12", "EUR", true, Value{1200, "EUR"}, "12.00 EUR"},
		{"12.9000", "EUR", true, Value{1290, "EUR"}, "12.90 EUR"},
		{"500", "JPY", true, Value{500, "JPY"}, "500 JPY"},
		{"1.234", "KWD", true, Value{1234, "KWD"}, "1.234 KWD"},
		{"0", "USD", false, Value{0, "USD"}, "0.00 USD"},
	} {
		got, err := ParseValue(c.amount, c.code, c.major)
		if err != nil || got != c.want || got.String() != c.shown {
			t.Errorf("%s %s: %+v %q %v", c.amount, c.code, got, got, err)
		}
	}
	for _, c := range [][2]string{
		{"12.905", "EUR"}, {"-1", "EUR"}, {"", "EUR"}, {".5", "EUR"}, {"1e3", "EUR"}, {"1,000", "EUR"}, {"NaN", "EUR"},
		{"99999999999999999999", "EUR"}, {"10000000000000001", "JPY"}, {"1", "EURO"}, {"1", ""}, {"1", "E1R"},
	} {
		if got, err := ParseValue(c[0], c[1], true); err == nil {
			t.Errorf("%q is %+v", c, got)
		}
	}
}

func TestWorth(t *testing.T) {
	o := &Operation{OperationSpec: OperationSpec{Value: moneyRule}}
	for body, want := range map[string]Value{
		"amount=1290&currency=eur": {1290, "EUR"}, "amount=12.90&currency=eur": {}, "amount=1290": {}, "amount=1&amount=2&currency=eur": {}, "": {},
	} {
		got, said := o.Worth("/", "application/x-www-form-urlencoded", []byte(body), nil)
		if got != want || said != (want != Value{}) {
			t.Errorf("%q: %+v %t", body, got, said)
		}
	}
}
