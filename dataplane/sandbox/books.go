package sandbox

import (
	"maps"
	"slices"
	"sort"
	"sync"
	"time"
)

// Entry is one execution: the provider really did it. Status "declined" means that it was tried and no money moved.
type Entry struct {
	ID        string            `json:"id"` // of the object made or changed
	At        time.Time         `json:"at"`
	Account   string            `json:"account"` // a fingerprint of the key that called; never the key
	Operation string            `json:"operation"`
	Amount    int64             `json:"amount"`
	Currency  string            `json:"currency"`
	Key       string            `json:"idempotency_key,omitempty"` // the header as received
	Order     string            `json:"order,omitempty"`           // metadata[order]; of a message, its number and its text
	Metadata  map[string]string `json:"metadata,omitempty"`
	Status    string            `json:"status"`
}

// The operations that books know.
const (
	OpCharge        = "charges.create"
	OpChargeUpdate  = "charges.update"
	OpChargeCapture = "charges.capture"
	OpIntent        = "payment_intents.create"
	OpIntentConfirm = "payment_intents.confirm"
	OpIntentCapture = "payment_intents.capture"
	OpIntentCancel  = "payment_intents.cancel"
	OpRefund        = "refunds.create"
)

// once are the operations of which an order wants at most one; an update may be repeated as often as wanted.
func once() []string {
	return []string{OpCharge, OpChargeCapture, OpIntent, OpIntentConfirm, OpIntentCapture, OpIntentCancel, OpRefund, OpMessage}
}

// counted are the operations that are counted by order: those, and completions, which may be repeated but must not be lost.
func counted() []string { return append(once(), OpChat) }

// StatusDeclined is the status of an entry that moved nothing.
const StatusDeclined = "declined"

// Totals count over the provider's whole life.
type Totals struct {
	Received map[string]uint64 `json:"received"` // by "METHOD path-pattern fault"; fault is "-" for none
	Executed map[string]uint64 `json:"executed"` // by operation, declines not counted
	Declined uint64            `json:"declined"`
	Replayed uint64            `json:"replayed"` // stored answers sent again
	Amount   map[string]int64  `json:"amount"`   // authorised by charges, less what was refunded: minor units by currency
	Dropped  uint64            `json:"dropped"`  // entries no longer kept in full; they still count
}

// Books are what one provider executed: the truth that tests count against.
type Books struct {
	name string
	keep int

	mu      sync.Mutex
	totals  Totals
	entries []Entry // a ring once it is full
	oldest  int
	orders  tally
}

func newBooks(name string, keep int) *Books {
	return &Books{name: name, keep: keep, orders: tally{}, totals: Totals{
		Received: map[string]uint64{}, Executed: map[string]uint64{}, Amount: map[string]int64{},
	}}
}

// Name is the provider's.
func (b *Books) Name() string { return b.name }

// receive counts a request that was read, whatever becomes of it.
func (b *Books) receive(method, pattern string, fault Kind) {
	if fault == "" {
		fault = "-"
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.totals.Received[method+" "+pattern+" "+string(fault)]++
}

func (b *Books) replay() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.totals.Replayed++
}

// record enters an execution. It is called under the bank's lock, in the same section that does the work.
func (b *Books) record(e Entry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if e.Status == StatusDeclined {
		b.totals.Declined++
	} else {
		b.count(e)
	}
	if len(b.entries) < b.keep {
		b.entries = append(b.entries, e)
		return
	}
	b.entries[b.oldest] = e
	b.oldest = (b.oldest + 1) % b.keep
	b.totals.Dropped++
}

func (b *Books) count(e Entry) {
	b.totals.Executed[e.Operation]++
	switch {
	case e.Operation == OpRefund:
		b.totals.Amount[e.Currency] -= e.Amount
	case moves(e):
		b.totals.Amount[e.Currency] += e.Amount
	}
	if e.Order != "" && slices.Contains(counted(), e.Operation) {
		b.orders.add(e.Operation, e.Order)
	}
}

// moves is true for the execution that authorised the money: a charge, or an intent when it was confirmed.
func moves(e Entry) bool {
	switch e.Operation {
	case OpCharge, OpIntentConfirm:
		return true
	case OpIntent:
		return e.Status == "succeeded" || e.Status == "requires_capture"
	}
	return false
}

// Totals are the counters.
func (b *Books) Totals() Totals {
	b.mu.Lock()
	defer b.mu.Unlock()
	t := b.totals
	t.Received, t.Executed, t.Amount = maps.Clone(t.Received), maps.Clone(t.Executed), maps.Clone(t.Amount)
	return t
}

// Filter picks entries. Its zero value wants all.
type Filter struct {
	Since time.Time
	Order string
}

func (f Filter) wants(e Entry) bool {
	return !e.At.Before(f.Since) && (f.Order == "" || e.Order == f.Order)
}

// Entries are those kept in full that f wants, oldest first.
func (b *Books) Entries(f Filter) []Entry {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := []Entry{}
	for i := range b.entries {
		if e := b.entries[(b.oldest+i)%len(b.entries)]; f.wants(e) {
			out = append(out, e)
		}
	}
	return out
}

// Executed is how often this provider executed something for the order: how often each operation did, summed. Declines do not count.
func (b *Books) Executed(order string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for _, op := range counted() {
		n += b.orders.count(op, order)
	}
	return n
}

// Duplicate is an order that was executed more than once.
type Duplicate struct {
	Order     string         `json:"order"`
	Operation string         `json:"operation"`
	Times     map[string]int `json:"times"` // by provider
}

// Twice lists the orders for which one operation was executed more than once across all the given books. It is right over the whole life,
// also for entries that are no longer kept in full.
func Twice(books ...*Books) []Duplicate { return twice(func(page) bool { return true }, books) }

// twice lists them among the orders that are wanted.
func twice(wanted func(page) bool, books []*Books) []Duplicate {
	out := []Duplicate{}
	for p, counts := range sums(wanted, books) {
		for slot, n := range counts {
			if n > 1 {
				out = append(out, duplicate(p, slot, books))
			}
		}
	}
	sort.Slice(out, func(i, j int) bool {
		return out[i].Order < out[j].Order || out[i].Order == out[j].Order && out[i].Operation < out[j].Operation
	})
	return out
}

// sums adds up how often each operation of the wanted orders was executed across the books.
func sums(wanted func(page) bool, books []*Books) map[page]*[pageSize]uint16 {
	all := map[page]*[pageSize]uint16{}
	for _, b := range books {
		b.sum(wanted, all)
	}
	return all
}

func (b *Books) sum(wanted func(page) bool, into map[page]*[pageSize]uint16) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for p, counts := range b.orders {
		if p.operation == OpChat || !wanted(p) {
			continue
		}
		sums := into[p]
		if sums == nil {
			sums = new([pageSize]uint16)
			into[p] = sums
		}
		for slot, n := range counts {
			sums[slot] += uint16(n)
		}
	}
}

func duplicate(p page, slot int, books []*Books) Duplicate {
	d := Duplicate{Order: p.order(slot), Operation: p.operation, Times: map[string]int{}}
	for _, b := range books {
		b.mu.Lock()
		if n := b.orders.count(d.Operation, d.Order); n > 0 {
			d.Times[b.name] += n
		}
		b.mu.Unlock()
	}
	return d
}
