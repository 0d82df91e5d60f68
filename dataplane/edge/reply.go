package edge

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"segue/dataplane/message"
)

// Why a reply takes nothing.
var (
	errClosed = errors.New("edge: the call is over")
	errOrder  = errors.New("edge: Begin, Write and End out of order")
)

// phase is how far a reply is.
type phase uint8

const (
	waiting phase = iota + 1
	begun
	ended  // cleanly
	broken // cut, or the application left
	closed // ServeHTTP returned: w belongs to somebody else now
)

// reply writes an answer to an application. The lock is for drivers that outlive their call: they find it closed.
type reply struct {
	mu     sync.Mutex
	w      http.ResponseWriter
	id     string
	head   bool
	phase  phase
	tunnel bool  // the connection became one
	length int64 // declared; -1: not
	sent   int64
	events events
	x      *exchange
}

func (r *reply) open(w http.ResponseWriter, x *exchange) {
	r.w, r.x, r.id, r.head, r.phase = w, x, x.call.RequestID, x.in.Method == http.MethodHead, waiting
}

// Begin writes the answer's header. That of an event stream leaves at once: its reader waits for the header to know that the stream
// stands, and the first event may be far off.
func (r *reply) Begin(status int, h message.Header) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.in(waiting); err != nil {
		return err
	}
	if status < 200 || status > 999 {
		return fmt.Errorf("%w: status %d", errOrder, status)
	}
	if r.x.unread {
		r.x.abandon()
	}
	r.phase, r.length = begun, -1
	r.put(h)
	if bodyless := r.head || status == http.StatusNoContent || status == http.StatusNotModified; bodyless {
		r.length = 0
	}
	r.events.begin(r.w.Header(), r.length)
	r.w.WriteHeader(status)
	// killpoint: answer.begun
	if events := strings.HasPrefix(r.w.Header().Get("Content-Type"), "text/event-stream"); !events || r.length >= 0 {
		return nil
	}
	if err := r.flush(); err != nil {
		r.phase = broken
		return fmt.Errorf("edge: begin: %w", err)
	}
	return nil
}

// put copies the header. The lists of one value share one piece of memory.
func (r *reply) put(h message.Header) {
	out := r.w.Header()
	values := make([]string, 0, len(h)+2)
	for i := range h {
		name := h[i].Name
		if !message.EndToEnd(name) && !ours(name) && name != "Trailer" {
			continue
		}
		if had := out[name]; had != nil {
			out[name] = append(had, h[i].Value)
			continue
		}
		values = append(values, h[i].Value)
		out[name] = values[len(values)-1 : len(values) : len(values)]
	}
	if text := out["Content-Length"]; text != nil {
		r.length = declared(text)
	}
	if out["X-Request-Id"] == nil {
		values = append(values, r.id)
		out["X-Request-Id"] = values[len(values)-1 : len(values) : len(values)]
	}
	if out["Content-Type"] == nil {
		out["Content-Type"] = nil // net/http would guess one
	}
}

// ours tells whether a header that no provider may send is one of Segue's answers.
func ours(name string) bool { return len(name) > 6 && name[:6] == "Segue-" }

func declared(values []string) int64 {
	n, err := strconv.ParseInt(values[0], 10, 64)
	if err != nil || n < 0 {
		return -1
	}
	return n
}

// Write passes bytes on and sees to it that they leave, unless they complete an answer of known length: that leaves with its end, in
// one piece.
func (r *reply) Write(p []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.in(begun); err != nil {
		return err
	}
	if len(p) == 0 || r.head {
		return nil
	}
	if r.x.conn == nil {
		r.hurry()
	}
	n, err := r.w.Write(p)
	// killpoint: answer.during
	r.sent += int64(n)
	r.events.passed(p[:n])
	if err == nil && r.sent != r.length {
		err = r.flush()
	}
	if err != nil {
		r.phase = broken
		return fmt.Errorf("edge: write: %w", err)
	}
	return nil
}

// hurry gives the application its time to take the next bytes of a stream. Over HTTP/1 the connection sees to that.
func (r *reply) hurry() {
	_ = http.NewResponseController(r.w).SetWriteDeadline(time.Now().Add(r.x.port.edge.config.Limits.Write)) // fails only when the stream is gone
}

// Trail takes a trailer. It leaves with the end, where the answer's framing has room for one.
func (r *reply) Trail(h message.Header) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.phase != begun {
		return
	}
	for i := range h {
		if message.InTrailer(h[i].Name) {
			r.w.Header().Add(http.TrailerPrefix+h[i].Name, h[i].Value)
		}
	}
}

func (r *reply) flush() error {
	f, ok := r.w.(interface{ FlushError() error })
	if !ok {
		return nil
	}
	return f.FlushError()
}

// End ends the answer. What was cut, or is shorter than it said, is never a clean end: the connection will be reset.
func (r *reply) End(cut error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.in(begun); err != nil {
		return err
	}
	r.phase = ended
	if cut != nil {
		r.tellCut()
	}
	if cut != nil || r.length >= 0 && r.sent != r.length {
		r.phase = broken
	}
	return nil
}

func (r *reply) in(want phase) error {
	switch r.phase {
	case want:
		return nil
	case closed, broken:
		return errClosed
	default:
		return errOrder
	}
}

// fail answers with a refusal, if nothing was answered yet; otherwise the answer is cut.
func (r *reply) fail(why *refusal) {
	if why.close {
		r.w.Header().Set("Connection", "close")
	}
	if err := why.problem.Answer(why.dialect).Send(r); err != nil {
		r.mu.Lock()
		if r.phase != ended {
			r.phase = broken
		}
		r.mu.Unlock()
	}
}

// close ends the reply's hold on the connection, and tells whether the answer ended cleanly. One that never began is answered here: a call
// must not end without a word.
func (r *reply) close() (clean bool) {
	r.mu.Lock()
	silent := r.phase == waiting
	r.mu.Unlock()
	if silent {
		r.fail(failed(""))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	clean = r.phase == ended
	r.phase = closed
	return clean
}
