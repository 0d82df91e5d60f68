package query

import "time"

// MaxReplay is how far back a replay can go: agents keep their decisions of one hour.
const MaxReplay = time.Hour

// Replay asks what recorded traffic would have done under another policy.
type Replay struct {
	Policy []byte        // the region's cut of the candidate
	Window time.Duration // how far back, at most MaxReplay
}

// Replayed is what an agent's recorded decisions would have come to. A decision stands for 1, or where more were made in a minute than are kept,
// for as many as it was drawn from.
type Replayed struct {
	Decisions uint64            `json:"decisions"` // that were made again
	Stand     uint64            `json:"stand_for"` // how many calls they stand for
	Moves     uint64            `json:"moves"`     // of those, how many go to another provider
	Span      time.Duration     `json:"span"`      // from the first of them to the last
	Services  []ReplayedService `json:"services"`
	Left      []ReplayLeft      `json:"left_out"` // what was not made again, and why
	Cut       bool              `json:"cut"`      // the time for it was over: the newest are missing
}

// ReplayedService is one service of a replay. What is expected of a provider's calls is what its calls showed in the same minute, drawn
// towards what they showed in the whole window.
type ReplayedService struct {
	Service   string             `json:"service"`
	Stand     uint64             `json:"stand_for"`
	Moves     uint64             `json:"moves"`
	Served    uint64             `json:"served"`  // had no provider then, and would have one
	Refused   uint64             `json:"refused"` // had a provider then, and would have none
	Success   Expected           `json:"success"` // calls that their first provider answers
	Cost      Expected           `json:"cost"`    // by the fees of the candidate policy, in millionths of its currency
	Currency  string             `json:"currency,omitempty"`
	Providers []ReplayedProvider `json:"providers"`
}

// Expected is a sum over the calls of which it is known both before and after.
type Expected struct {
	Calls  uint64  `json:"calls"`
	Before float64 `json:"before"`
	After  float64 `json:"after"`
}

// ReplayedProvider is what one provider had and would have.
type ReplayedProvider struct {
	Provider       string  `json:"provider"`
	Before         uint64  `json:"before"` // calls
	After          uint64  `json:"after"`
	SessionsBefore uint64  `json:"sessions_before"` // new sessions: what weights are shares of
	SessionsAfter  uint64  `json:"sessions_after"`
	Rate           float64 `json:"rate"`      // calls per second in the busiest minute, after
	InFlight       float64 `json:"in_flight"` // calls at once in that minute: rate × how long its calls took
	RateLimit      float64 `json:"rate_limit,omitempty"`
	FlightLimit    int     `json:"in_flight_limit,omitempty"`
}

// Load is the larger share of a provider's limits that the busiest minute would take; 0: it has none.
func (p *ReplayedProvider) Load() float64 {
	load := 0.0
	if p.RateLimit > 0 {
		load = p.Rate / p.RateLimit
	}
	if p.FlightLimit > 0 {
		load = max(load, p.InFlight/float64(p.FlightLimit))
	}
	return load
}

// ReplayLeft is what could not be made again.
type ReplayLeft struct {
	Service string `json:"service"`
	Why     string `json:"why"`
	Stand   uint64 `json:"stand_for"`
}
