// Package settle drives a transaction from its INTENT to its outcome: it sends, asks the ledger what the evidence means, and does it:
// finish, elsewhere, the same request again, hold or refuse.
//
// It owns the drivers that outlive their callers, this run's lease, and the list of outcomes to look for. The proxy calls Run; the agent calls
// Adopt and Start at its start, Stop and Wait at its end; whoever has evidence calls Learn.
package settle
