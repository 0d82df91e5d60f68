package sandbox

import "strconv"

// tally counts executions per operation and order, for ever, in about a byte per order: order names that end in a number, as the shopper's
// do, share pages of consecutive numbers. Any other name takes a page of its own.
type tally map[page]*[pageSize]uint8

type page struct {
	operation, prefix string
	number            uint64 // the order's number / pageSize
}

const (
	pageSize  = 64
	maxDigits = 18 // a longer number would not fit an int64
	ownPage   = ^uint64(0)
)

// place finds an order's byte. Two orders never share one: a number counts as such only in its canonical form.
func place(operation, order string) (page, int) {
	i := len(order)
	for i > 0 && order[i-1] >= '0' && order[i-1] <= '9' && len(order)-i < maxDigits {
		i--
	}
	for i < len(order)-1 && order[i] == '0' {
		i++ // leading zeros belong to the prefix
	}
	n, err := strconv.ParseUint(order[i:], 10, 64)
	if err != nil {
		return page{operation, order, ownPage}, 0
	}
	return page{operation, order[:i], n / pageSize}, int(n % pageSize)
}

func (p page) order(slot int) string {
	if p.number == ownPage {
		return p.prefix
	}
	return p.prefix + strconv.FormatUint(p.number*pageSize+uint64(slot), 10)
}

func (t tally) add(operation, order string) {
	p, slot := place(operation, order)
	counts := t[p]
	if counts == nil {
		counts = new([pageSize]uint8)
		t[p] = counts
	}
	if counts[slot] < 255 { // it says "more than once" all the same
		counts[slot]++
	}
}

func (t tally) count(operation, order string) int {
	p, slot := place(operation, order)
	if counts := t[p]; counts != nil {
		return int(counts[slot])
	}
	return 0
}
