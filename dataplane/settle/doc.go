// Package settle drives a transaction from its INTENT to its outcome: it sends, asks the ledger what the evidence means, and does it:
// finish, elsewhere, the same request again, hold or refuse.
//
// It owns the drivers that outlive their callers. The proxy calls Run; the agent calls Adopt at its start and Wait at its end.
package settle
