package proxy

import (
	"time"

	"segue/dataplane/message"
)

// Call is what the edge hands over: one request of an application, and what its headers said to Segue.
type Call struct {
	Service   string
	App       string // "default" until there are tokens
	Request   *message.Request
	Key       []string      // Idempotency-Key header values as received
	Session   string        // Session-Id as received; "": none
	Prefer    string        // Prefer as received
	Timeout   time.Duration // the caller's deadline, from now; 0: the policy's
	DryRun    bool
	Value     string         // Segue-Value as received; "": none
	Client    string         // Segue-Client-Region as received; "": none
	Told      message.Header // what else speaks to Segue: rules may read it
	RequestID string
	Arrived   time.Time // the clock, read once by the edge
	Body      Source    // where the body comes from, once it is asked for; nil: the Request has it
}

// Source is a body that nobody asked for yet: the application may still wait for leave to send it.
type Source interface {
	// Fetch takes the body into the call's Request, once. small: into memory, because a field in it is asked for.
	Fetch(small bool) *Problem
}
