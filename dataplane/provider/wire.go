package provider

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
)

// Why a wire refuses to write.
var (
	errSealed     = errors.New("the send is over: nothing may be written for it any more")
	errSecondWire = errors.New("the request may have been written on another connection already")
	errNoFlight   = errors.New("nobody's request")
)

// A gate knows, exactly, whether a byte of one send has left. net/http writes from goroutines of its own and may try a second
// connection by itself; the gate stands before every write, so that
//   - nothing is written before Guard agrees,
//   - nothing is written on two connections,
//   - nothing is written after seal said that nothing was.
type gate struct {
	mu      sync.Mutex
	guard   func() error
	wire    *wire // the one connection that has, or is being given, bytes
	written int64
	writing bool
	sealed  bool
	refused error // what Guard said
	reused  bool  // the last connection was a warm one
}

// enter asks for leave to write on w.
func (g *gate) enter(w *wire) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.sealed:
		return errSealed
	case g.refused != nil:
		return g.refused
	case g.wire != nil && g.wire != w:
		return errSecondWire
	case g.written == 0 && !g.writing && g.guard != nil:
		if g.refused = g.guard(); g.refused != nil {
			return g.refused
		}
	}
	g.wire, g.writing = w, true
	return nil
}

// leave counts what a write gave to the kernel. A write that gave nothing frees the send for another connection.
func (g *gate) leave(n int) {
	g.mu.Lock()
	g.written += int64(n)
	g.writing = false
	if g.written == 0 {
		g.wire = nil
	}
	g.mu.Unlock()
}

// seal ends the send's right to write and tells whether it is proven that no byte left. A write that is under way counts as written.
func (g *gate) seal() (nothing bool, refused error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.sealed = true
	return g.written == 0 && !g.writing, g.refused
}

// warm says that the connection is one of those that another may stand in for, as long as it took no byte.
func (g *gate) warm() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.reused = true
}

// untouched takes back what was written: the provider said that it did not process it.
func (g *gate) untouched() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.written, g.wire = 0, nil
}

// again tells whether the send may be tried on another connection: a warm one died before it took a byte.
func (g *gate) again() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.reused && g.written == 0 && !g.writing && g.refused == nil && !g.sealed
}

// wire is a connection to a provider, above TLS: what it counts are bytes of requests.
type wire struct {
	net.Conn              // TLS or TCP
	raw      *net.TCPConn // below TLS
	flight   atomic.Pointer[flight]
}

// Write passes the bytes of the send that holds the wire, if its gate lets them.
func (w *wire) Write(p []byte) (int, error) {
	f := w.flight.Load()
	if f == nil {
		return 0, errNoFlight
	}
	if err := f.gate.enter(w); err != nil {
		return 0, err
	}
	// killpoint: send.before
	n, err := w.Conn.Write(p)
	// killpoint: send.bytes
	f.gate.leave(n)
	return n, err
}

// Close ends the connection. In the middle of a send it is reset: bytes that the kernel still holds die with it, so that nothing is
// executed after the send was given up. (A TLS farewell would wait behind them.)
func (w *wire) Close() error {
	if w.flight.Load() == nil {
		return w.Conn.Close()
	}
	_ = w.raw.SetLinger(0) // fails only on a closed socket
	return w.raw.Close()
}

// release gives the wire back after a clean answer. The next send may hold it by now.
func (w *wire) release(f *flight) { w.flight.CompareAndSwap(f, nil) }
