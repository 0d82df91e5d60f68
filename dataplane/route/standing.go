package route

import (
	"time"

	"segue/dataplane/breaker"
)

// Standing is what is known of one provider of a service, in this region.
type Standing struct {
	Provider string
	Circuit  breaker.Circuit
	InFlight int32
	tat      time.Time // GCRA: theoretical arrival time of the next call
	closed   time.Time // Retry-After: nothing before
	Drained  time.Time // an order keeps new calls away until then
}

// Standings are the rows of one service, by candidate index.
type Standings struct {
	Rows []*Standing
}
