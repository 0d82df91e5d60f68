// Package sdk holds the tests of real SDKs: they talk through an agent of the built binary to simulated providers and to stripe-mock, and
// are told what they are told when they talk to the provider itself.
//
// The SDKs for Go are called here; node/run.mjs and python/run.py make the calls of the others.
//
// It owns the processes that its tests start. `make sdk` runs it; SEGUE_BIN names the binary, and without it one is built. It is a Go
// module of its own, so that nobody who builds Segue has to fetch or compile an SDK.
package sdk
