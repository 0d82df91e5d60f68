package ledger

import (
	"slices"

	"segue/controlplane/policy"
)

// MeansOf reads from a contract what its provider offers for an operation beside keys. What is not stated is not there; a lookup counts
// only if it shows each request as soon as that began to execute, and a cancel only if it is final. Where a
// contract does not say what is told again under a key, declines count as remembered.
func MeansOf(c *policy.Contract, operation string) Means {
	if c == nil {
		return Means{}
	}
	covers := func(of []string) bool { return len(of) == 0 || slices.Contains(of, operation) }
	r := c.Recourse
	m := Means{Settle: r.Settle, Forgets: c.Keys.Replay == policy.Stored2xx || c.Keys.Replay == policy.StoredNone}
	if r.Lookup.Match != "" && r.Lookup.Strong && covers(r.Lookup.Of) {
		m.Lookup, m.Horizon = true, r.Lookup.Horizon
	}
	if r.Cancel.Match != "" && r.Cancel.State == policy.CancelFinal && covers(r.Cancel.Of) {
		m.Cancel, m.Blocks = true, r.Cancel.Blocks
	}
	return m
}
