package provider

import (
	"context"
	"errors"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"time"
)

// errLate is the cause when a time limit of the send passed.
var errLate = errors.New("no answer in time")

// flight is one send under way: its gate, its wire, and who may end it early. It is the context of its request: made for that, it costs
// a third of what the context package would.
type flight struct {
	context.Context
	gate      gate
	trace     httptrace.ClientTrace
	timer     *time.Timer // to the first byte of the answer, then between two reads
	unwatch   func() bool
	wire      atomic.Pointer[wire]
	streaming atomic.Bool // the answer of a read has begun: the deadline was for its first byte
	idle      time.Duration

	mu    sync.Mutex // guards the rest
	done  chan struct{}
	cause error
	after []func()  // net/http's, called when the flight is cancelled
	room  [2]func() // for after: nearly every flight needs no more
}

// newFlight begins a send. It ends when the caller leaves, when PerTry or the context's deadline passes before the answer
// begins, and afterwards when an answer falls silent; the deadline ends an effect's answer too, but not a read's, which may be a
// long stream.
func newFlight(ctx context.Context, call *Call, idle time.Duration) *flight {
	f := &flight{idle: idle, done: make(chan struct{})}
	f.gate.guard = call.Guard
	f.trace.GotConn = f.hold
	f.Context = context.Background()
	f.timer = time.AfterFunc(firstByteLimit(ctx, call.PerTry), f.expire)
	if ctx.Done() != nil {
		f.unwatch = context.AfterFunc(ctx, func() { f.callerDone(ctx.Err()) })
	}
	return f
}

// traceKey is the name under which net/http looks for a trace. It is nobody's but httptrace's, which says it when it is asked to add one: a
// flight that answers to it itself needs no context around it.
var traceKey = func() any {
	c := &catcher{Context: context.Background()}
	httptrace.ContextClientTrace(c)
	return c.key
}()

// catcher keeps the key that it is asked for.
type catcher struct {
	context.Context
	key any
}

// Value is asked by httptrace, once.
func (c *catcher) Value(key any) any {
	c.key = key
	return nil
}

// Value is the flight's trace, and nothing else.
func (f *flight) Value(key any) any {
	if key == traceKey {
		return &f.trace
	}
	return nil
}

func (f *flight) expire() { f.cancel(errLate) }

// Done is closed when the flight is cancelled.
func (f *flight) Done() <-chan struct{} { return f.done }

// Err is nil until the flight is cancelled.
func (f *flight) Err() error {
	if f.ended() != nil {
		return context.Canceled
	}
	return nil
}

// ended returns why the flight was cancelled, or nil.
func (f *flight) ended() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.cause
}

// AfterFunc is asked for by the context package, for the context that net/http derives: without it a goroutine would watch Done.
func (f *flight) AfterFunc(call func()) (stop func() bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.cause != nil {
		go call() // it wants a lock that our caller holds; it ends at once
		return func() bool { return false }
	}
	if f.after == nil {
		f.after = f.room[:0]
	}
	place := len(f.after)
	f.after = append(f.after, call)
	return func() bool { return f.forget(place) }
}

// forget takes a function of AfterFunc back.
func (f *flight) forget(place int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if place >= len(f.after) || f.after[place] == nil {
		return false
	}
	f.after[place] = nil
	return true
}

// cancel ends the flight. The first cause counts.
func (f *flight) cancel(cause error) {
	for _, call := range f.conclude(cause) {
		if call != nil {
			call() // asks for Err: not under the lock
		}
	}
}

// conclude notes the cause, and returns whom to tell.
func (f *flight) conclude(cause error) []func() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.cause != nil {
		return nil
	}
	f.cause = cause
	close(f.done)
	tell := f.after
	f.after = nil
	return tell
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
	if f.unwatch != nil {
		f.unwatch()
	}
	f.cancel(context.Canceled)
}

// left tells whether it was the caller who ended the flight.
func (f *flight) left() bool { return errors.Is(f.ended(), context.Canceled) }

// late tells whether a limit ended it.
func (f *flight) late() bool { return errors.Is(f.ended(), errLate) }
