// Package contract holds a contract against the API that it speaks of: it sends what agents send, by the client that they send by, and
// says of each stated fact whether the API bears it out.
//
// It owns no state. `segue contract test` calls it, with the sandbox's simulator of that API or with a URL; its own tests change each fact of
// the contracts that come with Segue once, and want to be told.
package contract
