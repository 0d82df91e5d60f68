// Package transfer holds the noun field, as a shell around dataplane/session: fields of sessions as applications read and write them,
// sealed; the import that brings one to a provider, which is a transaction of its own; the fetch that gets one from there; the tokens that
// providers let conversations in by; the warm standby; and the coverage: which share of the sessions in use could go on elsewhere now.
//
// It owns the locks of the sessions that this agent is writing, the queue of the standby, and the sample of sessions in use. The
// agent's own listener reads and writes fields through it; the proxy has it carry a session over.
package transfer
