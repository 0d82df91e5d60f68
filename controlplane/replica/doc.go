// Package replica holds one control node's copy of the noun State, replicated by Raft: it proposes commands, applies what is committed,
// and answers reads that see every acknowledged change.
//
// It owns the current State behind an atomic pointer and is its only mutator; the log, the snapshots and the connections between the
// nodes are its own too. The control plane's server calls it. See DESIGN.md.
package replica
