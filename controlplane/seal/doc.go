// Package seal holds the noun envelope: bytes that only the holder of a key can read or change, with the key's id written outside.
//
// It owns no state: keys, nonces and bytes come in as arguments. The data plane seals stored answers and sessions with it.
package seal
