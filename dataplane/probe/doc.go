// Package probe holds the Prober: active checks, one HTTP request per provider and period, sent as nobody's call.
//
// It owns the goroutines that wait and ask, one per checked provider, and nothing else: what a check showed goes to the standing board,
// in a lane of its own. The agent starts it, swaps its snapshots and stops it.
package probe
