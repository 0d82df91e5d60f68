// Package session holds the noun session: the state of an ongoing conversation with providers: the provider that each service is pinned
// to, the fields that applications write, and the history of both; how two regions' copies are merged; and what can be carried to
// another provider.
//
// It owns no state: stores do. The proxy restores and remembers sessions through it; the room transfer reads and writes fields and
// carries them over.
package session
