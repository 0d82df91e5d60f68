package simulator

import "math/bits"

// spread counts times in steps of 3 %: 32 to each doubling, from a microsecond to two days.
type spread struct {
	Count [1216]uint32
	Total uint64
}

func (h *spread) add(ns int64) {
	us := uint64(max(ns/1000, 1))
	n := bits.Len64(us) - 1
	i := n * 32
	if n >= 5 {
		i += int(us>>(n-5)) & 31
	} else {
		i += int(us<<(5-n)) & 31
	}
	h.Count[min(i, len(h.Count)-1)]++
	h.Total++
}

func (h *spread) merge(o *spread) {
	for i := range o.Count {
		h.Count[i] += o.Count[i]
	}
	h.Total += o.Total
}

// quantile is in milliseconds; below 0: nothing was counted.
func (h *spread) quantile(q float64) float64 {
	if h.Total == 0 {
		return -1
	}
	want, seen := uint64(q*float64(h.Total)), uint64(0)
	for i, n := range h.Count {
		if seen += uint64(n); seen > want {
			low := float64(uint64(1) << (i / 32))
			return low * (1 + (float64(i%32)+.5)/32) / 1000
		}
	}
	return -1
}
