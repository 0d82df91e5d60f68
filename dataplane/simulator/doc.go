// Package simulator holds a world: providers with fees, faults, queues and keys, callers that arrive at random, and virtual time. Players
// choose in it: Segue's own code as shipped (route, breaker, health, ledger), the rivals, and an oracle. It counts what each of them made of
// the same arrivals and the same fates.
//
// It owns no state beyond one run: Run begins with a seed and ends with a Tally. Whoever calls it brings the randomness, and the cores.
package simulator
