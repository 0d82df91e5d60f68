// Package sessiontest holds the suite that every store of sessions passes.
//
// It owns no state. The stores' own tests call Run.
package sessiontest
