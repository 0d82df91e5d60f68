// Package repair holds the noun hint: an fsynced event waiting until a quorum can take it; the log that keeps hints and the journal of
// those that were replayed; and what brings a store back to what an agent acknowledged: replay, read repair, background sync and
// event replay.
//
// It owns the log's directory, which one process at a time may have. It wraps a store of transactions and a store of sessions: whoever
// uses these need not know of it. Claims are never hinted.
package repair
