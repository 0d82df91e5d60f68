package sandbox

// Verdict is what comparing the shopper's memory with the books shows. Numbers count everything; the lists name the first 100 of each.
type Verdict struct {
	Operations int `json:"operations"` // effects that the shopper asked for and was told something about
	Twice      int `json:"twice"`      // executed more than once
	Lost       int `json:"lost"`       // told succeeded, and no book has it
	Unknown    int `json:"unknown"`    // told unknown, and not resolved so far
	Guessed    int `json:"guessed"`    // told failed or not executed, though a book has it

	TwiceOrders   []Duplicate `json:"twice_orders,omitempty"`
	LostOrders    []string    `json:"lost_orders,omitempty"`
	GuessedOrders []string    `json:"guessed_orders,omitempty"`
}

// Audit compares what the shopper was told with what the books hold. It may run at any time, also under load.
func Audit(s *Shopper, books ...*Books) Verdict { return Verdict{} }
