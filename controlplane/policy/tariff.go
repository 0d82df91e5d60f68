package policy

import "math/bits"

const (
	billion = 1_000_000_000
	million = 1_000_000
)

// used is what tokens and segments cost: at least 0 and at most MaxMoney, like every part of a price.
func (t *Tariff) used(use Use) Money {
	sum := plus(part(t.In, int64(use.In), million), part(t.Out, int64(use.Out), million))
	if t.Segment != 0 {
		sum = plus(sum, part(t.Segment, int64(max(use.Segments, 1)), 1))
	}
	return sum
}

// plus adds two sums of at most MaxMoney each.
func plus(a, b Money) Money { return min(a+b, MaxMoney) }

// part is m × n / of, rounded to the nearest. What is below 0 counts as 0.
func part(m Money, n int64, of uint64) Money {
	if m <= 0 || n <= 0 {
		return 0
	}
	hi, lo := bits.Mul64(uint64(m), uint64(n))
	lo, carry := bits.Add64(lo, of/2, 0)
	if hi += carry; hi >= of {
		return MaxMoney
	}
	q := lo / of
	if hi > 0 { // rare, and three times as slow
		q, _ = bits.Div64(hi, lo, of)
	}
	if q > uint64(MaxMoney) {
		return MaxMoney
	}
	return Money(q)
}
