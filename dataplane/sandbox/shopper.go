package sandbox

import (
	"context"
	"log/slog"
	"time"
)

// Target is a service's listener in one region.
type Target struct {
	Region string
	URL    string  // base URL
	Rate   float64 // new sessions a second; each makes two to four calls
}

// ShopperConfig describes a load.
type ShopperConfig struct {
	Targets []Target
	Seed    uint64
	Token   string           // shown as Bearer; "sk_test_shopper" if none is given
	Timeout time.Duration    // of one call; 0 means 15 s
	Retries int              // with the same key, after an unknown outcome or a transport error; 0 means 2, negative none
	Backoff time.Duration    // before a retry; 0 means 500 ms
	Busy    int              // sessions at once per region, further ones are skipped; 0 means 256
	Now     func() time.Time // time.Now if none is given
	Log     *slog.Logger     // discarded if none is given
}

// Told is what the shopper was told about an order, or about one call.
type Told string

const (
	Succeeded Told = "succeeded"
	Declined  Told = "declined"
	Invalid   Told = "invalid"   // the provider's 4xx: nothing was done
	Refused   Told = "refused"   // told "not executed": a problem with executed: "no", a 429, or no connection at all
	Unknown   Told = "unknown"   // outcome-unknown, in-progress, or a 5xx that says nothing
	Transport Told = "transport" // the connection failed after something was sent; for an order this counts as unknown
)

// Tally counts calls.
type Tally struct {
	Calls       uint64
	OK          uint64          // answered as a provider answers: succeeded, declined, invalid
	Failed      map[Told]uint64 // refused, unknown, transport
	Reads       uint64
	FailedReads uint64
	P50, P99    time.Duration
}

// Stats are the shopper's counters since its start.
type Stats struct {
	Tally
	Regions  map[string]Tally
	Sessions uint64
	Skipped  uint64 // sessions not begun because too many were open
	Orders   map[Told]uint64
}

// Shopper is a seeded load of customers: each opens a session, pays, looks, sometimes captures or refunds, and remembers what it was told.
type Shopper struct{}

// NewShopper checks the configuration.
func NewShopper(c ShopperConfig) (*Shopper, error) { return nil, nil }

// Start begins the load. It does not block.
func (s *Shopper) Start() error { return nil }

// Stop begins no new session, lets the open ones end until ctx is over, and returns when no goroutine is left.
func (s *Shopper) Stop(ctx context.Context) error { return nil }

// Stats are the counters now.
func (s *Shopper) Stats() Stats { return Stats{} }
