// Package state holds the noun State: the control plane's replicated value. It keeps the policy's revisions, the orders in force, and
// who changed what, when and why. There is a struct per change, and Apply is pure.
//
// It owns no state itself: the replica holds the current value behind an atomic pointer and is its only mutator. The replica applies
// commands, feed sends the Updates, web reads everything else. See DESIGN.md.
package state
