// Package standing holds the Board: what is known of each provider of each service in this region (circuit, calls in flight, rate,
// Retry-After, drains, last active check) and the counters that become the agent's report.
//
// It owns that state and is its only mutator: one mutex per service, under which a choice is made and its cost is taken in one section.
// The request path chooses with it (proxy) and gives permits back (settle), the prober tells it what a check showed, and the agent swaps
// policies, sets drains and takes a report every second.
package standing
