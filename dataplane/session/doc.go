// Package session holds the noun session: the state of an ongoing conversation with providers. Now that is the provider that each
// service is pinned to.
//
// It owns no state: stores do. The proxy restores and remembers sessions through it.
package session
