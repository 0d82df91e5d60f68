package route

import "math/bits"

// values is what the last calls of a service were worth: by it the low ones are told from the high ones when not all can be taken.
// Four classes for each doubling; after 4,096 calls the counts are halved.
type values struct {
	counts [4 * 64]uint16
	total  int32
}

const valuesKept = 4096

// class is monotone in v.
func class(v int64) int {
	if v <= 0 {
		return 0
	}
	n := bits.Len64(uint64(v))
	if n < 3 {
		return int(v)
	}
	return min(4*(n-2)+int(uint64(v)>>(n-3)&3), 4*64-1)
}

// note takes a call of known value down.
func (s *values) note(v int64) {
	if v <= 0 {
		return
	}
	if s.total == valuesKept {
		s.total = 0
		for i := range s.counts {
			s.counts[i] /= 2
			s.total += int32(s.counts[i])
		}
	}
	s.counts[class(v)]++
	s.total++
}

// above is the share of the last calls that were worth more. A call of unknown value is not known to be worth less.
func (s *values) above(v int64) float64 {
	if s.total == 0 || v <= 0 {
		return 0
	}
	n := int32(0)
	for _, c := range s.counts[class(v)+1:] {
		n += int32(c)
	}
	return float64(n) / float64(s.total)
}
