// Package breaker holds the circuit: closed, open, half-open with leased probes. Time and the draw come in as arguments.
//
// It owns no state: a Circuit is a value inside a standing, guarded by the board's lock.
package breaker
