package provider

import (
	"context"
	"time"

	"segue/controlplane/health"
	"segue/controlplane/policy"
	"segue/dataplane/ledger"
	"segue/dataplane/message"
)

// Call is one send to one provider.
type Call struct {
	Candidate *policy.Candidate
	Service   string
	Operation string
	Request   *message.Request
	Read      bool
	Key       string         // idempotency key for the provider; "": none is sent
	Reference string         // our reference, put into the request where the contract has a place for it; "": the bytes are the caller's alone
	Mapping   *policy.Mapped // how the operation is made there, where the provider has another API than the application speaks; nil: as it came
	Object    string         // mapped: the provider's own id of the object that the call is about
	Session   string         // mapped: the application's
	PerTry    time.Duration  // to the first byte of the answer; the context's deadline holds too
	Where
	RequestID string
	// Carry brings what the provider must have before the call, and returns the request as it is to go there. It is asked once, before
	// anything of the call; an error means that nothing is sent (not_sent, session_not_carried). nil: the request goes as it is.
	Carry func(context.Context, *policy.Candidate, *message.Request) (*message.Request, error)
	// Guard is asked right before the first byte leaves, with the connection in hand; an error means that nothing is sent
	// (the outcome is not_sent, error stale_send). nil: always.
	Guard func() error
}

// Where says at which of the provider's endpoints a call is made. The zero value: at the nearest that can be reached.
type Where struct {
	Only   string        // there, and nowhere else
	Leave  string        // it left the call without an answer: the others are asked first
	within time.Duration // a connection has to be had in; 0: no such limit
}

// Result is what one send showed.
type Result struct {
	Outcome   ledger.Outcome
	Kind      ledger.EvidenceKind
	Sample    health.Sample
	Error     string // RFC 9209 token: connection_refused, dns_error, tls_protocol_error, http_response_timeout, http_response_incomplete …; "" if answered
	Status    int    // 0: no answer
	Theirs    string // mapped: the provider's own id of what was made
	Begun     bool   // reply.Begin was called: bytes may have reached the caller
	Endpoint  string // of several: the one that it was sent to
	Elapsed   time.Duration
	Unreached bool  // no connection could be had
	Err       error // for the log; never shown to callers
}
