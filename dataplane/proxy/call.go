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
	RequestID string
	Arrived   time.Time // the clock, read once by the edge
}
