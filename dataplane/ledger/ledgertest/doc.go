// Package ledgertest holds the suite that every store of transactions passes.
//
// It owns no state. The stores' own tests call Run.
package ledgertest
