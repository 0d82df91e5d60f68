package provider

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"segue/controlplane/policy"
	"segue/dataplane/message"
)

// errCheck is the error of a check whose answer was not good.
var errCheck = errors.New("not a good answer")

// Checked is what one active check showed.
type Checked struct {
	Good       bool // answered with 2xx or 3xx
	Status     int  // 0: no answer
	Error      string
	Latency    time.Duration
	RetryAfter time.Duration
	Err        error  // nil if good
	Warn       bool   // good, but something ends soon
	Says       string // what a TLS check found, in words
}

// Check makes one of a candidate's active checks; an HTTP check with its credential (none, if that is the caller's). Drills hit checks as
// they hit calls.
func (c *Client) Check(ctx context.Context, p *policy.Candidate, k policy.Check) Checked {
	switch k.Kind {
	case policy.CheckHTTP:
		return c.checkHTTP(ctx, p, k)
	case policy.CheckTCP, policy.CheckTLS:
		return c.checkWire(ctx, p, k)
	default:
		return Checked{Err: fmt.Errorf("provider %s: %q is no kind of check: %w", p.Provider, k.Kind, errCheck)}
	}
}

func (c *Client) checkHTTP(ctx context.Context, p *policy.Candidate, k policy.Check) Checked {
	path, query, _ := strings.Cut(k.Path, "?")
	call := &Call{
		Candidate: p,
		Operation: "check",
		Request:   &message.Request{Method: k.Method, Path: path, RawQuery: query},
		Read:      true,
	}
	r := c.Send(ctx, call, silent{})
	out := Checked{Status: r.Status, Error: r.Error, Latency: r.Sample.Latency, RetryAfter: r.Sample.RetryAfter, Err: r.Err}
	out.Good = r.Err == nil && r.Status >= 200 && r.Status < 400
	if !out.Good && out.Err == nil {
		out.Err = fmt.Errorf("provider %s answered %d: %w", p.Provider, r.Status, errCheck)
	}
	return out
}

// silent is a reply that takes an answer and keeps none of it.
type silent struct{}

func (silent) Begin(int, message.Header) error { return nil }
func (silent) Write([]byte) error              { return nil }
func (silent) End(error) error                 { return nil }
