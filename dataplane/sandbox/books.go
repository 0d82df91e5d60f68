package sandbox

import "time"

// Entry is one execution: the provider really did it. Status "declined" means that it was tried and no money moved.
type Entry struct {
	ID        string            `json:"id"` // of the object made or changed
	At        time.Time         `json:"at"`
	Account   string            `json:"account"` // a fingerprint of the key that called; never the key
	Operation string            `json:"operation"`
	Amount    int64             `json:"amount"`
	Currency  string            `json:"currency"`
	Key       string            `json:"idempotency_key,omitempty"` // the header as received
	Order     string            `json:"order,omitempty"`           // metadata[order]
	Metadata  map[string]string `json:"metadata,omitempty"`
	Status    string            `json:"status"`
}

// Totals count over the provider's whole life.
type Totals struct {
	Received map[string]uint64 `json:"received"` // by "METHOD path-pattern fault"; fault is "-" for none
	Executed map[string]uint64 `json:"executed"` // by operation, declines not counted
	Declined uint64            `json:"declined"`
	Replayed uint64            `json:"replayed"` // stored answers sent again
	Amount   map[string]int64  `json:"amount"`   // moved by charges, minor units by currency
	Dropped  uint64            `json:"dropped"`  // entries no longer kept in full; they still count
}

// Books are what one provider executed: the truth that tests count against.
type Books struct{ name string }

// Name is the provider's.
func (b *Books) Name() string { return b.name }

// Totals are the counters.
func (b *Books) Totals() Totals { return Totals{} }

// Entries are those kept in full that f wants, oldest first.
func (b *Books) Entries(f Filter) []Entry { return nil }

// Executed is how often this provider executed something for the order: how often each operation did, summed. Declines do not count.
func (b *Books) Executed(order string) int { return 0 }

// Filter picks entries. Its zero value wants all.
type Filter struct {
	Since time.Time
	Order string
}

// Duplicate is an order that was executed more than once.
type Duplicate struct {
	Order     string         `json:"order"`
	Operation string         `json:"operation"`
	Times     map[string]int `json:"times"` // by provider
}

// Twice lists the orders for which one operation was executed more than once across all the given books. It is right over the whole life,
// also for entries that are no longer kept in full.
func Twice(books ...*Books) []Duplicate { return nil }
