// Package ledger holds the noun transaction: one effectful call under one idempotency key, its attempts and its one outcome; the rule
// of what to do next (Next); the Store that keeps transactions; and the rows' encoding.
//
// It owns no state: stores do. Settle drives transactions through it; the embedded store keeps them.
package ledger
