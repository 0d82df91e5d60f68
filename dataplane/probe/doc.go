// Package probe holds the Prober: how Segue itself asks providers whether they are well, as nobody's call. Active checks are one request, one
// connection or one handshake per provider and period; synthetic transactions are scripts of several steps, and of what takes away what they made.
//
// It owns the goroutines that wait and ask, one per lane, and the record of runs that left something, in the agent's directory; nothing else: what
// a check showed goes to the standing board, in a lane of its own. The agent starts it, swaps its snapshots and stops it.
package probe
