package policy

// Money is a sum in millionths of the policy's base currency's main unit: 1.25 EUR are 1,250,000. It is whole, so that sums are exact and
// a recorded decision says the same on every machine.
type Money int64

// The unit of Money, and the most that any of its sums is: what would be more stays there.
const (
	Unit     Money = 1_000_000
	MaxMoney Money = 1_000_000_000_000 * Unit
)

// Currency is a code of ISO 4217 as a number, so that Facts hold no pointers. 0: not known.
type Currency uint16

// CurrencyOf packs a code of three capitals; anything else is 0.
func CurrencyOf(code string) Currency {
	if len(code) != 3 {
		return 0
	}
	var n Currency
	for i := range 3 {
		if code[i] < 'A' || code[i] > 'Z' {
			return 0
		}
		n = n*26 + Currency(code[i]-'A')
	}
	return n + 1
}

// String is the code, "" where it is not known.
func (c Currency) String() string {
	if c == 0 || c > 26*26*26 {
		return ""
	}
	c--
	return string([]byte{'A' + byte(c/676), 'A' + byte(c/26%26), 'A' + byte(c%26)})
}
