// Package storm judges Segue from outside, while everything fails at once: agents are killed and frozen, control nodes lose their leader and
// their majority, providers hang, lose replies, reset and die. What fails, where and when is a schedule made of a seed; the same seed is the
// same schedule. Customers keep a journal of what they were told, each provider is a process with books of its own, and the judge
// compares journals, books and Segue's own answers: nothing twice, nothing lost, nothing guessed, nothing left open.
//
// It owns nothing but what its tests start. `make storm` runs it for as long as wanted and writes down each run in docs/storms.md.
package storm
