package edge

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"segue/dataplane/message"
	"segue/dataplane/proxy"
)

const (
	// refusedBody is how long net/http may go on reading a body that was refused, so that the refusal is not lost to a reset.
	refusedBody = time.Second
	// slowest is how much of a body must come in a second, once its first time is up.
	slowest = inMemory
)

// Fetch takes the body into the request. Whoever waits for leave to send it gets that now. The limit of time is taken away only when the
// body is here: net/http reads what is left of a refused one, and would wait for it for ever.
func (x *exchange) Fetch(small bool) *proxy.Problem {
	if !x.unread {
		return nil
	}
	x.unread = false
	limits := &x.port.edge.config.Limits
	x.until = time.Now().Add(limits.ReadBody)
	x.limit(x.until)
	in := intake{from: x.in.Body, length: x.in.ContentLength, limit: limits.Body, small: small, pace: x}
	err := x.port.edge.spool.take(in, &x.held)
	if err == nil {
		err = x.takeTrailer()
	}
	if err != nil {
		x.limit(time.Now().Add(refusedBody))
		x.last()
		return x.refuseBody(err, in)
	}
	x.limit(time.Time{})
	x.request.Body = x.held.body
	if x.held.large != nil { // a nil pointer in an interface is no nil
		x.request.Large = x.held.large
	}
	return nil
}

// came gives a body that comes fast enough more time.
func (x *exchange) came() {
	x.until = x.until.Add(inMemory * time.Second / slowest)
	x.limit(x.until)
}

// takeTrailer takes what came after the body, in the order of names: net/http keeps none.
func (x *exchange) takeTrailer() error {
	if x.in.Trailer == nil {
		return nil
	}
	if _, err := fill(x.in.Body, make([]byte, 1)); err != io.EOF { // it comes after the end, which nobody may have asked for yet
		return err
	}
	for name, values := range x.in.Trailer {
		if !message.InTrailer(name) {
			continue
		}
		for _, v := range values {
			x.request.Trailer.Add(name, v)
		}
	}
	slices.SortStableFunc(x.request.Trailer, func(a, b message.Field) int { return strings.Compare(a.Name, b.Name) })
	return nil
}

// refuseBody says why a body was not taken.
func (x *exchange) refuseBody(err error, in intake) *proxy.Problem {
	var slow interface{ Timeout() bool }
	switch {
	case errors.Is(err, errTooLarge) && in.small:
		p := proxy.TooLarge(min(in.limit, maxInspected))
		p.Detail += " A field of it decides what becomes of the call, so that all of it is held in memory."
		return p
	case errors.Is(err, errTooLarge):
		return proxy.TooLarge(in.limit)
	case errors.Is(err, errMemoryFull):
		return proxy.SpoolFull("memory for bodies")
	case errors.Is(err, errDiskFull):
		x.port.edge.config.Logger.Warn("a body was refused: no room on the disk", "request", x.call.RequestID, "error", err)
		return proxy.SpoolFull("disk for bodies")
	case errors.As(err, &slow) && slow.Timeout():
		return proxy.BadHeader("Content-Length", "the body did not come whole in time")
	default:
		return proxy.BadHeader("Content-Length", "the body ended early, or is not framed as HTTP asks")
	}
}

// abandon is called before an answer to a request whose body nobody asked for. A small one is read, so that the connection can go on;
// an application that waits for leave, or has more, is told by the answer that this was the last.
func (x *exchange) abandon() {
	x.unread = false
	if x.conn == nil {
		return // over HTTP/2 the stream ends, and nothing else
	}
	x.limit(time.Now().Add(refusedBody))
	if n := x.in.ContentLength; n > 0 && n <= inMemory && x.in.Header["Expect"] == nil {
		if _, err := io.Copy(io.Discard, x.in.Body); err == nil {
			x.limit(time.Time{})
			return
		}
	}
	x.last()
}

// limit sets until when the body may be read. Zero: no limit.
func (x *exchange) limit(until time.Time) {
	if x.conn != nil {
		x.conn.limitRead(until)
		return
	}
	_ = http.NewResponseController(x.reply.w).SetReadDeadline(until) // fails only when the stream is gone
}

// last ends the connection with this answer: what follows on it cannot be trusted, or would have to be read first.
func (x *exchange) last() {
	if x.conn != nil {
		x.reply.w.Header().Set("Connection", "close")
	}
}
