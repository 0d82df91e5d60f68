// Package regions holds the noun region: the places where agents run, and how they stand to each other.
//
// It owns no state: a Topology is a value, read from the policy. The policy, the state and the choice call it.
package regions
