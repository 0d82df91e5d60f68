package provider

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"

	"segue/controlplane/health"
	"segue/controlplane/policy"
	"segue/dataplane/ledger"
	"segue/dataplane/message"
)

// errGone is when an HTTP/2 connection ended under a call.
var errGone = errors.New("the connection went away")

// maxTries bounds the connections that one send may be offered to. Only one that took no byte is followed by another.
const maxTries = 3

// Send sends a call to its provider, once at most, and passes the answer to a reply as it comes. The result says what was proven.
//
// Nothing is sent when the outcome is not_sent: that is counted on the connection, not concluded from an error. A context that ends
// closes the connection, and then an effect is unknown. An effect's context must therefore not be the caller's, whose leaving stops
// nothing that began. The context's deadline holds until the first byte of the answer, for an effect until its end; an answer
// that falls silent for Config.Idle is cut. Guard may be asked from another goroutine, and again if a connection died before its
// first byte. The request's bytes must not change, also after Send.
func (c *Client) Send(ctx context.Context, call *Call, to message.Reply) Result {
	start := c.now()
	if call.Carry != nil {
		mine := *call
		var err error
		if mine.Request, err = call.Carry(ctx, call.Candidate, call.Request); err != nil {
			return Result{
				Outcome: ledger.NotSent, Kind: ledger.FromAnswer, Sample: health.Sample{Class: health.None}, Error: "session_not_carried",
				Elapsed: c.now().Sub(start), Err: err,
			}
		}
		call, start = &mine, c.now()
	}
	r := c.nearest(ctx, call, to, start)
	r.Elapsed = c.now().Sub(start)
	if r.Sample.Latency == 0 {
		r.Sample.Latency = r.Elapsed
	}
	c.metrics.observe(call.Candidate.Provider, call.Operation, r.Outcome, r.Elapsed)
	return r
}

func (c *Client) send(ctx context.Context, call *Call, to message.Reply, start time.Time) Result {
	f := newFlight(ctx, call, c.idle)
	defer f.end()
	if call.within > 0 {
		defer time.AfterFunc(call.within, f.unreachable).Stop()
	}
	d := delivery{client: c, call: call, to: to, flight: f, start: start, fault: c.drills.draw(call.Candidate.Provider, start)}
	if call.Mapping != nil {
		d.heard = heard(call)
	}
	switch d.fault.Kind {
	case policy.FaultRefuse, policy.FaultStatus, policy.FaultHang:
		return d.feign()
	}
	if call.Mapping != nil {
		if call, d.result = d.speak(ctx); call == nil {
			return d.result
		}
	}
	req, token, err := c.request(f, call, start)
	if err != nil { // it is ours, but the provider is of no use until it is mended
		return Result{Outcome: ledger.NotSent, Kind: ledger.FromAnswer, Sample: health.Sample{Class: health.Failure}, Error: token, Err: err}
	}
	resp, err := c.roundTrip(f, req)
	if err != nil {
		return f.failed(err)
	}
	defer resp.Body.Close()
	return d.deliver(resp)
}

// roundTrip sends the request. A warm connection that died before it took a byte is no reason to fail: the next one is tried.
func (c *Client) roundTrip(f *flight, req *http.Request) (*http.Response, error) {
	for try := 1; ; try++ {
		resp, err := c.offer(f, req)
		nothing, elsewhere := untouched(err)
		if nothing {
			f.gate.untouched()
		}
		if nothing && !elsewhere || err == nil || try == maxTries || f.Err() != nil || !f.gate.again() {
			return resp, err
		}
		if b, ok := req.Body.(rewinder); ok {
			if req.Body, err = b.rewound(); err != nil {
				return nil, fmt.Errorf("rewind: %w", err)
			}
		}
	}
}

// offer gives a request to one connection: an HTTP/2 one where the provider speaks that, but for a tunnel.
func (c *Client) offer(f *flight, req *http.Request) (*http.Response, error) {
	f.trace.WroteHeaderField = nil
	if req.URL.Scheme == "https" && req.Header["Upgrade"] == nil {
		s, err := c.multiplex.take(f, req.URL.Host)
		if err != nil {
			return nil, err
		}
		if s != nil {
			return s.roundTrip(f, req)
		}
	}
	return c.transport.RoundTrip(req)
}

// failed says what a send without an answer proves. The gate is sealed first: from here on nothing can be written any more, so that
// "no byte left" stays true.
func (f *flight) failed(err error) Result {
	nothing, refused := f.gate.seal()
	r := Result{Outcome: ledger.Unknown, Kind: ledger.FromTimeout, Sample: health.Sample{Class: health.Failure}}
	if nothing {
		r.Outcome, r.Kind = ledger.NotSent, ledger.FromAnswer
	}
	var dial *dialError
	r.Unreached = nothing && refused == nil && !f.left() && (f.late() || errors.As(err, &dial))
	switch {
	case refused != nil:
		r.Kind, r.Sample.Class, r.Error, r.Err = ledger.FromStaleSend, health.None, "stale_send", fmt.Errorf("guard: %w", refused)
	case f.left():
		r.Sample.Class, r.Error, r.Err = health.None, "caller_left", context.Canceled
	case f.late() && nothing:
		r.Error, r.Err = "connection_timeout", errLate
	case f.late():
		r.Error, r.Err = "http_response_timeout", errLate
	default:
		r.Error, r.Err = token(err)
	}
	return r
}

// token names a failure in RFC 9209's words. Texts of net/http can hold pieces of an answer, which are nobody's business in a log:
// only errors of the network are passed on.
func token(err error) (string, error) {
	var dial *dialError
	var network *net.OpError
	var stream refusedStream
	switch {
	case errors.As(err, &dial):
		return dial.token, dial
	case errors.As(err, &stream):
		return "connection_terminated", stream
	case strings.HasPrefix(err.Error(), "http2: "):
		return "connection_terminated", errGone
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "http_response_incomplete", io.ErrUnexpectedEOF
	case errors.Is(err, io.EOF), strings.HasSuffix(err.Error(), "server closed idle connection"):
		return "connection_terminated", io.EOF
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "connection_terminated", syscall.ECONNRESET
	case errors.As(err, &network):
		return "connection_terminated", network
	case strings.Contains(err.Error(), "response headers exceeded"):
		return "http_response_header_section_size", errMalformed
	default:
		return "http_protocol_error", errMalformed
	}
}
