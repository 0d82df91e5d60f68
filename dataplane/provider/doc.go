// Package provider sends one attempt to one provider: credentials, keys, deadlines, injected faults, and what the answer proves.
// It alone names the outbound HTTP library on the request path.
//
// It owns the connections to providers and the faults that drills inject. Settle, the proxy's reads and the probes call it.
package provider
