// Package state holds the replicated State of the control plane: the policy's revisions, the orders in force, and who changed what,
// when and why. A struct per change; Apply is pure.
//
// It owns no state itself: the replica holds the current value behind an atomic pointer and is its only mutator.
package state
