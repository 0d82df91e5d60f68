package provider

import (
	"context"
	"errors"
	"net/http/httptrace"
	"sync/atomic"
	"time"
)

// errLate is the cause when a time limit of the send passed.
var errLate = errors.New("no answer in time")

// flight is one send under way: its gate, its wire, and who may end it early.
type flight struct {
	gate      gate
	trace     httptrace.ClientTrace
	ctx       context.Context
	cancel    context.CancelCauseFunc
	timer     *time.Timer // to the first byte of the answer, then between two reads
	unwatch   func() bool
	wire      atomic.Pointer[wire]
	streaming atomic.Bool // the answer of a read has begun: the deadline was for its first byte
	idle      time.Duration
}

// newFlight begins a send. It ends when the caller leaves, when PerTry or the context's deadline passes before the answer
// begins, and afterwards when an answer falls silent; the deadline ends an effect's answer too, but not a read's, which may be a
// long stream.
func newFlight(ctx context.Context, call *Call, idle time.Duration) *flight {
	f := &flight{idle: idle}
	f.gate.guard = call.Guard
	f.trace.GotConn = f.hold
	inner, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	f.cancel = cancel
	f.ctx = httptrace.WithClientTrace(inner, &f.trace)
	f.timer = time.AfterFunc(firstByteLimit(ctx, call.PerTry), func() { cancel(errLate) })
	f.unwatch = func() bool { return true }
	if ctx.Done() != nil {
		f.unwatch = context.AfterFunc(ctx, func() { f.callerDone(ctx.Err()) })
	}
	return f
}

func firstByteLimit(ctx context.Context, perTry time.Duration) time.Duration {
	limit := orDefault(perTry, defaultPerTry)
	if deadline, ok := ctx.Deadline(); ok {
		limit = min(limit, time.Until(deadline))
	}
	return limit
}

// callerDone ends the flight for the caller's context.
func (f *flight) callerDone(err error) {
	switch {
	case !errors.Is(err, context.DeadlineExceeded):
		f.cancel(err)
	case !f.streaming.Load():
		f.cancel(errLate)
	}
}

// hold puts the flight on the wire that net/http chose for it.
func (f *flight) hold(info httptrace.GotConnInfo) {
	w, ok := info.Conn.(*wire)
	if !ok {
		return // then nothing can be written: a wire without a flight refuses
	}
	f.gate.mu.Lock()
	f.gate.reused = info.Reused
	f.gate.mu.Unlock()
	f.wire.Store(w)
	w.flight.Store(f)
}

// begun is told when an answer's header is here.
func (f *flight) begun(read bool) {
	f.streaming.Store(read)
	f.timer.Reset(f.idle)
}

// release gives the wire back after a clean answer.
func (f *flight) release() {
	if w := f.wire.Load(); w != nil {
		w.release(f)
	}
}

// end stops whatever watches the flight. A wire that was not released is reset.
func (f *flight) end() {
	f.timer.Stop()
	f.unwatch()
	f.cancel(context.Canceled)
}

// left tells whether it was the caller who ended the flight.
func (f *flight) left() bool { return errors.Is(context.Cause(f.ctx), context.Canceled) }

// late tells whether a limit ended it.
func (f *flight) late() bool { return errors.Is(context.Cause(f.ctx), errLate) }
