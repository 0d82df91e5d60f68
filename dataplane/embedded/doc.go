// Package embedded holds the noun store, on one machine: transactions and sessions in one Pebble, each write on stable storage before
// it is acknowledged.
//
// It owns the directory's files, the locks of rows under way and the goroutine that sweeps. The agent opens one, or several agents of
// one process share one.
package embedded
