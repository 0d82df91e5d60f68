package sandbox

import "slices"

// Verdict is what comparing the shopper's memory with the books shows. Numbers count everything; the lists name the first 100 of each.
type Verdict struct {
	Operations int `json:"operations"` // effects that the shopper asked for and was told something about, and questions that it was answered
	Twice      int `json:"twice"`      // executed more than once
	Lost       int `json:"lost"`       // told succeeded, and no book has it
	Unknown    int `json:"unknown"`    // told unknown, and not resolved so far
	Guessed    int `json:"guessed"`    // told failed or not executed, though a book has it

	TwiceOrders   []Duplicate `json:"twice_orders,omitempty"`
	LostOrders    []string    `json:"lost_orders,omitempty"`
	GuessedOrders []string    `json:"guessed_orders,omitempty"`
}

const named = 100 // orders that a verdict names of each sort

// Audit compares what the shopper was told with what the books hold. It may run at any time, also under load: what was told is read before
// the books are, and an execution is in the books before anybody can be told of it.
func Audit(s *Shopper, books ...*Books) Verdict {
	return audit(s, func(page) bool { return true }, books)
}

// Audit holds the shopper against the books of all providers. What the naive client did in them is not the shopper's, and left out.
func (s *Sandbox) Audit(shopper *Shopper) Verdict {
	return audit(shopper, func(p page) bool { return !s.naive.owns(p) }, s.Books())
}

func audit(s *Shopper, wanted func(page) bool, books []*Books) Verdict {
	var v Verdict
	for _, m := range []*memory{s.memory, s.texts, s.chats} {
		for n, told := range m.recall(books) {
			v.weigh(m, n, told, books)
		}
	}
	found := twice(wanted, books)
	v.Twice, v.TwiceOrders = len(found), found[:min(len(found), named)]
	return v
}

// weigh holds one order against the books.
func (v *Verdict) weigh(m *memory, n int, told mark, books []*Books) {
	if told == markOpen {
		return
	}
	v.Operations++
	switch told {
	case markUnknown:
		v.Unknown++
	case markSucceeded:
		if anyHas(books, m.name(n)) {
			m.found(n, books)
			return
		}
		v.Lost++
		v.LostOrders = nameOne(v.LostOrders, m.name(n))
	case markRefused, markDeclined, markInvalid:
		if anyHas(books, m.name(n)) {
			v.Guessed++
			v.GuessedOrders = nameOne(v.GuessedOrders, m.name(n))
		}
	}
}

func nameOne(names []string, order string) []string {
	if len(names) < named {
		return append(names, order)
	}
	return names
}

func anyHas(books []*Books, order string) bool {
	return slices.ContainsFunc(books, func(b *Books) bool { return b.Executed(order) > 0 })
}

// recall copies the marks. What an earlier audit found in other books than these must be looked for again.
func (m *memory) recall(books []*Books) []mark {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !slices.Equal(m.with, books) {
		m.with = slices.Clone(books)
		for n, k := range m.told {
			if k == markInBooks {
				m.told[n] = markSucceeded
			}
		}
	}
	return slices.Clone(m.told)
}

// found spares the next audit the search for an order: an entry never leaves the books' count.
func (m *memory) found(n int, books []*Books) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.told[n] == markSucceeded && slices.Equal(m.with, books) {
		m.told[n] = markInBooks
	}
}
